"""Which files there are, and what they are labeled.

Two forms: a folder for each activity, or any folder with a CSV of labels. Every file that is found
is accounted for, also one that is not a video.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from activity_cli.config import SPLITS
from activity_cli.errors import DatasetError

__all__ = ["VIDEO_SUFFIXES", "FoundFile", "find_labeled", "find_videos", "group_of"]

VIDEO_SUFFIXES = frozenset(
    [
        ".3gp",
        ".asf",
        ".avi",
        ".flv",
        ".gif",
        ".m2ts",
        ".m4v",
        ".mjpeg",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".ogv",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
    ]
)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One file, before anything is known of its content.

    Attributes:
        path: Where it is.
        name: Its path relative to the folder of the videos, with ``/``.
        label: The activity; empty where none is given.
        group: The person or source, where it is given; else empty.
        split: train, val or test, where it is given; else empty.
        ignored: Why it is left aside; empty for a video to use.
    """

    path: Path
    name: str
    label: str = ""
    group: str = ""
    split: str = ""
    ignored: str = ""


def find_labeled(videos: Path, labels: Path | None, group_by: str | None) -> list[FoundFile]:
    """Finds the files to learn from, sorted by name.

    Args:
        videos: Folder of class folders, or any folder where ``labels`` is given.
        labels: CSV with the columns path and label, and optionally group and split.
        group_by: Regular expression that finds the group in the name; a group in the CSV wins.

    Raises:
        DatasetError: There is nothing to learn from, or the CSV is wrong.
    """
    if not videos.is_dir():
        problem = "is a file, not a folder" if videos.exists() else "does not exist"
        raise DatasetError(
            f"The folder of videos {str(videos)!r} {problem}.", "Expected: a folder for each activity in it."
        )
    found = _from_csv(videos, labels) if labels is not None else _from_folders(videos)
    grouped = [replace(file, group=file.group or group_of(file.name, group_by)) for file in found]
    return sorted(grouped, key=lambda file: os.fsencode(file.name))


def find_videos(place: Path) -> list[Path]:
    """The video files under a folder, at any depth, sorted by path.

    Raises:
        DatasetError: The folder cannot be read.
    """
    return sorted((path for path in _walk(place) if path.suffix.lower() in VIDEO_SUFFIXES), key=os.fsencode)


def group_of(name: str, group_by: str | None) -> str:
    """What the pattern's first group (or all of it) matches in ``name``; empty where it does not."""
    match = re.search(group_by, name) if group_by else None
    if match is None:
        return ""
    return (match.group(1) if match.re.groups else match.group(0)) or ""


def _walk(folder: Path) -> Iterator[Path]:
    """All files below a folder except hidden ones; links are followed, but never round in a circle."""
    # The real paths of the folders around each place that is still to be visited.
    around: dict[str, frozenset[str]] = {}

    def refuse(error: OSError) -> None:
        reason = (error.strerror or str(error)).lower()
        raise DatasetError(f"The folder {error.filename!r} cannot be read: {reason}.", "Check its permissions.")

    for place, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        real, above = os.path.realpath(place), around.pop(place, frozenset())
        if real in above or _is_prepared(Path(place)):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        around.update((os.path.join(place, name), above | {real}) for name in folders)  # noqa: PTH118
        for name in names:
            if not name.startswith("."):
                yield Path(place, name)


def _is_prepared(folder: Path) -> bool:
    # A prepared folder, finished or not, may stand inside the folder of the videos; its files are not videos.
    return (folder / "decoded.jsonl").is_file()


def _from_folders(videos: Path) -> list[FoundFile]:
    found = []
    for path in _walk(videos):
        name = path.relative_to(videos).as_posix()
        label, inside, _ = name.partition("/")
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            found.append(FoundFile(path, name, label if inside else "", ignored="not a video by its name"))
        elif not inside:
            found.append(FoundFile(path, name, ignored="lies in no folder named after an activity"))
        else:
            found.append(FoundFile(path, name, label))
    usable = [file for file in found if not file.ignored]
    if not usable:
        loose = sum(file.path.suffix.lower() in VIDEO_SUFFIXES for file in found)
        if loose:
            raise DatasetError(
                f"{loose} videos lie directly in {str(videos)!r}, without a label.",
                "Put each into a folder named after its activity, or give --labels FILE.csv.",
            )
        raise DatasetError(
            f"No videos in {str(videos)!r}.",
            f"Expected {videos.name}/<activity>/clip.mp4; known endings: {' '.join(sorted(VIDEO_SUFFIXES))}.",
        )
    return found


def _from_csv(videos: Path, labels: Path) -> list[FoundFile]:
    rows = _read_rows(labels)
    found: dict[str, FoundFile] = {}
    for line, row in rows:
        name, label = row.get("path") or "", (row.get("label") or "").strip()
        split = (row.get("split") or "").strip().lower()
        where = f"{labels}, line {line}"
        if not name or not label:
            raise DatasetError(f"{where}: path or label is empty.", "Every row needs both.")
        if "\0" in name:
            raise DatasetError(f"{where}: {name!r} cannot be the name of a file.", "Save the CSV as plain UTF-8.")
        if split and split not in SPLITS:
            raise DatasetError(f"{where}: split is {split!r}.", f"Allowed: {', '.join(SPLITS)}, or empty.")
        name = Path(name).as_posix()
        file = FoundFile(videos / name, name, label, (row.get("group") or "").strip(), split)
        if found.setdefault(name, file) != file:
            raise DatasetError(f"{where}: {name!r} is listed twice with different values.", "Keep one row.")
    if not found:
        raise DatasetError(f"{labels} lists no videos.", "Expected a row for each: path,label")
    return list(found.values())


def _read_rows(labels: Path) -> Sequence[tuple[int, dict[str, str]]]:
    try:
        with labels.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            reader = csv.DictReader(file)
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            missing = {"path", "label"} - set(reader.fieldnames)
            if missing:
                raise DatasetError(
                    f"{labels} has no column {' and '.join(sorted(missing))}.",
                    "The first line names the columns: path,label[,group][,split]",
                )
            return [(reader.line_num, row) for row in reader]
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DatasetError(f"The labels {str(labels)!r} cannot be read: {reason}.", "Check --labels.") from None
    except csv.Error as error:
        raise DatasetError(f"{labels} is not a CSV file: {error}.", "Expected columns: path,label") from None
