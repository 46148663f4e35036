"""What the commands return, and the versions of the JSON that programs read.

Frozen dataclasses with plain values (no arrays), so that results can be written as JSON, compared and stored. Shares
and scores are 0 to 1. Schema names carry a version: within a version keys are added, never renamed or removed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec

__all__ = ["EVALUATION_SCHEMA", "LEAKS_SCHEMA", "PREDICTION_SCHEMA", "SEGMENT_SCHEMA", "WINDOW_SCHEMA"]
__all__ += ["ClipInfo", "ClipRecord", "LeakReport", "MetadataShortcut", "PrepareResult", "RelatedPair", "VideoInfo"]
__all__ += ["EpochRecord", "HeadScore", "LayerRow", "TrainResult"]
__all__ += ["Baseline", "ClassScore", "ClipAnswer", "EvaluationResult", "Notice", "Prediction"]
__all__ += ["ConvertResult", "SummarizeResult", "SummaryRow", "TimelineSegment", "TimelineWindow", "rounded"]
__all__ += ["TIMELINE_EVALUATION_SCHEMA", "LabelScore", "TimelineEvaluation", "TimelineScores", "video_notices"]

PREDICTION_SCHEMA = "activity.prediction/1"
SEGMENT_SCHEMA = "activity.segment/1"
WINDOW_SCHEMA = "activity.window/1"
TIMELINE_EVALUATION_SCHEMA = "activity.timeline_evaluation/1"
EVALUATION_SCHEMA = "activity.evaluation/1"
LEAKS_SCHEMA = "activity.leaks/1"

# A name from a manifest becomes a part of paths, so it must not be able to lead out of the prepared folder.
_CLIP_NAME = r"^([0-9a-f]{32}\.npy)?\Z"


def impossible_values(info: object) -> list[str]:
    """The names of numbers that a manifest row or a part of it cannot have: negative ones, NaN and infinity."""
    numbers = {name: value for name, value in vars(info).items() if isinstance(value, (int, float))}
    return [name for name, value in numbers.items() if not math.isfinite(value) or value < 0]


# Not of slots: a manifest row is both what is known of its video and of its clip, and inherits the fields of both.
@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What is known of a video file once it has been decoded."""

    num_frames: int = 0  # frames of the video, counted as ``counted_by`` says
    header_frames: int = 0  # frames that the header promises; 0 where it says nothing
    reader: str = ""  # what decoded it: ``opencv``, or ``pyav`` where OpenCV cannot
    lost_frames: int = 0  # frames in between that are too damaged to be decoded
    missing_seconds: float = 0.0  # how much earlier than its header promises the video ends
    counted_by: str = ""  # ``decoding`` to the end, or ``packets`` where the reader jumped in a long video
    frames_per_second: float = 0.0  # of the container; 0 where it says nothing
    variable_frame_rate: bool = False  # whether frames are shown for clearly different times
    duration_seconds: float = 0.0  # from the first frame's beginning to the last one's end
    width: int = 0  # pixels of a stored frame, after rotation
    height: int = 0
    rotation_degrees: int = 0  # how far the file says that frames must be turned, clockwise: 0, 90, 180 or 270
    sample_aspect_ratio: float = 1.0  # width of a stored pixel over its height as it is shown; 1 for square pixels
    start_offset_seconds: float = 0.0  # from the start of the file to the first frame; only of labeled segments
    content_hash: str = ""  # SHA-256 of the file, hexadecimal; empty where it cannot be read


@dataclass(frozen=True, kw_only=True)
class ClipInfo:
    """What is known of a clip that was decoded."""

    start_seconds: float = 0.0  # the part of the video that the clip stands for
    end_seconds: float = 0.0
    variant: int = 0  # 0 for the clip of ``even`` or ``rate``, 1 and up for a further clip of random frames
    clip: Annotated[str, msgspec.Meta(pattern=_CLIP_NAME)] = ""  # file name under ``clips/``
    clip_frames: int = 0  # frames of the clip, at most the sampling's ``num_frames``
    person_frames: int | None = None  # those of them in which the pose stream found somebody; None: not computed


