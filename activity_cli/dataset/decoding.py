"""Video files -> cached clips, in worker processes, with a journal of what is done.

The journal (``decoded.jsonl``) gets one line a file as soon as the file is done. A run that is killed
goes on after the last whole line; a run that is repeated opens no file that has not changed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from activity_cli.config import SamplingConfig
from activity_cli.dataset.clips import ClipStore, clip_name
from activity_cli.dataset.discovery import FoundFile
from activity_cli.errors import VideoError
from activity_cli.files import explained, sha256_of, write_text

__all__ = ["Decoded", "Journal", "decode_all", "default_workers"]

# Files handed to each worker ahead of time: enough to keep them busy, few enough to stop at once.
_AHEAD = 4


@dataclass(frozen=True, slots=True)
class Decoded:
    """What decoding one file gave; ``error_code`` is empty where it gave a clip.

    Attributes:
        content_hash: SHA-256 of the file; empty where it cannot be read.
        clip: Name in the clip store.
        clip_frames: Frames of the clip.
        num_frames, header_frames, frames_per_second, duration_seconds, width, height,
            rotation_degrees: See :class:`activity_cli.video.reader.VideoInfo`.
        error_code, error_message: Why there is no clip.
    """

    content_hash: str = ""
    clip: str = ""
    clip_frames: int = 0
    num_frames: int = 0
    header_frames: int = 0
    frames_per_second: float = 0.0
    duration_seconds: float = 0.0
    width: int = 0
    height: int = 0
    rotation_degrees: int = 0
    error_code: str = ""
    error_message: str = ""


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode_all(
    files: Sequence[FoundFile], sampling: SamplingConfig, store: ClipStore, workers: int
) -> Iterator[tuple[FoundFile, Decoded]]:
    """Decodes files into the store and yields each as it is done, in no certain order.

    Args:
        files: What to decode.
        sampling: Which frames.
        store: Where the clips go.
        workers: Processes; 1 decodes in this one.

    Raises:
        OutputError: The disk is full, or the store cannot be written.
    """
    if workers == 1 or len(files) == 1:
        for file in files:
            yield file, decode_one(file.path, sampling, store, 0)
        return
    waiting = deque(files)
    while waiting:
        suspects = yield from _in_workers(waiting, sampling, store, min(workers, len(waiting)), _AHEAD)
        while suspects:
            # A worker died, and any of these may be why: one after the other, it shows which.
            for file in (yield from _in_workers(suspects, sampling, store, 1, 1)):
                reason = f"{file.path.name}: the process that decoded it died. Is there enough memory?"
                yield file, Decoded(error_code="video.crashed", error_message=reason)


def _in_workers(
    waiting: deque[FoundFile], sampling: SamplingConfig, store: ClipStore, workers: int, ahead: int
) -> Generator[tuple[FoundFile, Decoded], None, deque[FoundFile]]:
    """Takes files from ``waiting`` and decodes them; returns those under way when a worker died."""
    # A fresh interpreter for each worker: forking a process that has threads can hang.
    context = multiprocessing.get_context("spawn")
    running: dict[Future[Decoded], FoundFile] = {}
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker) as executor:
        try:
            while waiting or running:
                while waiting and len(running) < ahead * workers:
                    with _interrupts_held_back(), _callers_script_left_out():
                        future = executor.submit(decode_one, waiting[0].path, sampling, store, 1)
                    running[future] = waiting.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    decoded = future.result()
                    yield running.pop(future), decoded
        except BrokenProcessPool:
            return deque(running.values())
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise
    return deque()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """A process that starts meanwhile never sees Ctrl-C, which is for its parent to handle."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _callers_script_left_out() -> Iterator[None]:
    """A process that starts meanwhile does not run the caller's script again to begin with.

    It needs nothing from there; so a script needs no ``if __name__ == "__main__"``, and a notebook that
    has loaded TensorFlow does not load it again in every worker.
    """
    main = sys.modules["__main__"]
    kept = {name: getattr(main, name) for name in ("__spec__", "__file__") if hasattr(main, name)}
    for name in kept:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    # Each worker holds both ends of the queue it waits at, so it would not notice a killed parent.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def decode_one(path: Path, sampling: SamplingConfig, store: ClipStore, threads: int) -> Decoded:
    """Hashes and decodes one file into the store; a bad file is a result, not an exception.

    Raises:
        OutputError: The disk is full, or the store cannot be written.
    """
    from activity_cli.video.reader import read_clip  # here, so that only workers pay for OpenCV

    content_hash = ""
    try:
        with suppress(OSError):  # read_clip says the reason in plain words
            # Opening a pipe would wait for a writer that may never come.
            content_hash = sha256_of(path) if path.is_file() else ""
        clip = read_clip(path, sampling, threads=threads)
    except VideoError as error:
        return Decoded(content_hash, error_code=error.code, error_message=str(error))
    name = clip_name(content_hash, sampling)
    if name not in store:
        store.write(name, clip.frames)
    return Decoded(content_hash, name, len(clip.frames), **asdict(clip.info))


class Journal:
    """What is known of files that did not change since they were decoded.

    A file is known by its name, size and time of change. Lines that a killed run left cut are passed
    over, as are lines made with other sampling settings.
    """

    def __init__(self, path: Path, sampling: SamplingConfig) -> None:
        self._path = path
        self._settings = asdict(sampling)
        self._known: dict[str, tuple[list[int], Decoded]] = {}
        self._stamps: dict[str, list[int]] = {}
        self._read()

    def lookup(self, file: FoundFile, store: ClipStore) -> Decoded | None:
        """The earlier result for this file, where it still holds."""
        stamp, decoded = self._known.get(file.name, ([], None))
        # Kept for ``add``: a file that changes while it is decoded must count as changed afterwards.
        self._stamps[file.name] = _stamp(file.path)
        if decoded is None or stamp != self._stamps[file.name]:
            return None
        return decoded if decoded.error_code or decoded.clip in store else None

    def add(self, file: FoundFile, decoded: Decoded) -> None:
        """Notes one result at once.

        Raises:
            OutputError: The disk is full, or the folder cannot be written.
        """
        stamp = self._stamps.get(file.name) or _stamp(file.path)
        # The next run may find permission or more memory, which changes neither size nor time of a file.
        if not stamp or decoded.error_code in ("video.unreadable", "video.crashed"):
            return
        self._known[file.name] = (stamp, decoded)
        with explained(self._path), self._path.open("a", encoding="ascii") as journal:
            journal.write(self._line(file.name))

    def compact(self, names: Sequence[str]) -> None:
        """Rewrites the journal with these files only, whole or not at all."""
        write_text(self._path, "".join(self._line(name) for name in names if name in self._known))

    def _line(self, name: str) -> str:
        stamp, decoded = self._known[name]
        return json.dumps({"name": name, "stamp": stamp, "sampling": self._settings, **asdict(decoded)}) + "\n"

    def _read(self) -> None:
        if not self._path.exists():
            return
        with explained(self._path):
            text = self._path.read_text(encoding="utf-8", errors="replace")
        if text and not text.endswith("\n"):
            # The next line must not be glued to a cut one.
            with explained(self._path), self._path.open("a", encoding="ascii") as journal:
                journal.write("\n")
        for line in text.splitlines():
            try:
                row: Mapping[str, Any] = json.loads(line)
                if row["sampling"] != self._settings:
                    continue
                values = {name: row[name] for name in Decoded.__dataclass_fields__}
                self._known[row["name"]] = (list(row["stamp"]), Decoded(**values))
            except (ValueError, KeyError, TypeError):
                continue


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]
