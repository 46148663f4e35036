"""The one progress bar: on a terminal, on stderr, unless ``--quiet``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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
    """Bars, notes and warnings for a person at a terminal.

    Args:
        quiet: Say nothing at all; errors are told elsewhere.
    """

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet

    @contextmanager
    def stage(self, title: str, total: int | None, unit: str) -> Iterator[_Bar]:
        from tqdm import tqdm

        hidden = self._quiet or not sys.stderr.isatty()
        with tqdm(
            desc=title,
            total=total,
            unit=f" {unit}",
            disable=hidden,
            file=sys.stderr,
            dynamic_ncols=True,
            leave=False,
            delay=0.3,
        ) as bar:
            yield _Bar(bar)

    def note(self, text: str) -> None:
        if not self._quiet:
            print(text, file=sys.stderr)

    def warn(self, text: str) -> None:
        if not self._quiet:
            print(f"warning: {text}", file=sys.stderr)