@dataclass(frozen=True)
class ClipRecord(ClipInfo, VideoInfo):
    """One row of a prepared folder's manifest: a clip, or a file without one and the reason.

    ``status`` is ``ok`` (used), ``rejected`` (cannot be used), ``duplicate`` (same content as an earlier file of the
    same label), ``unused`` (a further random clip of a video that is not trained on: it would count the video twice)
    or ``ignored`` (no known video file extension).
    """

    path: str  # of the video, relative to the folder of the videos, with ``/``
    label: str  # the activity; empty where none was given
    group: str  # the person or source; all clips of a group are in one split
    split: str  # train, val, test; empty where the clip is not used
    status: str
    reason: str  # why it is not used, or what was noticed; of a rejected file, the error's code in brackets first

    @property
    def is_whole_video(self) -> bool:
        """Whether the clip stands for its whole video, not for a labeled segment or a window."""
        return self.start_seconds == 0 and self.end_seconds >= self.duration_seconds

    @property
    def part_seconds(self) -> float:
        """Length of the part of the video that the clip stands for; where it is not known, of the video."""
        part = self.end_seconds - self.start_seconds
        return part if part > 0 else self.duration_seconds


@dataclass(frozen=True, slots=True)
class RelatedPair:
    """Two related clips: a ``near_duplicate`` (of one recording), or of the ``same_source`` (one place)."""

    kind: str
    first: ClipRecord
    second: ClipRecord


@dataclass(frozen=True, slots=True)
class MetadataShortcut:
    """How well a property of the files alone predicts the label."""

    name: str  # ``length``, ``frame rate``, ``frame size``, ``file type`` or ``all together``
    accuracy: float  # cross-validated by group, 0 to 1
    baseline_accuracy: float  # accuracy of always predicting the most frequent label
    suspicious: bool  # whether the accuracy is clearly above that baseline


@dataclass(frozen=True, slots=True)
class LeakReport:
    """Which clips are related, and whether the split separates them."""

    grouping: str  # where the groups come from: ``given``, ``similarity``, or ``none`` (each video is its own group)
    clips_compared: bool  # whether the clips were compared for similarity
    num_clips: int  # clips in the report; further clips of the same part of a video do not count
    num_groups: int  # groups that the split keeps whole
    largest_group_share: float  # share of the clips in the largest group
    num_near_duplicates: int  # pairs of near-duplicates
    num_label_conflicts: int  # those of them with two labels
    shared_place_share: float  # share of the clips whose place has too many clips to tell sources apart
    # Expected share of the test clips with a related clip in training, if single videos were split at random; None
    # without a test.
    leaked_share_random_split: float | None
    leaked_share: float | None  # the same share in the actual split
    shortcuts: tuple[MetadataShortcut, ...]  # how well the files' metadata predict the label
    pairs: tuple[RelatedPair, ...]  # near-duplicates, and an example of each of the largest sources


