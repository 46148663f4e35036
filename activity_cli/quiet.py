"""Native libraries' chatter kept off the terminal.

TensorFlow, LiteRT and the decoders print straight to the file descriptors, past ``sys.stderr`` and
past any logging level. What they say at start-up helps nobody who typed ``activity predict``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["native_output_silenced", "stdout_for_data_only"]


@contextmanager
def native_output_silenced() -> Iterator[None]:
    """Drops whatever is written to the file descriptors 1 and 2 meanwhile; exceptions still tell.

    For the whole process: not for a block in which another thread has something to say.
    """
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
    """From now on only Python's ``sys.stdout`` reaches stdout; native prints go to stderr.

    A pipe's reader then sees our lines and nothing else, whatever a library prints.
    """
    # A stream that was closed at the start (>&-) leaves its number to the next file that is opened, and
    # what is printed would go into that file.
    closed = not _is_open(1)
    for number in (0, 1, 2):
        if not _is_open(number):
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            os.set_inheritable(number, True)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    _flush()
    # Where stdout was closed, writing to it fails: an answer that is lost is not a success.
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
