"""A folder of videos and its labels, in any known format -> labeled segments."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from activity_cli.errors import DatasetError
from activity_cli.labels.csv_table import read_csv
from activity_cli.labels.files import find_videos
from activity_cli.labels.folders import read_folders
from activity_cli.labels.kinetics import read_kinetics
from activity_cli.labels.segments import TRAINVAL, LabelSet
from activity_cli.labels.ucf101 import read_ucf101

__all__ = ["FORMATS", "find_videos", "group_of", "read_labels"]

FORMATS: tuple[Callable[[Path, Path], LabelSet | None], ...] = (read_ucf101, read_kinetics, read_csv, read_folders)
"""One function for each label format, special ones before general ones.

It gets the folder of videos, and the file or folder of the labels (the same folder where no labels were named), and
returns None where these labels are not in its format.
"""


def read_labels(videos: Path, labels: Path | None, pattern: str | None = None) -> LabelSet:
    """The labeled segments in a folder of videos, and the files that are not used, both sorted by name.

    Args:
        videos: Folder of videos.
        labels: File or folder of the labels; None: they are in ``videos``.
        pattern: A regular expression that finds the group in a name. A group that the labels name wins.

    Raises:
        DatasetError: The labels are wrong, or there is no labeled video.
    """
    if not videos.is_dir():
        problem = "is a file, not a folder" if videos.exists() else "does not exist"
        raise DatasetError(
            f"The folder of videos {str(videos)!r} {problem}.",
            "Name a folder that contains one folder for each activity.",
        )
    found = next(found for read in FORMATS if (found := read(videos, labels or videos)) is not None)
    segments = [replace(one, group=one.group or group_of(one.name, pattern)) for one in found.segments]
    unused = [replace(one, group=one.group or group_of(one.name, pattern)) for one in found.unused]
    splits = {segment.split for segment in segments}
    if "test" in splits and "val" not in splits:
        # Validation clips are taken from the training clips.
        segments = [replace(one, split=TRAINVAL) if one.split == "train" else one for one in segments]
    segments.sort(key=lambda segment: (os.fsencode(segment.name), segment.start_seconds))
    unused.sort(key=lambda file: os.fsencode(file.name))
    return LabelSet(found.format, segments, unused, found.empty)


def group_of(name: str, pattern: str | None) -> str:
    """What the pattern's first group (or all of it) matches in ``name``; empty where it does not match."""
    match = re.search(pattern, name) if pattern is not None else None
    return (match[min(1, match.re.groups)] or "") if match else ""
