"""The training loop: batches in, the best weights left in the model, a record of every epoch out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.errors import TrainingError
from activity_cli.progress import Progress
from activity_cli.results import EpochRecord
from activity_cli.training.callbacks import History, Watcher, Weights
from activity_cli.training.checkpoint import Checkpoint, write_checkpoint
from activity_cli.training.interrupts import interrupts_noted
from activity_cli.training.memory import MEMORY_ERRORS, memory_message, translate_memory_error
from activity_cli.training.optimizer import OneCycle, Pace, PacedAdamW
from activity_cli.training.tensorboard import CurveWriter
from activity_cli.training.validation import judge_of

__all__ = ["Feed", "Recipe", "fit", "restore"]


@dataclass(frozen=True, slots=True)
class Feed:
    """The part of the network that learns, and the batches it learns from.

    Attributes:
        model: From a batch's inputs to probabilities.
        paces: Of the variables that do not learn as the others do, by their paths.
        train: From the first epoch to learn on to the batches from there on, without end.
        steps: Batches in an epoch.
        val: One pass over the validation clips; None: there are none.
    """

    model: keras.Model
    paces: Mapping[str, Pace]
    train: Callable[[int], tf.data.Dataset]
    steps: int
    val: tf.data.Dataset | None


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how fast.

    Attributes:
        epochs: At most; exactly, with ``keep_last``.
        patience: Epochs without a better loss after which training stops.
        learning_rate: Of the optimizer, at its highest.
        rate_option: What a person changes it with.
        weight_decay, label_smoothing: As in the config.
        scaled_loss: Whether small gradients must be kept from vanishing (float16).
        keep_last: The weights of the last epoch are the result, not those of the best.
        encoder_learns: What the records are to say of it.
        title: What the progress bar says.
    """

    epochs: int
    patience: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    scaled_loss: bool = False
    keep_last: bool = False
    encoder_learns: bool = True
    title: str = "Training"
    rate_option: str = "--learning-rate"


@translate_memory_error()
def fit(
    feed: Feed,
    recipe: Recipe,
    strategy: tf.distribute.Strategy,
    progress: Progress,
    *,
    checkpoint: Path,
    begun: Checkpoint,
    resumed: Checkpoint | None = None,
    fallback: Weights | None = None,
    curves: CurveWriter | None = None,
    to_beat: float = math.inf,
) -> History:
    """Trains ``feed.model`` until its epochs are over, it gets no better, or a person interrupts it.

    The weights of the epoch with the lowest validation loss (with ``keep_last``, of the last epoch)
    are left in the model. A loss that is not finite ends the training, too; the history says where.

    Args:
        feed: What learns, and from what.
        recipe: How long and how fast.
        strategy: Where it is computed; the model was built in its scope.
        progress: Who listens.
        checkpoint: File in which the state is kept after every epoch.
        begun: What else than the state is written there.
        resumed: The state to go on from.
        fallback: Weights of the earlier training, which are kept where this one does not come to its end.
        curves: Writes every record for TensorBoard.
        to_beat: Loss on the held-out clips of what the model has learned before: where no epoch is better, that
            is left in it, and the best epoch is 0.

    Raises:
        TrainingError: Nothing usable was learned: the loss is not finite in the first epoch, or a batch
            does not fit into memory.
        KeyboardInterrupt: Interrupted before the first epoch was over.
    """
    with interrupts_noted() as interrupts:
        with strategy.scope():
            model, optimizer = _compiled(feed, recipe)
        interrupts.check()
        history = History()
        state = [*model.variables, *optimizer.variables]
        if resumed:
            history = History(list(resumed.epochs), resumed.best_epoch)
            restore(state, resumed.state)

        def after_epoch(record: EpochRecord, watcher: Watcher) -> None:
            now = replace(
                begun,
                epochs=tuple(history.epochs),
                best_epoch=history.best_epoch,
                state=[np.asarray(variable) for variable in state],
                # What stands until the last epoch is over is wanted again where what comes after it is interrupted.
                best=fallback if fallback is not None else watcher.best_weights or [],
            )
            write_checkpoint(checkpoint, now)
            if curves:
                curves.write(record)

        first = len(history.epochs)
        with progress.stage(recipe.title, (recipe.epochs - first) * feed.steps, "step") as stage:
            watcher = Watcher(
                history,
                patience=recipe.patience,
                keep_last=recipe.keep_last,
                fallback=fallback,
                encoder_learns=recipe.encoder_learns,
                to_beat=to_beat,
                interrupts=interrupts,
                stage=stage,
                judge=judge_of(model, feed.val, recipe.label_smoothing) if feed.val is not None else None,
                after_epoch=after_epoch,
            )
            if math.isfinite(to_beat):
                watcher.best_weights = model.get_weights()
            if resumed:
                ended = fallback is not None and first >= recipe.epochs
                watcher.best_weights = model.get_weights() if ended else list(resumed.best)
            if first < recipe.epochs and not watcher.is_enough:
                _run(model, feed, recipe, watcher, first)
                history.interrupted |= interrupts.asked
        if history.diverged:
            history.diverged = f"The loss is not a finite number in {history.diverged}. {_cause(feed, recipe)}"
        history.diverged = watcher.refused or history.diverged
        if watcher.best_weights is None:
            if history.interrupted:
                raise KeyboardInterrupt
            raise TrainingError(history.diverged, code="training.memory" if watcher.refused else None)
        model.set_weights(watcher.best_weights)
        return history


