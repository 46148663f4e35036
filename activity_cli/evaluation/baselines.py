"""Baselines on the same clips, which show how much the network adds.

The majority class ignores the video. The middle frame ignores motion. The frame average ignores the order of the
frames, and the frame statistics know a little of it. The last three are logistic regressions with fixed settings. They
read the features of the model's own encoder, and are fitted to the training clips of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from activity_cli.evaluation.metrics import class_scores, macro_f1
from activity_cli.results import Baseline

__all__ = ["score_baselines"]

Features = Sequence[npt.NDArray[np.float32]]
Numbers = npt.NDArray[np.int64]

_MAX_ITERATIONS = 1000


def score_baselines(
    train_features: Features, train_numbers: Numbers, features: Features, numbers: Numbers, labels: Sequence[str]
) -> tuple[Baseline, ...]:
    """Fits the baselines to the training clips and scores them on other clips.

    Args:
        train_features: ``float32 [T_i, D]`` of each training clip; without any, no baseline has a score.
        train_numbers: The numbers of their labels, ``int64 [N]``.
        features: Of the clips to score on.
        numbers: The numbers of their labels.
        labels: The labels, in the order of their numbers.
    """
    found = []
    for name, (text, describe) in _BASELINES.items():
        if not len(train_numbers):
            found.append(Baseline(name, text, None, None, "there are no training clips"))
            continue
        if describe is None:
            answers = np.full(len(numbers), np.bincount(train_numbers).argmax())
        else:
            train, test = (np.stack([describe(frames) for frames in clips]) for clips in (train_features, features))
            answers = _regression(train, train_numbers, test)
        scores = class_scores(numbers, answers, labels)
        found.append(Baseline(name, text, float(np.mean(answers == numbers)), macro_f1(scores)))
    return tuple(found)


def _statistics(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    half = len(frames) // 2
    change = frames[-half:].mean(axis=0) - frames[:half].mean(axis=0) if half else np.zeros_like(frames[0])
    return np.concatenate([frames.mean(axis=0), frames.std(axis=0), change])


_BASELINES: dict[str, tuple[str, Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]] | None]] = {
    "majority_class": ("always predicts the most frequent activity of the training clips", None),
    "middle_frame": ("sees only the middle frame of the clip", lambda frames: frames[len(frames) // 2]),
    "frame_average": (
        "the mean of the features over all frames; ignores their order",
        lambda frames: frames.mean(axis=0),
    ),
    "frame_statistics": (
        "mean and standard deviation of the features, and the difference between the two halves of the clip",
        _statistics,
    ),
}


def _regression(train: npt.NDArray[np.float32], train_numbers: Numbers, test: npt.NDArray[np.float32]) -> Numbers:
    if len(np.unique(train_numbers)) == 1:
        return np.full(len(test), train_numbers[0])
    from sklearn.linear_model import LogisticRegression  # takes a second to load
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MAX_ITERATIONS))
    return np.asarray(model.fit(train, train_numbers).predict(test), np.int64)
