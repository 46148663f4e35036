"""Scores from labels and probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from activity_cli.results import ClassScore

__all__ = ["class_scores", "confusion_matrix", "macro_f1"]


def confusion_matrix(
    truth: npt.NDArray[np.int64], answer: npt.NDArray[np.int64], num_classes: int
) -> npt.NDArray[np.int64]:
    """Counts ``int64 [classes, classes]``: rows are the truth, columns the answer."""
    counts = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts, (truth, answer), 1)
    return counts


def class_scores(confusion: npt.NDArray[np.int64], labels: Sequence[str]) -> tuple[ClassScore, ...]:
    """Precision, recall, F1 and support of each class; 0 where there is nothing to divide by."""
    right = np.diag(confusion).astype(float)
    support, answered = confusion.sum(axis=1), confusion.sum(axis=0)
    recall = right / np.maximum(support, 1)
    precision = right / np.maximum(answered, 1)
    f1 = 2 * right / np.maximum(support + answered, 1)
    return tuple(
        ClassScore(label, float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
        for i, label in enumerate(labels)
    )


def macro_f1(scores: Sequence[ClassScore]) -> float:
    """Mean F1 over the classes that occur in the truth; each counts the same, however rare."""
    f1 = [score.f1 for score in scores if score.support]
    return float(np.mean(f1)) if f1 else 0.0
