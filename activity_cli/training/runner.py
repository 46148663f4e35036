"""One stage of a training: batches in, weights in the model and a record of every epoch out.

Keras' own ``fit``, AdamW, cosine schedule, early stopping and stop at a loss that is not a number. On top of that, a
killed training goes on to the same weights, and Ctrl-C keeps what was learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np

from activity_cli.dataset.batches import Draws
from activity_cli.errors import MissingDependencyError, TrainingError
from activity_cli.progress import Progress
from activity_cli.results import EpochRecord
from activity_cli.settings import Augmentation
from activity_cli.training.callbacks import BestWeights, StepProgress, Weights
from activity_cli.training.inputs import HeadInputs
from activity_cli.training.interrupts import interrupts_noted
from activity_cli.training.memory import MEMORY_ERRORS, memory_message

__all__ = ["FitResult", "FitState", "Hyperparameters", "OnEpoch", "fit", "require_tensorboard"]

# Of all steps, those in which the learning rate rises, and where it starts and ends (one cycle: Smith and Topin 2018).
_WARMUP_SHARE, _START_RATE, _END_RATE = 0.15, 1 / 25, 1e-4
# Shifts and scales are few, and have no reason to be near zero (as in Goyal et al. 2017, section 5.3).
_NEVER_DECAYED = ["bias", "beta", "gamma"]


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """How a stage trains.

    Attributes:
        stage: Name of the stage, in every record.
        title: Of the progress bar.
        epochs: At most; all of them without validation clips.
        patience: Epochs without a lower validation loss after which training stops.
        batch_size: Clips in a step.
        learning_rate: The highest.
        rate_setting: What a person changes that with.
        weight_decay, label_smoothing, seed, augmentation: As in the settings.
        clipnorm: Longest gradient; None: any.
        scaled_loss: Whether small gradients must be kept from vanishing (float16).
        tensorboard: Folder of the curves; None: none.
    """

    stage: str
    title: str
    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    rate_setting: str
    weight_decay: float
    label_smoothing: float
    seed: int
    augmentation: Augmentation
    clipnorm: float | None = None
    scaled_loss: bool = False
    tensorboard: Path | None = None


@dataclass(frozen=True, slots=True)
class FitState:
    """What a stage goes on from after its last whole epoch.

    Attributes:
        records: Its epochs so far.
        variables: Of the model and the optimizer, in their order.
        best: The weights of the best epoch, or without validation clips of the last one.
    """

    records: tuple[EpochRecord, ...]
    variables: Weights
    best: Weights


@dataclass(frozen=True, slots=True)
class FitResult:
    """What a stage did; the best weights, or without validation clips the last ones, are in the model.

    Attributes:
        records: Its epochs.
        interrupted: Whether a person stopped it.
        failure: Why it ended early, and what to do; empty: it did not.
        failure_code: ``training.diverged`` or ``training.memory``; empty: it did not.
    """

    records: tuple[EpochRecord, ...] = ()
    interrupted: bool = False
    failure: str = ""
    failure_code: str = ""


OnEpoch = Callable[[FitState], None]


def fit(
    model: keras.Model,
    train: HeadInputs,
    val: HeadInputs | None,
    hyperparameters: Hyperparameters,
    progress: Progress,
    *,
    resumed: FitState | None = None,
    on_epoch: OnEpoch | None = None,
) -> FitResult:
    """Trains a model until its epochs are over, it gets no better, or a person interrupts it.

    Args:
        model: From clips, or their features, ``[B, T, ...]`` and mask to log probabilities ``[B, classes]``.
        train: What it is trained on.
        val: Their loss decides on the best epoch; None: the last epoch is the best by definition.
        hyperparameters: How.
        progress: Shows a bar.
        resumed: The state to go on from.
        on_epoch: Is called with the state after every epoch.

    Raises:
        TrainingError: Nothing usable was learned: a number is not finite in the first epoch (``training.diverged``), or
            a batch does not fit into memory (``training.memory``).
        KeyboardInterrupt: A person interrupted the first epoch.
    """
    steps = -(-len(train.targets) // hyperparameters.batch_size)
    records = list(resumed.records) if resumed else []
    first = len(records)
    with interrupts_noted() as interrupts:
        compiled, optimizer = _compiled(model, steps, hyperparameters)
        variables = [*compiled.variables, *optimizer.variables]
        if resumed:
            if resumed.best:
                _check_shapes(model.weights, resumed.best)
            restore(variables, resumed.variables)
        else:
            _seed(compiled, hyperparameters.seed)

        def after_epoch() -> None:
            if on_epoch:
                values = [np.asarray(variable) for variable in variables]
                on_epoch(FitState(tuple(records), values, best.best_weights or ()))

        best = BestWeights(
            hyperparameters.stage,
            hyperparameters.patience,
            records,
            list(resumed.best) if resumed else None,
            after_epoch,
            validates=val is not None,
        )
        failure, code, interrupted = "", "", interrupts.asked
        left = hyperparameters.epochs - first
        if left > 0 and not (best.has_stopped or interrupted):
            with progress.stage(hyperparameters.title, left * steps, "step") as stage:
                try:
                    compiled.fit(
                        train.batches(hyperparameters.batch_size, _draws(hyperparameters, first)),
                        validation_data=val.batches(hyperparameters.batch_size) if val else None,
                        initial_epoch=first,
                        epochs=hyperparameters.epochs,
                        steps_per_epoch=steps,
                        verbose=0,
                        shuffle=False,  # batches are drawn in their order already
                        callbacks=[
                            StepProgress(stage, interrupts),
                            keras.callbacks.TerminateOnNaN(),
                            best,
                            *_tensorboard(hyperparameters),
                        ],
                    )
                except KeyboardInterrupt:
                    interrupted = True
                except MEMORY_ERRORS as error:
                    failure, code = memory_message(error), "training.memory"
            interrupted |= interrupts.asked
        if best.diverged_in:
            where = f"epoch {best.diverged_in} of the stage {hyperparameters.stage!r}"
            failure = f"The loss is not a finite number in {where}. {_cause(hyperparameters)}"
            code = "training.diverged"
    if not records:
        if interrupted:
            raise KeyboardInterrupt
        raise TrainingError(failure, code=code)
    # Also where training was interrupted, and early stopping could not do it.
    model.set_weights(list(best.best_weights or ()))
    return FitResult(tuple(records), interrupted, failure, code)


def _compiled(
    model: keras.Model, steps: int, hyperparameters: Hyperparameters
) -> tuple[keras.Model, keras.optimizers.Optimizer]:
    # A model around the same layers: the optimizer's state stays out of what is saved.
    compiled = keras.Model(model.inputs, model.outputs)
    total = hyperparameters.epochs * steps
    warmup = int(_WARMUP_SHARE * total)
    rate = hyperparameters.learning_rate
    schedule = keras.optimizers.schedules.CosineDecay(
        rate * _START_RATE, max(1, total - warmup), alpha=_END_RATE, warmup_target=rate, warmup_steps=warmup
    )
    optimizer: keras.optimizers.Optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=hyperparameters.weight_decay, global_clipnorm=hyperparameters.clipnorm
    )
    optimizer.exclude_from_weight_decay(var_names=_NEVER_DECAYED)
    if hyperparameters.scaled_loss:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    compiled.compile(
        optimizer=optimizer,
        # Log probabilities are logits of themselves.
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=hyperparameters.label_smoothing),
        # Built now: a metric that is built in the first step makes TensorFlow trace that step twice.
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=False,  # the number of real frames differs from batch to batch
        auto_scale_loss=False,
    )
    optimizer.build(compiled.trainable_variables)
    return compiled, optimizer


def _seed(model: keras.Model, seed: int) -> None:
    """Makes the dropout of a stage depend on nothing that went before: a killed training may go on after it."""
    states = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    for state, number in zip(states, np.random.SeedSequence(seed).generate_state(len(states)), strict=True):
        state.assign([number, 0])


def restore(variables: list[Any], values: Weights) -> None:
    """Puts saved values into variables.

    Raises:
        TrainingError: They are of another network.
    """
    _check_shapes(variables, values)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _check_shapes(variables: list[Any], values: Weights) -> None:
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise TrainingError(
            "The unfinished training does not fit this network: another version of activity started it.",
            "Start again with `overwrite`.",
            code="training.checkpoint",
        )


def _draws(hyperparameters: Hyperparameters, first_epoch: int) -> Draws:
    return Draws(hyperparameters.seed, first_epoch, hyperparameters.augmentation)


def require_tensorboard() -> None:
    """Makes sure that curves for TensorBoard can be written.

    Raises:
        MissingDependencyError: The package tensorboard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise MissingDependencyError(
            "Writing curves for TensorBoard needs the package tensorboard, which is not installed.",
            "Install it: pip install 'activity-cli[tensorboard]'",
            code="dependency.tensorboard",
        )


def _tensorboard(hyperparameters: Hyperparameters) -> list[keras.callbacks.Callback]:
    if hyperparameters.tensorboard is None:
        return []
    folder = hyperparameters.tensorboard / hyperparameters.stage
    return [keras.callbacks.TensorBoard(str(folder), write_graph=False)]


def _cause(hyperparameters: Hyperparameters) -> str:
    """Why a loss is not a finite number, as far as can be told, and what to do."""
    if hyperparameters.scaled_loss:
        return "float16 cannot represent numbers above 65504. Use `precision=float32` or `precision=bfloat16`."
    setting, rate = hyperparameters.rate_setting, hyperparameters.learning_rate
    return f"The learning rate is probably too high. Use a lower `{setting}` than {rate:g}."
