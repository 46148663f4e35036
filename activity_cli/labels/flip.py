"""Which clips may be mirrored, and what a mirrored clip shows.

Mirrored, a turn to the left is one to the right; trained on under its old label it would teach the network that the
two are the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from activity_cli.settings import Augmentation

__all__ = ["may_flip", "mirrored_labels"]

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # LeftHook, turnLEFT and LEFTTurn are two words each
_SIDES = ("left", "right", "clockwise")
_LETTERS = frozenset({"l", "r", "lh", "rh", "cw", "ccw"})
_PAIRS = (("left", "right"), ("counterclockwise", "clockwise"), ("ccw", "cw"), ("lh", "rh"), ("l", "r"))
_OTHERS = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])} | {"anticlockwise": "clockwise"}
# A side, in any writing; a letter only between other signs than letters.
_SIDE = re.compile(
    r"left|right|counterclockwise|anticlockwise|clockwise|(?<![a-z])c?cw(?![a-z])|(?<![a-z])[lr]h?(?![a-z])",
    re.IGNORECASE,
)
# In these is a side, but they name none.
_NO_SIDE = re.compile("bright|cleft|downright|forthright|fright|leftover|outright|upright|wright|righteous|theft")


def may_flip(label: str, augmentation: Augmentation) -> bool:
    """Whether a mirrored clip still shows its label.

    Args:
        label: An activity. One that names a side in English (``turn_left``, ``LeftHook``, ``right-handed``,
            ``turnleft``, ``spin_counterclockwise``, ``hook_R``) is never mirrored.
        augmentation: Says whether clips are mirrored at all, and which other labels are not.
    """
    if not augmentation.flip or label in augmentation.no_flip_label:
        return False
    return not any(_names_a_side(word.lower()) for word in _WORDS.findall(label))


def mirrored_labels(labels: Sequence[str], augmentation: Augmentation) -> tuple[int, ...] | None:
    """For each label the number of the one that a mirrored clip shows: itself, or ``turn_right`` for ``turn_left``.

    None: nothing may be mirrored, because a label that depends on left and right has no partner.
    """
    if not augmentation.flip or any(label in augmentation.no_flip_label for label in labels):
        return None
    swapped = [_SIDE.sub(_other_side, label) for label in labels]
    partners = []
    for number, label in enumerate(labels):
        # Either is the other one, swapped: clockwise becomes counterclockwise, but anticlockwise becomes clockwise.
        found = [other for other, one in enumerate(labels) if swapped[number] == one or swapped[other] == label]
        if len(found) == 1 and found != [number]:
            partners += found
        elif may_flip(label, augmentation):
            partners.append(number)
        else:
            return None
    return tuple(partners) if sorted(partners) == list(range(len(labels))) else None


def _other_side(found: re.Match[str]) -> str:
    word = found.group()
    other = _OTHERS[word.lower()]
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other


def _names_a_side(word: str) -> bool:
    if word in _LETTERS:
        return True
    rest = _NO_SIDE.sub("", word)
    return any(side in rest for side in _SIDES)
