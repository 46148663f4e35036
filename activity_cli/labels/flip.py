"""Which clips may be mirrored: not those whose label names a side.

Mirrored, a turn to the left is one to the right; trained on under its old label it would teach the network that the
two are the same.
"""

from __future__ import annotations

import re

from activity_cli.settings import Augmentation

__all__ = ["may_flip"]

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # LeftHook, turnLEFT and LEFTTurn are two words each
_SIDES = ("left", "right", "clockwise")
_LETTERS = frozenset({"l", "r", "cw", "ccw"})
# These start or end with a side, and name none.
_NO_SIDES = frozenset({"bright", "cleft", "downright", "forthright", "fright", "leftover", "outright", "upright"})


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


def _names_a_side(word: str) -> bool:
    if word in _LETTERS:
        return True
    return word not in _NO_SIDES and (word.startswith(_SIDES) or word.endswith(_SIDES))
