"""The training loop by itself, on a network that is trained in milliseconds."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from activity_cli import Augmentation, NetworkSettings, TrainSettings, train
from activity_cli.dataset.manifest import read_prepared
from activity_cli.errors import ConfigError, TrainingError
from activity_cli.progress import SilentProgress, Stage
from activity_cli.results import EpochRecord
from activity_cli.streams.encoders import build_encoder
from activity_cli.training.callbacks import History
from activity_cli.training.checkpoint import Checkpoint, checkpoint_path, read_checkpoint, write_checkpoint
from activity_cli.training.devices import choose_strategy
from activity_cli.training.optimizer import OneCycle, Pace, PacedAdamW
from activity_cli.training.runner import Feed, Recipe, fit
from activity_cli.training.tensorboard import CurveWriter
from activity_cli.training.validation import judge_of
from learning_support import scalars_in

STEPS, BATCH, WIDTH, CLASSES = 3, 4, 5, 2
RECIPE = Recipe(epochs=6, patience=20, learning_rate=0.05, weight_decay=0.0, label_smoothing=0.1)
RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(10, STEPS * BATCH, WIDTH)).astype(np.float32)  # of each epoch
TARGETS = np.eye(CLASSES, dtype=np.float32)[(INPUTS.sum(-1) > 0).astype(int)]
Change = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
BEGUN = Checkpoint({"a": 1})
GREEDY_FROM = 100.0


def network(seed: int = 1, activation: str = "tanh") -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((WIDTH,), name="inputs")
    x = keras.layers.Dropout(0.3)(keras.layers.Dense(8, activation=activation, name="hidden")(inputs))
    return keras.Model(inputs, keras.layers.Dense(CLASSES, activation="softmax", name="classes")(x))


def feed_of(model: keras.Model, inputs: npt.NDArray[np.float32] = INPUTS, *, val: bool = True) -> Feed:
    def train(first_epoch: int) -> tf.data.Dataset:
        rest = (inputs[first_epoch:].reshape(-1, WIDTH), TARGETS[first_epoch:].reshape(-1, CLASSES))
        return tf.data.Dataset.from_tensor_slices(rest).batch(BATCH)

    held_out = tf.data.Dataset.from_tensor_slices((INPUTS[9], TARGETS[9], np.ones(STEPS * BATCH))).batch(5)
    return Feed(model, {}, train, STEPS, held_out if val else None)


def fitted(feed: Feed, place: Path, recipe: Recipe = RECIPE, resumed: Checkpoint | None = None) -> History:
    strategy = tf.distribute.get_strategy()
    return fit(feed, recipe, strategy, SilentProgress(), checkpoint=place, begun=BEGUN, resumed=resumed)


def interrupted(feed: Feed, place: Path, after: int, recipe: Recipe = RECIPE) -> None:
    """Trains until some epochs are kept, and then dies."""

    class Death(SilentProgress):
        @contextmanager
        def stage(self, title: str, total: int | None, unit: str) -> Iterator[Stage]:
            done = 0

            class Steps:
                def advance(self, amount: int = 1, note: str = "") -> None:
                    nonlocal done
                    done += 1
                    if done > after * STEPS:
                        raise RuntimeError("killed")

            yield Steps()

    strategy = tf.distribute.get_strategy()
    try:
        fit(feed, recipe, strategy, Death(), checkpoint=place, begun=BEGUN)
    except RuntimeError:
        raise KeyboardInterrupt from None


def is_the_best_of_three_epochs(model: keras.Model, undisturbed: keras.Model, place: Path) -> bool:
    with pytest.raises(KeyboardInterrupt):
        interrupted(feed_of(undisturbed), place, after=3)
    state = read_checkpoint(place)
    assert state is not None
    undisturbed.set_weights(list(state.best))
    return same(model, undisturbed)


def same(one: keras.Model, other: keras.Model) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_a_training_that_goes_on_gives_the_weights_of_one_that_was_never_stopped(tmp_path: Path) -> None:
    whole, halves = network(), network()
    history = fitted(feed_of(whole), tmp_path / "whole.npz")
    with pytest.raises(KeyboardInterrupt):  # as a kill would: after the second epoch was kept
        interrupted(feed_of(halves), tmp_path / "half.npz", after=2)
    state = read_checkpoint(tmp_path / "half.npz")
    assert state is not None and len(state.epochs) == 2
    again = network(seed=9)  # other weights, another optimizer, other dropout
    assert not same(again, whole)
    resumed = fitted(feed_of(again), tmp_path / "half.npz", resumed=state)
    assert same(again, whole)
    assert [r.val_loss for r in resumed.epochs] == [r.val_loss for r in history.epochs]
    assert resumed.best_epoch == history.best_epoch


def test_the_best_epoch_is_kept_and_patience_ends_the_training(tmp_path: Path) -> None:
    model = network()
    history = fitted(feed_of(model), tmp_path / "a.npz", replace(RECIPE, learning_rate=1.0, patience=2))
    losses = [record.val_loss for record in history.epochs]
    assert history.best_epoch == 1 + int(np.argmin(losses))
    assert len(losses) == min(RECIPE.epochs, history.best_epoch + 2)
    found = judge_of(model, feed_of(model).val, 0.1)()
    np.testing.assert_allclose(found, (history.best.val_loss, history.best.val_accuracy), rtol=1e-5)


def test_the_last_epoch_can_be_what_is_kept(tmp_path: Path) -> None:
    history = fitted(feed_of(network(), val=False), tmp_path / "a.npz", replace(RECIPE, keep_last=True, patience=1))
    assert (history.best_epoch, len(history.epochs)) == (6, 6)
    assert math.isnan(history.best.val_loss)


def test_the_weights_of_an_earlier_training_stay_until_a_second_one_has_ended(tmp_path: Path) -> None:
    recipe = replace(RECIPE, keep_last=True)
    earlier = History([EpochRecord(1, 0.5, 0.6, 0.7, 0.8, 1.0)], 1)
    first = [weights + 1 for weights in network().get_weights()]
    begun = replace(BEGUN, earlier=(tuple(earlier.epochs), earlier.best_epoch))
    shared = {"checkpoint": tmp_path / "a.npz", "begun": begun, "fallback": first}
    strategy = tf.distribute.get_strategy()

    broken = network()
    history = fit(feed_of(broken, poisoned(3), val=False), recipe, strategy, SilentProgress(), **shared)
    assert history.diverged
    assert all(np.array_equal(a, b) for a, b in zip(broken.get_weights(), first, strict=True))
    state = read_checkpoint(tmp_path / "a.npz")
    assert state is not None and state.earlier == ((earlier.epochs[0],), 1)
    assert all(np.array_equal(a, b) for a, b in zip(state.best, first, strict=True))

    whole, alone = network(), network()
    assert not fit(feed_of(whole, val=False), recipe, strategy, SilentProgress(), **shared).diverged
    fitted(feed_of(alone, val=False), tmp_path / "b.npz", recipe)
    assert same(whole, alone)
    # Killed now, the second comes to its end again; stopped before it does, the first's weights are still there.
    state = read_checkpoint(tmp_path / "a.npz")
    assert state is not None and len(state.epochs) == recipe.epochs
    assert all(np.array_equal(a, b) for a, b in zip(state.best, first, strict=True))
    again = network(seed=9)
    fit(feed_of(again, val=False), recipe, strategy, SilentProgress(), **shared, resumed=state)
    assert same(again, alone)


def test_the_judge_says_what_keras_says() -> None:
    model = network()
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(loss=loss, metrics=["accuracy"])
    expected = model.evaluate(INPUTS[9], TARGETS[9], verbose=0)
    np.testing.assert_allclose(judge_of(model, feed_of(model).val, 0.1)(), expected, rtol=1e-5)


def poisoned(epoch: int) -> npt.NDArray[np.float32]:
    inputs = INPUTS.copy()
    inputs[epoch, BATCH + 1] = np.nan  # in its second step
    return inputs


def test_a_loss_that_is_no_number_ends_it_and_the_last_good_weights_stay(tmp_path: Path) -> None:
    model, undisturbed = network(), network()
    history = fitted(feed_of(model, poisoned(3)), tmp_path / "a.npz")
    assert len(history.epochs) == 3
    assert "epoch 4, step 2." in history.diverged
    assert is_the_best_of_three_epochs(model, undisturbed, tmp_path / "b.npz")
    assert "learning rate" in history.diverged  # the batches of the first epoch are sound


def test_a_loss_that_is_no_number_from_the_start_is_an_error_that_names_the_cause(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"epoch 1, step 2\. The encoder gives features that are no numbers"):
        fitted(feed_of(network(), poisoned(0)), tmp_path / "a.npz")
    assert not (tmp_path / "a.npz").exists()


def test_weights_that_are_no_numbers_are_noticed_where_the_loss_hides_them(tmp_path: Path) -> None:
    model = network(activation="relu")
    history = fitted(feed_of(model, poisoned(3)), tmp_path / "a.npz")
    assert [len(history.epochs), history.best_epoch <= 3] == [3, True]
    assert "epoch 4, after its last step." in history.diverged
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


class Greedy(keras.layers.Layer):
    """Needs terabytes for some batches, as one of too many and too large clips does."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        size = tf.where(tf.reduce_max(x) > GREEDY_FROM, 10**6, 1)
        return x + 0 * tf.reduce_sum(tf.random.uniform([tf.shape(x)[0], size, size]))


