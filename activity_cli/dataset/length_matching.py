"""Length matching: training clips of all labels are cut to the same lengths, so that clip length is not a cue.

A mask keeps padding out of a recurrent network, but the network can count the frames. If the clips of one label are
longer than those of another, it learns that, and answers right on a test set in which nothing but the length differs.
So training clips of all labels get the same lengths. Frames are only left out: a network can tell repeated or
interpolated frames from real ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["matched_lengths"]


def matched_lengths(lengths: Sequence[int], labels: Sequence[str], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """How many frames to keep of each training clip, so that no label has other lengths than another.

    In each label the shortest clip is cut to the length of the shortest clips of all labels, the median to the least of
    the medians, and so on for every rank. Where lengths do not depend on the label this cuts little; where they do, all
    clips become as short as those of the shortest label.

    Args:
        lengths, labels: Frames of each clip, and its label.
        rng: Decides which of two clips of one length is the shorter one.

    Returns:
        ``int64 [N]``, each at least 1 and at most the clip's length.
    """
    whole, named = np.asarray(lengths, np.int64), np.asarray(labels)
    rank = np.empty(len(whole))
    by_label = [np.flatnonzero(named == label) for label in np.unique(named)]
    for clips in by_label:
        order = clips[np.lexsort((rng.random(len(clips)), whole[clips]))]
        rank[order] = (np.arange(len(clips)) + 0.5) / len(clips)
    kept = [np.quantile(whole[clips], rank, method="inverted_cdf") for clips in by_label]
    matched: npt.NDArray[np.int64] = np.minimum(np.min(kept, axis=0).astype(np.int64), whole)
    return matched
