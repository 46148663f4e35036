"""Which clips may be shown as in a mirror: not those whose label means a side.

In a mirror a turn to the left is one to the right; learned under its old label it would teach the
network that the two are the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from activity_cli.errors import ConfigError
from activity_cli.settings import Augmentation

__all__ = ["check_keep_sides", "may_flip"]

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # LeftHook, turnLEFT and LEFTTurn are two words each
_SIDES = ("left", "right", "clockwise")
_LETTERS = frozenset({"l", "r", "cw", "ccw"})
# These end or begin with a side, and mean none.
_NO_SIDES = frozenset({"bright", "cleft", "downright", "forthright", "fright", "leftover", "outright", "upright"})


def may_flip(label: str, config: Augmentation) -> bool:
    """Whether a clip of this label still shows it in a mirror.

    Args:
        label: An activity. One that names a side in English (``turn_left``, ``LeftHook``,
            ``right-handed``, ``turnleft``, ``spin_counterclockwise``, ``hook_R``) is never mirrored.
        config: Says which others are not, and whether any are.
    """
    if not config.flip or label in config.no_flip_label:
        return False
    return not any(_names_a_side(word.lower()) for word in _WORDS.findall(label))


def check_keep_sides(config: Augmentation, labels: Sequence[str]) -> None:
    """Makes sure that each label that is to keep its sides is one of these.

    Raises:
        ConfigError: One is not: a slip of the pen would mirror what must not be mirrored.
    """
    unknown = sorted(set(config.no_flip_label) - set(labels))
    if unknown:
        raise ConfigError(
            f"keep_sides names {', '.join(map(repr, unknown))}, which no clip is labeled with.",
            f"The labels are: {', '.join(labels)}.",
        )


def _names_a_side(word: str) -> bool:
    if word in _LETTERS:
        return True
    return word not in _NO_SIDES and (word.startswith(_SIDES) or word.endswith(_SIDES))
