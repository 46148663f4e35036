"""What the verbs return, and the JSON that programs read.

Frozen dataclasses with plain values only (no arrays), so that a result can be written as JSON,
compared and kept. Shares and scores are 0 to 1. The schema names carry a version: within a version
keys are added, never renamed or removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "EVALUATION_SCHEMA",
    "PREDICTION_SCHEMA",
    "Baseline",
    "ClassScore",
    "ClipRecord",
    "EpochRecord",
    "EvaluationResult",
    "LayerRow",
    "Prediction",
    "PrepareResult",
    "TrainResult",
]

PREDICTION_SCHEMA = "activity.prediction/1"
EVALUATION_SCHEMA = "activity.evaluation/1"


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """One row of a prepared folder's manifest: one file that was found, kept or not.

    Attributes:
        path: Relative to the folder of the videos, with ``/``.
        label: The activity; empty where none was given.
        group: The person or source; never on two sides of a split.
        split: train, val, test; empty where the file was not kept.
        status: ``ok`` (kept), ``rejected`` (cannot be used), ``duplicate`` (same content as an
            earlier file of the same label), ``spare`` (a further clip of a video that is not learned
            from: it would be asked twice), ``ignored`` (not a video by its name).
        reason: Why it was not kept, or what was noticed; for a rejected file it begins with the
            error's code in brackets.
        num_frames: Frames of the video, counted as ``counted_by`` says.
        header_frames: Frames that the header promises; 0 where it says nothing.
        counted_by: ``decoding`` to the end, or ``packets`` of a long video that was sampled by jumping.
        frames_per_second: Of the container; 0 where unknown.
        variable_frame_rate: Whether frames are shown for clearly different times.
        duration_seconds: Frames over frames per second; 0 where unknown.
        width, height: Pixels, after rotation.
        sample_aspect_ratio: Width over height of a stored pixel as it is shown.
        rotation_degrees: 0, 90, 180, 270 as noted in the file.
        content_hash: SHA-256 of the file, hexadecimal.
        start_seconds, end_seconds: The part of the video that the clip stands for.
        take: 0 for the middle frames of its parts, 1 and up for a further clip of drawn ones.
        clip: File name under ``clips/``.
        clip_frames: Frames of the clip, at most the sampling's ``num_frames``.
    """

    path: str
    label: str
    group: str
    split: str
    status: str
    reason: str
    num_frames: int = 0
    header_frames: int = 0
    counted_by: str = ""
    frames_per_second: float = 0.0
    variable_frame_rate: bool = False
    duration_seconds: float = 0.0
    width: int = 0
    height: int = 0
    rotation_degrees: int = 0
    sample_aspect_ratio: float = 1.0
    start_seconds: float = 0.0
    end_seconds: float = 0.0
    take: int = 0
    content_hash: str = ""
    clip: str = ""
    clip_frames: int = 0


@dataclass(frozen=True, slots=True)
class PrepareResult:
    """What :func:`activity_cli.prepare` made.

    Attributes:
        folder: The prepared folder.
        format: The form in which the videos were labeled, in plain words.
        labels: The activities in the order the network will know them.
        records: A row for every file found.
        warnings: What a person should know before training.
        contact_sheet: Picture of the clips as the network will see them.
        decoded: Videos that were decoded now.
        reused: Clips that were there from an earlier run.
    """

    folder: Path
    format: str
    labels: tuple[str, ...]
    records: tuple[ClipRecord, ...]
    warnings: tuple[str, ...]
    contact_sheet: Path
    decoded: int
    reused: int

    @property
    def num_failed(self) -> int:
        """Files that were meant to be used and could not be."""
        return sum(record.status == "rejected" for record in self.records)


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
    """Losses and accuracies after one epoch, and how long it took."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What :func:`activity_cli.train` made.

    Attributes:
        model: The bundle.
        name: Name and short hash of the bundle, as predictions carry it.
        labels: The activities.
        history: One record an epoch.
        best_epoch: The epoch whose weights were kept, counted from 1.
        interrupted: Whether a person stopped it before its end.
        litert_max_abs_difference: Largest difference of a probability between Keras and LiteRT.
        history_picture: Curves of loss and accuracy.
    """

    model: Path
    name: str
    labels: tuple[str, ...]
    history: tuple[EpochRecord, ...]
    best_epoch: int
    interrupted: bool
    litert_max_abs_difference: float
    history_picture: Path


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
        name: ``majority_class``, ``middle_frame`` or ``frame_average``.
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
    error_code: str = ""
    error_message: str = ""
    error_hint: str = ""
