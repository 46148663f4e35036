"""The command ``activity``: parse, call one verb, render, exit."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from activity_cli._version import __version__
from activity_cli.cli.boundary import INTERRUPTED, PIPE_CLOSED
from activity_cli.cli.demo import demo_command
from activity_cli.cli.evaluate import evaluate_command
from activity_cli.cli.export import export_command
from activity_cli.cli.predict import predict_command
from activity_cli.cli.prepare import prepare_command
from activity_cli.cli.train import train_command

__all__ = ["app", "main"]

app = typer.Typer(
    name="activity",
    no_args_is_help=True,
    # Plain help: drawing it with Rich takes twice as long as everything else that --help does.
    rich_markup_mode=None,
    # Errors are ours to tell, in one line; --debug shows tracebacks.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"activity {__version__}")
        raise typer.Exit


@app.callback()
def _activity(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Turn a folder of labeled videos into a recognizer that works in a shell pipe.

    Put your clips into videos/<activity>/, then:

    \b
        activity prepare videos/
        activity train
        activity evaluate
        activity predict clip.mp4

    See it at work first: activity demo
    """


app.command("prepare")(prepare_command)
app.command("train")(train_command)
app.command("evaluate")(evaluate_command)
app.command("predict")(predict_command)
app.command("export")(export_command)
app.command("demo")(demo_command)


def main() -> None:
    """The entry point of the command: as ``app``, with stdout kept for data."""
    from activity_cli.quiet import stdout_for_data_only

    stdout_for_data_only()
    try:
        app(prog_name="activity")
    except SystemExit as end:
        if end.code in (INTERRUPTED, PIPE_CLOSED):
            _leave_at_once(int(end.code))
        raise


def _leave_at_once(code: int) -> None:
    """Ends the process without waiting for a thread that decodes a video of an hour.

    Unless there are worker processes, which Python has to see off.
    """
    import multiprocessing

    if multiprocessing.active_children():
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
