"""Words and numbers as every report writes them."""

from __future__ import annotations

import unicodedata

__all__ = ["duration", "percent", "points", "visible"]

# Line breaks, terminal controls and the halves of undecodable bytes.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Marks that turn the direction of the text after them, and could make a name read as another.
_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def visible(text: str) -> str:
    r"""Writes what cannot be seen as an escape, so that a name stays on its line.

    File names may hold line breaks, terminal controls and undecodable bytes (lone surrogates, which
    no encoder accepts). Letters of all scripts stay as they are.

    >>> visible("a\nb\x1b[31m")
    'a\\nb\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in _DIRECTION_MARKS or unicodedata.category(character) in _HIDDEN_CATEGORIES:
        return character.encode("unicode_escape").decode("ascii")
    return character


def percent(share: float) -> str:
    """A share of 0 to 1 in percent: ``0.8333`` is ``83.3%``."""
    return f"{100 * share:.1f}%"


def points(difference: float) -> str:
    """A difference of two shares in percentage points, with its sign: ``0.125`` is ``+12.5``."""
    rounded = round(100 * difference, 1)
    return "0.0" if rounded == 0 else f"{rounded:+.1f}"


def duration(seconds: float) -> str:
    """A time as a person says it: ``8.4 s``, ``2 min 05 s``, ``1 h 02 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
