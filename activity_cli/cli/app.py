"""The command ``activity``. It imports the module of a command when that command is called."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from activity_cli._version import __version__
from activity_cli.cli.completion import joined_bash_words
from activity_cli.cli.error_handling import INTERRUPTED, PIPE_CLOSED, USAGE, exit_code, print_error
from activity_cli.quiet import own_process, stdout_for_data_only

__all__ = ["COMMANDS", "app", "main"]

# The first line of each command's help, so that `activity --help` imports no command.
COMMANDS = {
    "prepare": "Read labeled videos into clips for training.",
    "train": "Train a model on prepared clips.",
    "evaluate": "Test a model on clips that it was not trained on.",
    "predict": "Recognize the activity in videos.",
    "export": "Write a trained model in the format of another runtime.",
    "convert": "Write labels or segments in another format.",
    "summarize": "Count how long, how often and how soon each activity happens.",
    "settings": "Print all settings and their defaults, as a file for --settings.",
    "demo": "Try prepare, train, evaluate and predict on the sample videos.",
}


# Signals that ask a process to end; Windows has no SIGHUP, which a closed terminal sends.
_TERMINATING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
_MOST_CLEANUP_SECONDS = 10
_ENDED_EARLY = (INTERRUPTED, PIPE_CLOSED, *(128 + number for number in _TERMINATING))


class _LazyGroup(TyperGroup):
    """Lists the commands from :data:`COMMANDS`, and imports the one that is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and import_module(f"activity_cli.cli.{name}").command, rest

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Runs a command and exits. An error of Typer, such as an unknown option, is one line like any other error."""
        call = partial(super().main, args, prog_name, **extra | {"standalone_mode": False})
        with own_process():
            sys.exit(exit_code(lambda: _answer(call)))


def _answer(call: Callable[[], Any]) -> int:
    try:
        with joined_bash_words():
            return call() or 0
    except TyperException as error:
        print_error(_explain(error))
        return USAGE
    except typer.Abort:
        return INTERRUPTED


def _explain(error: TyperException) -> str:
    message = error.format_message()
    message += "" if message.endswith((".", "?")) else "."
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    option = getattr(error, "option_name", "")
    if name := getattr(context.command, "set_names", {}).get(option):
        return f"{option} is not an option. Type --set {name}=VALUE."
    return f"{message} See '{context.command_path} --help'."


app = typer.Typer(
    name="activity",
    cls=_LazyGroup,
    invoke_without_command=True,
    # Plain help: drawing it with Rich takes twice as long as everything else that --help does.
    rich_markup_mode=None,
    # Errors are one line; --debug shows tracebacks.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"activity {__version__}")
        raise typer.Exit


@app.callback()
def _activity(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Learn activities from a folder of labeled videos, and recognize them in new videos.

    Put your clips into videos/<activity>/, then:

    \b
        activity prepare videos/
        activity train
        activity evaluate
        activity predict clip.mp4

    To try it on the sample videos first: activity demo
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(USAGE)


for _name, _summary in COMMANDS.items():
    app.command(_name, short_help=_summary)(lambda: None)


def main() -> None:
    """The entry point of the command. It keeps stdout for data, and removes temporary files if it is terminated."""
    stdout_for_data_only()
    for number in _TERMINATING:
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, _terminate)
    try:
        app(prog_name="activity")
    except SystemExit as end:
        if isinstance(end.code, int) and end.code in _ENDED_EARLY:
            _exit_now(end.code)
        raise


def _terminate(number: int, _: object) -> None:
    """Ends the command as an exception does, so that it removes what it has not finished."""
    for each in _TERMINATING:
        signal.signal(each, signal.SIG_IGN)  # timeout(1) sends it twice, which must not interrupt that
    if hasattr(signal, "alarm"):
        signal.alarm(_MOST_CLEANUP_SECONDS)  # ends a process that hangs in native code
    sys.exit(128 + number)


def _exit_now(code: int) -> None:
    """Ends the process without waiting for a thread that decodes a long video.

    If there are worker processes, Python has to end them first.
    """
    import multiprocessing

    if multiprocessing.active_children():
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
