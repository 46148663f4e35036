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

__all__ = ["BestWeights", "StepProgress", "Weights"]

Weights = Sequence[npt.NDArray[Any]]


class BestWeights(keras.callbacks.EarlyStopping):
    """Records every epoch, keeps the weights of the best one, and stops the training in time.

    This is Keras' early stopping, which can also go on where a killed training was, and which stops where a loss or a
    weight is not a finite number. The best epoch has the lowest validation loss; without validation clips it is the
    last.

    Args:
        stage: Name of the stage, in every record.
        patience: Epochs without a lower validation loss after which training stops.
        validates: Whether there are validation clips.
        records: The epochs so far; grows.
        best_weights: The weights of the best of them; None: there are none yet.
        after_epoch: Is called after each epoch without an infinite number.

    Attributes:
        best_weights: Those of the best epoch so far.
        diverged_in: The epoch in which a number stopped being finite; 0: in none.
    """

    def __init__(
        self,
        stage: str,
        patience: int,
        records: list[EpochRecord],
        best_weights: Weights | None,
        after_epoch: Callable[[], None],
        *,
        validates: bool,
    ) -> None:
        super().__init__("val_loss", patience=patience, mode="min", restore_best_weights=True)
        self.diverged_in = 0
        self.best_weights = best_weights
        self._stage, self._validates = stage, validates
        self._records, self._after_epoch = records, after_epoch
        self._started = 0.0

    @property
    def has_stopped(self) -> bool:
        """Whether a training that goes on has had its patience already."""
        return self._validates and self._epochs_without_gain() >= self.patience

    def on_train_begin(self, logs: Any = None) -> None:
        best_weights = self.best_weights
        super().on_train_begin(logs)
        self.best_weights = best_weights
        if self._records:
            self.wait = self._epochs_without_gain()
            self.best = min(record.val_loss for record in self._records)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        weights = self.model.get_weights()
        losses = [logs[name] for name in ("loss", "val_loss") if name in logs]
        # ReLU makes zeros of what is not a number, so the losses alone do not tell.
        if not all(np.isfinite(numbers).all() for numbers in (losses, *weights)):
            self.diverged_in = epoch + 1
            self.model.stop_training = True
            return
        if self._validates:
            super().on_epoch_end(epoch, logs)
        else:
            self.best_weights = weights
        self._records.append(
            EpochRecord(
                epoch=epoch + 1,
                stage=self._stage,
                loss=float(logs["loss"]),
                accuracy=float(logs["accuracy"]),
                val_loss=float(logs.get("val_loss", math.nan)),
                val_accuracy=float(logs.get("val_accuracy", math.nan)),
                seconds=time.monotonic() - self._started,
            )
        )
        self._after_epoch()

    def _epochs_without_gain(self) -> int:
        if not self._records:
            return 0
        best = min(self._records, key=lambda record: record.val_loss)
        return self._records[-1].epoch - best.epoch


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
