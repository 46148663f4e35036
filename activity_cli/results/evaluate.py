"""What ``evaluate`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Baseline", "ClassScore", "EvaluationResult"]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision, recall, F1 (0 to 1) and support (number of clips) of one activity."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """The score of a simpler classifier on the same clips.

    Attributes:
        name: ``majority_class``, ``middle_frame``, ``frame_average`` or ``frame_statistics``.
        description: How it classifies, in plain words.
        accuracy, macro_f1: 0 to 1; None where the baseline could not be computed.
        reason: Why there is no score; empty where there is one.
    """

    name: str
    description: str
    accuracy: float | None
    macro_f1: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """What :func:`activity_cli.evaluate` measured.

    Attributes:
        model: Name and short hash of the bundle.
        prepared: The prepared folder.
        split: The split that was evaluated.
        num_clips: Clips in it.
        labels: The activities, in the order of the confusion matrix.
        accuracy: Share of the clips that the model classified correctly, 0 to 1.
        macro_f1: Mean F1 of the activities that occur in the clips, 0 to 1.
        classes: One score for each activity.
        confusion: Counts of clips; rows are the true activities, columns the predicted ones.
        baselines: Simpler classifiers on the same clips.
        warnings: Reasons to doubt the scores.
    """

    model: str
    prepared: Path
    split: str
    num_clips: int
    labels: tuple[str, ...]
    accuracy: float
    macro_f1: float
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    baselines: tuple[Baseline, ...]
    warnings: tuple[str, ...] = ()
