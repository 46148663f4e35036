"""The files of a folder, before anything is known of their content."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from activity_cli.errors import DatasetError
from activity_cli.files import VIDEO_SUFFIXES

__all__ = ["VIDEO_SUFFIXES", "Discovered", "DiscoveredFile", "find_videos", "walk"]


@dataclass(frozen=True, slots=True)
class DiscoveredFile:
    """One file, or one labeled segment of it, before anything is known of its content.

    Attributes:
        path: Where it is.
        name: Its path relative to the folder of the videos, with ``/``.
        label: The activity; empty where none is given.
        group: The person or source, where it is given; else empty.
        split: train, val or test, where it is given; ``learn`` where only the test clips are given;
            else empty.
        ignored: Why it is left aside; empty for a video to use.
        start_seconds, end_seconds: The labeled segment; None: to the end.
    """

    path: Path
    name: str
    label: str = ""
    group: str = ""
    split: str = ""
    ignored: str = ""
    start_seconds: float = 0.0
    end_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Discovered:
    """All files, and the form in which they were labeled, in plain words."""

    files: list[DiscoveredFile]
    format: str


def find_videos(place: Path) -> list[Path]:
    """The video files under a folder, at any depth, sorted by path.

    Raises:
        DatasetError: The folder cannot be read.
    """
    return sorted((path for path in walk(place) if path.suffix.lower() in VIDEO_SUFFIXES), key=os.fsencode)


def walk(folder: Path) -> Iterator[Path]:
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
