"""Where errors become one line and an exit code, and nowhere else.

0 all inputs answered; 1 some input failed; 2 the call itself is wrong; 130 interrupted; 141 the reader
of a pipe went away.
"""

from __future__ import annotations

import errno
import functools
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import typer

from activity_cli.errors import ActivityError

__all__ = ["INTERRUPTED", "PIPE_CLOSED", "SOME_FAILED", "handle_errors", "print_error"]

SOME_FAILED = 1
INTERRUPTED = 130
PIPE_CLOSED = 141


def handle_errors(command: Callable[..., int]) -> Callable[..., None]:
    """Wraps a command that returns an exit code; its ``debug`` argument shows tracebacks."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        raise typer.Exit(_exit_code(lambda: command(*args, **kwargs), bool(kwargs.get("debug"))))

    return run


def print_error(text: str) -> None:
    """One line for a person, on stderr."""
    # A name may hold anything, also line breaks and terminal commands; one line stays one line.
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    print(f"activity: {shown}", file=sys.stderr)


def _exit_code(call: Callable[[], int], debug: bool) -> int:
    try:
        code = call()
        sys.stdout.flush()
        return code
    except ActivityError as error:
        if debug:
            traceback.print_exc()
        print_error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return PIPE_CLOSED
    except OSError as error:
        if error.errno == errno.EPIPE:
            _forget_stdout()
            return PIPE_CLOSED
        if debug:
            traceback.print_exc()
        # Only writing to a stream has no file name.
        place = error.filename or "the output"
        print_error(f"{place}: {error.strerror or error}.")
        _forget_stdout()
        return SOME_FAILED
    except MemoryError:
        print_error("Not enough memory. Use fewer or smaller frames (--num-frames, --frame-size) or --batch-size.")
        return SOME_FAILED
    except Exception as error:
        if debug:
            traceback.print_exc()
        reason = (str(error) or type(error).__name__).splitlines()[0]
        print_error(
            f"An error in activity itself: {type(error).__name__}: {reason} (--debug shows where; please report it)."
        )
        return SOME_FAILED


def _forget_stdout() -> None:
    # Python flushes stdout once more at exit and would complain then.
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass
