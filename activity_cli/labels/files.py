"""The files in a folder, known by their names only."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from activity_cli.errors import DatasetError
from activity_cli.files import VIDEO_SUFFIXES

__all__ = ["VIDEO_SUFFIXES", "find_videos", "holds_notes", "is_system_folder", "is_video", "read_error", "walk"]


# What systems, cameras and network drives keep for themselves, in lower case.
_SYSTEM_FOLDERS = frozenset(
    (
        *("$recycle.bin", "recycler", "recycled", "lost+found", "lost.dir", "found.000", "__macosx"),
        *("@eadir", "#recycle", "@recycle", "#snapshot", "@tmp", "@sharebin", "@recently-snapshot"),
        *("__pycache__",),
    )
) | {"system volume information", "network trash folder", "temporary items"}

# What people keep beside the folders of activities: names of folders in lower case, and file extensions.
_NOTES = re.compile(r"(annotations?|labels?|lists?|splits?|meta(data)?|docs?|notes?|logs?|groundtruth|gt)(?![a-z])")
_TEXT_SUFFIXES = frozenset(
    (
        *(".csv", ".tsv", ".txt", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".log", ".pdf", ".xlsx", ".ods"),
        *(".boris", ".eaf", ".textgrid", ".srt", ".vtt"),
    )
)


def holds_notes(folder: str, files: Collection[str]) -> bool:
    """Whether a folder is no activity: it is called ``annotations``, say, and its files hold text or tables only."""
    suffixes = {Path(name).suffix.lower() for name in files}
    return bool(_NOTES.match(folder.lower()) and suffixes and suffixes <= _TEXT_SUFFIXES)


def is_system_folder(name: str) -> bool:
    """Whether a folder is hidden or holds what a system keeps for itself, such as ``$RECYCLE.BIN`` or ``@eaDir``."""
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS


def is_video(path: Path) -> bool:
    """Whether the name ends like that of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def find_videos(place: Path) -> list[Path]:
    """The video files in a folder, at any depth, sorted by path.

    Raises:
        DatasetError: The folder cannot be read.
    """
    return sorted(filter(is_video, walk(place)), key=os.fsencode)


def walk(folder: Path) -> Iterator[Path]:
    """All files below a folder except hidden ones, those of the system and those of prepared folders.

    Links are followed; a link that leads back to a folder above it is skipped.

    Raises:
        DatasetError: A folder cannot be read.
    """
    # For each folder still to be visited, the real paths of the folders above it.
    above: dict[str, frozenset[str]] = {}

    def fail(error: OSError) -> None:
        raise read_error("folder", error.filename, error, "Check its permissions.")

    for place, folders, names in os.walk(folder, followlinks=True, onerror=fail):
        real, parents = os.path.realpath(place), above.pop(place, frozenset())
        # 'prepare' writes decoded.jsonl first, so a prepared folder has it even when the run was killed.
        if real in parents or Path(place, "decoded.jsonl").is_file():
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not is_system_folder(name))
        above.update((os.path.join(place, name), parents | {real}) for name in folders)  # noqa: PTH118
        yield from (Path(place, name) for name in names if not name.startswith("."))


def read_error(what: str, path: object, error: OSError, hint: str) -> DatasetError:
    """The error that reports an ``OSError``, such as: The labels 'a.csv' cannot be read: permission denied."""
    reason = (error.strerror or str(error)).lower()
    return DatasetError(f"The {what} {str(path)!r} cannot be read: {reason}.", hint)
