"""activity predict"""

from __future__ import annotations

import errno
import os
import select
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from activity_cli.cli.command import Quiet, choose_format, format_option, settings_command
from activity_cli.cli.error_handling import SOME_FAILED, print_error
from activity_cli.errors import UsageError
from activity_cli.settings import PredictSettings

if TYPE_CHECKING:
    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.commands.inputs import Input
    from activity_cli.results import Prediction, TimelineSegment, TimelineWindow

__all__ = ["command"]

_Answer = TypeVar("_Answer", "Prediction", "Prediction | TimelineSegment | TimelineWindow")

_input_option = partial(typer.Option, rich_help_panel="Input", show_default=False)
_FORMATS = ("auto", "table", "json", "jsonl", "csv")


def run_predict(
    settings: PredictSettings,
    context: typer.Context,
    format: Annotated[
        str,
        format_option(*_FORMATS, help="auto: a table on a terminal, JSON lines in a pipe. jsonl is json."),
    ] = "auto",
    files_from: Annotated[
        str | None,
        _input_option("--files-from", metavar="FILE", help="Also read the paths in this list, one a line. -: stdin."),
    ] = None,
    null: Annotated[
        bool, _input_option("--null", "-0", help="In the list, a NUL ends each path, as of find -print0.")
    ] = False,
    watch: Annotated[
        Path | None,
        _input_option(
            "--watch", metavar="FOLDER", help="Then wait for new videos in this folder, until Ctrl-C. Not those before."
        ),
    ] = None,
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
    from activity_cli.commands.inputs import watch_folder
    from activity_cli.commands.predict import find_model, predict, predict_timeline
    from activity_cli.model.bundle import read_bundle
    from activity_cli.video.live import is_live
    from activity_cli.writers.csv import prediction_csv, prediction_csv_header
    from activity_cli.writers.json import record_json

    texts = context.params["inputs"] or []  # as typed: a Path loses ./ and double slashes
    never_ends = watch is not None or (settings.timeline and any(is_live(text) for text in texts))
    wanted = "json" if never_ends and format == "auto" else choose_format(format, _FORMATS)
    # On one terminal, a bar would overwrite lines of data. A table is printed at the end only.
    shows_bar = wanted == "table" or not sys.stdout.isatty()
    progress = TerminalProgress(quiet or not (shows_bar or never_ends), bars=not never_ends)
    with ExitStack() as stack:
        named: Iterable[Input] = [_typed(text, stack, settings, progress) for text in texts]
        if files_from is not None:
            named = chain(named, _listed(files_from, null, texts, stack))
        if watch is not None:
            named = chain(named, watch_folder(watch, _fail_if_unread))
        elif files_from is None and not texts:
            raise UsageError("Missing argument 'INPUT'.", "See 'activity predict --help'.", code="usage.input")
        if settings.timeline:
            found = predict_timeline(settings, progress, named)
            failed = _print_timelines(found) if wanted == "table" else _write_lines(found, record_json, quiet)
            return SOME_FAILED if failed else 0
        answers = predict(settings, progress, named)
        if wanted == "table":
            failed = _write_table(answers)
        elif wanted == "csv":
            labels = read_bundle(find_model(settings.model)).labels
            print(prediction_csv_header(labels))
            failed = _write_lines(answers, partial(prediction_csv, labels=labels), quiet)
        else:
            failed = _write_lines(answers, record_json, quiet)
    return SOME_FAILED if failed else 0


def _typed(text: str, stack: ExitStack, settings: PredictSettings, progress: TerminalProgress) -> Input:
    """An input. A pipe is copied into a temporary file, unless its timeline can be made while it arrives."""
    from activity_cli.commands.inputs import Input
    from activity_cli.errors import VideoError
    from activity_cli.video.live import LiveSource, Pipe, PipeSource, is_live

    path = Path(text)
    if settings.timeline and is_live(text):
        try:
            source = LiveSource(text, reconnects=settings.reconnects, note=progress.warn)
        except VideoError as error:
            return Input(text, path, error)
        return Input(source.name, source)
    if text == "-" and sys.stdin is None:
        raise UsageError(
            "The input '-' is stdin, which is closed.",
            "Pipe a video into activity, or name a file.",
            code="usage.input",
        )
    if text != "-" and not _is_pipe(path):
        return Input(text, path)
    name = "stdin" if text == "-" else path.name
    pipe = Pipe(sys.stdin.buffer if text == "-" else stack.enter_context(path.open("rb")))
    if settings.timeline and pipe.holds_stream:
        return Input(text, PipeSource(pipe, name))
    spooled = Path(stack.enter_context(TemporaryDirectory(prefix="activity-")), name)
    with spooled.open("wb") as file:
        shutil.copyfileobj(pipe, file)  # type: ignore[misc]
    return Input(text, spooled)


def _listed(text: str, null: bool, inputs: Sequence[str], stack: ExitStack) -> Iterator[Input]:
    """The files in a list. The first one is read, so that an empty list is an error at once."""
    from activity_cli.commands.inputs import read_list

    option = f"--files-from {text}"
    if text == "-" and (sys.stdin is None or "-" in inputs):
        problem = "is closed" if sys.stdin is None else "is already an INPUT"
        raise UsageError(f"{option}: stdin {problem}.", "Write the list to a file.", code="usage.input")
    try:
        number = sys.stdin.fileno() if text == "-" else os.open(text, os.O_RDONLY)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"{option}: {reason}.", "Check the path.", code="usage.input") from error
    if text != "-":
        stack.callback(os.close, number)
    names = read_list(number, option, null)
    return chain([next(names)], names)


def _fail_if_unread() -> None:
    """Raises BrokenPipeError where nobody reads stdout any more; writing would find out, but later."""
    if not hasattr(select, "poll"):
        return
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    if any(event & select.POLLERR for _, event in poll.poll(0)):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


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