def _compiled(feed: Feed, recipe: Recipe) -> tuple[keras.Model, keras.optimizers.Optimizer]:
    # A model around the same layers: the optimizer's memory stays out of what is saved.
    model = keras.Model(feed.model.inputs, feed.model.outputs)
    schedule = OneCycle(recipe.learning_rate, recipe.epochs * feed.steps)
    optimizer: keras.optimizers.Optimizer = PacedAdamW(schedule, feed.paces, Pace(decay=recipe.weight_decay))
    if recipe.scaled_loss:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        jit_compile=False,  # the number of real frames differs from batch to batch
        auto_scale_loss=False,
    )
    optimizer.build(model.trainable_variables)
    # Keras would take a batch out of the data for this, and the mean of its masks over the devices.
    model._symbolic_build(data_batch=next(iter(feed.train(0))))
    model._maybe_symbolic_build = lambda *_, **__: None
    return model, optimizer


def _run(model: keras.Model, feed: Feed, recipe: Recipe, watcher: Watcher, first_epoch: int) -> None:
    try:
        model.fit(
            feed.train(first_epoch),
            initial_epoch=first_epoch,
            epochs=recipe.epochs,
            steps_per_epoch=feed.steps,
            verbose=0,
            shuffle=False,
            callbacks=[watcher],
        )
    except KeyboardInterrupt:
        watcher.history.interrupted = True
    except MEMORY_ERRORS as error:
        watcher.refused = memory_message(error)


def restore(variables: Sequence[Any], values: Sequence[npt.NDArray[Any]]) -> None:
    """Puts what was kept back.

    Raises:
        TrainingError: It is of another network.
    """
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise TrainingError(
            "The unfinished training has weights of other shapes: it was begun by another version of activity.",
            "Begin anew with --overwrite.",
            code="training.checkpoint",
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _cause(feed: Feed, recipe: Recipe) -> str:
    """Why the loss is not a finite number, as far as can be told, and what to do."""
    with suppress(KeyboardInterrupt):  # what has been learned is worth more than the reason
        if _has_broken_features(feed):
            return "The encoder gives features that are no numbers: its weights are damaged or do not fit."
    if recipe.scaled_loss:
        return "float16 holds no number above 65504: use --precision float32 or bfloat16."
    return f"The learning rate is likely too high: lower {recipe.rate_option} (now {recipe.learning_rate:g})."


def _has_broken_features(feed: Feed) -> bool:
    for inputs, *_ in feed.train(0).take(feed.steps):
        for given in tf.nest.flatten(inputs):
            if given.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(given))):
                return True
    return False
