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
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from activity_cli.cli.command import Quiet, choose_format, settings_command
from activity_cli.cli.error_handling import SOME_FAILED, print_error
from activity_cli.errors import UsageError
from activity_cli.settings import PredictSettings

if TYPE_CHECKING:
    from activity_cli.results import Prediction

__all__ = ["command"]


def run_predict(
    settings: PredictSettings,
    context: typer.Context,
    format: Annotated[
        Literal["auto", "table", "json", "csv"],
        typer.Option(
            help="auto: a table on a terminal, JSON lines in a pipe.",
            metavar="auto|table|json|csv",
            rich_help_panel="Output",
        ),
    ] = "auto",
    quiet: Quiet = False,
) -> int:
    """Recognize the activity in videos.

    \b
        activity predict clip.mp4 | jq -r .label

    predict prints one JSON object on one line for each video, in the order of the inputs, as soon as it is known:
    source, status (ok or error), label, confidence (0 to 1), scores (of every activity, highest first),
    duration_seconds, frames_used, model. For a video that cannot be used, status is "error", and error.code,
    error.message and error.hint say why; predict continues with the other videos.

    Exit codes: 0 all inputs answered, 1 some failed, 2 the call is wrong (such as no such model), 130 interrupted, 141
    the pipe was closed.
    """
    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.commands.predict import predict

    inputs = context.params["inputs"]  # as typed: a Path loses ./ and double slashes
    wanted = choose_format(format)
    with ExitStack() as stack:
        paths = [stack.enter_context(_on_disk(text)) for text in inputs]
        sources = _Sources(paths, inputs)
        # On one terminal, a bar would overwrite lines of data. A table is printed at the end only.
        shows_bar = wanted == "table" or not sys.stdout.isatty()
        answers = predict(replace(settings, inputs=tuple(paths)), TerminalProgress(quiet or not shows_bar))
        named = (replace(answer, source=sources.as_typed(answer.source)) for answer in answers)
        failed = _WRITERS[wanted](named, quiet)
    return SOME_FAILED if failed else 0


class _Sources:
    """Finds the input, as the user typed it, from the path that was read."""

    def __init__(self, paths: Sequence[Path], inputs: Sequence[str]) -> None:
        self._spellings: dict[str, deque[str]] = defaultdict(deque)
        for path, text in zip(paths, inputs, strict=True):
            self._spellings[str(path)].append(text)

    def as_typed(self, source: str) -> str:
        """The next spelling of an input. A video that was found in a folder stays as it is."""
        spellings = self._spellings.get(source)
        if not spellings:
            return source
        return spellings.popleft() if len(spellings) > 1 else spellings[0]


@contextmanager
def _on_disk(text: str) -> Iterator[Path]:
    """The path of an input. A pipe is copied into a temporary file, since decoding seeks in it."""
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
        return False  # reading it reports the reason


def _write_json(answers: Iterator[Prediction], quiet: bool) -> int:
    from activity_cli.writers.json import prediction_json

    failed = 0
    for answer in answers:
        print(prediction_json(answer), flush=True)
        failed += _report_failure(answer, quiet)
    return failed


def _write_csv(answers: Iterator[Prediction], quiet: bool) -> int:
    from activity_cli.writers.csv import prediction_csv, prediction_csv_header

    failed = 0
    print(prediction_csv_header())
    for answer in answers:
        print(prediction_csv(answer), flush=True)
        failed += _report_failure(answer, quiet)
    return failed


def _write_table(answers: Iterator[Prediction], quiet: bool) -> int:
    from rich.console import Console

    from activity_cli.reports.console import print_predictions

    found = []
    try:
        for answer in answers:
            found.append(answer)
    finally:
        # An interruption loses no answer.
        if found:
            print_predictions(Console(), found)
    return sum(answer.status != "ok" for answer in found)


def _report_failure(answer: Prediction, quiet: bool) -> bool:
    """Whether the answer is an error. If stdout is not a terminal, prints the error on stderr too."""
    if answer.status == "ok":
        return False
    if not quiet and not sys.stdout.isatty():
        print_error(f"{answer.error_message} {answer.error_hint}".rstrip())
    return True


_WRITERS = {"json": _write_json, "csv": _write_csv, "table": _write_table}


command = settings_command("predict", run_predict)
