"""activity train"""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated

import typer

from activity_cli.cli import STARTED
from activity_cli.cli.command import Quiet, settings_command, spell
from activity_cli.cli.error_handling import INTERRUPTED, SOME_FAILED, print_error
from activity_cli.settings import TrainSettings

__all__ = ["command"]

_network_option = partial(typer.Option, rich_help_panel="Network")


def run_train(
    settings: TrainSettings,
    list_encoders: Annotated[
        bool, _network_option("--list-encoders", help="Print a table of the encoders and exit.")
    ] = False,
    layers: Annotated[
        bool, _network_option("--layers", help="Print the layers of the encoder and its recurrent head, and exit.")
    ] = False,
    quiet: Quiet = False,
) -> int:
    """Train a model on prepared clips.

    \b
        activity train
        activity train --streams appearance,motion
        activity train --mode finetune --out models/finetuned

    train describes every frame by several streams (appearance, motion, pose, hands) and trains a classifier for each.
    Cross-validation by group chooses which streams the model reads. If the training was interrupted or killed, run the
    same command again: it continues, with the same result. Add --resume if it had --overwrite, or if Ctrl-C stopped it
    with --mode finetune or joint. The folder of the model also has the curves of recurrent heads: history.csv and
    history.png.

    Exit codes: 0 done, 1 training failed, 2 usage error, 130 interrupted.
    """
    from rich.console import Console

    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.quiet import native_output_silenced
    from activity_cli.reports.console import print_encoders, print_layers, print_training

    if list_encoders:
        from activity_cli.settings.encoders import ENCODER_SPECS

        print_encoders(Console(), ENCODER_SPECS.values())
        return 0
    progress = TerminalProgress(quiet)
    # TensorFlow takes seconds to start, and prints a lot.
    with progress.stage("Starting TensorFlow", None, ""), native_output_silenced():
        from activity_cli.commands.train import network_layers, train

    if layers:
        print_layers(Console(), network_layers(settings))
        return 0
    result = train(settings, progress)
    if not quiet:
        print_training(Console(stderr=True), result, time.monotonic() - STARTED)
    print(result.model)
    if result.interrupted:
        return INTERRUPTED
    if result.diverged:
        kept = f"epoch {result.best_epoch}" if result.best_epoch else "the warm-up"
        print_error(spell(f"{result.diverged} The model has the weights of {kept}.", TrainSettings))
        return SOME_FAILED
    return 0


command = settings_command("train", run_train)
