"""What every label format is read into: labeled segments, and the files that are not used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["SPLIT_NAMES", "TRAINVAL", "LabelSet", "LabeledSegment", "UnusedFile"]

TRAINVAL = "trainval"
"""The split of clips that may be used for training or validation, but never for the test."""

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""The names of splits in folders and tables, in lower case, and our name for each."""


@dataclass(frozen=True, slots=True)
class LabeledSegment:
    """A video, or a part of one, that shows one activity.

    Attributes:
        path: The video file.
        name: Its path relative to the folder of the videos, with ``/``.
        label: The activity.
        group: The person or source; empty where it is not given.
        split: train, val or test; trainval where only the test clips are given; empty where no split is given.
        start_seconds, end_seconds: The segment; None: to the end of the video.
    """

    path: Path
    name: str
    label: str
    group: str = ""
    split: str = ""
    start_seconds: float = 0.0
    end_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class UnusedFile:
    """A file that was found, or that the labels name, but that no clip is made of, and the reason why.

    Name, label and group are as in :class:`LabeledSegment`; empty where they are not known.
    """

    name: str
    reason: str
    label: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The labeled segments in a folder of videos, all other files, and the label format in words.

    ``empty`` names the folders of activities that have no video.
    """

    format: str
    segments: list[LabeledSegment]
    unused: list[UnusedFile]
    empty: tuple[str, ...] = ()
