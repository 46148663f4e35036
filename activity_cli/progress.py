"""How a verb says where it stands, without knowing who listens.

A verb opens a stage for each long step and advances it; the command line draws a bar from that, a
notebook may draw something else, and by default nobody listens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["Progress", "SilentProgress", "Stage"]


class Stage(Protocol):
    """One long step that is under way."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Counts ``amount`` units as done; ``note`` is a short live text, such as a loss."""


class Progress(Protocol):
    """What a verb reports to."""

    def stage(self, title: str, total: int | None, unit: str) -> AbstractContextManager[Stage]:
        """Opens a step of ``total`` units (None: unknown); leaving the block closes it."""

    def note(self, text: str) -> None:
        """One line that a person may want to know."""

    def warn(self, text: str) -> None:
        """One line that a person should act on."""


class _SilentStage:
    def advance(self, amount: int = 1, note: str = "") -> None:
        pass


class SilentProgress:
    """Listens to nothing: the default of every verb."""

    @contextmanager
    def stage(self, title: str, total: int | None, unit: str) -> Iterator[Stage]:
        yield _SilentStage()

    def note(self, text: str) -> None:
        pass

    def warn(self, text: str) -> None:
        pass
