"""Metadata shortcuts: how well the length, frame rate, size and type of a file predict its label.

Where one activity was filmed by another camera, exported by another program, or cut to another length, a network can
learn that instead of the activity (Geirhos et al. 2020, Shortcut learning in deep neural networks).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from activity_cli.results import ClipRecord, MetadataShortcut

__all__ = ["find_shortcuts"]

_FOLDS = 5
_BINS = 8
# An accuracy above the baseline by less than this, or by less than so many standard errors, may be chance.
_MARGIN = 0.1
_STANDARD_ERRORS = 4.0

_Codes = npt.NDArray[np.intp]


def find_shortcuts(clips: Sequence[ClipRecord], groups: Sequence[str], seed: int = 0) -> tuple[MetadataShortcut, ...]:
    """Predicts the label of each clip from its file's length, frame rate, size and type, one by one and together.

    The classifier is naive Bayes with add-one smoothing, cross-validated in five folds, to which ``seed`` assigns whole
    groups. Lengths are put into eight bins of equal share. A property that is the same for all clips is left out.
    """
    labels = _codes([clip.label for clip in clips])
    folds = _assign_folds(groups, seed)
    properties = {
        "length": _binned([clip.part_seconds for clip in clips]),
        "frame rate": _codes([f"{clip.frames_per_second:.2f}" for clip in clips]),
        "frame size": _codes([f"{clip.width} x {clip.height}" for clip in clips]),
        "file type": _codes([PurePosixPath(clip.path).suffix.lower() for clip in clips]),
    }
    features = {name: [codes] for name, codes in properties.items() if codes.any()}
    if len(set(folds.tolist())) < 2 or not features:
        return ()
    if len(features) > 1:
        features["all together"] = [codes for (codes,) in features.values()]
    baseline = float(np.bincount(labels).max() / len(labels))
    margin = max(_MARGIN, _STANDARD_ERRORS * math.sqrt(baseline * (1 - baseline) / len(set(groups))))
    accuracies = {name: _accuracy(columns, labels, folds) for name, columns in features.items()}
    return tuple(MetadataShortcut(name, one, baseline, one - baseline > margin) for name, one in accuracies.items())


def _binned(values: Sequence[float]) -> _Codes:
    # The edges depend on all clips, but on no label, so they leak nothing about a test fold.
    edges = np.unique(np.quantile(values, np.arange(1, _BINS) / _BINS))
    return np.searchsorted(edges, values)


def _codes(values: Sequence[str]) -> _Codes:
    """A number from 0 for each distinct value."""
    return np.unique(values, return_inverse=True)[1]


def _assign_folds(groups: Sequence[str], seed: int) -> _Codes:
    """The fold of each clip: whole groups, the largest first, each to the smallest fold."""
    sizes = Counter(groups)
    names = sorted(sizes)
    random.Random(seed).shuffle(names)
    num_clips = [0] * min(_FOLDS, len(names))
    fold_of: dict[str, int] = {}
    for name in sorted(names, key=lambda name: -sizes[name]):
        fold_of[name] = num_clips.index(min(num_clips))
        num_clips[fold_of[name]] += sizes[name]
    return np.array([fold_of[group] for group in groups], np.intp)


def _accuracy(columns: Sequence[_Codes], labels: _Codes, folds: _Codes) -> float:
    """Accuracy of naive Bayes over all folds. In NumPy: importing scikit-learn's takes more than a second."""
    # The prior is that of all clips: where labels are even, the most frequent one in training is rarest in the test.
    prior = np.bincount(labels) / len(labels)
    num_right = 0
    for fold in np.unique(folds):
        test, train = folds == fold, folds != fold
        score = np.tile(np.log(prior), (int(test.sum()), 1))
        for codes in columns:
            table = np.ones((codes.max() + 1, len(prior)))
            np.add.at(table, (codes[train], labels[train]), 1)
            score += np.log(table / table.sum(0))[codes[test]]
        num_right += int((score.argmax(1) == labels[test]).sum())
    return num_right / len(labels)
