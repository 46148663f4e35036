"""What ``prepare`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ClipRecord", "LeakReport", "MetadataShortcut", "PrepareResult", "RelatedPair"]


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
    variant: int = 0
    content_hash: str = ""
    clip: str = ""
    clip_frames: int = 0


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
        labels: The activities in the order the network will know them.
        records: A row for every file found.
        warnings: What a person should know before training.
        contact_sheet: Picture of the clips as the network will see them.
        leaks: Which clips are related, and whether the split separates them.
        leak_report: The same as JSON.
        leak_picture: Pairs of related clips, side by side; None where there are none.
        decoded: Videos that were decoded now.
        reused: Clips that were there from an earlier run.
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
        """Files that were meant to be used and could not be."""
        return sum(record.status == "rejected" for record in self.records)
