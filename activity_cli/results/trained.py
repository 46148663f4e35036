"""What ``train``, ``evaluate`` and ``predict`` return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Baseline",
    "ClassScore",
    "EncoderRow",
    "EpochRecord",
    "EvaluationResult",
    "FrameAnswer",
    "LayerRow",
    "Prediction",
    "TrainResult",
]


@dataclass(frozen=True, slots=True)
class EncoderRow:
    """One encoder to choose from.

    Attributes:
        name: How it is asked for.
        summary: When to use it, in one line.
        features: Numbers that it gives for each frame.
        parameters: All numbers in it.
        frame_size: Height and width in pixels of the frames that it is made for.
        min_frame_size: The smallest frames that it takes.
        weights: Where its trained weights come from.
    """

    name: str
    summary: str
    features: int
    parameters: int
    frame_size: int
    min_frame_size: int
    weights: str


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer of the network: its place, kind, output shape (without the batch) and parameters."""

    name: str
    kind: str
    depth: int
    output_shape: str
    parameters: int
    trainable: bool


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """Losses and accuracies after one epoch, how long it took, and whether the encoder learned in it."""

    epoch: int
    stage: str
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True, slots=True)
class HeadScore:
    """A head."""

    name: str
    weight: float
    val_accuracy: float | None


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What :func:`activity_cli.train` made.

    Attributes:
        model: The bundle.
        name: Name and short hash of the bundle, as predictions carry it.
        labels: The activities.
        history: One record an epoch.
        best_epoch: The epoch with the lowest validation loss, counted from 1; its weights were kept, where
            it was not ``refitted``.
        interrupted: Whether a person stopped it before its end.
        litert_max_abs_difference: Largest difference of a probability between Keras and LiteRT.
        history_picture: Curves of loss and accuracy.
        diverged: Where and why the loss stopped being a finite number, which ended the training; the
            weights are of an epoch before. Empty if it did not.
        refitted: Whether the weights are of a second training, on the validation clips, too; the history
            is of the first.
        stopped_again: Whether it was in the second training that it was interrupted: the weights are those
            that the first ended with.
        head_history: The epochs before, in which the sequence part learned alone, counted by themselves;
            empty where there were none, and where those of the history are no others.
        training_of: What the training loss and accuracy are of, where it is not the whole network: ``LSTM``, say,
            which learns alone beside a linear layer that has been solved for. The validation's always are.
    """

    model: Path
    name: str
    labels: tuple[str, ...]
    history: tuple[EpochRecord, ...]
    best_epoch: int
    interrupted: bool
    litert_max_abs_difference: float
    history_picture: Path | None
    diverged: str = ""
    refitted: bool = False
    stopped_again: bool = False
    heads: tuple[HeadScore, ...] = ()
    val_accuracy: float | None = None
    val_loss: float | None = None


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision, recall, F1 (0 to 1) and support (clips) of one activity."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a simpler judge reaches on the same clips.

    Attributes:
        name: ``majority_class``, ``middle_frame``, ``frame_average`` or ``frame_statistics``.
        description: In a person's words.
        accuracy: 0 to 1; None where it cannot be had, and ``reason`` says why.
        macro_f1: 0 to 1; None likewise.
        reason: Empty, or why there is no score.
    """

    name: str
    description: str
    accuracy: float | None
    macro_f1: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """What :func:`activity_cli.evaluate` found.

    Attributes:
        model: Name and short hash of the bundle.
        prepared: The prepared folder.
        split: Which clips were judged.
        num_clips: How many.
        labels: The activities, in the order of the confusion matrix.
        accuracy: Share of right answers.
        macro_f1: Mean F1 over the activities that occur.
        classes: One score an activity.
        confusion: Rows are the truth, columns the answer, counts of clips.
        baselines: Simpler judges on the same clips.
        warnings: What a reader should know before believing the figures.
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


@dataclass(frozen=True, slots=True)
class FrameAnswer:
    """What one frame shows: when it is shown in the video, the most probable activity, and its score."""

    seconds: float
    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one input: a label, or an error.

    Attributes:
        source: The input as it was given (or found under a folder that was given).
        status: ``ok`` or ``error``.
        label: The most probable activity.
        confidence: Its score, 0 to 1.
        scores: Score of every activity, highest first; they sum to 1.
        duration_seconds: Of the video.
        frames_used: Frames the network looked at.
        model: Name and short hash of the bundle.
        frames: The answer for each frame that the network looked at, window by window; None for a model
            that answers for whole clips only.
        error_code, error_message, error_hint: What went wrong, where status is ``error``.
    """

    source: str
    status: str
    label: str = ""
    confidence: float = 0.0
    scores: Mapping[str, float] | None = None
    duration_seconds: float = 0.0
    frames_used: int = 0
    model: str = ""
    frames: tuple[FrameAnswer, ...] | None = None
    error_code: str = ""
    error_message: str = ""
    error_hint: str = ""
