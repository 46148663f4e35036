"""activity predict"""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain, groupby
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from activity_cli._version import __version__
from activity_cli.cli.command import (
    Quiet,
    choose_format,
    format_option,
    output_option,
    settings_command,
    spelled_errors,
)
from activity_cli.cli.error_handling import SOME_FAILED, print_error
from activity_cli.errors import UsageError
from activity_cli.results import Prediction, TimelineSegment, TimelineWindow
from activity_cli.settings import ExportSettings, PredictSettings, plain_values

if TYPE_CHECKING:
    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.cli.output_file import Form
    from activity_cli.cli.window import Window
    from activity_cli.commands.inputs import Input

__all__ = ["command"]

Answer = Prediction | TimelineSegment | TimelineWindow

_input_option = partial(typer.Option, rich_help_panel="Input", show_default=False)
_FORMATS = ("auto", "table", "json", "jsonl", "csv", "boris", "srt", "vtt", "eaf", "textgrid")


def run_predict(
    settings: PredictSettings,
    context: typer.Context,
    format: Annotated[
        str,
        format_option(
            *_FORMATS,
            help="auto: a table on a terminal, JSON lines in a pipe, with --out by its suffix. jsonl is json. The last "
            "five need --timeline.",
        ),
    ] = "auto",
    out: Annotated[
        Path | None,
        output_option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write the answers to this file; srt, vtt, eaf and textgrid to a folder, with a file for each input. "
            "After an interruption, the same call continues.",
        ),
    ] = None,
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
    show: Annotated[
        bool, output_option("--show", help="Show an address or a camera in a window, with its label.")
    ] = False,
    quiet: Quiet = False,
) -> int:
    """Recognize the activity in videos.

    \b
        activity predict clip.mp4 | jq -r .label

    On a terminal, predict prints a table. In a pipe, it prints one line for each video, a JSON object, in the order of
    the inputs, as soon as the prediction is ready. Its keys are: schema, source, status (ok or error), label,
    confidence (0 to 1), scores (of every activity, highest first), duration_seconds, frames_used, model, warnings (what
    is doubtful about the answer, such as a damaged file: a list of code and message). If predict cannot use a video,
    status is "error", and error.code, error.message and error.hint give the reason. Other videos are answered.

    Exit codes: 0 done, 1 some inputs failed, 2 usage error (such as a missing model), 130 interrupted, 141 the pipe was
    closed.
    """
    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.cli.window import Window
    from activity_cli.commands.predict import predict, predict_timeline
    from activity_cli.video.live import is_live

    texts = context.params["inputs"] or []  # as typed: a Path loses ./ and double slashes
    has_live = settings.timeline and any(map(is_live, texts))
    _check_call(texts, files_from, null, watch, show, has_live)
    _check_annotate(settings, texts)
    never_ends = watch is not None or has_live
    wanted = "json" if never_ends and format == "auto" else choose_format(format, _FORMATS)
    # On one terminal, a bar would overwrite lines of data. A table is printed at the end only.
    shows_bar = wanted == "table" or out is not None or never_ends or not sys.stdout.isatty()
    progress = TerminalProgress(quiet or not shows_bar, bars=not never_ends)
    window = Window(progress.warn) if show else None
    with ExitStack() as stack:
        typed = [_typed(text, stack, settings, progress, window) for text in texts]
        named = _all_inputs(
            typed, settings, stack, _listed(files_from, null, texts, stack) if files_from else (), watch
        )

        def answers(inputs: Iterable[Input]) -> Iterator[Answer]:
            return _labeled((predict_timeline if settings.timeline else predict)(settings, progress, inputs), window)

        if out is None and wanted == "table":
            failed = _print_table(answers(named), settings.timeline)
        else:
            failed = _answer(settings, named, answers, format if out else wanted, out, quiet)
    return SOME_FAILED if failed else 0


def _all_inputs(
    typed: Sequence[Input], settings: PredictSettings, stack: ExitStack, listed: Iterable[Input], watch: Path | None
) -> Iterable[Input]:
    """The typed inputs, then those of a list, then the new videos in a folder."""
    from activity_cli.commands.inputs import watch_folder

    named: Iterable[Input] = chain(typed, listed) if listed else typed
    if watch is not None:
        named = chain(named, watch_folder(watch, _fail_if_unread))
    if settings.timeline and any(not isinstance(one.place, Path) for one in typed):
        named = stack.enter_context(_until_interrupted(named))
    return named


def _check_call(
    texts: Sequence[str], files_from: str | None, null: bool, watch: Path | None, show: bool, has_live: bool
) -> None:
    problem = hint = ""
    if not texts and files_from is None and watch is None:
        problem, hint = "Missing argument 'INPUT'.", "See 'activity predict --help'."
    elif null and files_from is None:
        problem, hint = "--null is for the list of --files-from.", "Name the list, or leave out --null."
    elif show and not has_live:
        problem = "--show needs --timeline and an address or a camera."
        hint = "Name one, such as camera:0, or leave out --show."
    if problem:
        raise UsageError(problem, hint, code="usage.input")


def _check_annotate(settings: PredictSettings, inputs: Sequence[str]) -> None:
    from activity_cli.video.live import is_live

    if settings.annotate and not settings.timeline:
        raise UsageError("`annotate` needs --timeline.", "Add --timeline.", code="usage.option")
    once = [text for text in inputs if text == "-" or is_live(text)]
    if settings.annotate and once:
        problem = f"`annotate` reads each video twice, so it cannot read {once[0]!r}."
        raise UsageError(problem, "Save the video to a file first.", code="usage.input")


