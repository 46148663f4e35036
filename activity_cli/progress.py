"""How a command reports its progress. The caller decides how to show it.

A command opens a stage for each long step and advances it. The command line draws a bar, a notebook may draw something
else, and by default nothing is shown.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

__all__ = ["Progress", "SilentProgress", "Stage"]


class Stage(Protocol):
    """One long step of a command."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Counts ``amount`` more units as done. ``note`` is a short text beside the bar, such as the loss."""


class Progress(Protocol):
    """Receives the progress of a command."""

    def stage(self, title: str, total: int | None, unit: str) -> AbstractContextManager[Stage]:
        """Opens a step of ``total`` units (None: unknown). Leaving the block closes it."""

    def note(self, text: str) -> None:
        """Shows one line of information."""

    def warn(self, text: str) -> None:
        """Shows one line about a problem that the user should solve."""


class SilentProgress:
    """Shows nothing: the default of every command. It is its own stage."""

    def stage(self, title: str, total: int | None, unit: str) -> AbstractContextManager[Stage]:
        return nullcontext(self)

    def advance(self, amount: int = 1, note: str = "") -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def warn(self, text: str) -> None:
        pass