@dataclass(frozen=True, slots=True)
class PrepareResult:
    """What :func:`activity_cli.prepare` made.

    Attributes:
        folder: The prepared folder.
        format: The form in which the videos were labeled, in plain words.
        labels: The activities, sorted; the index of a label is its class in the network.
        records: A row for every clip, and for every file without one.
        streams: What a network can read of the clips: appearance, and the streams that ``prepare`` computed.
        warnings: What to check before training, one line each.
        notes: What else to know, one line each.
        contact_sheet: Picture of some clips of each label, as the network will see them.
        pose_sheet: The same clips with the joints that were found; None where the pose was not computed.
        leaks: Which clips are related, and whether the split separates them.
        leak_report: The same as JSON.
        leak_picture: Pairs of related clips, side by side; None where there are none.
        decoded: Videos that this run decoded.
        reused: Videos whose clips an earlier run has decoded.
        empty: Folders named as activities are, but without a video that can be used.
    """

    folder: Path
    format: str
    labels: tuple[str, ...]
    records: tuple[ClipRecord, ...]
    streams: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    contact_sheet: Path
    pose_sheet: Path | None
    leaks: LeakReport
    leak_report: Path
    leak_picture: Path | None
    decoded: int
    reused: int
    empty: tuple[str, ...] = ()

    @property
    def num_failed(self) -> int:
        """Labeled videos and segments, and folders of activities, that cannot be used."""
        return sum(record.status == "rejected" for record in self.records) + len(self.empty)


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer of the network: its name, class, depth in the tree, output shape without the batch, and parameters."""

    name: str
    kind: str
    depth: int
    output_shape: str
    parameters: int
    trainable: bool


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch reached."""

    epoch: int  # counted from 1 within its stage
    stage: str  # ``warm-up`` (only the heads), ``main``, or ``refit`` (again, on the training and validation clips)
    loss: float  # of the training clips, as ``accuracy``
    accuracy: float
    val_loss: float  # of the validation clips, as ``val_accuracy``; NaN where there are none, as in a refit
    val_accuracy: float
    seconds: float  # how long the epoch took


@dataclass(frozen=True, slots=True)
class HeadScore:
    """The head of one stream."""

    stream: str  # what it reads: ``appearance``, ``motion``, ``pose`` or ``pose+hands``
    kind: str  # ``recurrent`` or ``linear``
    weight: float  # its log probabilities are multiplied with it, and added to those of the other heads
    # Of this head alone, 0 to 1: of a training, on clips that the head was not trained on; of an evaluation, on the
    # evaluated clips. None: not measured.
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What :func:`activity_cli.train` made.

    Attributes:
        model: Folder of the bundle.
        name: Name and short hash of the bundle, as predictions carry it.
        labels: The activities.
        history: One record for each epoch of every stage, in the order of the training.
        best_epoch: The epoch of the main stage with the lowest validation loss. The bundle has its weights, unless
            ``refitted``. 0: the weights are those of the warm-up, or nothing was trained by epochs.
        interrupted: Whether Ctrl-C stopped the training.
        litert_max_abs_difference: Largest difference between a probability of Keras and one of LiteRT.
        history_picture: Chart of loss and accuracy over the epochs; None where nothing was trained by epochs.
        diverged: Why an encoder was not trained to the end: where the loss stopped being finite, or that memory was too
            small. The bundle has the weights of an earlier epoch. Empty if nothing ended the training early.
        refitted: Whether the bundle has the weights of a refit: of a training on the training and validation clips
            together, after the scores were measured. With a frozen encoder, always if there are validation clips.
        heads: The heads of the network, one for each stream that counts.
        dropped: The streams that were offered, but did not help, so that the network does not read them.
        val_accuracy, val_loss: Of the whole network on the validation clips; None without validation clips.
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
    heads: tuple[HeadScore, ...] = ()
    dropped: tuple[str, ...] = ()
    val_accuracy: float | None = None
    val_loss: float | None = None


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision, recall, F1 (0 to 1) and support (number of clips) of one activity; scores are None without clips."""

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """The score of a simpler classifier on the same clips."""

    # ``majority_class``, ``middle_frame``, ``frame_average``, ``frame_statistics``, or of one stream alone, such as
    # ``pose_statistics``.
    name: str
    description: str  # how it classifies, in plain words
    accuracy: float | None  # 0 to 1; None where the baseline could not be computed
    macro_f1: float | None
    reason: str = ""  # why there is no score; empty where there is one


@dataclass(frozen=True, slots=True)
class ClipAnswer:
    """What the model answered for one clip.

    Attributes:
        path: Of the video, relative to the folder of the videos, with ``/``.
        start_seconds, end_seconds: The part of the video that the clip stands for; None: the whole video.
        truth: The activity.
        answer: The activity that the model predicted.
        confidence: Its probability, 0 to 1.
    """

    path: str
    start_seconds: float | None
    end_seconds: float | None
    truth: str
    answer: str
    confidence: float


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
        heads: The heads of the model, each with its accuracy alone.
        warnings: Reasons to doubt the scores.
        clips: The answer for each clip, in the order of the manifest.
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
    heads: tuple[HeadScore, ...] = ()
    warnings: tuple[str, ...] = ()
    clips: tuple[ClipAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """Why an answer may be worth less than it looks.

    Attributes:
        code: Stable name for programs, such as ``model.sample``.
        message: One line for people.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one input: a label, or an error.

    Attributes:
        source: The input, as it was given or as it was found in a folder.
        status: ``ok`` or ``error``.
        label: The most probable activity; None: none that is known.
        confidence: Probability of the most probable activity, 0 to 1.
        scores: Probability of every activity, highest first; they sum to 1.
        duration_seconds: Of the video.
        frames_used: Frames that the network received.
        model: Name and short hash of the bundle.
        error_code, error_message, error_hint: What went wrong, where status is ``error``.
        warnings: What is doubtful about the answer.
        reason: Why there is no label: ``unknown``; empty where there is one.
    """

    source: str
    status: str
    label: str | None = ""
    confidence: float = 0.0
    scores: Mapping[str, float] | None = None
    duration_seconds: float = 0.0
    frames_used: int = 0
    model: str = ""
    error_code: str = ""
    error_message: str = ""
    error_hint: str = ""
    warnings: tuple[Notice, ...] = ()
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The object that ``activity predict`` writes as a line of JSON, of the schema ``activity.prediction/1``.

        Scores have four decimals, times three. What is not a finite number is None. ``reason`` is there where there is
        no label. In texts, bytes of a file name that are not UTF-8 are escapes: a backslash and ``udce4``, say.
        """
        document: dict[str, Any] = {
            "schema": PREDICTION_SCHEMA,
            "source": valid_text(self.source),
            "status": self.status,
        }
        if self.status == "ok":
            document |= {
                "label": self.label,
                "confidence": rounded(self.confidence, 4),
                "scores": rounded(dict(self.scores or {}), 4),
                "duration_seconds": rounded(self.duration_seconds, 3),
                "frames_used": self.frames_used,
                "model": self.model,
            }
        else:
            error = {"code": self.error_code, "message": self.error_message, "hint": self.error_hint}
            document["error"] = {key: valid_text(text) for key, text in error.items()}
        if self.reason:
            document["reason"] = self.reason
        document["warnings"] = [{"code": one.code, "message": valid_text(one.message)} for one in self.warnings]
        return document


