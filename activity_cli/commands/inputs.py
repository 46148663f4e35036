"""What predict reads: files, folders, lists of files, a watched folder, and whatever else is a source of video."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread

from activity_cli.errors import ActivityError, DatasetError, UsageError, VideoError
from activity_cli.files import scheme_of
from activity_cli.labels.discovery import find_videos
from activity_cli.video.live import LiveSource, is_live
from activity_cli.video.opencv import FileSource
from activity_cli.video.source import Source

__all__ = ["Feed", "Input", "expand", "open_source", "open_video", "read_list", "watch_folder"]

_BOM = b"\xef\xbb\xbf"
# A video in a watched folder is complete when its size has been the same for so long and it can be opened. After the
# second time, it is as complete as it will ever be.
_QUIET_SECONDS, _MOST_QUIET_SECONDS = 2.0, 60.0
_POLL_SECONDS = 0.5
# Names that are known before they are needed.
_NAMES_AHEAD = 16
_WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Input:
    """One input.

    Attributes:
        name: As it was given or as it was found in a folder.
        place: A file, a folder, or something else that gives video.
        error: Why it cannot be used; None: nothing is known against it.
    """

    name: str
    place: Path | Source
    error: VideoError | None = None


def expand(inputs: Iterable[Path | Input]) -> Iterator[Input]:
    """The same with the videos of each folder in its place. Looks into a folder when it is its turn."""
    for one in inputs:
        given = one if isinstance(one, Input) else Input(str(one), one)
        path = given.place
        # Path.is_dir raises an error for a name that is too long, or in a folder that cannot be read.
        if not isinstance(path, Path) or not os.path.isdir(path):  # noqa: PTH112
            yield given
            continue
        try:
            found = find_videos(path)
        except ActivityError as error:
            yield Input(given.name, path, VideoError(error.message, error.hint, code="video.unreadable"))
            continue
        yield from (Input(str(video), video) for video in found)
        if not found:
            none = VideoError(f"{path}: there are no videos in this folder.", "Check the path.", code="video.none")
            yield Input(given.name, path, none)


def open_video(path: Path) -> FileSource:
    """A video file.

    Raises:
        VideoError: It cannot be read, or it is an address or a camera (``video.unsupported``).
    """
    name, scheme = path.name, scheme_of(path)
    is_number = os.fspath(path).isdecimal() and not os.path.lexists(path)
    if not scheme and not is_number and not is_live(os.fspath(path)):
        return FileSource(path)
    what, example = (f"an address ({scheme}://)", "ADDRESS") if scheme else ("a camera", "/dev/video0")
    raise VideoError(
        f"{name}: {what}, but without --timeline, and in a list, activity reads only files.",
        f"Type it with --timeline, or save a part to a file: ffmpeg -i {example} -t 60 clip.mkv",
        code="video.unsupported",
    )


def open_source(video: str | os.PathLike[str] | Source) -> Source:
    """A video file, or an address or a camera if ``video`` is a string.

    Raises:
        VideoError: It cannot be read.
    """
    if isinstance(video, str) and is_live(video):
        return LiveSource(video)
    return open_video(Path(video)) if isinstance(video, (str, os.PathLike)) else video


def read_list(file: int, name: str, null: bool) -> Iterator[Input]:
    """The files in a list, one name a line, as soon as each can be read. Empty lines do not count.

    Args:
        file: Number of the open file with the list.
        name: What errors call it.
        null: Whether a NUL ends each name instead of a line break.

    Raises:
        UsageError: The list is empty, or there are NUL bytes in its lines.
    """
    is_empty = True
    for text in _split(file, b"\0") if null else _split(file, b"\n"):
        text = text if null else (text.removeprefix(_BOM) if is_empty else text).removesuffix(b"\r")
        if not text:
            continue
        if b"\0" in text:
            raise UsageError(f"{name}: there are NUL bytes in the list.", "Add --null.", code="usage.input")
        is_empty = False
        yield Input(os.fsdecode(text), Path(os.fsdecode(text)))
    if is_empty:
        raise UsageError(f"{name}: the list is empty.", "Write the path of a video on each line.", code="usage.input")


def _split(file: int, separator: bytes) -> Iterator[bytes]:
    rest = b""
    while block := os.read(file, 1 << 16):
        *names, rest = (rest + block).split(separator)
        yield from names
    yield rest


def watch_folder(folder: Path, idle: Callable[[], None] = lambda: None) -> Iterator[Input]:
    """Each video that comes into a folder or below it, once it is complete; never ends by itself.

    Args:
        folder: The folder. What is in it at the start is not meant.
        idle: Called now and then; what it raises ends the watch.

    Raises:
        UsageError: There is no such folder, or not any more.
    """
    return _fresh(folder, set(_videos(folder) or ()), idle)


def _fresh(folder: Path, known: set[Path], idle: Callable[[], None]) -> Iterator[Input]:
    """The videos that are not known."""
    seen: dict[Path, tuple[tuple[int, int], float]] = {}
    while True:
        idle()
        found = _videos(folder)
        if found is not None:
            known.intersection_update(found)  # what was removed may come again
            seen = {path: seen[path] for path in found if path in seen}
            fresh = [path for path in found if path not in known]
            for path in sorted(fresh, key=lambda path: seen[path][1] if path in seen else time.monotonic()):
                try:
                    status = path.stat()
                except OSError:
                    continue  # removed meanwhile
                signature, now = (status.st_size, status.st_mtime_ns), time.monotonic()
                if path not in seen or seen[path][0] != signature:
                    seen[path] = signature, now
                quiet = now - seen[path][1]
                if quiet >= _QUIET_SECONDS and (quiet >= _MOST_QUIET_SECONDS or _opens(path)):
                    known.add(path)
                    yield Input(str(path), path)
        time.sleep(_POLL_SECONDS)


def _videos(folder: Path) -> list[Path] | None:
    """The videos below a folder; None: a folder below it was removed meanwhile."""
    if not folder.is_dir():
        raise UsageError(f"--watch {folder}: there is no such folder.", "Check the path.", code="usage.input")
    try:
        return find_videos(folder)
    except DatasetError:
        return None


def _opens(path: Path) -> bool:
    try:
        FileSource(path)
    except VideoError:
        return False
    return True


class Feed:
    """Takes inputs in a thread, so that a list that is still being written keeps no answer waiting.

    Args:
        inputs: Taken from as far as needed.
    """

    def __init__(self, inputs: Iterator[Input]) -> None:
        self._queue: Queue[Input | Exception | None] = Queue(_NAMES_AHEAD)
        self._closed = Event()
        Thread(target=self._fill, args=[inputs], name="inputs", daemon=True).start()

    def get(self, *, wait: bool) -> Input | None:
        """The next input; None: there is no more, or without ``wait`` none yet.

        Raises:
            Exception: What taking the next one raises.
        """
        try:
            found = self._queue.get(timeout=None if wait else _WAIT_SECONDS)
        except Empty:
            return None
        if isinstance(found, Input):
            return found
        self._queue.put(found)  # for the next call
        if isinstance(found, Exception) and wait:
            raise found
        return None

    def close(self) -> None:
        """Takes no more."""
        self._closed.set()

    def _fill(self, inputs: Iterator[Input]) -> None:
        end: Exception | None = None
        try:
            for one in inputs:
                if not self._put(one):
                    return
        except Exception as error:  # `get` raises it
            end = error
        self._put(end)

    def _put(self, one: Input | Exception | None) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(one, timeout=1)
            except Full:
                continue
            return True
        return False
