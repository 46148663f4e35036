"""Words and numbers as every report writes them."""

from __future__ import annotations

import unicodedata

__all__ = ["clock_time", "counted", "duration", "escape_control", "percent", "points"]

# Control characters, surrogates (undecodable bytes of a file name), line and paragraph separators.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Marks that reverse the direction of text, and could make a name read as another; and what XML cannot hold.
_HIDDEN = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\ufffe\uffff")


def escape_control(text: str) -> str:
    r"""Replaces control characters by escapes, so that a name stays on its line and cannot command a terminal.

    File names may contain line breaks, terminal commands and undecodable bytes (lone surrogates, which no encoding
    accepts). Letters of all scripts stay as they are.

    >>> escape_control("a\nb\x1b[31m")
    'a\\nb\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode() if c in _HIDDEN or unicodedata.category(c) in _HIDDEN_CATEGORIES else c
        for c in text
    )


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 clip``, ``2 clips``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def percent(share: float) -> str:
    """A share of 0 to 1 in percent: ``0.8333`` is ``83.3%``."""
    return f"{100 * share:.1f}%"


def points(difference: float) -> str:
    """A difference of two shares in percentage points, with its sign: ``0.125`` is ``+12.5``."""
    rounded = round(100 * difference, 1)
    return "0.0" if rounded == 0 else f"{rounded:+.1f}"


def duration(seconds: float) -> str:
    """A duration in words: ``8.4 s``, ``2 min 05 s``, ``1 h 02 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def clock_time(seconds: float) -> str:
    """A moment of a video, such as ``0:02.5`` or ``1:00:02.5``."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"
