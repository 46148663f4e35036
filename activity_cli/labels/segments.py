"""What every label format is read into: labeled segments, and the files that are not used."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from activity_cli.errors import DatasetError
from activity_cli.settings import SPLITS

__all__ = ["SPLIT_NAMES", "TRAINVAL", "LabelSet", "LabeledSegment", "UnusedFile", "parse_split"]

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
        frames: First and last frame of the segment, where the labels count frames; None for the last: to the end.
        from_file_start: Whether second 0 is the start of the file, not the first frame.
        problem: Why the video cannot be used, with the code of the error in brackets; empty where it may be.
    """

    path: Path
    name: str
    label: str
    group: str = ""
    split: str = ""
    start_seconds: float = 0.0
    end_seconds: float | None = None
    frames: tuple[int, int | None] | None = None
    from_file_start: bool = False
    problem: str = field(default="", compare=False)


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
    """The labels of a folder of videos.

    Attributes:
        format: The label format in words.
        segments: The labeled segments.
        unused: All other files.
        notes: What else to know, one line each.
        without_unit: The columns of times that name no unit, in words: they are seconds only if all segments fit their
            videos. Empty where the unit is known.
        warnings: What to check before training, one line each.
        empty: The folders of activities that have no video.
    """

    format: str
    segments: list[LabeledSegment]
    unused: list[UnusedFile]
    notes: tuple[str, ...] = ()
    without_unit: str = ""
    warnings: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


def parse_split(value: str, where: str) -> str:
    """train, val, test, or nothing, from the name that a row gives.

    Raises:
        DatasetError: It is no split's name.
    """
    if value and value.lower() not in SPLIT_NAMES:
        raise DatasetError(f"{where}: split is {value!r}.", f"Allowed: {', '.join(SPLITS)}, or empty.")
    return SPLIT_NAMES.get(value.lower(), "")