def _answer(
    settings: PredictSettings,
    inputs: Iterable[Input],
    answers: Callable[[Iterable[Input]], Iterator[Answer]],
    format: str,
    out: Path | None,
    quiet: bool,
) -> int:
    """Prints or writes the answers; returns how many inputs cannot be used."""
    from activity_cli.cli.output_file import choose_form
    from activity_cli.commands.predict import find_model
    from activity_cli.model.bundle import read_bundle

    bundle = read_bundle(find_model(settings.model))
    form = choose_form(format, out, settings.timeline, bundle.labels)
    form.check_out(out, has_many=len(settings.inputs) > 1 or any(map(os.path.isdir, settings.inputs)))
    if out is None:
        return _print_lines(answers(inputs), form, quiet)
    made_by = (bundle.name, __version__, plain_values(replace(settings, inputs=(), model=None)))
    return _write_file(out, form, made_by, inputs, answers, quiet)


def _write_file(
    out: Path,
    form: Form,
    made_by: Sequence[object],
    inputs: Iterable[Input],
    run: Callable[[Iterable[Input]], Iterable[Answer]],
    quiet: bool,
) -> int:
    from activity_cli.cli.output_file import AnswerFiles
    from activity_cli.commands.inputs import expand
    from activity_cli.files import path_lock

    with ExitStack() as stack:
        with spelled_errors(ExportSettings):
            stack.enter_context(path_lock(out))
        files = AnswerFiles(out, form, made_by)
        if files.done:
            print_error(f"{out}: an earlier call has answered {sum(files.done.values())} inputs; continuing.")
            # Each name as often as it was answered.
            inputs = (one for one in expand(inputs) if not _was_done(files.done, one.name))
        answers = run(inputs)
        with files.open():
            for name, group in groupby(answers, key=lambda one: one.source):
                found = list(group)
                for one in found:
                    _say(one, quiet)
                files.add(name, found)
        return files.failed


def _was_done(done: Counter[str], name: str) -> bool:
    done[name] -= 1
    return done[name] >= 0


def _labeled(found: Iterable[Answer], window: Window | None) -> Iterator[Answer]:
    """The same; the window gets the label of each window of the video."""
    for one in found:
        if window and isinstance(one, TimelineWindow):
            window.label = f"{one.label} {one.confidence:.0%}"
        yield one


@contextmanager
def _until_interrupted(inputs: Iterable[Input]) -> Iterator[Iterator[Input]]:
    """The inputs. The first Ctrl-C ends the live source that is being read, so that its last segment is written.

    Raises:
        KeyboardInterrupt: Then.
    """
    from activity_cli.video.live import LiveSource, PipeSource

    begun: list[LiveSource | PipeSource] = []
    stopped = False

    def taken() -> Iterator[Input]:
        for one in inputs:
            if stopped:
                return
            begun[:] = [one.place] if isinstance(one.place, (LiveSource, PipeSource)) else []
            yield one

    def stop(number: int, frame: object) -> None:
        nonlocal stopped
        if stopped or not any(source.is_reading for source in begun):
            raise KeyboardInterrupt
        stopped = True
        for source in begun:
            source.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield taken()
    finally:
        signal.signal(signal.SIGINT, before)
    if stopped:
        raise KeyboardInterrupt


def _typed(
    text: str, stack: ExitStack, settings: PredictSettings, progress: TerminalProgress, window: Window | None
) -> Input:
    """An input. A pipe is copied into a temporary file, unless its timeline can be made while it arrives."""
    from activity_cli.commands.inputs import Input
    from activity_cli.errors import VideoError
    from activity_cli.video.live import LiveSource, Pipe, PipeSource, is_live

    path = Path(text)
    if settings.timeline and is_live(text):
        try:
            show = window.show if window else None
            source = LiveSource(text, reconnects=settings.reconnects, note=progress.warn, show=show)
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


def _print_lines(answers: Iterable[Answer], form: Form, quiet: bool) -> int:
    """Prints each answer as soon as it is there; a format with one file for each input, one input at a time."""
    failed, printed = 0, False
    sys.stdout.write(form.header)
    if form.name in ("json", "csv"):
        groups: Iterable[list[Answer]] = ([answer] for answer in answers)
    else:
        groups = (list(group) for _, group in groupby(answers, key=lambda one: one.source))
    for group in groups:
        text = form.text(group)
        form.check_out(None, has_many=bool(text) and printed)
        printed = printed or bool(text)
        sys.stdout.write(text)
        sys.stdout.flush()
        failed += sum(_say(one, quiet, is_shown=sys.stdout.isatty()) for one in group)
    return failed


def _say(answer: Answer, quiet: bool, is_shown: bool = False) -> bool:
    """Says on stderr what is wrong with an answer, unless the terminal shows it; whether there is no answer."""
    if isinstance(answer, (TimelineSegment, TimelineWindow)):
        return False
    for warning in answer.warnings:
        if not (quiet or is_shown) and warning.code.startswith("video."):
            print_error(f"warning: {answer.source}: {warning.message}.")
    if answer.status != "ok" and not is_shown:
        # The message begins with the name of the file; two folders may have files of one name.
        name, message = PurePath(answer.source).name, answer.error_message
        if message.startswith(f"{name}: "):
            message = answer.source + message.removeprefix(name)
        print_error(f"{message} {answer.error_hint}".rstrip())
    return answer.status != "ok"


def _print_table(answers: Iterable[Answer], timeline: bool) -> int:
    from rich.console import Console

    from activity_cli.reports.console import print_predictions, print_timelines

    found: list[Answer] = []
    try:
        found.extend(answers)
    finally:
        # An interruption loses no answer.
        if found and timeline:
            print_timelines(Console(), found)
        elif found:
            print_predictions(Console(), [one for one in found if isinstance(one, Prediction)])
    return sum(isinstance(answer, Prediction) and answer.status != "ok" for answer in found)


command = settings_command("predict", run_predict)
