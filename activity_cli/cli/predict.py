"""activity predict"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated

import typer

from activity_cli.cli.boundary import SOME_FAILED, guarded, say
from activity_cli.cli.options import Debug, PredictionFormat, Quiet, choose_format
from activity_cli.config import PredictConfig

if TYPE_CHECKING:
    from activity_cli.results import Prediction

__all__ = ["predict_command"]


@guarded
def predict_command(
    inputs: Annotated[
        list[Path], typer.Argument(help="Videos, folders of videos, or - for a video on stdin.", metavar="INPUT...")
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

        activity predict clip.mp4 | jq -r .label

    One JSON object on one line for each video, in the order of the inputs, as soon as it is known:
    source, status (ok or error), label, confidence (0 to 1), scores (of every activity, highest first),
    duration_seconds, frames_used, model. A video that cannot be used gives a line with status "error"
    and error.code, error.message, error.hint; the others are answered.

    Exit codes: 0 all inputs answered, 1 some failed, 2 the call is wrong (such as no such model), 130
    interrupted, 141 the pipe was closed.
    """
    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.prediction import predict

    wanted = choose_format(format.value)
    with ExitStack() as stack:
        paths = [stack.enter_context(_spooled_stdin()) if str(path) == "-" else path for path in inputs]
        name_of = {str(path): str(given) for path, given in zip(paths, inputs, strict=True)}
        # Bars over lines of data on one terminal would be a mess; only a table waits for its end.
        shows_bar = wanted == "table" or not sys.stdout.isatty()
        answers = predict(PredictConfig(tuple(paths), model), TerminalProgress(quiet or not shows_bar))
        named = (replace(answer, source=name_of.get(answer.source, answer.source)) for answer in answers)
        failed = _WRITERS[wanted](named, quiet)
    return SOME_FAILED if failed else 0


@contextmanager
def _spooled_stdin() -> Iterator[Path]:
    """A video from stdin in a temporary file: decoding needs to go back and forth in it."""
    with NamedTemporaryFile(prefix="activity-stdin-") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield Path(file.name)


def _write_json(answers: Iterator[Prediction], quiet: bool) -> int:
    from activity_cli.reports.json_lines import prediction_line

    failed = 0
    for answer in answers:
        print(prediction_line(answer), flush=True)
        failed += _tell_failure(answer, quiet)
    return failed


def _write_csv(answers: Iterator[Prediction], quiet: bool) -> int:
    from activity_cli.reports.csv_rows import prediction_header, prediction_row

    failed = 0
    print(prediction_header())
    for answer in answers:
        print(prediction_row(answer), flush=True)
        failed += _tell_failure(answer, quiet)
    return failed


def _write_table(answers: Iterator[Prediction], quiet: bool) -> int:
    from rich.console import Console

    from activity_cli.reports.console import print_predictions

    found = list(answers)
    print_predictions(Console(), found)
    return sum(answer.status != "ok" for answer in found)


def _tell_failure(answer: Prediction, quiet: bool) -> bool:
    """Says on stderr what the line on stdout says to a program."""
    if answer.status == "ok":
        return False
    if not quiet and not sys.stdout.isatty():
        say(f"{answer.error_message} {answer.error_hint}".rstrip())
    return True


_WRITERS = {"json": _write_json, "csv": _write_csv, "table": _write_table}
