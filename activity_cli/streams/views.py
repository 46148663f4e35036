"""What the heads read of the rows of a clip.

The heads of appearance and motion read the rows as they are. The head of the pose reads the movement of the skeleton,
at several cuts in time, and each also as a mirror shows it: the answers for these views are averaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from activity_cli.sampling.plan import evenly_spaced
from activity_cli.streams.skeleton import CUTS, cut, mirrored, read_skeleton, skeleton_features

__all__ = ["View", "views_of"]

Floats = npt.NDArray[np.float32]


class View(NamedTuple):
    """What a head reads: ``float32 [T, D]``, and whether it is mirrored."""

    features: Floats
    is_mirrored: bool = False


def views_of(
    reads: Sequence[str], rows: Mapping[str, Floats], times_seconds: Sequence[float], num_frames: int, *, mirror: bool
) -> list[View]:
    """The views of a clip that a head reads.

    Args:
        reads: The streams that the head reads.
        rows: ``float32 [T, width]`` by the stream's name.
        times_seconds: When each frame is shown.
        num_frames: Number of steps that the head reads; of a longer clip, the middle frame of each of so many parts.
        mirror: Whether to show the skeleton mirrored, too.
    """
    if "pose" not in reads:
        [name] = reads
        return [View(rows[name][list(evenly_spaced(len(rows[name]), num_frames))])]
    times = np.asarray(times_seconds, np.float64)
    clip = read_skeleton(rows["pose"], rows["hands"] if "hands" in reads else None, times, num_frames)
    views = []
    for start, end in CUTS:
        part = cut(clip, start, end)
        views.append(View(skeleton_features(part)[0]))
        if mirror:
            views.append(View(skeleton_features(mirrored(part))[0], is_mirrored=True))
    return views