def greedy_network() -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((WIDTH,))
    return keras.Model(inputs, keras.layers.Dense(CLASSES, activation="softmax")(Greedy()(inputs)))


def test_a_batch_that_does_not_fit_into_memory_in_a_later_epoch_keeps_what_has_been_learned(tmp_path: Path) -> None:
    inputs = INPUTS.copy()
    inputs[3, 5] = GREEDY_FROM + 1  # in the fourth epoch
    model, undisturbed = greedy_network(), greedy_network()
    history = fitted(feed_of(model, inputs), tmp_path / "a.npz")
    assert len(history.epochs) == 3
    assert "does not fit into memory" in history.diverged and "not a finite number" not in history.diverged
    assert is_the_best_of_three_epochs(model, undisturbed, tmp_path / "b.npz")


def test_a_batch_that_does_not_fit_into_memory_says_what_to_lower(tmp_path: Path) -> None:
    model = greedy_network()
    with pytest.raises(TrainingError, match=r"does not fit into memory.*--batch-size") as caught:
        fitted(feed_of(model, INPUTS + 2 * GREEDY_FROM, val=False), tmp_path / "a.npz")
    assert "\n" not in str(caught.value)
    assert caught.value.code == "training.memory"


def test_each_variable_learns_at_its_pace() -> None:
    steps = {}
    for paces in ({}, {"hidden/kernel": Pace(rate=0.1)}):
        model = network()
        before = [np.asarray(v) for v in model.trainable_variables]
        optimizer = PacedAdamW(0.01, paces, Pace())
        optimizer.build(model.trainable_variables)
        optimizer.apply([tf.ones_like(v) for v in before], model.trainable_variables)
        after = [np.asarray(v) for v in model.trainable_variables]
        for v, a, b in zip(model.trainable_variables, after, before, strict=True):
            steps[v.path, len(paces)] = np.abs(a - b).mean()
    for (path, paced), step in steps.items():
        # Adam's first step is the learning rate.
        expected = 0.001 if paced and path == "hidden/kernel" else 0.01
        assert step == pytest.approx(expected, rel=1e-3)


