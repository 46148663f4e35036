"""What is done after every step and every epoch: judge, keep, write down, stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from activity_cli.progress import Stage
from activity_cli.results import EpochRecord
from activity_cli.training.interrupts import Interrupts

__all__ = ["History", "Watcher", "Weights"]

Weights = list[npt.NDArray[Any]]


@dataclass(slots=True)
class History:
    """What happened so far.

    Attributes:
        epochs: One record for each.
        best_epoch: Counts from 1; 0 is none yet.
        head_epochs: Those before, in which the sequence part learned alone.
        interrupted: A person stopped it.
        stopped_again: It was a second training, of which nothing is kept, that was stopped.
        diverged: Where and why the loss stopped being a finite number; empty if it did not.
    """

    epochs: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    head_epochs: list[EpochRecord] = field(default_factory=list)
    interrupted: bool = False
    stopped_again: bool = False
    diverged: str = ""

    @property
    def best(self) -> EpochRecord:
        """The record of the best epoch."""
        return self.epochs[self.best_epoch - 1]


class Watcher(keras.callbacks.Callback):
    """Keeps the best weights, stops in time, and says where training stands.

    Args:
        history: Where it goes on.
        patience: Epochs without a better loss after which it is enough.
        keep_last: The last epoch is the best by definition: nothing is held out to tell.
        fallback: With ``keep_last``, the weights to keep until the last epoch is over; None: those of the
            epoch before.
        encoder_learns: What every record says of it.
        to_beat: A loss on the held-out clips; where no epoch's is lower, the weights are the best that training
            begins with.
        interrupts: Whether a person has asked to stop.
        stage: What shows the progress.
        judge: Loss and accuracy on the held-out clips; None: there are none.
        after_epoch: Is told every record, when all else is done.
    """

    def __init__(
        self,
        history: History,
        *,
        patience: int,
        keep_last: bool,
        fallback: Weights | None,
        encoder_learns: bool,
        to_beat: float,
        interrupts: Interrupts,
        stage: Stage,
        judge: Callable[[], tuple[float, float]] | None,
        after_epoch: Callable[[EpochRecord, Watcher], None],
    ) -> None:
        super().__init__()
        self.history = history
        self.best_weights = fallback
        # Why it cannot go on with the next batch; empty: it can.
        self.refused = ""
        self._fallback = fallback
        self._patience = patience
        self._keep_last = keep_last
        self._encoder_learns = encoder_learns
        self._to_beat = to_beat
        self._interrupts = interrupts
        self._stage = stage
        self._judge = judge
        self._after_epoch = after_epoch
        self._started = 0.0
        self._epoch = 0
        self._note = ""
        self._last_loss = math.nan

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._started = time.monotonic()
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss, accuracy = (logs or {})["loss"], (logs or {})["accuracy"]
        if not math.isfinite(loss):  # the mean over the epoch so far: it stays so
            self.history.diverged = f"epoch {self._epoch}, step {batch + 1}"
            self.model.stop_training = True
            return
        self._last_loss = loss
        self._interrupts.check()
        self._stage.advance(1, f"loss {loss:.3f}, accuracy {accuracy:.0%}{self._note}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.history.diverged:
            return
        val_loss, val_accuracy = self._judge() if self._judge else (math.nan, math.nan)
        record = EpochRecord(
            epoch=self._epoch,
            loss=float((logs or {})["loss"]),
            accuracy=float((logs or {})["accuracy"]),
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            seconds=time.monotonic() - self._started,
            encoder_learns=self._encoder_learns,
        )
        weights = self.model.get_weights()
        # ReLU makes zeros of what is no number, so that the loss alone does not tell.
        if not all(np.isfinite(value).all() for value in weights) or (self._judge and not math.isfinite(val_loss)):
            self.history.diverged = f"epoch {self._epoch}, after its last step"
            self.model.stop_training = True
            return
        if self._judge:
            self._note = f", held-out {val_accuracy:.0%} (loss {val_loss:.3f})"
        self.history.epochs.append(record)
        if self._keep_last or self._is_better(record):
            self.history.best_epoch = record.epoch
            if self._fallback is None or record.epoch == self.params["epochs"]:
                self.best_weights = weights
        elif self.is_enough:
            self.model.stop_training = True
        self._after_epoch(record, self)

    @property
    def is_enough(self) -> bool:
        """Whether a training that goes on has had its patience already."""
        if self._keep_last:
            return False
        return len(self.history.epochs) - self.history.best_epoch >= self._patience

    def _is_better(self, record: EpochRecord) -> bool:
        to_beat = self._watched(self.history.best) if self.history.best_epoch else self._to_beat
        return self._watched(record) < to_beat

    def _watched(self, record: EpochRecord) -> float:
        return record.val_loss if self._judge else record.loss
