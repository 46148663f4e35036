"""Video files -> cached clips, in processes that may die or hang without harm to other files."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import closing, suppress
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from activity_cli.dataset.clips import ClipStore, clip_name
from activity_cli.dataset.decode_cache import Decoded, DecodeTask
from activity_cli.dataset.processes import Lost, call_in_processes, default_workers
from activity_cli.dataset.stream_store import StreamStore
from activity_cli.errors import VideoError
from activity_cli.files import remove_stale_files, sha256_of
from activity_cli.leakage.signatures import SignatureStore
from activity_cli.results import ClipInfo, VideoInfo
from activity_cli.settings import Sampling
from activity_cli.streams.frames import FULL_FRAME_STREAMS, FrameStreams
from activity_cli.streams.hands import split_hands
from activity_cli.video.opencv import FileSource
from activity_cli.video.reader import ClipReader
from activity_cli.video.start_offset import start_offset_seconds

__all__ = ["decode_all", "decode_one"]

# Files handed to an executor ahead of time, for each worker: enough to keep it busy.
_AHEAD = 4


def decode_all(
    tasks: Sequence[DecodeTask],
    sampling: Sampling,
    store: ClipStore,
    workers: int,
    *,
    seed: int = 0,
    time_limit_seconds: float = 600.0,
    executor: Executor | None = None,
) -> Iterator[tuple[DecodeTask, Decoded]]:
    """Decodes files into the store and yields each as it is done, in no certain order.

    Args:
        tasks, sampling, store: What to decode, which frames, and where the clips go; what the streams say of them goes
            beside them.
        workers: Processes.
        seed: Of random clips.
        time_limit_seconds: A file that keeps a process busy for longer without a further clip is given up.
        executor: Whose processes to use, such as a cluster's, instead of own ones. It sees the same files under the
            same paths, and guards its processes by itself.

    Raises:
        OutputError: The disk is full, or the store cannot be written.
        BundleError: A model file of a stream is damaged.
    """
    number = max(1, min(workers, len(tasks)))
    # A core each; few files share all cores, so that a single long video uses every one.
    threads = 1 if executor is not None else max(1, default_workers() // number)
    decode = partial(decode_one, sampling=sampling, store=store, seed=seed, threads=threads)
    if executor is not None:
        yield from _in_executor(tasks, decode, executor, _AHEAD * max(1, workers))
        return
    raise_limit = "Re-encode the file, or raise the limit with --set time_limit_seconds=SECONDS."
    late = f"decoding a clip took longer than {time_limit_seconds:g} seconds. {raise_limit}"
    died = "the decoding process crashed, perhaps for lack of memory. Re-encode the file at a smaller size."
    reasons = {Lost.LATE: ("video.timeout", late), Lost.DIED: ("video.crashed", died)}
    # Each clip begins the time anew: a long video has many, and its streams take their time.
    limits: dict[str, Any] = {"limit_seconds": time_limit_seconds, "advance": lambda _: None}
    suspects: list[DecodeTask] = []
    try:
        with closing(call_in_processes(decode, tasks, number, **limits)) as answers:
            for task, decoded in answers:
                if decoded is Lost.DIED:
                    suspects.append(task)
                else:
                    yield task, _failed(task, *reasons[decoded]) if isinstance(decoded, Lost) else decoded
        # Another file may have filled the memory: each file whose process died has a second try, alone.
        with closing(call_in_processes(decode, suspects, 1, **limits)) as answers:
            for task, decoded in answers:
                yield task, _failed(task, *reasons[decoded]) if isinstance(decoded, Lost) else decoded
    finally:
        # A process that is killed while it writes a clip cannot remove it.
        remove_stale_files(store.folder.parent)


def _in_executor(
    tasks: Sequence[DecodeTask], decode: Callable[[DecodeTask], Decoded], executor: Executor, most: int
) -> Iterator[tuple[DecodeTask, Decoded]]:
    waiting, running = deque(tasks), dict[Future[Decoded], DecodeTask]()
    while waiting or running:
        while waiting and len(running) < most:
            task = waiting.popleft()
            running[executor.submit(decode, task)] = task
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future.result()


def _failed(task: DecodeTask, code: str, reason: str) -> Decoded:
    return Decoded(error_code=code, error_message=f"{task.path.name}: {reason}")


def decode_one(
    task: DecodeTask,
    *,
    sampling: Sampling,
    store: ClipStore,
    seed: int,
    threads: int,
    advance: Callable[[int], None] | None = None,
) -> Decoded:
    """Hashes, decodes and describes one file; a file that cannot be used is a result, not an exception.

    ``advance`` is called with 1 after each clip.

    Raises:
        OutputError: The disk is full, or the store cannot be written.
        BundleError: A model file of a stream is damaged.
    """
    signatures, streams = SignatureStore(store), StreamStore(store.folder.parent)
    describer = _frame_streams(task.streams, threads, threading.get_ident())
    hands: tuple[int, int] | None = None
    content_hash, file_bytes = "", 0
    clips: list[list[ClipInfo]] = [[] for _ in task.segments]
    try:
        with suppress(OSError):  # FileSource gives the reason in plain words
            # Opening a pipe would wait for a writer that may never come.
            content_hash = sha256_of(task.path) if task.path.is_file() else ""
            file_bytes = task.path.stat().st_size
        source = FileSource(task.path, threads)
        offset = _start_offset(task)
        segments = [segment.from_first_frame(offset) for segment in task.segments]
        reader = ClipReader(source, sampling, segments, seed=seed, key=content_hash, describer=describer)
        for clip in reader:
            cut, name = clip.cut, clip_name(content_hash, clip.cut, sampling)
            store.write(name, clip.frames)
            streams.write(name, clip.rows, clip.times_seconds)
            persons = int(np.count_nonzero(clip.rows["pose"][:, 0])) if "pose" in clip.rows else None
            if "hands" in clip.rows:
                found, pairs = hands or (0, 0)
                hands = found + int(np.count_nonzero(split_hands(clip.rows["hands"]).found)), pairs + 2 * (persons or 0)
            if not cut.variant:
                signatures.write(name, clip.frames)
            clips[cut.segment].append(
                ClipInfo(
                    start_seconds=cut.start_seconds,
                    end_seconds=cut.end_seconds,
                    variant=cut.variant,
                    clip=name,
                    clip_frames=len(clip.frames),
                    person_frames=persons,
                )
            )
            if advance:
                advance(1)
    except VideoError as error:
        failed = Decoded(error_code=error.code, error_message=str(error))
    except MemoryError:
        failed = _failed(
            task,
            "video.memory",
            "decoding needs more memory than is available (at most 4 GiB). Re-encode the file at a smaller size.",
        )
    else:
        ordered = (tuple(sorted(found, key=lambda clip: (clip.start_seconds, clip.variant))) for found in clips)
        info = replace(reader.info, content_hash=content_hash, start_offset_seconds=offset)
        return Decoded(info, tuple(ordered), file_bytes, hands=hands)
    return replace(failed, video=VideoInfo(content_hash=content_hash), file_bytes=file_bytes)


def _start_offset(task: DecodeTask) -> float:
    """When the first frame is shown, in seconds from the start of the file; 0 where no label counts seconds."""
    if not any(one.start_seconds or one.end_seconds is not None for one in task.segments):
        return 0.0
    offset = start_offset_seconds(task.path)
    if offset is None and any(one.from_file_start for one in task.segments):
        raise VideoError(
            f"{task.path.name}: the file does not say when its first frame is shown.",
            "Count the times of its labels from the first frame, with time_origin=first_frame.",
            code="video.start",
        )
    return offset or 0.0


@lru_cache(maxsize=32)
def _frame_streams(names: tuple[str, ...], threads: int, thread: int) -> FrameStreams | None:
    """The streams of all files of a ``thread``: loading the models takes time, and threads cannot share them."""
    return FrameStreams(names, threads) if set(names) & set(FULL_FRAME_STREAMS) else None
