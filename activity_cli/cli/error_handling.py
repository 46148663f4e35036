"""The one place that turns errors into one line on stderr and an exit code.

0: done. 1: some input failed. 2: usage error. 130: interrupted. 141: the program that reads the pipe has ended.
"""

from __future__ import annotations

import errno
import functools
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import typer

from activity_cli.errors import ActivityError
from activity_cli.reports.text import escape_control

__all__ = ["INTERRUPTED", "PIPE_CLOSED", "SOME_FAILED", "USAGE", "exit_code", "handle_errors", "print_error"]

SOME_FAILED = 1
USAGE = 2
INTERRUPTED = 130
PIPE_CLOSED = 141


def handle_errors(command: Callable[..., int]) -> Callable[..., None]:
    """Wraps a command that returns an exit code. Its option ``debug`` goes no further: it shows tracebacks."""

    @functools.wraps(command)
    def run(*, debug: bool = False, **options: Any) -> None:
        raise typer.Exit(exit_code(functools.partial(command, **options), debug))

    return run


def print_error(text: str) -> None:
    """Prints one line on stderr."""
    print(f"activity: {escape_control(text)}", file=sys.stderr)


def exit_code(call: Callable[[], int], debug: bool = False) -> int:
    """The exit code of ``call``. An error is printed as one line; with ``debug`` also its traceback."""
    try:
        code = call()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            _drop_stdout()
            return PIPE_CLOSED
        if debug:
            traceback.print_exc()
        print_error(_explain(error))
        if isinstance(error, OSError):
            _drop_stdout()
        return error.exit_code if isinstance(error, ActivityError) else SOME_FAILED


def _explain(error: Exception) -> str:
    if isinstance(error, ActivityError):
        return str(error)
    if isinstance(error, OSError):
        # Only writing to a stream has no file name.
        return f"{error.filename or 'the output'}: {error.strerror or error}."
    if isinstance(error, MemoryError):
        smaller = "Run 'activity prepare' with fewer or smaller frames (--num-frames, --frame-size)"
        return f"There is not enough memory. {smaller}, or 'activity train' with --set batch_size=4."
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return f"This is a bug in activity: {type(error).__name__}: {reason}. Please report it, with the output of --debug."


def _drop_stdout() -> None:
    # Python flushes stdout once more at exit, and would report the error again.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
