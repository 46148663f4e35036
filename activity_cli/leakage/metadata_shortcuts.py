"""How well a label can be told from what a file is like, without a look at a single frame.

Where one activity was filmed by another camera, exported by another program or cut to another length,
a network can learn that instead (Geirhos et al. 2020, Shortcut learning in deep neural networks).
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
# Above guessing by less than this, or by less than so many standard errors, may be chance.
_MARGIN = 0.1
_ERRORS = 4.0

_Codes = npt.NDArray[np.intp]


def find_shortcuts(clips: Sequence[ClipRecord], groups: Sequence[str], seed: int = 0) -> tuple[MetadataShortcut, ...]:
    """Judges each clip by the length, frame rate, size and type of its file alone, and by all of them.

    A naive Bayes classifier with add-one smoothing, cross-validated in five folds of whole groups; lengths
    are counted in eight parts of equal share.

    Args:
        clips: One record for each clip.
        groups: The group of each.
        seed: Deals the groups into folds.

    Returns:
        One for each property that differs between clips, and one for all together where there are several.
    """
    labels = np.unique([clip.label for clip in clips], return_inverse=True)[1]
    folds = _folds(groups, seed)
    properties = {
        "length": _in_parts([_seconds(clip) for clip in clips]),
        "frame rate": _codes([round(clip.frames_per_second, 2) for clip in clips]),
        "frame size": _codes([(clip.width, clip.height) for clip in clips]),
        "file type": _codes([PurePosixPath(clip.path).suffix.lower() for clip in clips]),
    }
    properties = {name: codes for name, codes in properties.items() if codes.any()}
    if len(set(folds.tolist())) < 2 or not properties:
        return ()
    chance = float(np.bincount(labels).max() / len(labels))
    margin = max(_MARGIN, _ERRORS * math.sqrt(chance * (1 - chance) / len(set(groups))))
    looked_at = {name: [codes] for name, codes in properties.items()}
    if len(properties) > 1:
        looked_at["all together"] = list(properties.values())
    shortcuts = []
    for name, columns in looked_at.items():
        accuracy = _accuracy(columns, labels, folds)
        shortcuts.append(MetadataShortcut(name, accuracy, chance, accuracy - chance > margin))
    return tuple(shortcuts)


def _seconds(clip: ClipRecord) -> float:
    cut = clip.end_seconds - clip.start_seconds
    return cut if cut > 0 else clip.duration_seconds


def _in_parts(values: Sequence[float]) -> _Codes:
    # The edges know all clips, but no label: nothing of a test fold is given away.
    edges = np.unique(np.quantile(values, np.arange(1, _BINS) / _BINS))
    return np.searchsorted(edges, values)


def _codes(values: Sequence[object]) -> _Codes:
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.intp)


def _folds(groups: Sequence[str], seed: int) -> _Codes:
    """Deals whole groups, the largest first, each into the smallest fold."""
    sizes = Counter(groups)
    names = sorted(sizes)
    random.Random(seed).shuffle(names)
    clips = [0] * min(_FOLDS, len(names))
    fold_of: dict[str, int] = {}
    for name in sorted(names, key=lambda name: -sizes[name]):
        fold_of[name] = clips.index(min(clips))
        clips[fold_of[name]] += sizes[name]
    return np.array([fold_of[group] for group in groups], np.intp)


def _accuracy(columns: Sequence[_Codes], labels: _Codes, folds: _Codes) -> float:
    # Of all clips: where labels are dealt evenly, the most frequent one of a fold's rest is the rarest in it.
    shares = np.bincount(labels) / len(labels)
    right = 0
    for fold in np.unique(folds):
        tested, learned = folds == fold, folds != fold
        score = np.tile(np.log(shares), (int(tested.sum()), 1))
        for codes in columns:
            table = np.ones((codes.max() + 1, len(shares)))
            np.add.at(table, (codes[learned], labels[learned]), 1)
            score += np.log(table / table.sum(0))[codes[tested]]
        right += int((score.argmax(1) == labels[tested]).sum())
    return right / len(labels)
