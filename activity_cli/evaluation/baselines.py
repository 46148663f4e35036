"""Simpler judges on the same clips, so that a reader sees what the LSTM adds.

The majority class needs no video at all, the middle frame no motion, the frame average no order; the
frame statistics know a little of both. The last three are logistic regressions on the features of the
model's own encoder, fitted to the training clips with fixed settings, and never to clips of another
split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from activity_cli.evaluation.metrics import class_scores, confusion_matrix, macro_f1
from activity_cli.results import Baseline

__all__ = ["score_baselines"]

Features = Sequence[npt.NDArray[np.float32]]
Numbers = npt.NDArray[np.int64]

_MAX_ITERATIONS = 1000


def score_baselines(
    train_features: Features, train_numbers: Numbers, features: Features, numbers: Numbers, labels: Sequence[str]
) -> tuple[Baseline, ...]:
    """Fits the simpler judges to the training clips and scores them on the others.

    Args:
        train_features: ``float32 [T_i, D]`` for each training clip; may be none.
        train_numbers: Their labels, ``int64 [N]``.
        features: Of the clips to judge.
        numbers: Their labels.
        labels: The names of the numbers.
    """
    judges: tuple[tuple[str, str, Callable[[], Numbers]], ...] = (
        (
            "majority_class",
            "always the most frequent activity of the training clips",
            lambda: np.full(len(numbers), np.bincount(train_numbers).argmax()),
        ),
        (
            "middle_frame",
            "one frame from the middle of the clip",
            lambda: _regression(_middle(train_features), train_numbers, _middle(features)),
        ),
        (
            "frame_average",
            "the average over the frames, without their order",
            lambda: _regression(_average(train_features), train_numbers, _average(features)),
        ),
        (
            "frame_statistics",
            "the average, the spread, and the second half less the first",
            lambda: _regression(_statistics(train_features), train_numbers, _statistics(features)),
        ),
    )
    if not len(train_numbers):
        return tuple(Baseline(name, text, None, None, "no training clips here") for name, text, _ in judges)
    return tuple(_scored(name, text, judge(), numbers, labels) for name, text, judge in judges)


def _scored(name: str, text: str, answer: Numbers, numbers: Numbers, labels: Sequence[str]) -> Baseline:
    scores = class_scores(confusion_matrix(numbers, answer, len(labels)), labels)
    return Baseline(name, text, float(np.mean(answer == numbers)), macro_f1(scores))


def _middle(features: Features) -> npt.NDArray[np.float32]:
    return np.stack([frames[len(frames) // 2] for frames in features])


def _average(features: Features) -> npt.NDArray[np.float32]:
    return np.stack([frames.mean(axis=0) for frames in features])


def _statistics(features: Features) -> npt.NDArray[np.float32]:
    return np.stack([np.concatenate([frames.mean(axis=0), frames.std(axis=0), _change(frames)]) for frames in features])


def _change(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    half = len(frames) // 2
    if not half:
        return np.zeros_like(frames[0])
    return np.asarray(frames[-half:].mean(axis=0) - frames[:half].mean(axis=0))


def _regression(train: npt.NDArray[np.float32], train_numbers: Numbers, judged: npt.NDArray[np.float32]) -> Numbers:
    if len(np.unique(train_numbers)) == 1:
        return np.full(len(judged), train_numbers[0])
    # Here, because it takes a second to load.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MAX_ITERATIONS))
    return np.asarray(model.fit(train, train_numbers).predict(judged), np.int64)
