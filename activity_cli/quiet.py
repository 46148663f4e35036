"""Keeps the output of native libraries off stdout and off the terminal.

TensorFlow, LiteRT and the decoders print to the file descriptors, past ``sys.stderr`` and past any logging level. Their
messages at start-up do not help a user of ``activity predict``.

Descriptors belong to the whole process. So they are redirected only in processes of the command line, never in a
program that uses the library.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

__all__ = ["native_output_silenced", "own_process", "stdout_for_data_only"]

_lock = RLock()
_owners = 0  # blocks of own_process() that this process is in


@contextmanager
def own_process() -> Iterator[None]:
    """The process is the command line's in the block, so that its descriptors may be redirected."""
    global _owners
    _owners += 1
    try:
        yield
    finally:
        _owners -= 1


@contextmanager
def native_output_silenced() -> Iterator[None]:
    """Drops all output to the file descriptors 1 and 2 in the block, if the process is :func:`own_process`.

    Exceptions still leave the block. No other thread may print during it.
    """
    if not _owners:
        yield
        return
    with _lock, _silenced():
        yield


@contextmanager
def _silenced() -> Iterator[None]:
    _flush()
    kept = [(number, os.dup(number)) for number in (1, 2) if _is_open(number)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number, _ in kept:
            os.dup2(nowhere, number)
        yield
    finally:
        _flush()
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)


def stdout_for_data_only() -> None:
    """Lets only Python's ``sys.stdout`` write to stdout, and sends native output to stderr.

    The reader of a pipe then gets the lines of this program only, whatever a library prints.
    """
    # If a stream was closed at the start (>&-), the next file to open would get its number, and all output.
    closed = not _is_open(1)
    for number in (0, 1, 2):
        if not _is_open(number):
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
            os.set_inheritable(number, True)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    _flush()
    # If stdout was closed, writing to it must fail: a lost answer is not a success.
    data = os.open(os.devnull, os.O_RDONLY) if closed else os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(data, "w", encoding="utf-8", errors="surrogateescape", buffering=1)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
