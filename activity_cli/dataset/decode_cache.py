"""What decoding gave, and the journal that remembers it.

The journal (``decoded.jsonl``) gets one line a file as soon as the file is done. A run that is killed
goes on after the last whole line; a run that is repeated opens no file that has not changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from activity_cli.dataset.clips import ClipStore
from activity_cli.files import atomic_write, translate_os_error
from activity_cli.sampling.plan import Segment
from activity_cli.settings import Sampling

__all__ = ["CutClip", "DecodeCache", "DecodeTask", "Decoded"]

# The next run may find permission, more memory or more time, which changes neither size nor time of a file.
_PASSING = frozenset(["video.unreadable", "video.crashed", "video.memory", "video.timeout"])


@dataclass(frozen=True, slots=True)
class DecodeTask:
    """One video to decode: where it is, its name in the manifest, and the parts to make clips of."""

    path: Path
    name: str
    segments: tuple[Segment, ...] = (Segment(),)


@dataclass(frozen=True, slots=True)
class CutClip:
    """One clip of a video: its name in the store, its frames, and the part that it stands for."""

    clip: str
    clip_frames: int
    start_seconds: float
    end_seconds: float
    segment: int = 0
    variant: int = 0


@dataclass(frozen=True, slots=True)
class Decoded:
    """What decoding one file gave; ``error_code`` is empty where it could be decoded.

    Attributes:
        content_hash: SHA-256 of the file; empty where it cannot be read.
        file_bytes: Size of the file.
        clips: The clips, in the order of segments, windows and takes.
        num_frames, header_frames, frames_per_second, duration_seconds, width, height,
            rotation_degrees, sample_aspect_ratio, variable_frame_rate, counted_by: See
            :class:`activity_cli.video.reader.VideoInfo`.
        error_code, error_message: Why there is no clip.
    """

    content_hash: str = ""
    file_bytes: int = 0
    num_frames: int = 0
    header_frames: int = 0
    frames_per_second: float = 0.0
    duration_seconds: float = 0.0
    width: int = 0
    height: int = 0
    rotation_degrees: int = 0
    sample_aspect_ratio: float = 1.0
    variable_frame_rate: bool = False
    counted_by: str = ""
    clips: tuple[CutClip, ...] = ()
    error_code: str = ""
    error_message: str = ""


_DECODED = [field.name for field in fields(Decoded)]


class DecodeCache:
    """What is known of files that did not change since they were decoded.

    A file is known by its name, size, time of change and segments. Lines that a killed run left cut are
    passed over, as are lines made with other sampling settings, and refusals by another decoder.
    """

    def __init__(self, path: Path, sampling: Sampling) -> None:
        self._path = path
        self._settings = asdict(sampling)
        self._decoder = _decoder_version()
        self._known: dict[str, tuple[list[int], Decoded]] = {}
        self._stamps: dict[str, list[int]] = {}
        self._segments: dict[str, list[list[float | None]]] = {}
        self._read()

    @property
    def length(self) -> int:
        """How many files are known."""
        return len(self._known)

    def lookup(self, task: DecodeTask, store: ClipStore) -> Decoded | None:
        """The earlier result for this file, where it still holds."""
        stamp, decoded = self._known.get(task.name, ([], None))
        segments = [list(segment) for segment in task.segments]
        # Kept for ``add``: a file that changes while it is decoded must count as changed afterwards.
        self._stamps[task.name] = _stamp(task.path)
        if decoded is None or stamp != self._stamps[task.name] or self._segments[task.name] != segments:
            return None
        return decoded if all(cut.clip in store for cut in decoded.clips) else None

    def add(self, task: DecodeTask, decoded: Decoded) -> None:
        """Notes one result at once.

        Raises:
            OutputError: The disk is full, or the folder cannot be written.
        """
        stamp = self._stamps.get(task.name) or _stamp(task.path)
        if not stamp or decoded.error_code in _PASSING:
            return
        self._known[task.name] = (stamp, decoded)
        self._segments[task.name] = [list(segment) for segment in task.segments]
        with translate_os_error(self._path), self._path.open("a", encoding="ascii") as cache:
            cache.write(self._line(task.name))

    def compact(self, names: Sequence[str]) -> None:
        """Rewrites the journal with these files only, whole or not at all."""
        with atomic_write(self._path) as aside, aside.open("w", encoding="ascii") as cache:
            cache.writelines(self._line(name) for name in names if name in self._known)

    def _line(self, name: str) -> str:
        stamp, decoded = self._known[name]
        row = {
            "name": name,
            "stamp": stamp,
            "sampling": self._settings,
            "segments": self._segments[name],
            "decoder": self._decoder,
        }
        return json.dumps(row | asdict(decoded)) + "\n"

    def _read(self) -> None:
        if not self._path.exists():
            return
        line = "\n"
        # A line at a time: all of them at once would be the largest thing in memory.
        with translate_os_error(self._path), self._path.open(encoding="utf-8", errors="replace") as cache:
            for line in cache:
                self._learn(line)
        if not line.endswith("\n"):
            # The next line must not be glued to a cut one.
            with translate_os_error(self._path), self._path.open("a", encoding="ascii") as cache:
                cache.write("\n")

    def _learn(self, line: str) -> None:
        try:
            row: Mapping[str, Any] = json.loads(line)
            if row["sampling"] != self._settings or (row["error_code"] and row["decoder"] != self._decoder):
                return
            values = {name: row[name] for name in _DECODED}
            values["clips"] = tuple(CutClip(**cut) for cut in row["clips"])
            stamp, segments = list(row["stamp"]), list(row["segments"])
            self._known[row["name"]] = (stamp, Decoded(**values))
            self._segments[row["name"]] = segments
        except (ValueError, KeyError, TypeError):
            pass  # a line that was cut, or is of another version


def _decoder_version() -> str:
    """Another version of OpenCV may decode what this one refuses."""
    for package in ("opencv-python", "opencv-python-headless", "opencv-contrib-python"):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return ""


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]
