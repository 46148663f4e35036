"""A folder of videos and its labels, in any known format -> labeled segments."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from activity_cli.errors import DatasetError
from activity_cli.labels.annotated import read_annotated
from activity_cli.labels.csv_labels import read_csv
from activity_cli.labels.files import find_videos
from activity_cli.labels.folders import read_folders
from activity_cli.labels.kinetics import read_kinetics
from activity_cli.labels.segments import TRAINVAL, LabeledSegment, LabelSet, UnusedFile
from activity_cli.labels.spelling import clean_text, find_similar_labels, is_broken
from activity_cli.labels.ucf101 import read_ucf101
from activity_cli.settings import LabelOptions

_Entry = TypeVar("_Entry", LabeledSegment, UnusedFile)

__all__ = ["FORMATS", "find_videos", "group_of", "read_labels"]

FORMATS: tuple[Callable[[Path, Path], LabelSet | None], ...] = (read_kinetics, read_csv, read_folders)
"""One function for each format of labeled videos, special ones before general ones.

It gets the folder of videos, and the file or folder of the labels (the same folder where no labels were named), and
returns None where these labels are not in its format.
"""


def read_labels(
    videos: Path, labels: Path | None, pattern: str | None = None, options: LabelOptions | None = None
) -> LabelSet:
    """The labeled segments in a folder of videos, and the files that are not used, both sorted by name.

    Args:
        videos: Folder of videos.
        labels: File or folder of the labels; None: they are in ``videos``.
        pattern: A regular expression that finds the group in a name. A group that the labels name wins.
        options: How the files of other programs are read.

    Raises:
        DatasetError: The labels are wrong, or there is no labeled video.
    """
    if not videos.is_dir():
        problem = "is a file, not a folder" if videos.exists() else "does not exist"
        raise DatasetError(
            f"The folder of videos {str(videos)!r} {problem}.",
            "Name a folder that contains one folder for each activity.",
        )
    found = read_ucf101(videos, labels or videos)
    if found is None and labels is not None:
        found = read_annotated(videos, labels, options or LabelOptions())
    if found is None:
        found = next(found for read in FORMATS if (found := read(videos, labels or videos)) is not None)
    segments = [_cleaned(one, pattern) for one in found.segments]
    unused = [_cleaned(one, pattern) for one in found.unused]
    for one in segments:
        _check_label(one)
    splits = {segment.split for segment in segments}
    if "test" in splits and "val" not in splits:
        # Validation clips are taken from the training clips.
        segments = [replace(one, split=TRAINVAL) if one.split == "train" else one for one in segments]
    segments.sort(key=lambda one: (os.fsencode(one.name), one.start_seconds, one.frames[0] if one.frames else 0))
    unused.sort(key=lambda file: os.fsencode(file.name))
    warnings = (*found.warnings, *find_similar_labels(segment.label for segment in segments))
    return replace(found, segments=segments, unused=unused, warnings=warnings)


def _cleaned(one: _Entry, pattern: str | None) -> _Entry:
    """The same with its group; labels and groups that look the same become the same."""
    group = clean_text(one.group or group_of(one.name, pattern))
    return replace(one, label=clean_text(one.label), group=group)


def _check_label(segment: LabeledSegment) -> None:
    if not segment.label or is_broken(segment.label):
        shown = segment.label.encode("ascii", "backslashreplace").decode()
        problem = f"is not valid text: '{shown}'" if shown else "has no visible letter"
        hint = "Rename the folder of the activity, or save the labels as UTF-8."
        raise DatasetError(f"The label of {segment.name!r} {problem}.", hint, code="labels.encoding")


def group_of(name: str, pattern: str | None) -> str:
    """What the pattern's first group (or all of it) matches in ``name``; empty where it does not match."""
    match = re.search(pattern, name) if pattern is not None else None
    return (match[min(1, match.re.groups)] or "") if match else ""
