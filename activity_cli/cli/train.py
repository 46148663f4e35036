"""activity train"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from activity_cli.cli.boundary import INTERRUPTED, SOME_FAILED, handle_errors, print_error
from activity_cli.cli.options import Debug, Overwrite, Quiet, Seed
from activity_cli.cli.varying import Augment, Color, Crop, Cut, KeepSides, Mirror, Views, varied
from activity_cli.settings import (
    DEFAULT_MODEL,
    DEFAULT_PREPARED,
    ENCODERS,
    MODES,
    POOLINGS,
    PRECISIONS,
    SEQUENCES,
    Augmentation,
    NetworkSettings,
    TrainSettings,
)

__all__ = ["train_command"]

_NETWORK, _TRAIN, _AUGMENT = NetworkSettings(), TrainSettings(), Augmentation()

Encoder = Enum("Encoder", {name: name for name in ENCODERS}, type=str)  # type: ignore[misc]
Mode = Enum("Mode", {name: name for name in MODES}, type=str)  # type: ignore[misc]
Sequence = Enum("Sequence", {name: name for name in SEQUENCES}, type=str)  # type: ignore[misc]
Pooling = Enum("Pooling", {name: name for name in POOLINGS}, type=str)  # type: ignore[misc]
Precision = Enum("Precision", {name: name for name in PRECISIONS}, type=str)  # type: ignore[misc]


@handle_errors
def train_command(
    prepared: Annotated[
        Path, typer.Argument(help="Folder that 'activity prepare' wrote.", metavar="PREPARED")
    ] = DEFAULT_PREPARED,
    out: Annotated[Path, typer.Option(help="Model to write.", metavar="DIR")] = DEFAULT_MODEL,
    encoder: Annotated[
        Encoder, typer.Option(help="The CNN that looks at each frame; --list-encoders says when to use which.")
    ] = Encoder(_NETWORK.encoder),
    list_encoders: Annotated[
        bool, typer.Option("--list-encoders", help="Print a table of the encoders, and train nothing.")
    ] = False,
    weights: Annotated[
        str | None,
        typer.Option(
            help="What the encoder begins with: imagenet, none (random), or a file of weights.",
            metavar="imagenet|none|FILE",
            show_default="imagenet, where there are such weights",
        ),
    ] = None,
    mode: Annotated[
        Mode | None,
        typer.Option(
            help="frozen: the encoder's features are computed once, only the sequence part learns. finetune: after "
            "that the encoder's last blocks learn, too. joint: everything learns.",
            show_default="frozen with trained weights (small: joint), else joint",
        ),
    ] = None,
    finetune_blocks: Annotated[
        int | None, typer.Option(help="Last encoder blocks to learn (--mode finetune).", metavar="N", show_default="2")
    ] = None,
    gray: Annotated[bool, typer.Option("--gray", help="Look at brightness only (encoder small).")] = False,
    sequence: Annotated[
        Sequence,
        typer.Option(
            help="What reads the frames in their order: lstm, bilstm (both ways), gru, or convlstm (keeps rows and "
            "columns); or, to compare with, mean (without order) or frame (the middle one alone)."
        ),
    ] = Sequence(_NETWORK.sequence),
    units: Annotated[int, typer.Option(help="Width of the recurrent layers.", metavar="N")] = _NETWORK.units,
    recurrent_layers: Annotated[
        int, typer.Option(help="Recurrent layers, one on top of the other.", metavar="N")
    ] = _NETWORK.recurrent_layers,
    pooling: Annotated[
        Pooling, typer.Option(help="What becomes of their outputs over the frames; attention is a learned mean.")
    ] = Pooling(_NETWORK.pooling),
    per_frame: Annotated[
        bool,
        typer.Option(
            "--per-frame", help="Classify every frame; the clip's answer is their mean, and predict tells each."
        ),
    ] = False,
    dropout: Annotated[
        float, typer.Option(help="Share of the features dropped while training.", metavar="SHARE")
    ] = _NETWORK.dropout,
    drop_blocks: Annotated[
        int | None,
        typer.Option(
            help="Blocks at the end of the encoder that are left out.",
            metavar="N",
            show_default="what suits its weights",
        ),
    ] = None,
    grid: Annotated[
        int | None,
        typer.Option(
            help="Rows and columns of the smallest parts of the picture whose features are kept apart.",
            metavar="N",
            show_default="what suits its weights; 1 without trained ones",
        ),
    ] = None,
    components: Annotated[
        int | None,
        typer.Option(
            help="Principal components of the features that the recurrent layers read; 0: the features themselves.",
            metavar="N",
            show_default="256 with trained weights, else 0",
        ),
    ] = None,
    center: Annotated[
        bool,
        typer.Option(
            "--center/--no-center",
            help="Take each clip's own mean off the features that the recurrent layers read, so that the place and "
            "the clothes count less and the motion more.",
        ),
    ] = _NETWORK.center,
    statistics: Annotated[
        bool | None,
        typer.Option(
            "--statistics/--no-statistics",
            help="A linear layer beside the recurrent ones, which reads how each feature goes over the clip.",
            show_default="with trained weights",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the clips at most, not counting a head's.", metavar="N", show_default="by mode"),
    ] = None,
    head_epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes on a frozen encoder, where that comes first.", metavar="N", show_default="as in --mode frozen"
        ),
    ] = None,
    refit: Annotated[
        bool | None,
        typer.Option(
            "--refit/--no-refit",
            help="Train a second time, on training and validation clips together.",
            show_default="unless mode is joint",
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop after this many epochs without a better validation loss.",
            metavar="N",
            show_default="15, more where these make few steps",
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Clips in a step.", metavar="N")] = _TRAIN.batch_size,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Step size while the encoder is frozen, or random.", metavar="RATE", show_default="0.002"),
    ] = None,
    encoder_learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Step size once the encoder learns.",
            metavar="RATE",
            show_default="a tenth, where its weights are trained",
        ),
    ] = None,
    weight_decay: Annotated[
        float, typer.Option(help="Pull of the weights towards zero (AdamW).", metavar="RATE")
    ] = _TRAIN.weight_decay,
    label_smoothing: Annotated[
        float, typer.Option(help="Share of each label that is spread over all.", metavar="SHARE")
    ] = _TRAIN.label_smoothing,
    class_weights: Annotated[
        bool, typer.Option("--class-weights/--no-class-weights", help="Rare labels count as much as frequent ones.")
    ] = _TRAIN.class_weights,
    augment: Augment = True,
    mirror: Mirror = _AUGMENT.mirror,
    keep_sides: KeepSides = None,
    cut: Cut = _AUGMENT.cut,
    crop: Crop = _AUGMENT.crop,
    color: Color = _AUGMENT.color,
    views: Views = _AUGMENT.views,
    precision: Annotated[
        Precision,
        typer.Option(help="Of the encoder's computation; auto is what the processor or GPU is fastest in."),
    ] = Precision(_TRAIN.precision),
    device: Annotated[
        list[str] | None,
        typer.Option(
            help="Where to compute, such as GPU:0; repeated, each batch is shared.",
            metavar="NAME",
            show_default="all GPUs, or the processor",
        ),
    ] = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same seed gives the same bits on a GPU, too, if slower.")
    ] = False,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Write the curves for TensorBoard into this folder, too.", metavar="DIR")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training that was killed or interrupted.")
    ] = False,
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
        activity train --mode finetune --out models/finetuned

    The weights of the best epoch by the validation clips are kept; then, unless --mode is joint, it is trained again
    on training and validation clips together. Ctrl-C stops the training and keeps the best so far; --resume goes on.
    Killed? The same command goes on, to the same weights (if it had --overwrite, add --resume). The model's folder
    also holds history.csv and history.png, the curves.

    Exit codes: 0 done, 1 training failed, 2 the call is wrong, 130 interrupted (what was best so far is
    saved, and said).
    """
    from rich.console import Console

    if list_encoders:
        from activity_cli.reports.console import print_encoders
        from activity_cli.settings.encoders import encoder_rows

        print_encoders(Console(), encoder_rows())
        return 0
    config = TrainSettings(
        prepared=prepared,
        out=out,
        network=NetworkSettings(
            encoder=encoder.value,
            gray=gray,
            units=units,
            dropout=dropout,
            drop_blocks=drop_blocks,
            grid=grid,
            components=components,
            center=center,
            statistics=statistics,
            sequence=sequence.value,
            recurrent_layers=recurrent_layers,
            pooling=pooling.value,
            per_frame=per_frame,
        ),
        weights=weights,
        mode=mode.value if mode else None,
        finetune_blocks=finetune_blocks,
        epochs=epochs,
        head_epochs=head_epochs,
        refit=refit,
        patience=patience,
        batch_size=batch_size,
        learning_rate=learning_rate,
        encoder_learning_rate=encoder_learning_rate,
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
        class_weights=class_weights,
        augment=varied(augment, Augmentation(mirror, tuple(keep_sides or ()), cut, crop, color, views)),
        precision=precision.value,
        devices=tuple(device or ()),
        deterministic=deterministic,
        tensorboard=tensorboard,
        resume=resume,
        seed=seed,
        overwrite=overwrite,
    )
    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.quiet import native_output_silenced
    from activity_cli.reports.console import print_layers, print_training

    with native_output_silenced():  # TensorFlow greets at length
        from activity_cli.commands.train import network_layers, train

    if layers:
        print_layers(Console(), network_layers(config))
        return 0
    result = train(config, TerminalProgress(quiet))
    if not quiet:
        print_training(Console(stderr=True), result)
    typer.echo(os.fspath(result.model))
    if result.interrupted:
        return INTERRUPTED
    if result.diverged:
        print_error(f"{result.diverged} The weights of epoch {result.best_epoch} were kept.")
        return SOME_FAILED
    return 0
