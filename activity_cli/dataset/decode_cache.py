"""What decoding a file gave, and the cache of it: ``decoded.jsonl``, one line for each file.

A line is written as soon as the file is done. A run that is killed goes on after the last whole line; a run that is
repeated opens no file that has not changed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path

import msgspec

from activity_cli.dataset.clips import ClipStore, cache_key, pixel_identity
from activity_cli.dataset.stream_store import StreamStore
from activity_cli.files import atomic_write, translate_os_error
from activity_cli.results import ClipInfo, VideoInfo, impossible_values
from activity_cli.sampling.plan import Segment, plan_identity
from activity_cli.settings import Sampling
from activity_cli.streams.registry import STREAMS

__all__ = ["DecodeCache", "DecodeTask", "Decoded"]

# The next run may find permission, more memory or more time, which changes neither size nor time of a file.
_TRANSIENT = frozenset(["video.unreadable", "video.crashed", "video.memory", "video.timeout"])

# Raised when results have other fields or another meaning: earlier lines are not used any more.
_VERSION = 3


@dataclass(frozen=True, slots=True)
class DecodeTask:
    """One video to decode: where it is, its name in the manifest, the parts to make clips of, and their streams."""

    path: Path
    name: str
    segments: tuple[Segment, ...] = (Segment(),)
    streams: tuple[str, ...] = ("appearance",)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What decoding one file gave.

    Attributes:
        video: What is known of it; of a file that cannot be read nothing.
        clips: Those of each segment, in the order of windows and variants; none where there was an error.
        file_bytes: Size of the file.
        error_code, error_message: Why there is no clip; empty where the file was decoded.
        hands: In how many of how many pairs of a hand and a frame with a person the hand was found; None: the hands
            stream was not computed.
    """

    video: VideoInfo = field(default_factory=VideoInfo)
    clips: tuple[tuple[ClipInfo, ...], ...] = ()
    file_bytes: int = 0
    error_code: str = ""
    error_message: str = ""
    hands: tuple[int, int] | None = None

    @property
    def clip_names(self) -> list[str]:
        return [clip.clip for clips in self.clips for clip in clips]

    def without_pose(self) -> Decoded:
        """The same, as if the pose stream had not been computed."""
        clips = tuple(tuple(replace(clip, person_frames=None) for clip in segment) for segment in self.clips)
        return replace(self, clips=clips, hands=None)


class _Line(msgspec.Struct, frozen=True):
    """One file: its name, the key of its content and of its clips, the decoder, the streams by key, and the result."""

    name: str
    key: str
    decoder: str
    streams: dict[str, str]
    decoded: Decoded


class DecodeCache:
    """Results for files that have not changed since they were decoded.

    The key of a result is made of the size, the time of change and the segments of the file, and of what decides its
    clips; each stream has a key of its own. Not used are lines that a killed run left incomplete, and errors of another
    version of the decoder.
    """

    def __init__(self, path: Path, sampling: Sampling, seed: int) -> None:
        self._path = path
        self._made_by = [_VERSION, plan_identity(sampling, seed), pixel_identity(sampling)]
        self._decoder = _decoder_version()
        self._lines: dict[str, _Line] = {}
        self._keys: dict[str, str] = {}
        self._read()

    def __len__(self) -> int:
        return len(self._lines)

    def lookup(self, task: DecodeTask, store: ClipStore) -> Decoded | None:
        """The earlier result for this file, where it still holds, and its clips and their streams are there."""
        # Kept for ``add``: a file that changes while it is decoded must count as changed afterwards.
        key = self._keys[task.name] = self._key(task)
        line = self._lines.get(task.name)
        if line is None or not key or line.key != key:
            return None
        names, wanted = line.decoded.clip_names, _stream_keys(task.streams)
        if line.decoded.clips and len(line.decoded.clips) != len(task.segments):
            return None  # the line was edited
        if names and not wanted.items() <= line.streams.items():
            return None
        arrays = StreamStore(store.folder.parent)
        for clip in chain.from_iterable(line.decoded.clips):
            if clip.clip not in store or len(store.read(clip.clip)) != clip.clip_frames:
                return None
            if not arrays.has(task.streams, clip.clip, clip.clip_frames):
                return None
        return line.decoded if "pose" in task.streams else line.decoded.without_pose()

    def add(self, task: DecodeTask, decoded: Decoded) -> None:
        """Writes one result at once.

        Raises:
            OutputError: The disk is full, or the folder cannot be written.
        """
        key = self._keys.get(task.name) or self._key(task)
        if not key or decoded.error_code in _TRANSIENT:
            return
        line = self._lines[task.name] = _Line(task.name, key, self._decoder, _stream_keys(task.streams), decoded)
        with translate_os_error(self._path), self._path.open("a", encoding="ascii") as file:
            file.write(_text(line))

    def compact(self, names: Sequence[str]) -> None:
        """Rewrites the cache with these files only, whole or not at all."""
        with atomic_write(self._path) as aside, aside.open("w", encoding="ascii") as file:
            file.writelines(_text(self._lines[name]) for name in names if name in self._lines)

    def _key(self, task: DecodeTask) -> str:
        """Empty for a file that is not there."""
        try:
            status = task.path.stat()
        except OSError:
            return ""
        return cache_key(status.st_size, status.st_mtime_ns, task.segments, self._made_by)

    def _read(self) -> None:
        if not self._path.exists():
            return
        text = "\n"
        # A line at a time: all of them at once would be the largest object in memory.
        with translate_os_error(self._path), self._path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                # A line that was cut, or of another version, is no error: its file is decoded again.
                with suppress(ValueError, msgspec.ValidationError):
                    # Not with msgspec's decoder: it rejects file names that are not UTF-8.
                    line = msgspec.convert(json.loads(text), _Line)
                    clips = [clip for segment in line.decoded.clips for clip in segment]
                    if any(map(impossible_values, (line.decoded.video, *clips))) or line.decoded.file_bytes < 0:
                        continue
                    if not line.decoded.error_code or line.decoder == self._decoder:
                        self._lines[line.name] = line
        if not text.endswith("\n"):
            # The next line must not continue a cut one.
            with translate_os_error(self._path), self._path.open("a", encoding="ascii") as file:
                file.write("\n")


def _stream_keys(names: Sequence[str]) -> dict[str, str]:
    return {name: cache_key(STREAMS[name].identity) for name in names if name != "appearance"}


def _text(line: _Line) -> str:
    return json.dumps(msgspec.to_builtins(line)) + "\n"


def _decoder_version() -> str:
    """Another version of OpenCV or PyAV may decode what this one cannot."""
    found = []
    for package in ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "av"):
        with suppress(PackageNotFoundError):
            found.append(version(package))
    return " ".join(found)
