"""Video files -> cached clips, in worker processes that may die or hang without harm to other files."""

from __future__ import annotations

import json
import math
import os
import signal
import tempfile
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from activity_cli.dataset.clips import ClipStore, clip_name
from activity_cli.dataset.decode_cache import CutClip, Decoded, DecodeTask
from activity_cli.dataset.processes import clean_start, default_workers, own_processes
from activity_cli.errors import VideoError
from activity_cli.files import sha256_of
from activity_cli.leakage.signatures import SignatureStore
from activity_cli.settings import Sampling

__all__ = ["CutClip", "DecodeTask", "Decoded", "decode_all", "decode_one"]

# Files handed to each worker ahead of time: enough to keep them busy, few enough to stop at once.
_AHEAD = 4
# How often the parent looks for a process that has taken too long.
_WATCH_SECONDS = 1.0
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def decode_all(
    tasks: Sequence[DecodeTask],
    sampling: Sampling,
    store: ClipStore,
    workers: int,
    *,
    time_limit_seconds: float = 600.0,
    executor: Executor | None = None,
) -> Iterator[tuple[DecodeTask, Decoded]]:
    """Decodes files into the store and yields each as it is done, in no certain order.

    Args:
        jobs: What to decode.
        sampling: Which frames.
        store: Where the clips go.
        workers: Processes.
        time_limit_seconds: A file that keeps a process busy for longer is given up.
        executor: Whose processes to use, such as a cluster's, instead of own ones. It sees the same
            files under the same paths, and guards its processes by itself.

    Raises:
        OutputError: The disk is full, or the store cannot be written.
    """
    if executor is not None:
        with tempfile.TemporaryDirectory(prefix="activity-", ignore_cleanup_errors=True) as marks:
            lent = _Pool(executor, Path(marks), math.inf)
            left = yield from _work(lent, deque(tasks), sampling, store, _AHEAD * max(workers, 1))
        if left:
            raise BrokenProcessPool("the executor that was handed in is broken")
        return
    waiting = deque(tasks)
    while waiting:
        number = min(workers, len(waiting))
        suspects = yield from _in_workers(waiting, sampling, store, number, _AHEAD, time_limit_seconds)
        while suspects:
            # A worker died, and any of these may be why: one after the other, it shows which.
            for task in (yield from _in_workers(suspects, sampling, store, 1, 1, time_limit_seconds)):
                reason = f"{task.path.name}: the process that decoded it died. Is there enough memory?"
                yield task, Decoded(error_code="video.crashed", error_message=reason)


@dataclass(frozen=True, slots=True)
class _Pool:
    """Processes, the folder where each notes what it works on since when, how long it may, and its threads."""

    executor: Executor
    marks: Path
    time_limit_seconds: float
    threads: int = 1


def _in_workers(
    waiting: deque[DecodeTask], sampling: Sampling, store: ClipStore, workers: int, ahead: int, limit: float
) -> Generator[tuple[DecodeTask, Decoded], None, deque[DecodeTask]]:
    """Takes files from ``waiting`` and decodes them; returns those under way when a worker died."""
    with (
        # After an error a worker may still be about to leave a mark there.
        tempfile.TemporaryDirectory(prefix="activity-", ignore_cleanup_errors=True) as marks,
        own_processes(workers) as executor,
    ):
        try:
            # A core each; few files share all cores, so that a lone long video uses every one.
            pool = _Pool(executor, Path(marks), limit, max(1, default_workers() // workers))
            return (yield from _work(pool, waiting, sampling, store, ahead * workers))
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _work(
    pool: _Pool, waiting: deque[DecodeTask], sampling: Sampling, store: ClipStore, most: int
) -> Generator[tuple[DecodeTask, Decoded], None, deque[DecodeTask]]:
    running: dict[Future[Decoded], DecodeTask] = {}
    late: set[str] = set()
    try:
        while waiting or running:
            while waiting and len(running) < most:
                try:
                    with clean_start():
                        future = pool.executor.submit(
                            _decode_marked, waiting[0], sampling, store, pool.marks, pool.threads
                        )
                except BrokenPipeError as error:
                    # A process that was just started died before it was told what to do.
                    running[Future()] = waiting.popleft()
                    raise BrokenProcessPool from error
                running[future] = waiting.popleft()
            for future in wait(running, timeout=_WATCH_SECONDS, return_when=FIRST_COMPLETED).done:
                decoded = future.result()
                yield running.pop(future), decoded
            late |= _stop_late(pool)
    except BrokenProcessPool:
        for future, task in list(running.items()):
            if task.name in late:
                reason = (
                    f"{task.path.name}: took longer than {pool.time_limit_seconds:g} seconds. "
                    "Give it more with --time-limit, or re-encode it."
                )
                yield running.pop(future), Decoded(error_code="video.timeout", error_message=reason)
        return deque(running.values())
    return deque()


def _stop_late(pool: _Pool) -> set[str]:
    """Kills the processes that work on one file for too long; returns the names of those files."""
    late = set()
    if math.isfinite(pool.time_limit_seconds):
        for mark in pool.marks.iterdir():
            with suppress(OSError, ValueError):  # a mark may be gone by now, or half written
                name, began = json.loads(mark.read_text(encoding="utf-8"))
                if time.time() - began > pool.time_limit_seconds:
                    os.kill(int(mark.name), _KILL)
                    late.add(name)
    return late


def _decode_marked(task: DecodeTask, sampling: Sampling, store: ClipStore, marks: Path, threads: int) -> Decoded:
    mark = marks / str(os.getpid())
    with suppress(OSError):
        mark.write_text(json.dumps([task.name, time.time()]), encoding="utf-8")
    try:
        return decode_one(task, sampling, store, threads)
    finally:
        with suppress(OSError):
            mark.unlink()


def decode_one(task: DecodeTask, sampling: Sampling, store: ClipStore, threads: int) -> Decoded:
    """Hashes and decodes one file into the store; a bad file is a result, not an exception.

    Raises:
        OutputError: The disk is full, or the store cannot be written.
    """
    from activity_cli.video.reader import Clip, read_clips  # here, so that only workers pay for OpenCV

    signatures = SignatureStore(store)
    content_hash, file_bytes = "", 0
    cuts: dict[tuple[int, float, int], CutClip] = {}

    def keep(clip: Clip) -> None:
        name = clip_name(content_hash, sampling, clip.start_seconds, clip.end_seconds, clip.variant)
        # Also over a clip that is there: a killed run may have left one that it was about to correct.
        store.write(name, clip.frames)
        if clip.variant == 0:
            signatures.write(name, clip.frames)
        cuts[clip.segment, clip.start_seconds, clip.variant] = CutClip(
            name, len(clip.frames), clip.start_seconds, clip.end_seconds, clip.segment, clip.variant
        )

    try:
        with suppress(OSError):  # read_clips says the reason in plain words
            # Opening a pipe would wait for a writer that may never come.
            content_hash = sha256_of(task.path) if task.path.is_file() else ""
            file_bytes = task.path.stat().st_size
        info = read_clips(task.path, sampling, task.segments, threads=threads, key=content_hash, deliver=keep)
    except VideoError as error:
        return Decoded(content_hash, file_bytes, error_code=error.code, error_message=str(error))
    except MemoryError:
        reason = f"{task.path.name}: decoding it takes more memory than there is. Re-encode it smaller."
        return Decoded(content_hash, file_bytes, error_code="video.memory", error_message=reason)
    return Decoded(content_hash, file_bytes, **asdict(info), clips=tuple(cuts[place] for place in sorted(cuts)))
