"""Calls in processes that start clean, may die or hang, and end with the process that started them.

Not in pebble's pool, which also ends calls that take too long: it starts processes from a thread of its own, outside of
:func:`_clean_start`, so that a caller's script would need ``if __name__ == "__main__"``.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TypeVar, cast

from activity_cli.quiet import own_process

__all__ = ["Lost", "call_in_processes", "default_workers"]

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")

# What one process may allocate: frames of 100 megapixels fit, a decompression bomb does not.
_PROCESS_BYTES = 4 << 30
# How often a process that takes too long is looked for.
_WATCH_SECONDS = 1.0


class Lost(Enum):
    """Why a call has no answer: its process died, or took too long and was killed."""

    DIED = "died"
    LATE = "late"


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def call_in_processes(
    function: Callable[..., _Answer],
    items: Iterable[_Item],
    processes: int,
    *,
    limit_seconds: float = math.inf,
    advance: Callable[[int], None] | None = None,
) -> Generator[tuple[_Item, _Answer | Lost], None, None]:
    """Calls a function with each item, one at a time in each process; yields the answers as they come.

    Args:
        function: What to call; where ``advance`` is given, it also gets ``advance`` by name.
        items: What to call it with.
        processes: Their number at most. Their memory is free again afterwards.
        limit_seconds: A call that takes longer is given up.
        advance: Gets what the function calls its ``advance`` with.

    Raises:
        Exception: Whatever a call has raised; the other calls end.
    """
    waiting, idle = deque(items), list[Connection]()
    running: dict[Connection, tuple[_Item, float]] = {}  # and since when
    started: dict[Connection, SpawnProcess] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                item, began = waiting.popleft(), time.monotonic()
                if idle:
                    pipe = idle.pop()
                else:
                    process, pipe = _start()
                    started[pipe], began = process, math.inf  # until it says that it has started
                running[pipe] = item, began
                with suppress(OSError):  # it has died, which shows below
                    pipe.send((function, item, advance is not None))
            for pipe in cast(list[Connection], wait(list(running), _WATCH_SECONDS)):
                item, _ = running.pop(pipe)
                try:
                    kind, content = pipe.recv()
                except (EOFError, OSError):
                    _end(started.pop(pipe), pipe)
                    yield item, Lost.DIED
                    continue
                if kind == "error":
                    raise content
                if kind == "answer":
                    idle.append(pipe)
                    yield item, content
                    continue
                running[pipe] = item, time.monotonic()
                if advance and content:
                    advance(content)
            for pipe, (item, began) in list(running.items()):
                if time.monotonic() - began > limit_seconds:
                    del running[pipe]
                    _end(started.pop(pipe), pipe)
                    yield item, Lost.LATE
    finally:
        for pipe, process in started.items():
            _end(process, pipe)


def _start() -> tuple[SpawnProcess, Connection]:
    # A fresh interpreter: forking would hang where this process has threads.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    with _clean_start():
        process.start()
    theirs.close()  # the process has the only one now: the pipe breaks when it dies
    return process, ours


def _end(process: SpawnProcess, pipe: Connection) -> None:
    process.kill()
    process.join()
    pipe.close()


def _serve(pipe: Connection) -> None:
    """The process: answers calls."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _limit_memory()
    pipe.send(("advance", 0))
    with own_process(), suppress(EOFError):
        while True:
            function, item, reports = pipe.recv()
            options = {"advance": lambda amount: pipe.send(("advance", amount))} if reports else {}
            try:
                message = "answer", function(item, **options)
            except Exception as error:
                error.add_note(traceback.format_exc())  # the parent would show only its own
                message = "error", error
            pipe.send(message)


@contextmanager
def _clean_start() -> Iterator[None]:
    """A process that starts meanwhile neither sees Ctrl-C, which its parent handles, nor runs the caller's script.

    It needs nothing of the script; so a script needs no ``if __name__ == "__main__"``, and a notebook that has loaded
    TensorFlow does not load it again in every process.
    """
    main = sys.modules["__main__"]
    kept = {name: getattr(main, name) for name in ("__spec__", "__file__") if hasattr(main, name)}
    masks = hasattr(signal, "pthread_sigmask")
    if masks:
        resource_tracker.ensure_running()  # first: where it starts with the first process, it unblocks SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else set()
    try:
        for name in kept:
            setattr(main, name, None)
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    # A process that is busy would not notice that its parent was killed.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _limit_memory() -> None:
    """One file that needs more fails alone, before the machine starts to swap."""
    with suppress(ImportError, ValueError, OSError):  # there is no such module on Windows
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = _PROCESS_BYTES if hard == resource.RLIM_INFINITY else min(_PROCESS_BYTES, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
