"""Labels that look the same become one label; labels that are nearly the same are asked about."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import combinations

__all__ = ["clean_text", "find_similar_labels", "is_broken"]

# A word of at least this many letters that differs in one of them is more likely a slip than another word.
_LONG_WORD = 8
_SHOWN_PAIRS = 5
# Cyrillic and Greek letters that look like Latin ones.
_LATIN_TWINS = str.maketrans("аеорсухіјѕԁһαορνικ", "aeopcyxijsdhaopvik")
# What has no width, though Unicode does not count it among the formatting characters (Cf); and blank signs.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f" + "".join(map(chr, range(0xFE00, 0xFE10)))
)
_BLANK = frozenset("\u2800\u3164\uffa0")
_JOINERS = frozenset("\u200c\u200d")
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")


def clean_text(text: str) -> str:
    """A label or a group without what nobody sees.

    Composed letters (NFC), no invisible characters, every space a plain one, none outside. What joins letters of
    scripts such as Persian, or the parts of an emoji, stays, since it changes how they look.
    """
    shown = (_shown(text, place) for place in range(len(text)))
    return unicodedata.normalize("NFC", "".join(shown)).strip()


def is_broken(text: str) -> bool:
    """Whether a program could not decode a part of a text: it has lone surrogates or replacement characters."""
    return any("\ud800" <= sign <= "\udfff" or sign == "\ufffd" for sign in text)


def find_similar_labels(labels: Iterable[str]) -> list[str]:
    """A warning for each pair of labels that may be meant as one.

    They differ only in case, spaces, punctuation or letters of another alphabet that look the same, or by one letter in
    a word of eight or more. ``wave1`` and ``wave2``, ``walk`` and ``wave`` are different labels.
    """
    words_of = {label: _words(label) for label in sorted(set(labels))}
    pairs = [pair for pair in combinations(words_of, 2) if _are_similar(*(words_of[label] for label in pair))]
    warnings = [
        f"The labels {first!r} and {second!r} are nearly the same: did you mean one label? prepare keeps them apart."
        for first, second in pairs[:_SHOWN_PAIRS]
    ]
    if len(pairs) > _SHOWN_PAIRS:
        warnings.append(f"{len(pairs) - _SHOWN_PAIRS} more pairs of labels are nearly the same.")
    return warnings


def _shown(text: str, place: int) -> str:
    """A sign as it is kept: itself, a plain space, or nothing."""
    sign = text[place]
    category = unicodedata.category(sign)
    if category in ("Zs", "Zl", "Zp") or sign in _BLANK or sign in "\t\n\v\f\r\x85":
        return " "
    if sign in _JOINERS:
        beside = text[max(0, place - 1) : place] + text[place + 1 : place + 2]
        return sign if len(beside) == 2 and not any(map(_is_latin, beside)) else ""
    return "" if category in ("Cf", "Cc") or sign in _INVISIBLE else sign


def _is_latin(sign: str) -> bool:
    return sign.isascii() or unicodedata.name(sign, "").startswith("LATIN")


def _words(label: str) -> list[str]:
    """The words of a label, for comparing: numbers are words, and so are the parts of CamelCase."""
    text = unicodedata.normalize("NFKC", _CAMEL_CASE.sub(" ", label)).casefold().translate(_LATIN_TWINS)
    # Not marks, which are parts of letters in many scripts, and not symbols such as +.
    spaced = "".join(" " if unicodedata.category(sign)[0] in "PZC" else sign for sign in text)
    # Spreadsheets drop zeros before numbers. Numbers side by side stay apart: 1.2 is not 12.
    words = [str(int(word)) if word.isdecimal() else word for word in re.findall(r"\d+|[^\s\d]+", spaced)]
    return [f"{word}." if word.isdecimal() else word for word in words]


def _are_similar(first: list[str], second: list[str]) -> bool:
    if "".join(first) == "".join(second):
        return True
    different = [pair for pair in zip(first, second, strict=False) if pair[0] != pair[1]]
    if len(first) != len(second) or len(different) != 1:
        return False
    return not any(word[0].isdecimal() for word in different[0]) and _one_letter_apart(*different[0])


def _one_letter_apart(first: str, second: str) -> bool:
    if max(len(first), len(second)) < _LONG_WORD or abs(len(first) - len(second)) > 1:
        return False
    begin = next((place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    if begin is None:
        return True  # one has a letter more at the end
    return any(first[begin + a :] == second[begin + b :] for a, b in ((1, 1), (1, 0), (0, 1)))
