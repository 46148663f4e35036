"""Progress on a terminal: bars, notes and warnings on stderr, unless ``--quiet``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from activity_cli.reports.text import escape_control

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["TerminalProgress"]


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
        from tqdm import tqdm

        hidden = self._quiet or not self._bars or not sys.stderr.isatty()
        look = {"unit": f" {unit}", "dynamic_ncols": True, "leave": False, "delay": 0.3}
        with tqdm(desc=title, total=total, disable=hidden, file=sys.stderr, **look) as bar:
            yield _Bar(bar)

    def note(self, text: str) -> None:
        if not self._quiet:
            print(escape_control(text), file=sys.stderr)

    def warn(self, text: str) -> None:
        self.note(f"warning: {text}")
