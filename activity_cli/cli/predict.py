"""activity predict"""

from __future__ import annotations

import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from activity_cli.cli.command import Quiet, choose_format, format_option, settings_command
from activity_cli.cli.error_handling import SOME_FAILED, print_error
from activity_cli.errors import UsageError
from activity_cli.settings import PredictSettings

if TYPE_CHECKING:
    from activity_cli.results import Prediction, TimelineSegment, TimelineWindow

__all__ = ["command"]

_Answer = TypeVar("_Answer", "Prediction", "Prediction | TimelineSegment | TimelineWindow")

_FORMATS = ("auto", "table", "json", "jsonl", "csv")


def run_predict(
    settings: PredictSettings,
    context: typer.Context,
    format: Annotated[
        str,
        format_option(*_FORMATS, help="auto: a table on a terminal, JSON lines in a pipe. jsonl is json."),
    ] = "auto",
    quiet: Quiet = False,
) -> int:
    """Recognize the activity in videos.

    \b
        activity predict clip.mp4 | jq -r .label

    On a terminal, predict prints a table. In a pipe, it prints one line for each video, a JSON object, in the order of
    the inputs, as soon as the prediction is ready. Its keys are: schema, source, status (ok or error), label,
    confidence (0 to 1), scores (of every activity, highest first), duration_seconds, frames_used, model, warnings (what
    is doubtful about the answer, such as a damaged file: a list of code and message). If predict
    cannot use a video, status is "error", and error.code, error.message and error.hint give the reason. predict then
    continues with the other videos.

    Exit codes: 0 done, 1 some inputs failed, 2 usage error (such as a missing model), 130 interrupted, 141 the pipe was
    closed.
    """
    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.commands.predict import find_model, predict, predict_timeline
    from activity_cli.model.bundle import read_bundle
    from activity_cli.writers.csv import prediction_csv, prediction_csv_header
    from activity_cli.writers.json import record_json

    inputs = context.params["inputs"]  # as typed: a Path loses ./ and double slashes
    wanted = choose_format(format, _FORMATS)
    with ExitStack() as stack:
        paths = [stack.enter_context(_on_disk(text)) for text in inputs]
        spellings: dict[str, list[str]] = defaultdict(list)
        for path, text in zip(paths, inputs, strict=True):
            spellings[str(path)].append(text)
        # On one terminal, a bar would overwrite lines of data. A table is printed at the end only.
        shows_bar = wanted == "table" or not sys.stdout.isatty()
        settings, progress = replace(settings, inputs=tuple(paths)), TerminalProgress(quiet or not shows_bar)
        if settings.timeline:
            names = {str(path): text for path, text in zip(paths, inputs, strict=True)}
            found = (
                replace(one, source=names.get(one.source, one.source)) for one in predict_timeline(settings, progress)
            )
            failed = _print_timelines(found) if wanted == "table" else _write_lines(found, record_json, quiet)
            return SOME_FAILED if failed else 0
        answers = predict(settings, progress)
        named = (replace(answer, source=_as_typed(answer.source, spellings)) for answer in answers)
        if wanted == "table":
            failed = _write_table(named)
        elif wanted == "csv":
            labels = read_bundle(find_model(settings.model)).labels
            print(prediction_csv_header(labels))
            failed = _write_lines(named, partial(prediction_csv, labels=labels), quiet)
        else:
            failed = _write_lines(named, record_json, quiet)
    return SOME_FAILED if failed else 0


def _as_typed(source: str, spellings: dict[str, list[str]]) -> str:
    """The next spelling of an input. A video that was found in a folder stays as it is."""
    texts = spellings.get(source, [source])
    return texts.pop(0) if len(texts) > 1 else texts[0]


@contextmanager
def _on_disk(text: str) -> Iterator[Path]:
    """The path of an input. A pipe is copied into a temporary file, since decoding seeks in it."""
    path = Path(text)
    if text == "-" and sys.stdin is None:
        raise UsageError(
            "The input '-' is stdin, which is closed.",
            "Pipe a video into activity, or name a file.",
            code="usage.input",
        )
    if text != "-" and not _is_pipe(path):
        yield path
        return
    with TemporaryDirectory(prefix="activity-") as folder:
        spooled = Path(folder, "stdin" if text == "-" else path.name)
        with nullcontext(sys.stdin.buffer) if text == "-" else path.open("rb") as pipe, spooled.open("wb") as file:
            shutil.copyfileobj(pipe, file)
        yield spooled


def _is_pipe(path: Path) -> bool:
    try:
        return path.is_fifo() and os.access(path, os.R_OK)
    except OSError:
        return False  # reading it reports the reason


def _write_lines(answers: Iterator[_Answer], line_of: Callable[[_Answer], str], quiet: bool) -> int:
    from activity_cli.results import Prediction

    failed = 0
    for answer in answers:
        print(line_of(answer), flush=True)
        if not isinstance(answer, Prediction):
            continue
        for warning in answer.warnings:
            if not quiet and warning.code.startswith("video."):
                print_error(f"warning: {answer.source}: {warning.message}.")
        if answer.status != "ok":
            failed += 1
            if not quiet and not sys.stdout.isatty():
                print_error(f"{answer.error_message} {answer.error_hint}".rstrip())
    return failed


def _print_timelines(answers: Iterator[TimelineSegment | TimelineWindow | Prediction]) -> int:
    from rich.console import Console

    from activity_cli.reports.console import print_timelines
    from activity_cli.results import Prediction

    found = []
    try:
        for answer in answers:
            found.append(answer)
    finally:
        # An interruption loses no answer.
        if found:
            print_timelines(Console(), found)
    return sum(isinstance(answer, Prediction) and answer.status != "ok" for answer in found)


def _write_table(answers: Iterator[Prediction]) -> int:
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


command = settings_command("predict", run_predict)
