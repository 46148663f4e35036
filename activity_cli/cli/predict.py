"""activity predict"""

from __future__ import annotations

import os
import shutil
import sys
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from activity_cli.cli.boundary import SOME_FAILED, handle_errors, print_error
from activity_cli.cli.options import Debug, PredictionFormat, Quiet, choose_format
from activity_cli.errors import UsageError
from activity_cli.settings import PredictSettings

if TYPE_CHECKING:
    from activity_cli.results import Prediction

__all__ = ["predict_command"]


@handle_errors
def predict_command(
    inputs: Annotated[
        list[str], typer.Argument(help="Videos, folders of videos, or - for a video on stdin.", metavar="INPUT...")
    ],
    model: Annotated[
        Path | None,
        typer.Option(help="Model to use.", metavar="DIR", show_default="models/activity, or else the sample model"),
    ] = None,
    format: Annotated[
        PredictionFormat, typer.Option(help="auto: a table on a terminal, JSON lines in a pipe.")
    ] = PredictionFormat.auto,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Recognize the activity in videos.

    \b
        activity predict clip.mp4 | jq -r .label

    One JSON object on one line for each video, in the order of the inputs, as soon as it is known:
    source, status (ok or error), label, confidence (0 to 1), scores (of every activity, highest first),
    duration_seconds, frames_used, model. A video that cannot be used gives a line with status "error"
    and error.code, error.message, error.hint; the others are answered.

    Exit codes: 0 all inputs answered, 1 some failed, 2 the call is wrong (such as no such model), 130
    interrupted, 141 the pipe was closed.
    """
    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.commands.predict import predict

    if "" in inputs:
        raise UsageError("An input is empty.", "Is a variable in the command line not set?", code="usage.input")
    wanted = choose_format(format.value)
    with ExitStack() as stack:
        paths = [stack.enter_context(_on_disk(text)) for text in inputs]
        sources = _Sources(paths, inputs)
        # Bars over lines of data on one terminal would be a mess; only a table waits for its end.
        shows_bar = wanted == "table" or not sys.stdout.isatty()
        answers = predict(PredictSettings(tuple(paths), model), TerminalProgress(quiet or not shows_bar))
        named = (replace(answer, source=sources.as_given(answer.source)) for answer in answers)
        failed = _WRITERS[wanted](named, quiet)
    return SOME_FAILED if failed else 0


class _Sources:
    """Inputs as they were typed: a path that is read loses its ``./`` and its double slashes."""

    def __init__(self, paths: Sequence[Path], inputs: Sequence[str]) -> None:
        self._spellings: dict[str, deque[str]] = defaultdict(deque)
        for path, text in zip(paths, inputs, strict=True):
            self._spellings[str(path)].append(text)

    def as_given(self, source: str) -> str:
        """The next spelling of an input; what was found in a folder stays as it is."""
        spellings = self._spellings.get(source)
        if not spellings:
            return source
        return spellings.popleft() if len(spellings) > 1 else spellings[0]


@contextmanager
def _on_disk(text: str) -> Iterator[Path]:
    """The path of an input; what comes through a pipe is in a file meanwhile.

    Decoding needs to go back and forth in it.
    """
    path = Path(text)
    if text == "-" and sys.stdin is None:
        raise UsageError("'-' is stdin, which is closed.", "Pipe a video into it.", code="usage.input")
    if text != "-" and not _is_pipe(path):
        yield path
        return
    with TemporaryDirectory(prefix="activity-") as folder:
        spooled = Path(folder, "stdin" if text == "-" else path.name)
        with spooled.open("wb") as file:
            if text == "-":
                shutil.copyfileobj(sys.stdin.buffer, file)
            else:
                with path.open("rb") as pipe:
                    shutil.copyfileobj(pipe, file)
        yield spooled


def _is_pipe(path: Path) -> bool:
    try:
        return path.is_fifo() and os.access(path, os.R_OK)
    except OSError:
        return False  # whoever reads it will say why


def _write_json(answers: Iterator[Prediction], quiet: bool) -> int:
    from activity_cli.writers.json import prediction_json

    failed = 0
    for answer in answers:
        print(prediction_json(answer), flush=True)
        failed += _tell_failure(answer, quiet)
    return failed


def _write_csv(answers: Iterator[Prediction], quiet: bool) -> int:
    from activity_cli.writers.csv import prediction_csv, prediction_csv_header

    failed = 0
    print(prediction_csv_header())
    for answer in answers:
        print(prediction_csv(answer), flush=True)
        failed += _tell_failure(answer, quiet)
    return failed


def _write_table(answers: Iterator[Prediction], quiet: bool) -> int:
    from rich.console import Console

    from activity_cli.reports.console import print_predictions

    found = []
    try:
        for answer in answers:
            found.append(answer)
    finally:
        # Also when interrupted: what is known is not lost.
        if found:
            print_predictions(Console(), found)
    return sum(answer.status != "ok" for answer in found)


def _tell_failure(answer: Prediction, quiet: bool) -> bool:
    """Says on stderr what the line on stdout says to a program."""
    if answer.status == "ok":
        return False
    if not quiet and not sys.stdout.isatty():
        print_error(f"{answer.error_message} {answer.error_hint}".rstrip())
    return True


_WRITERS = {"json": _write_json, "csv": _write_csv, "table": _write_table}
