"""Scores of the answers for clips, by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from activity_cli.results import ClassScore

__all__ = ["class_scores", "confusion_matrix", "macro_f1"]

Numbers = npt.NDArray[np.int64]


def confusion_matrix(truth: Numbers, answers: Numbers, num_labels: int) -> tuple[tuple[int, ...], ...]:
    """Number of clips for each right label (rows) and each predicted label (columns)."""
    from sklearn import metrics  # takes a second to load

    counts = metrics.confusion_matrix(truth, answers, labels=range(num_labels))
    return tuple(tuple(int(count) for count in row) for row in counts)


def class_scores(truth: Numbers, answers: Numbers, labels: Sequence[str]) -> tuple[ClassScore, ...]:
    """Precision, recall, F1 and support of each activity: None without clips, and 0 where it is never answered.

    Args:
        truth: The number of the right label of each clip, ``int64 [N]``.
        answers: The number of the predicted label of each clip, ``int64 [N]``.
        labels: The labels, in the order of their numbers.
    """
    from sklearn import metrics  # takes a second to load

    columns = metrics.precision_recall_fscore_support(truth, answers, labels=range(len(labels)), zero_division=0)
    return tuple(
        ClassScore(label, float(precision), float(recall), float(f1), int(support))
        if support
        else ClassScore(label, None, None, None, 0)
        for label, precision, recall, f1, support in zip(labels, *columns, strict=True)
    )


def macro_f1(scores: Sequence[ClassScore]) -> float:
    """Mean F1 of the activities that occur in the truth; rare ones count as much as frequent ones."""
    f1 = [score.f1 for score in scores if score.f1 is not None]
    return float(np.mean(f1)) if f1 else 0.0
