"""What ``prepare`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ClipInfo", "ClipRecord", "LeakReport", "MetadataShortcut", "PrepareResult", "RelatedPair", "VideoInfo"]


# Not of slots: a manifest row is both what is known of its video and of its clip, and inherits the fields of both.
@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What is known of a video file once it has been decoded.

    Attributes:
        num_frames: Frames of the video, counted as ``counted_by`` says.
        header_frames: Frames that the header promises; 0 where it says nothing.
        counted_by: ``decoding`` to the end, or ``packets`` of the container where the reader jumped in a long video.
        frames_per_second: Of the container; 0 where it says nothing.
        variable_frame_rate: Whether frames are shown for clearly different times.
        duration_seconds: From the first frame's beginning to the last one's end.
        width, height: Pixels of a stored frame, after rotation.
        sample_aspect_ratio: Width of a stored pixel over its height as it is shown; 1 for square pixels.
        rotation_degrees: How far the file says that frames must be turned, clockwise: 0, 90, 180 or 270.
        content_hash: SHA-256 of the file, hexadecimal; empty where it cannot be read.
    """

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
    content_hash: str = ""


@dataclass(frozen=True, kw_only=True)
class ClipInfo:
    """What is known of a clip that was decoded.

    Attributes:
        start_seconds, end_seconds: The part of the video that the clip stands for.
        variant: 0 for the clip of ``even`` or ``rate``, 1 and up for a further clip of random frames.
        clip: File name under ``clips/``.
        clip_frames: Frames of the clip, at most the sampling's ``num_frames``.
    """

    start_seconds: float = 0.0
    end_seconds: float = 0.0
    variant: int = 0
    clip: str = ""
    clip_frames: int = 0


@dataclass(frozen=True)
class ClipRecord(ClipInfo, VideoInfo):
    """One row of a prepared folder's manifest: a clip, or a file without one and the reason.

    Attributes:
        path: Of the video, relative to the folder of the videos, with ``/``.
        label: The activity; empty where none was given.
        group: The person or source; all clips of a group are in one split.
        split: train, val, test; empty where the clip is not used.
        status: ``ok`` (used), ``rejected`` (cannot be used), ``duplicate`` (same content as an earlier file of the
            same label), ``unused`` (a further random clip of a video that is not trained on: it would count the
            video twice), ``ignored`` (not a video by its name).
        reason: Why it is not used, or what was noticed; for a rejected file it begins with the error's code in
            brackets.
    """

    path: str
    label: str
    group: str
    split: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class RelatedPair:
    """Two related clips: a ``near_duplicate`` (of one recording), or of the ``same_source`` (one place)."""

    kind: str
    first: ClipRecord
    second: ClipRecord


@dataclass(frozen=True, slots=True)
class MetadataShortcut:
    """How well a property of the files alone predicts the label.

    Attributes:
        name: ``length``, ``frame rate``, ``frame size``, ``file type`` or ``all together``.
        accuracy: Cross-validated by group, 0 to 1.
        baseline_accuracy: Accuracy of always predicting the most frequent label.
        suspicious: Whether the accuracy is clearly above that baseline.
    """

    name: str
    accuracy: float
    baseline_accuracy: float
    suspicious: bool


@dataclass(frozen=True, slots=True)
class LeakReport:
    """Which clips are related, and whether the split separates them.

    Attributes:
        grouping: Where the groups come from: ``given``, ``similarity``, or ``none`` (each video is its own group).
        clips_compared: Whether the clips were compared for similarity.
        num_clips: Clips in the report; further clips of the same part of a video do not count.
        num_groups: Groups that the split keeps whole.
        largest_group_share: Share of the clips in the largest group.
        num_near_duplicates: Pairs of near-duplicates.
        num_label_conflicts: Those of them with two labels.
        shared_place_share: Share of the clips whose place has too many clips to tell sources apart.
        leaked_share_random_split: Expected share of the test clips with a related clip in training, if single videos
            were split at random; None without a test.
        leaked_share: The same share in the actual split.
        pairs: Near-duplicates, and an example of each of the largest sources.
        shortcuts: How well the files' metadata predict the label.
    """

    grouping: str
    clips_compared: bool
    num_clips: int
    num_groups: int
    largest_group_share: float
    num_near_duplicates: int
    num_label_conflicts: int
    shared_place_share: float
    leaked_share_random_split: float | None
    leaked_share: float | None
    pairs: tuple[RelatedPair, ...]
    shortcuts: tuple[MetadataShortcut, ...]


@dataclass(frozen=True, slots=True)
class PrepareResult:
    """What :func:`activity_cli.prepare` made.

    Attributes:
        folder: The prepared folder.
        format: The form in which the videos were labeled, in plain words.
        labels: The activities, sorted; the index of a label is its class in the network.
        records: A row for every clip, and for every file without one.
        warnings: What to check before training, one line each.
        contact_sheet: Picture of some clips of each label, as the network will see them.
        leaks: Which clips are related, and whether the split separates them.
        leak_report: The same as JSON.
        leak_picture: Pairs of related clips, side by side; None where there are none.
        decoded: Videos that this run decoded.
        reused: Videos whose clips an earlier run has decoded.
    """

    folder: Path
    format: str
    labels: tuple[str, ...]
    records: tuple[ClipRecord, ...]
    warnings: tuple[str, ...]
    contact_sheet: Path
    leaks: LeakReport
    leak_report: Path
    leak_picture: Path | None
    decoded: int
    reused: int

    @property
    def num_failed(self) -> int:
        """Labeled videos and segments that cannot be used."""
        return sum(record.status == "rejected" for record in self.records)
