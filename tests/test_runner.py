"""One stage of a training, on a network that trains in milliseconds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from activity_cli.errors import TrainingError
from activity_cli.progress import SilentProgress
from activity_cli.results import EpochRecord
from activity_cli.settings import without_augmentation
from activity_cli.training.checkpoint import Checkpoint, checkpoint_path, read_checkpoint, write_checkpoint
from activity_cli.training.inputs import RowInputs
from activity_cli.training.runner import FitResult, FitState, Hyperparameters, fit
from training_support import At, equal, press_ctrl_c, write_examples

NUM_CLIPS, BATCH, FRAMES, WIDTH = 12, 4, 3, 5
STEPS = NUM_CLIPS // BATCH
EPOCHS = 6
USUAL = Hyperparameters(
    stage="main",
    title="Training",
    epochs=EPOCHS,
    patience=20,
    batch_size=BATCH,
    learning_rate=0.05,
    rate_setting="learning_rate",
    weight_decay=0.01,
    label_smoothing=0.1,
    seed=3,
    augmentation=without_augmentation(),
)


@keras.saving.register_keras_serializable("tests")
class AtStep(keras.layers.Layer):
    """Passes numbers on; at one training step, counted from 0, does something else."""

    def __init__(self, step: int, change: Callable[[tf.Tensor], tf.Tensor]) -> None:
        super().__init__()
        self.step, self.change = step, change

    def build(self, shape: Any) -> None:
        self.count = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training:
            return x
        here = tf.equal(self.count, self.step)
        self.count.assign_add(1)
        return tf.cond(here, lambda: self.change(x), lambda: x)


def network(*extra: keras.layers.Layer, activation: str = "tanh", seed: int = 1) -> keras.Model:
    keras.utils.set_random_seed(seed)
    features, mask = keras.Input((FRAMES, WIDTH)), keras.Input((FRAMES,), dtype="bool")
    x = keras.layers.GlobalAveragePooling1D()(features, mask=mask)
    for layer in extra:
        x = layer(x)
    x = keras.layers.Dropout(0.3)(keras.layers.Dense(8, activation=activation)(x))
    return keras.Model([features, mask], keras.ops.log_softmax(keras.layers.Dense(2)(x)))


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> tuple[RowInputs, RowInputs]:
    """Clips to train on, and to validate on."""
    rng = np.random.default_rng(0)
    made = []
    for count in (NUM_CLIPS, 5):
        clips = rng.normal(size=(count, FRAMES, WIDTH)).astype(np.float32)
        labels = (clips.sum(axis=(1, 2)) > 0).astype(int)
        made.append(RowInputs(write_examples(tmp_path_factory.mktemp("clips"), list(clips), labels), FRAMES, WIDTH))
    return made[0], made[1]


class Run:
    """A call of ``fit``, and the state after each of its epochs."""

    def __init__(
        self,
        model: keras.Model,
        examples: tuple[RowInputs, RowInputs | None],
        settings: Hyperparameters = USUAL,
        progress: SilentProgress | None = None,
        resumed: FitState | None = None,
    ) -> None:
        self.states: list[FitState] = []
        train, val = examples
        self.result: FitResult = fit(
            model,
            train,
            val,
            settings,
            progress or SilentProgress(),
            resumed=resumed,
            on_epoch=self.states.append,
        )


@pytest.mark.slow
@pytest.mark.parametrize("validates", [True, False])
def test_a_training_goes_on_from_any_epoch_to_the_same_weights(
    examples: tuple[RowInputs, RowInputs], validates: bool
) -> None:
    given = (examples[0], examples[1] if validates else None)
    settings = USUAL if validates else replace(USUAL, scaled_loss=True)
    whole = network()
    undisturbed = Run(whole, given, settings)
    for epoch in (2, EPOCHS):
        again = network(seed=9)  # other weights, another optimizer, other dropout
        resumed = Run(again, given, settings, resumed=undisturbed.states[epoch - 1])
        assert equal(again.get_weights(), whole.get_weights())
        assert len(resumed.states) == EPOCHS - epoch
        losses = [[record.loss for record in run.result.records] for run in (resumed, undisturbed)]
        assert losses[0] == losses[1]


@pytest.mark.slow
def test_a_stage_does_not_depend_on_what_was_trained_before_it(examples: tuple[RowInputs, RowInputs]) -> None:
    # A killed training goes on in a process that has not trained the stages before.
    fresh, used = network(), network()
    short = replace(USUAL, epochs=1)
    Run(fresh, examples, short)
    Run(used, examples, short)
    used.set_weights(network().get_weights())
    Run(used, examples, short)
    assert equal(fresh.get_weights(), used.get_weights())


def test_the_best_epoch_is_kept_and_patience_ends_the_training(examples: tuple[RowInputs, RowInputs]) -> None:
    model = network()
    run = Run(model, examples, replace(USUAL, learning_rate=1.0, patience=2, epochs=20))
    losses = [record.val_loss for record in run.result.records]
    best = int(np.argmin(losses))
    assert len(losses) == best + 3 < 20
    assert equal(model.get_weights(), run.states[best].best)
    # What is recorded is what the weights that were kept give.
    _, val = examples
    clips = np.stack([np.load(path) for path in val.examples.paths])
    answers = model.predict([clips, np.ones(clips.shape[:2], np.bool_)], verbose=0)
    targets = val.targets * 0.9 + 0.05
    assert run.result.records[best].val_loss == pytest.approx(-(targets * answers).sum(axis=1).mean(), rel=1e-5)
    accuracy = (answers.argmax(axis=1) == val.targets.argmax(axis=1)).mean()
    assert run.result.records[best].val_accuracy == pytest.approx(accuracy)
    # Going on, it has had its patience already.
    assert Run(network(), examples, replace(USUAL, patience=2, epochs=20), resumed=run.states[-1]).states == []


def test_without_validation_clips_the_last_epoch_is_kept(examples: tuple[RowInputs, RowInputs]) -> None:
    model = network()
    run = Run(model, (examples[0], None), replace(USUAL, patience=1))
    assert [record.epoch for record in run.result.records] == list(range(1, EPOCHS + 1))
    assert math.isnan(run.result.records[-1].val_loss)
    # By its loss, it would have stopped before.
    assert equal(model.get_weights(), run.states[-1].best)


@pytest.mark.slow
@pytest.mark.parametrize("validates", [True, False])
def test_ctrl_c_keeps_the_best_whole_epoch(examples: tuple[RowInputs, RowInputs], validates: bool) -> None:
    model = network()
    given = (examples[0], examples[1] if validates else None)
    run = Run(model, given, progress=At("Training", 2 * STEPS + 2, press_ctrl_c))
    assert run.result.interrupted and not run.result.failure
    assert len(run.result.records) == 2
    assert equal(model.get_weights(), run.states[-1].best)
    if validates:
        best = min(run.result.records, key=lambda record: record.val_loss).epoch
        assert equal(model.get_weights(), run.states[best - 1].best)


def test_ctrl_c_in_the_first_epoch_is_passed_on(examples: tuple[RowInputs, RowInputs]) -> None:
    with pytest.raises(KeyboardInterrupt):
        Run(network(), examples, progress=At("Training", 1, press_ctrl_c))


def test_ctrl_c_waits_for_the_end_of_the_step_and_a_second_one_does_not(examples: tuple[RowInputs, RowInputs]) -> None:
    reached = []

    def impatient() -> None:
        press_ctrl_c()
        reached.append("the end of the step")
        press_ctrl_c()
        reached.append("more")

    run = Run(network(), examples, progress=At("Training", STEPS + 1, impatient))
    assert run.result.interrupted and len(run.result.records) == 1
    assert reached == ["the end of the step"]


def make_nan(x: tf.Tensor) -> tf.Tensor:
    return x * np.nan


@pytest.mark.slow
@pytest.mark.parametrize("validates", [True, False])
@pytest.mark.parametrize("activation", ["tanh", "relu"])  # ReLU hides what is not a number from the loss
def test_a_loss_that_is_not_a_number_ends_it_with_the_weights_of_a_sound_epoch(
    examples: tuple[RowInputs, RowInputs], activation: str, validates: bool
) -> None:
    given = (examples[0], examples[1] if validates else None)
    model = network(AtStep(3 * STEPS + 1, make_nan), activation=activation)
    run = Run(model, given)
    assert [record.epoch for record in run.result.records] == [1, 2, 3]
    for text in ("epoch 4", "'main'", "`learning_rate`", "0.05"):
        assert text in run.result.failure
    assert equal(model.get_weights(), run.states[-1].best)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


def test_weights_that_are_not_finite_are_never_the_best(examples: tuple[RowInputs, RowInputs], tmp_path: Path) -> None:
    # With ReLU, weights that are not numbers answer like weights of zero, which is better than a bad network.
    train, val = examples
    wrong = replace(val, examples=replace(val.examples, targets=val.targets[:, ::-1].copy()))
    model = network(AtStep(STEPS + 1, make_nan), activation="relu")
    run = Run(model, (train, wrong), replace(USUAL, label_smoothing=0.0, learning_rate=1.0))
    assert len(run.result.records) == 1
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"rate_setting": "encoder_learning_rate"}, "`encoder_learning_rate`"),
        ({"scaled_loss": True}, "`precision=float32` or `precision=bfloat16`"),
    ],
)
def test_a_loss_that_is_not_a_number_from_the_start_is_an_error_that_says_what_to_change(
    examples: tuple[RowInputs, RowInputs], changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(TrainingError) as caught:
        Run(network(AtStep(1, make_nan)), examples, replace(USUAL, **changes))
    assert text in str(caught.value) and "epoch 1" in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.code == "training.diverged"


def take_terabytes(x: tf.Tensor) -> tf.Tensor:
    size = tf.shape(x)[0] * 10**6
    return x + 0 * tf.reduce_sum(tf.random.uniform([size, size]))


@pytest.mark.slow  # TensorFlow waits ten seconds for memory
def test_a_batch_that_does_not_fit_into_memory_keeps_what_was_learned_before(
    examples: tuple[RowInputs, RowInputs],
) -> None:
    model = network(AtStep(2 * STEPS + 1, take_terabytes))
    run = Run(model, examples)
    assert len(run.result.records) == 2
    assert "memory" in run.result.failure and "`batch_size`" in run.result.failure
    assert "\n" not in run.result.failure
    assert equal(model.get_weights(), run.states[-1].best)


def test_a_first_batch_that_does_not_fit_into_memory_is_an_error(examples: tuple[RowInputs, RowInputs]) -> None:
    with pytest.raises(TrainingError, match=r"Unable to allocate.*`batch_size`") as caught:
        Run(network(), examples, progress=At("Training", 1, lambda: np.empty(1 << 60, np.uint8)))
    assert caught.value.code == "training.memory"


def test_weight_decay_pulls_weights_to_zero_and_never_biases(examples: tuple[RowInputs, RowInputs]) -> None:
    train, _ = examples
    nothing = replace(train, examples=replace(train.examples, weights=np.zeros(NUM_CLIPS, np.float32)))  # no gradients
    model = network()
    model.set_weights([np.ones_like(weights) for weights in model.get_weights()])
    Run(model, (nothing, None), replace(USUAL, weight_decay=0.9, learning_rate=0.5))
    for variable in model.trainable_variables:
        left = float(np.asarray(variable).mean())
        assert left < 0.5 if variable.name == "kernel" else left == 1


def some_checkpoint() -> Checkpoint:
    record = EpochRecord(1, "main", 0.5, 0.6, math.nan, math.nan, 1.0)
    variables = [np.arange(3.0), np.array(7)]
    return Checkpoint({"seed": 3}, 1, (record,), variables, [np.ones((2, 2), np.float32)], [np.zeros(2)], 0)


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path / "model")
    assert read_checkpoint(path) is None
    wanted = some_checkpoint()
    write_checkpoint(path, wanted)
    found = read_checkpoint(path)
    assert found is not None
    assert (found.settings, found.stage, found.kept_stage, found.records[0].loss) == ({"seed": 3}, 1, 0, 0.5)
    assert math.isnan(found.records[0].val_loss)
    for name in ("variables", "best", "kept"):
        assert equal(getattr(found, name), getattr(wanted, name))
    assert [p.name for p in tmp_path.iterdir()] == [".model.checkpoint.npz"]


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "pickle", "header", "encrypted", "no epochs"])
def test_a_damaged_checkpoint_is_an_error_of_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "state.npz"
    write_checkpoint(path, replace(some_checkpoint(), records=()) if damage == "no epochs" else some_checkpoint())
    content = path.read_bytes()
    if damage == "pickle":
        np.savez(path, header=np.array([{"a": 1}], dtype=object))
    elif damage == "encrypted":
        flags = content.index(b"PK\x01\x02") + 8  # of the first file in the zip's directory
        path.write_bytes(content[:flags] + bytes([content[flags] | 1]) + content[flags + 1 :])
    elif damage == "header":
        np.savez(path, header=np.frombuffer(b"\x81\xa6schema\xa5other", np.uint8))
    elif damage != "no epochs":
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"hello"}[damage])
    with pytest.raises(TrainingError, match="`overwrite`") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value) and caught.value.code == "training.checkpoint"


def test_the_state_of_another_network_is_refused(examples: tuple[RowInputs, RowInputs]) -> None:
    checkpoint = some_checkpoint()
    state = FitState(checkpoint.records, checkpoint.variables, checkpoint.best)
    with pytest.raises(TrainingError, match="`overwrite`") as caught:
        Run(network(), examples, resumed=state)
    assert caught.value.code == "training.checkpoint"