def test_its_steps_are_those_of_adamw_in_keras() -> None:
    found = []
    for optimizer in (PacedAdamW(0.01, {}, Pace(decay=0.3)), keras.optimizers.AdamW(0.01, weight_decay=0.3)):
        model = network()
        if isinstance(optimizer, keras.optimizers.AdamW):
            optimizer.exclude_from_weight_decay(var_names=["bias"])
        optimizer.build(model.trainable_variables)
        rng = np.random.default_rng(4)
        for _ in range(5):
            gradients = [tf.constant(rng.normal(size=v.shape), tf.float32) for v in model.trainable_variables]
            optimizer.apply(gradients, model.trainable_variables)
        found.append([*model.get_weights(), *(np.asarray(v) for v in optimizer.variables)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_decay_pulls_weights_to_zero_and_never_biases() -> None:
    model = network()
    optimizer = PacedAdamW(0.01, {"classes/kernel": Pace(decay=0.2)}, Pace(decay=0.5))
    optimizer.build(model.trainable_variables)
    for variable in model.trainable_variables:
        variable.assign(tf.ones_like(variable))
    optimizer.apply([tf.zeros_like(v) for v in model.trainable_variables], model.trainable_variables)
    left = {v.path: float(np.asarray(v).mean()) for v in model.trainable_variables}
    expected = {"hidden/kernel": 0.995, "hidden/bias": 1, "classes/kernel": 0.998, "classes/bias": 1}
    assert left == pytest.approx(expected, abs=1e-6)


def test_the_learning_rate_rises_and_falls_once() -> None:
    rates = np.array([float(OneCycle(0.1, 100)(step)) for step in range(100)])
    assert rates[0] == pytest.approx(0.1 / 25)
    assert rates.max() == pytest.approx(0.1, rel=1e-3)
    assert rates[-1] == pytest.approx(0.1 * 1e-4, rel=1e-2)
    top = rates.argmax()
    assert 12 <= top <= 18
    assert (np.diff(rates[: top + 1]) > 0).all() and (np.diff(rates[top:]) < 0).all()
    assert float(OneCycle(0.1, 1)(0)) > 0


def some_checkpoint() -> Checkpoint:
    record = EpochRecord(1, 0.5, 0.6, math.nan, math.nan, 1.0)
    return Checkpoint({"seed": 3}, (record,), 1, [np.arange(3.0), np.array(7)], [np.ones((2, 2), np.float32)])


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path / "model")
    assert read_checkpoint(path) is None
    write_checkpoint(path, some_checkpoint())
    found = read_checkpoint(path)
    assert found is not None
    assert (found.settings, found.best_epoch, found.epochs[0].loss) == ({"seed": 3}, 1, 0.5)
    wanted = some_checkpoint()
    for one, other in zip((*found.state, *found.best), (*wanted.state, *wanted.best), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [p.name for p in tmp_path.iterdir()] == [".model.checkpoint.npz"]


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "pickle", "schema", "encrypted"])
def test_a_damaged_checkpoint_is_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "state.npz"
    write_checkpoint(path, some_checkpoint())
    content = path.read_bytes()
    if damage == "pickle":
        np.savez(path, about=np.array([{"a": 1}], dtype=object))
    elif damage == "encrypted":
        flags = content.index(b"PK\x01\x02") + 8  # of the first file in the zip's directory
        path.write_bytes(content[:flags] + bytes([content[flags] | 1]) + content[flags + 1 :])
    elif damage == "schema":
        np.savez(path, about=np.frombuffer(b'{"schema": "other"}', np.uint8))
    else:
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"hello"}[damage])
    with pytest.raises(TrainingError, match="Begin anew") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_do_not_go_on(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="another version"):
        fitted(feed_of(network()), tmp_path / "a.npz", resumed=some_checkpoint())