@dataclass(frozen=True, slots=True)
class TimelineSegment:
    """A part of a video in which one activity happens, or none that is known.

    Attributes:
        source: The video, as it was given or as it was found in a folder.
        label: The activity; None: a gap.
        start_seconds, end_seconds: From the first frame of the video.
        confidence: Mean probability of the label, 0 to 1; None: not known, as of a label that a person gave.
        reason: Why there is no label: ``background`` or ``unknown``; empty where there is one.
        model: Name and short hash of the bundle; empty where no model gave the label.
        subject: Who or what is labeled; empty where it is not known.
        time: When it ended, in UTC, such as ``2026-01-31T09:00:00.250Z``; empty where the source is not live.
    """

    source: str
    label: str | None
    start_seconds: float
    end_seconds: float
    confidence: float | None = None
    reason: str = ""
    model: str = ""
    subject: str = ""
    time: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The object that is written as a line of JSON, of the schema ``activity.segment/1``.

        The confidence has four decimals, times three. ``reason``, ``subject`` and
        ``time`` are there where they are not empty.
        """
        document = {
            "schema": SEGMENT_SCHEMA,
            "source": valid_text(self.source),
            "label": self.label,
            "start_seconds": rounded(self.start_seconds, 3),
            "end_seconds": rounded(self.end_seconds, 3),
            "confidence": rounded(self.confidence, 4),
            "model": self.model,
        }
        optional = {"reason": self.reason, "subject": self.subject, "time": self.time}
        return document | {name: value for name, value in optional.items() if value}


@dataclass(frozen=True, slots=True)
class ConvertResult:
    """What :func:`activity_cli.convert` read and wrote.

    Attributes:
        format: Name of the format that was written.
        segments: All segments, by source and start.
        notes: What was left out, one line each.
        files: The files that were written.
    """

    format: str
    segments: tuple[TimelineSegment, ...]
    notes: tuple[str, ...]
    files: tuple[Path, ...] = ()

    def with_files(self, files: Iterable[Path]) -> ConvertResult:
        """The same, with the files that were written."""
        return replace(self, files=tuple(files))


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """What a subject of a video did in a bin: the time of one activity, and its bouts.

    Attributes:
        source, group, subject: The video, its group, and who is labeled; empty where they are not known.
        start_seconds, end_seconds: The bin; without bins, from 0 to the end of the last segment.
        label: The activity.
        total_seconds: How long it happens in the bin.
        share: The same as a share of the bin, 0 to 1.
        bouts: How many times it begins in the bin.
        mean_bout_seconds, min_bout_seconds, max_bout_seconds: Length of these bouts; None: there are none.
        latency_seconds: From the start of the bin to when it first happens; None: it does not.
    """

    source: str
    group: str
    subject: str
    start_seconds: float
    end_seconds: float
    label: str
    total_seconds: float
    share: float
    bouts: int
    mean_bout_seconds: float | None
    min_bout_seconds: float | None
    max_bout_seconds: float | None
    latency_seconds: float | None

    def cells(self) -> list[Any]:
        """The values in order; times to the millisecond."""
        return [rounded(getattr(self, one.name), 4 if one.name == "share" else 3) for one in fields(self)]


@dataclass(frozen=True, slots=True)
class SummarizeResult:
    """What :func:`activity_cli.summarize` counted.

    Attributes:
        rows: A row for each source, subject, bin and label; labels that do not happen have rows, too.
        notes: What was left out, one line each.
        file: The file that was written; None: none.
    """

    rows: tuple[SummaryRow, ...]
    notes: tuple[str, ...]
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class TimelineWindow:
    """The answer for a short part of a video.

    Attributes:
        source: The video, as it was given or as it was found in a folder.
        label: The most probable activity.
        start_seconds, end_seconds: From the first frame of the video.
        confidence: Its probability, 0 to 1.
        scores: Probability of every activity, highest first; they sum to 1.
        frames_used: Frames that the network received.
        model: Name and short hash of the bundle.
        time: When it ended, in UTC, such as ``2026-01-31T09:00:00.250Z``; empty where the source is not live.
    """

    source: str
    label: str
    start_seconds: float
    end_seconds: float
    confidence: float
    scores: Mapping[str, float]
    frames_used: int
    model: str
    time: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The object that is written as a line of JSON, of the schema ``activity.window/1``.

        Scores have four decimals, times three. ``time`` is there where it is not empty.
        """
        document = {
            "schema": WINDOW_SCHEMA,
            "source": valid_text(self.source),
            "label": self.label,
            "start_seconds": rounded(self.start_seconds, 3),
            "end_seconds": rounded(self.end_seconds, 3),
            "confidence": rounded(self.confidence, 4),
            "scores": rounded(dict(self.scores), 4),
            "frames_used": self.frames_used,
            "model": self.model,
        }
        return document | ({"time": self.time} if self.time else {})


