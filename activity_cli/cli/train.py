"""activity train"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from activity_cli.cli.boundary import INTERRUPTED, guarded
from activity_cli.cli.options import Debug, Overwrite, Quiet, Seed
from activity_cli.config import (
    DEFAULT_MODEL,
    DEFAULT_PREPARED,
    ENCODERS,
    POOLINGS,
    SEQUENCES,
    NetworkConfig,
    TrainConfig,
)

__all__ = ["train_command"]

_NETWORK, _TRAIN = NetworkConfig(), TrainConfig()

Encoder = Enum("Encoder", {name: name for name in ENCODERS}, type=str)  # type: ignore[misc]
Sequence = Enum("Sequence", {name: name for name in SEQUENCES}, type=str)  # type: ignore[misc]
Pooling = Enum("Pooling", {name: name for name in POOLINGS}, type=str)  # type: ignore[misc]


@guarded
def train_command(
    prepared: Annotated[
        Path, typer.Argument(help="Folder that 'activity prepare' wrote.", metavar="PREPARED")
    ] = DEFAULT_PREPARED,
    out: Annotated[Path, typer.Option(help="Model to write.", metavar="DIR")] = DEFAULT_MODEL,
    encoder: Annotated[
        Encoder,
        typer.Option(
            help="The CNN that looks at each frame. efficientnet_lite0: trained on ImageNet, frozen, right "
            "for a few dozen clips per activity. small: from scratch, for pictures unlike photographs."
        ),
    ] = Encoder(_NETWORK.encoder),
    sequence: Annotated[
        Sequence,
        typer.Option(
            help="What reads the frames in their order: lstm or gru; or, to compare with, mean (without order) "
            "or frame (the middle one alone)."
        ),
    ] = Sequence(_NETWORK.sequence),
    units: Annotated[int, typer.Option(help="Width of the recurrent layers.", metavar="N")] = _NETWORK.units,
    recurrent_layers: Annotated[
        int, typer.Option(help="Recurrent layers, one on top of the other.", metavar="N")
    ] = _NETWORK.recurrent_layers,
    pooling: Annotated[
        Pooling, typer.Option(help="What becomes of their outputs over the frames; attention is a learned mean.")
    ] = Pooling(_NETWORK.pooling),
    dropout: Annotated[
        float, typer.Option(help="Share of the features dropped while training.", metavar="SHARE")
    ] = _NETWORK.dropout,
    center: Annotated[
        bool,
        typer.Option(
            "--center/--no-center",
            help="Take each clip's own mean off its features, so that the place and the clothes count less "
            "and the motion more.",
        ),
    ] = _NETWORK.center,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the clips at most.", metavar="N", show_default="by encoder")
    ] = None,
    patience: Annotated[
        int, typer.Option(help="Stop after this many epochs without a better validation loss.", metavar="N")
    ] = _TRAIN.patience,
    batch_size: Annotated[int, typer.Option(help="Clips in a step.", metavar="N")] = _TRAIN.batch_size,
    learning_rate: Annotated[
        float | None, typer.Option(help="Step size.", metavar="RATE", show_default="by encoder")
    ] = None,
    seed: Seed = _TRAIN.seed,
    layers: Annotated[
        bool, typer.Option("--layers", help="Print every layer of the network, and train nothing.")
    ] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Train a CNN LSTM on prepared clips.

    \b
        activity train

    The weights of the best epoch by the validation clips are kept. Ctrl-C stops the training and keeps
    the best so far. The model's folder also holds history.csv and history.png, the curves.

    Exit codes: 0 done, 1 training failed, 2 the call is wrong, 130 interrupted (what was best so far is
    saved, and said).
    """
    config = TrainConfig(
        prepared=prepared,
        out=out,
        network=NetworkConfig(
            encoder=encoder.value,
            units=units,
            dropout=dropout,
            center=center,
            sequence=sequence.value,
            recurrent_layers=recurrent_layers,
            pooling=pooling.value,
        ),
        epochs=epochs,
        patience=patience,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        overwrite=overwrite,
    )
    from rich.console import Console

    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.quiet import native_output_silenced
    from activity_cli.reports.console import print_layers, print_training

    with native_output_silenced():  # TensorFlow greets at length
        from activity_cli.training import network_layers, train

    if layers:
        print_layers(Console(), network_layers(config))
        return 0
    result = train(config, TerminalProgress(quiet))
    if not quiet:
        print_training(Console(stderr=True), result)
    typer.echo(os.fspath(result.model))
    return INTERRUPTED if result.interrupted else 0
