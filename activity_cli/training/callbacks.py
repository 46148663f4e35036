"""What happens after every step and every epoch of a training: show, record, save, stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from activity_cli.progress import Stage
from activity_cli.results import EpochRecord
from activity_cli.training.interrupts import Interrupts

__all__ = ["BestWeights", "Recorder", "StepProgress", "Weights"]

Weights = Sequence[npt.NDArray[Any]]


class BestWeights(keras.callbacks.EarlyStopping):
    """Keras' early stopping, which can go on where a killed training was.

    Args:
        patience: Epochs without a lower validation loss after which training stops.
        records: The epochs so far.
        best_weights: The weights of the best of them.
    """

    def __init__(self, patience: int, records: Sequence[EpochRecord], best_weights: Weights | None) -> None:
        super().__init__("val_loss", patience=patience, mode="min", restore_best_weights=True)
        self._records, self._resumed_weights = tuple(records), best_weights

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        if self._records:
            best = min(self._records, key=lambda record: record.val_loss)
            self.best, self.best_epoch = best.val_loss, best.epoch - 1
            self.best_weights = self._resumed_weights
            self.wait = self._records[-1].epoch - best.epoch


class StepProgress(keras.callbacks.Callback):
    """Moves the progress bar with each step, and stops there if a person has asked to.

    Args:
        stage: The bar.
        interrupts: Whether a person has asked to stop.
    """

    def __init__(self, stage: Stage, interrupts: Interrupts) -> None:
        super().__init__()
        self._stage, self._interrupts, self._note = stage, interrupts, ""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._interrupts.check()
        logs = logs or {}
        self._stage.advance(1, f"loss {logs['loss']:.3f}, accuracy {logs['accuracy']:.0%}{self._note}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs and "val_loss" in logs:
            self._note = f", validation {logs['val_accuracy']:.0%} (loss {logs['val_loss']:.3f})"


class Recorder(keras.callbacks.Callback):
    """Records every epoch, and stops where a loss or a weight is not a finite number.

    Args:
        name: Of the stage.
        records: The epochs so far; grows.
        after_epoch: Is called with each epoch that is sound.

    Attributes:
        diverged_in: The epoch in which a number stopped being finite; 0: in none.
    """

    def __init__(self, name: str, records: list[EpochRecord], after_epoch: Callable[[], None]) -> None:
        super().__init__()
        self.diverged_in = 0
        self._name, self._records, self._after_epoch = name, records, after_epoch
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        validated = "val_loss" in logs
        losses = [logs["loss"], *([logs["val_loss"]] if validated else [])]
        # ReLU makes zeros of what is not a number, so the loss alone does not tell.
        if not all(map(math.isfinite, losses)) or not all(np.isfinite(one).all() for one in self.model.get_weights()):
            self.diverged_in = epoch + 1
            self.model.stop_training = True
            return
        self._records.append(
            EpochRecord(
                epoch=epoch + 1,
                stage=self._name,
                loss=float(logs["loss"]),
                accuracy=float(logs["accuracy"]),
                val_loss=float(logs["val_loss"]) if validated else math.nan,
                val_accuracy=float(logs["val_accuracy"]) if validated else math.nan,
                seconds=time.monotonic() - self._started,
            )
        )
        self._after_epoch()