@dataclass(frozen=True, slots=True)
class LabelScore:
    """Segments of one label.

    Attributes:
        label: The activity.
        f1: Segmental F1 by the least overlap.
        true, predicted: Number of segments.
        false_alarms_per_hour: Predicted segments that overlap no true one by a tenth, per hour of video.
    """

    label: str
    f1: Mapping[float, float]
    true: int
    predicted: int
    false_alarms_per_hour: float


@dataclass(frozen=True, slots=True)
class TimelineScores:
    """Scores of one or more videos.

    Attributes:
        seconds: Duration that was compared.
        accuracy: Share of the time with the right label, gaps included.
        f1: Segmental F1 by the least overlap, over the segments of all labels.
        edit: Levenshtein distance between the sequences of activities, normalized: 1 is equal. Mean over videos.
        start_error_seconds, end_error_seconds: Mean absolute error of the borders of segments that overlap the true
            one by a tenth; None: there are none.
        borders_within_half_second: Share of those borders that are at most 0.5 s off; None likewise.
        false_alarms_per_hour: Predicted segments that overlap no true one of their label by a tenth.
        labels: The scores of each label.
    """

    seconds: float
    accuracy: float
    f1: Mapping[float, float]
    edit: float
    start_error_seconds: float | None
    end_error_seconds: float | None
    borders_within_half_second: float | None
    false_alarms_per_hour: float
    labels: tuple[LabelScore, ...]


