"""Which files there are, and what they are labeled, in any of the usual forms.

Folders named after the activities, alone or below folders named after the splits; a CSV of labels; the
lists of UCF101 and of Kinetics. Every file that is found is accounted for, also one that is no video.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from activity_cli.errors import DatasetError
from activity_cli.labels.csv_table import files_of_table
from activity_cli.labels.files import VIDEO_SUFFIXES, Discovered, DiscoveredFile, find_videos, walk
from activity_cli.labels.ucf101 import files_of_lists, find_lists

__all__ = ["VIDEO_SUFFIXES", "Discovered", "DiscoveredFile", "find_labeled", "find_videos", "group_of"]

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def find_labeled(videos: Path, labels: Path | None, pattern: str | None = None) -> Discovered:
    """Finds the files to learn from, sorted by name.

    Args:
        videos: Folder of class folders, or any folder where ``labels`` is given.
        labels: A CSV, or a list of UCF101 (or the folder of its lists).
        pattern: A regular expression that finds the group in the name; a group that is given with
            the labels wins.

    Raises:
        DatasetError: There is nothing to learn from, or the labels are wrong.
    """
    if not videos.is_dir():
        problem = "is a file, not a folder" if videos.exists() else "does not exist"
        raise DatasetError(
            f"The folder of videos {str(videos)!r} {problem}.", "Expected: a folder for each activity in it."
        )
    lists = find_lists(labels if labels is not None else videos)
    if lists is not None:
        found = files_of_lists(videos, lists)
    elif labels is not None:
        found = files_of_table(videos, labels)
    else:
        found = _from_folders(videos)
    files = [replace(file, group=file.group or group_of(file.name, pattern)) for file in _without_own_test(found.files)]
    return Discovered(sorted(files, key=lambda file: (os.fsencode(file.name), file.start_seconds)), found.format)


def group_of(name: str, pattern: str | None) -> str:
    """What the pattern's first group (or all of it) matches in ``name``; empty where it does not."""
    match = re.search(pattern, name) if pattern is not None else None
    if match is None:
        return ""
    return (match.group(1) if match.re.groups else match.group(0)) or ""


def _without_own_test(files: Sequence[DiscoveredFile]) -> list[DiscoveredFile]:
    """Where the test clips are given but none for validation, the others are divided by the tool."""
    given = {file.split for file in files}
    if "test" not in given or "val" in given:
        return list(files)
    return [replace(file, split="trainval") if file.split == "train" else file for file in files]


def _from_folders(videos: Path) -> Discovered:
    paths = list(walk(videos))
    top = {_parts(path, videos)[0] for path in paths if _is_video(path) and len(_parts(path, videos)) > 1}
    by_split = bool(top) and all(name.lower() in SPLIT_FOLDERS for name in top)
    by_split &= any(SPLIT_FOLDERS.get(name.lower()) == "train" for name in top)
    # A folder "train" that holds its videos directly is an activity like any other.
    by_split &= all(len(_parts(path, videos)) > 2 for path in paths if _is_video(path))
    above = 1 if by_split else 0
    found = []
    for path in paths:
        parts = _parts(path, videos)
        name = "/".join(parts)
        label = parts[above] if len(parts) > above + 1 else ""
        split = SPLIT_FOLDERS[parts[0].lower()] if by_split and parts[0].lower() in SPLIT_FOLDERS else ""
        if not _is_video(path):
            found.append(DiscoveredFile(path, name, label, ignored="not a video by its name"))
        elif not label:
            found.append(DiscoveredFile(path, name, ignored="lies in no folder named after an activity"))
        else:
            found.append(DiscoveredFile(path, name, label, split=split))
    usable = [file for file in found if not file.ignored]
    if not usable:
        raise _nothing(videos, sum(map(_is_video, paths)))
    number = len({file.label for file in usable})
    form = f"a folder for each activity, {number} of them"
    return Discovered(found, f"folders for {', '.join(sorted(top))}, each with {form}" if by_split else form)


def _parts(path: Path, videos: Path) -> tuple[str, ...]:
    return path.relative_to(videos).parts


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def _nothing(videos: Path, loose: int) -> DatasetError:
    if loose:
        return DatasetError(
            f"{loose} videos lie directly in {str(videos)!r}, without a label.",
            "Put each into a folder named after its activity, or give --labels FILE.csv.",
        )
    return DatasetError(
        f"No videos in {str(videos)!r}.",
        f"Expected {videos.name}/<activity>/clip.mp4; known endings: {' '.join(sorted(VIDEO_SUFFIXES))}.",
    )
