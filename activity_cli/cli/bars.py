"""Progress on a terminal: bars, notes and warnings on stderr, unless ``--quiet``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

from activity_cli.reports.text import escape_control

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["TerminalProgress"]


_REFRESH_SECONDS = 0.5


class _Bar:
    def __init__(self, bar: tqdm[None]) -> None:
        self._bar = bar

    def advance(self, amount: int = 1, note: str = "") -> None:
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(amount)


class TerminalProgress:
    """Shows progress to a user at a terminal; with ``quiet`` nothing, without ``bars`` only notes."""

    def __init__(self, quiet: bool, *, bars: bool = True) -> None:
        self._quiet, self._bars = quiet, bars

    @contextmanager
    def stage(self, title: str, total: int | None, unit: str) -> Iterator[_Bar]:
        """Draws a bar, and keeps its clock going while the stage does one long thing."""
        from tqdm import tqdm

        look = {"unit": f" {unit}", "dynamic_ncols": True, "leave": False, "delay": 0.3}
        if not unit:
            look["bar_format"] = "{desc} [{elapsed}]"
        if self._quiet or not self._bars or not sys.stderr.isatty():
            with tqdm(disable=True) as bar:
                yield _Bar(bar)
            return
        # Not to descriptor 2, which is closed to all output while TensorFlow starts.
        with (
            open(os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding, errors="replace") as terminal,  # noqa: PTH123
            tqdm(desc=title, total=total, file=terminal, **look) as bar,
            _refreshed(bar),
        ):
            yield _Bar(bar)

    def note(self, text: str) -> None:
        if not self._quiet:
            print(escape_control(text), file=sys.stderr)

    def warn(self, text: str) -> None:
        self.note(f"warning: {text}")


@contextmanager
def _refreshed(bar: tqdm[None]) -> Iterator[None]:
    """Draws a bar again and again in the block."""
    ended = Event()

    def refresh() -> None:
        while not ended.wait(_REFRESH_SECONDS):
            bar.refresh()

    thread = Thread(target=refresh, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
