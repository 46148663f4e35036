"""Whether hands are large enough in a folder's videos: measured on a sample of them.

The sample depends on the names of the videos alone, and what was found in it stands in the decode cache. So a run that
was killed, or is repeated, decides alike, and a video that is added changes at most one video of the sample.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence

from activity_cli.dataset.decode_cache import Decoded, DecodeTask

__all__ = ["MIN_HANDS_SHARE", "hands_share", "sample_for_hands"]

_SAMPLE = 24
# Least share of the hands of persons that must be found. Measured: gestures 3 m away 0.73, tennis from the stands 0.27.
MIN_HANDS_SHARE = 0.4


def sample_for_hands(tasks: Sequence[DecodeTask]) -> list[DecodeTask]:
    """At most 24 videos from all over the list, in its order."""
    drawn = sorted(tasks, key=lambda task: hashlib.sha256(os.fsencode(task.name)).digest())[:_SAMPLE]
    names = {task.name for task in drawn}
    return [task for task in tasks if task.name in names]


def hands_share(results: Iterable[Decoded]) -> float | None:
    """In which share of the pairs of a hand and a frame with a person the hand was found; None without any person."""
    counts = [decoded.hands for decoded in results if decoded.hands is not None]
    pairs = sum(pairs for _, pairs in counts)
    return sum(found for found, _ in counts) / pairs if pairs else None
