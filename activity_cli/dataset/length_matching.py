"""Lengths of clips, made to say nothing of the label.

A mask keeps padding out of a recurrent network, not the number of its steps: it can count them. Where
clips of one label are longer than those of another, it learns to, and a test set in which nothing but
the length differs is answered right. So the training clips of every label are cut to the same lengths.
Only ever fewer frames: steps that are repeated, or lie between two frames, can be told from real ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["matched_lengths"]


def matched_lengths(lengths: Sequence[int], labels: Sequence[str], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """How many frames to keep of each training clip, so that no label has other lengths than another.

    In each label the shortest clip is cut to what the shortest clips of all labels have, the median to
    the least of the medians, and so on for every rank. Where lengths do not depend on the label that
    cuts little; where they are one with it, all clips become as short as those of the shortest label.

    Args:
        lengths: Frames of each clip.
        labels: The label of each clip.
        rng: Decides which of two clips of one length is the shorter one.

    Returns:
        ``int64 [N]``, each at least 1 and at most the clip's length.
    """
    whole, named = np.asarray(lengths, np.int64), np.asarray(labels)
    rank = np.empty(len(whole))
    sides = [np.flatnonzero(named == label) for label in np.unique(named)]
    for side in sides:
        order = side[np.lexsort((rng.random(len(side)), whole[side]))]
        rank[order] = (np.arange(len(side)) + 0.5) / len(side)
    kept = [np.quantile(whole[side], rank, method="inverted_cdf") for side in sides]
    matched: npt.NDArray[np.int64] = np.minimum(np.min(kept, axis=0).astype(np.int64), whole)
    return matched
