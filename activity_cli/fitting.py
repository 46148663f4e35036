"""The training loop: batches in, the best weights left in the model, a record of every epoch out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.config import TrainConfig
from activity_cli.errors import TrainingError
from activity_cli.model.encoders import ENCODER_SPECS
from activity_cli.progress import Progress, Stage
from activity_cli.results import EpochRecord

__all__ = ["Feed", "History", "fit"]


@dataclass(frozen=True, slots=True)
class Feed:
    """The part of the network that learns, and the batches it learns from."""

    model: keras.Model
    train: tf.data.Dataset
    steps_per_epoch: int
    val: tf.data.Dataset | None
    litert_encoder: Path | None = None


@dataclass(slots=True)
class History:
    """What happened so far; ``best_epoch`` counts from 1, 0 is none yet."""

    epochs: list[EpochRecord]
    best_epoch: int = 0
    interrupted: bool = False


def fit(feed: Feed, config: TrainConfig, progress: Progress) -> History:
    """Trains ``feed.model`` until its epochs are over, it gets no better, or a person interrupts it.

    The weights of the epoch with the lowest validation loss (without validation clips, training loss)
    are left in the model.

    Raises:
        TrainingError: The loss is not finite from the first epoch on.
        KeyboardInterrupt: Interrupted before the first epoch was over.
    """
    # A model around the same layers: the optimizer's memory stays out of what is saved.
    model = keras.Model(feed.model.inputs, feed.model.outputs)
    spec = ENCODER_SPECS[config.network.encoder]
    model.compile(
        optimizer=keras.optimizers.AdamW(config.learning_rate or spec.learning_rate, weight_decay=1e-4),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing),
        metrics=["accuracy"],
        jit_compile=False,  # the number of real frames differs from batch to batch
    )
    history = History([])
    epochs = config.epochs or spec.epochs
    with progress.stage("Training", epochs * feed.steps_per_epoch, "step") as stage:
        watcher = _Watcher(history, config.patience, stage)
        try:
            model.fit(
                feed.train,
                validation_data=feed.val,
                epochs=epochs,
                steps_per_epoch=feed.steps_per_epoch,
                verbose=0,
                shuffle=False,
                callbacks=[watcher],
            )
        except KeyboardInterrupt:
            history.interrupted = True
    if watcher.best_weights is None:
        if history.interrupted:
            raise KeyboardInterrupt
        raise TrainingError("The loss is not a finite number from the first epoch on.", "Lower --learning-rate.")
    model.set_weights(watcher.best_weights)
    return history


class _Watcher(keras.callbacks.Callback):
    """Keeps the best weights, writes the history, stops in time, and says where training stands."""

    def __init__(self, history: History, patience: int, stage: Stage) -> None:
        super().__init__()
        self.best_weights: list[npt.NDArray[Any]] | None = None
        self._best_loss = np.inf
        self._history = history
        self._patience = patience
        self._stage = stage
        self._started = 0.0
        self._note = ""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._started = float(tf.timestamp())

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        live = f"loss {logs.get('loss', 0):.3f}, accuracy {logs.get('accuracy', 0):.0%}"
        self._stage.advance(1, f"{live}{self._note}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        nan = float("nan")
        record = EpochRecord(
            epoch=epoch + 1,
            loss=float(logs["loss"]),
            accuracy=float(logs["accuracy"]),
            val_loss=float(logs.get("val_loss", nan)),
            val_accuracy=float(logs.get("val_accuracy", nan)),
            seconds=float(tf.timestamp()) - self._started,
        )
        self._history.epochs.append(record)
        watched = record.loss if np.isnan(record.val_loss) and "val_loss" not in logs else record.val_loss
        if not np.isfinite(record.loss):
            self.model.stop_training = True
            return
        if watched < self._best_loss:
            self._best_loss = watched
            self._history.best_epoch = epoch + 1
            self.best_weights = self.model.get_weights()
        elif epoch + 1 - self._history.best_epoch >= self._patience:
            self.model.stop_training = True
        if "val_accuracy" in logs:
            self._note = f", held-out {record.val_accuracy:.0%} (loss {record.val_loss:.3f})"