def test_tensorboard_reads_every_epoch(tmp_path: Path) -> None:
    strategy, recipe = tf.distribute.get_strategy(), replace(RECIPE, epochs=2)
    history = fit(
        feed_of(network()),
        recipe,
        strategy,
        SilentProgress(),
        checkpoint=tmp_path / "a.npz",
        begun=BEGUN,
        curves=CurveWriter(tmp_path / "logs" / "run", "epoch"),
    )
    found = scalars_in(tmp_path / "logs" / "run")
    for record in history.epochs:
        assert found["epoch/val_loss", record.epoch] == pytest.approx(record.val_loss, rel=1e-6)
    assert len(found) == 2 * 5


@pytest.mark.parametrize(("names", "batch", "text"), [(("GPU:7",), 16, "GPU:7"), (("cpu",), 16, "CPU:0")])
def test_a_device_that_is_not_there_is_refused(names: tuple[str, ...], batch: int, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        choose_strategy(names, batch)


def test_one_device_can_be_named() -> None:
    assert choose_strategy(("CPU:0",), 16).num_replicas_in_sync == 1
    assert choose_strategy((), 16).num_replicas_in_sync == 1


ON_DEVICES = TrainSettings(
    network=NetworkSettings(encoder="small", units=8, dropout=0.0),
    epochs=2,
    batch_size=8,
    precision="float32",
    augment=Augmentation.none(),
)
HEAD = {"head_epochs": 2}
# Quicker to build: where the encoder learns from nothing, it is about that.
MEAN = {"network": NetworkSettings(encoder="small", sequence="mean", dropout=0.0)}
_ON_TWO_DEVICES = """
import sys
from dataclasses import replace
from pathlib import Path
import tensorflow as tf
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0],
                                           [tf.config.LogicalDeviceConfiguration()] * 3)
from activity_cli import train
from activity_cli.errors import ConfigError
from test_learning import HEAD, MEAN, ON_DEVICES
prepared, out, weights = map(Path, sys.argv[1:])
for number, (begun, settings) in enumerate((("none", MEAN), (str(weights), HEAD))):
    config = replace(ON_DEVICES, prepared=prepared, out=out / str(number), weights=begun, devices=("CPU:0", "CPU:1"))
    config = replace(config, batch_size=9, **settings)  # 8 can be shared
    result = train(config)
    print(*(record.loss for record in result.history), *(record.val_loss for record in result.history))
try:
    train(replace(config, out=out / "others", devices=("CPU:1", "CPU:2")))
except ConfigError as error:
    print(error)
"""


def test_two_devices_share_each_batch_and_learn_what_one_learns_twice_in_one_process(
    prepared: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "small.weights.h5"
    build_encoder("small", 32, weights="none").save_weights(weights)
    # An epoch of full batches: a last one that would leave a device with no clip is left out.
    assert len(read_prepared(prepared).in_split("train")) % ON_DEVICES.batch_size == 0
    words = [sys.executable, "-c", _ON_TWO_DEVICES, str(prepared), str(tmp_path / "two"), str(weights)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=180, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    *lines, others = done.stdout.splitlines()
    assert others.startswith("This process has trained on CPU:0, CPU:1 already")
    joint, frozen = ([float(word) for word in line.split()] for line in lines)
    np.testing.assert_allclose(frozen, losses_on_one(prepared, tmp_path / "frozen", str(weights), **HEAD), rtol=1e-4)
    # Batch normalization, where it learns, sees half of a batch on each device: alike, not equal.
    np.testing.assert_allclose(joint, losses_on_one(prepared, tmp_path / "joint", "none", **MEAN), rtol=0.25)


def losses_on_one(prepared: Path, out: Path, weights: str, **settings: Any) -> list[float]:
    config = replace(ON_DEVICES, prepared=prepared, out=out, weights=weights, devices=("CPU:0",), **settings)
    epochs = train(config).history
    return [*(record.loss for record in epochs), *(record.val_loss for record in epochs)]
