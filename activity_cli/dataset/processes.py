"""Processes that start clean, and end with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import TypeVar, cast

__all__ = ["clean_start", "default_workers", "in_own_process", "own_processes"]

_Answer = TypeVar("_Answer")

# What one process may allocate: frames of 100 megapixels fit, a bomb does not.
_WORKER_BYTES = 4 << 30


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def own_processes(number: int) -> ProcessPoolExecutor:
    """Processes of our own; what is handed to them is to be submitted under :func:`clean_start`."""
    # A fresh interpreter for each: forking a process that has threads can hang.
    return ProcessPoolExecutor(number, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)


def in_own_process(function: Callable[..., _Answer], *words: object, advance: Callable[[int], None]) -> _Answer:
    """Calls a function in a process of its own, whose memory goes with it, and which ends when this one does.

    Args:
        function: Is also handed ``advance``, by name; what it calls that with arrives here.
        words: What it is called with.
        advance: Hears of the work that is done.

    Raises:
        BrokenProcessPool: The process died.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, function, words), daemon=True)
    try:
        with clean_start():
            process.start()
        sender.close()  # its own end is the only one now: it is closed when the process dies
        while True:
            kind, content = receiver.recv()
            if kind == "done":
                return cast(_Answer, content)
            if kind == "failed":
                raise content
            advance(content)
    except (EOFError, BrokenPipeError) as error:
        raise BrokenProcessPool("the process died") from error
    finally:
        if process.pid is not None:
            process.kill()
            process.join()
        receiver.close()


def _answer(sender: Connection, function: Callable[..., object], words: tuple[object, ...]) -> None:
    _begin()
    try:
        answer = "done", function(*words, advance=lambda amount: sender.send(("advance", amount)))
    except Exception as error:
        answer = "failed", error
    sender.send(answer)


@contextmanager
def clean_start() -> Iterator[None]:
    """A process that starts meanwhile sees neither Ctrl-C nor the caller's script."""
    with _interrupts_held_back(), _callers_script_left_out():
        yield


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


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        import resource
    except ImportError:
        return  # not on Windows
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = _WORKER_BYTES if hard == resource.RLIM_INFINITY else min(_WORKER_BYTES, hard)
    # One file that wants more fails alone, before the machine starts to swap.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _leave_with_parent() -> None:
    # Each worker holds both ends of the queue it waits at, so it would not notice a killed parent.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