@dataclass(frozen=True, slots=True)
class TimelineEvaluation:
    """What ``evaluate --timeline`` measured.

    Attributes:
        model: Name and short hash of the bundle.
        scores: Over all videos that are labeled.
        truth: The labeled segments of each video.
        answers: The predicted segments of the same videos.
        failed: The videos that could not be used.
        warnings: Reasons to doubt the scores.
    """

    model: str
    scores: TimelineScores
    truth: Mapping[str, Sequence[TimelineSegment]]
    answers: Mapping[str, Sequence[TimelineSegment]]
    failed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The object of the schema ``activity.timeline_evaluation/1``; scores have six decimals."""
        scores = asdict(self.scores)
        scores["f1"] = {f"{overlap:g}": value for overlap, value in self.scores.f1.items()}
        for one in scores["labels"]:
            one["f1"] = {f"{overlap:g}": value for overlap, value in one["f1"].items()}
        head = {"schema": TIMELINE_EVALUATION_SCHEMA, "model": self.model, "videos": list(self.answers)}
        rest = {"failed": list(self.failed), "warnings": list(self.warnings)}
        found: dict[str, Any] = rounded(head | scores | rest, 6)
        return found


def valid_text(text: str) -> str:
    r"""A text that UTF-8 can encode: bytes of a file name that are not UTF-8 become escapes such as ``\udce4``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def rounded(value: Any, decimals: int) -> Any:
    """A value as JSON may hold it, with all its numbers rounded; NaN and infinity become None."""
    if isinstance(value, str):
        return valid_text(value)
    if isinstance(value, float):
        return round(value, decimals) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: rounded(part, decimals) for name, part in value.items()}
    return [rounded(part, decimals) for part in value] if isinstance(value, (list, tuple)) else value


def video_notices(video: VideoInfo) -> tuple[Notice, ...]:
    """What is known to be wrong with a video that was decoded."""
    found = []
    if video.lost_frames:
        frames = "1 frame" if video.lost_frames == 1 else f"{video.lost_frames} frames"
        message = f"the file is damaged: {frames} cannot be decoded, {video.num_frames} can"
        found.append(Notice("video.damaged", message))
    if video.missing_seconds:
        message = f"the file is cut short: the last {video.missing_seconds:.1f} s that its header promises are missing"
        found.append(Notice("video.cut_short", message))
    # A header that counts hidden frames, too (an edit list), also promises a longer video than the one that is shown.
    promised = video.header_frames / video.frames_per_second if video.frames_per_second else 0.0
    absent, least = video.header_frames - video.num_frames - video.lost_frames, max(4, 0.05 * video.header_frames)
    if absent > least and abs(promised - video.duration_seconds) < 0.02 * video.duration_seconds:
        # Where the reader jumped, nobody knows how many frames can be decoded.
        there = "are listed" if video.counted_by == "packets" else "can be decoded"
        message = f"the file header promises {video.header_frames} frames, but {video.num_frames} {there}"
        found.append(Notice("video.fewer_frames", message))
    return tuple(found)
