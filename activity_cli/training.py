"""train: prepared clips -> a bundle.

A pre-trained encoder is frozen, so its features are computed once and only the sequence part is
trained on them; an encoder without weights is trained jointly with the sequence part.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli._version import __version__
from activity_cli.bundling import pack
from activity_cli.config import TrainConfig
from activity_cli.dataset.augmentation import clip_view
from activity_cli.dataset.batches import Training, clip_batches, feature_batches, one_hot_labels
from activity_cli.dataset.features import FeatureStore, Views, ensure_features
from activity_cli.dataset.manifest import PreparedFolder, read_prepared
from activity_cli.dataset.processes import default_workers
from activity_cli.dataset.sides import may_mirror
from activity_cli.errors import BundleError, DatasetError, OutputError
from activity_cli.files import explained, folder_aside
from activity_cli.fitting import Feed, History, fit
from activity_cli.model.bundle import ENCODER_FILE, LEARNED_DIGITS
from activity_cli.model.conversion import encoder_fingerprint, encoder_to_litert
from activity_cli.model.encoders import ENCODER_SPECS
from activity_cli.model.network import Network, build_network, layer_rows
from activity_cli.progress import Progress, SilentProgress
from activity_cli.reports.csv_rows import write_history_csv
from activity_cli.reports.curves import history_picture
from activity_cli.results import ClipRecord, LayerRow, TrainResult
from activity_cli.runtime.litert import EncoderRuntime

__all__ = ["network_layers", "train"]

_CLIPS_COMPARED = 4


def train(config: TrainConfig, progress: Progress | None = None) -> TrainResult:
    """Trains a CNN LSTM and writes it as a bundle.

    The weights of the epoch with the lowest validation loss are kept, also when a person interrupts
    the training.

    Args:
        config: What and how.
        progress: Who listens.

    Raises:
        DatasetError: The prepared folder is missing, unfinished, damaged or cannot be learned from.
        OutputError: There is a bundle already, or it cannot be written.
        TrainingError: The loss is not finite, or nothing was learned before an interruption.
    """
    progress = progress or SilentProgress()
    prepared = read_prepared(config.prepared)
    _check(config, prepared, progress)
    keras.utils.set_random_seed(config.seed)

    network = build_network(config.network, prepared.sampling, len(prepared.labels))
    spec = ENCODER_SPECS[config.network.encoder]
    feed = _feature_feed if spec.pretrained else _clip_feed
    fed = feed(config, prepared, network, progress)
    history = fit(fed, config, progress)

    with folder_aside(config.out) as folder:
        rest = _facts(config, prepared, history)
        bundle = pack(
            network,
            folder,
            prepared.labels,
            prepared.sampling,
            config.network,
            _compared(prepared),
            rest,
            fed.litert_encoder,
        )
        write_history_csv(folder / "history.csv", history.epochs)
        history_picture(history.epochs, history.best_epoch, folder / "history.png")
    return TrainResult(
        model=config.out,
        name=bundle.name,
        labels=prepared.labels,
        history=tuple(history.epochs),
        best_epoch=history.best_epoch,
        interrupted=history.interrupted,
        litert_max_abs_difference=bundle.document["litert"]["max_abs_difference"],
        history_picture=config.out / "history.png",
    )


def network_layers(config: TrainConfig) -> list[LayerRow]:
    """Every layer of the network that :func:`train` would train, those of the CNN included.

    Raises:
        DatasetError: The prepared folder is missing, unfinished or damaged.
    """
    prepared = read_prepared(config.prepared)
    network = build_network(config.network, prepared.sampling, len(prepared.labels))
    network.encoder.trainable = not ENCODER_SPECS[config.network.encoder].pretrained
    return layer_rows(network)


def _check(config: TrainConfig, prepared: PreparedFolder, progress: Progress) -> None:
    out = config.out
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        if not (out / "bundle.json").is_file():
            raise OutputError(f"{str(out)!r} exists and is not a model.", "Choose another place with --out.")
        if not config.overwrite:
            raise OutputError(
                f"There is a model at {str(out)!r} already.",
                "Use --overwrite to replace it, or another place with --out.",
                code="output.exists",
            )
    if os.path.ismount(out) or out.resolve() == Path.cwd():
        raise OutputError(f"{str(out)!r} cannot be replaced as a whole.", "Choose a folder inside of it with --out.")
    # Before hours of training: the same steps that saving begins with.
    with explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out.parent).close()
    present = {record.label for record in prepared.in_split("train")}
    if len(present) < 2:
        raise DatasetError(
            f"{prepared.folder} has training clips of {len(present)} label(s); two or more are needed.",
            "Add videos, or make the val and test fractions smaller.",
        )
    if not prepared.in_split("val"):
        progress.warn("No validation clips: the best epoch is chosen by the training loss, which overfits.")


def _feature_feed(config: TrainConfig, prepared: PreparedFolder, network: Network, progress: Progress) -> Feed:
    """Frozen encoder: every frame goes through it once, then only the sequence part learns."""
    network.encoder.trainable = False
    store = FeatureStore(prepared.folder, encoder_fingerprint(network.encoder))
    # LiteRT is twice as fast as Keras on a CPU, and it is what predicting will run.
    path = store.folder / ENCODER_FILE
    train, val = prepared.in_split("train"), prepared.in_split("val")
    encode = _encoder_runtime(network, path).features
    drawn = _drawn(config, train)
    views = Views(config.augment, drawn.may_mirror.tolist(), clip_view)

    def batches(records: Sequence[ClipRecord], views: Views | None, training: Training | None) -> tf.data.Dataset:
        names = [record.clip for record in records]
        files = ensure_features(names, prepared.clips, store, encode, progress, views)
        targets = one_hot_labels(records, prepared.labels)
        return feature_batches(files, targets, prepared.sampling.num_frames, config.batch_size, training=training)

    return Feed(
        network.sequence,
        batches(train, views, drawn),
        -(-len(train) // config.batch_size),
        batches(val, None, None) if val else None,
        path,
    )


def _drawn(config: TrainConfig, records: Sequence[ClipRecord]) -> Training:
    sides = np.array([may_mirror(record.label, config.augment) for record in records])
    return Training(config.seed, 0, config.augment, sides)


def _encoder_runtime(network: Network, path: Path) -> EncoderRuntime:
    """The encoder in LiteRT, converted once for all trainings on these clips."""
    if path.is_file():
        with suppress(BundleError):  # cut by a crash or a full disk: converted anew
            return EncoderRuntime(path, default_workers())
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    encoder_to_litert(network.encoder, path)
    return EncoderRuntime(path, default_workers())


def _clip_feed(config: TrainConfig, prepared: PreparedFolder, network: Network, progress: Progress) -> Feed:
    """Joint training: clips from the cache through the whole network."""

    def batches(records: Sequence[ClipRecord], training: Training | None) -> tf.data.Dataset:
        targets = one_hot_labels(records, prepared.labels)
        return clip_batches(records, targets, prepared.clips, prepared.sampling, config.batch_size, training=training)

    train, val = prepared.in_split("train"), prepared.in_split("val")
    steps = -(-len(train) // config.batch_size)
    return Feed(network.whole, batches(train, _drawn(config, train)), steps, batches(val, None) if val else None)


def _compared(prepared: PreparedFolder) -> list[npt.NDArray[np.uint8]]:
    """A few real clips, the shortest and the longest among them, and one frame alone."""
    records = sorted(prepared.in_split("train"), key=lambda record: (record.clip_frames, record.path))
    places = np.linspace(0, len(records) - 1, min(_CLIPS_COMPARED, len(records))).astype(int)
    clips = [np.asarray(prepared.clips.read(records[place].clip)) for place in places]
    return [*clips, clips[-1][:1]]


def _facts(config: TrainConfig, prepared: PreparedFolder, history: History) -> dict[str, Any]:
    best = history.epochs[history.best_epoch - 1]
    settings = asdict(config)
    for name in ("prepared", "out", "network", "overwrite"):
        settings.pop(name)
    return {
        "name": config.out.resolve().name,
        "training": settings | {"mode": _mode(config), "interrupted": history.interrupted},
        "metrics": {
            "best_epoch": history.best_epoch,
            **{
                name: value if np.isfinite(value := getattr(best, name)) else None
                for name in ("loss", "accuracy", "val_loss", "val_accuracy")
            },
        },
        "data": {
            # From the bundle to the clips, so that a project can be moved as a whole.
            "prepared": os.path.relpath(prepared.folder, config.out),
            "fingerprint": prepared.fingerprint,
            # By content, to say so when the model is judged on clips that it knows.
            "learned_from": sorted(
                record.content_hash[:LEARNED_DIGITS] for record in prepared.in_split("all") if record.split != "test"
            ),
            "clips": {split: len(prepared.in_split(split)) for split in ("train", "val", "test")},
        },
        "versions": {
            "activity": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in ("tensorflow", "keras", "numpy", "ai-edge-litert")},
        },
    }


def _mode(config: TrainConfig) -> str:
    return "frozen" if ENCODER_SPECS[config.network.encoder].pretrained else "joint"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"  # installed in a way of its own, such as tensorflow-cpu
