"""The trainings of one command, one after the other: killed, stopped, and gone on with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest

from activity_cli import Augmentation, NetworkSettings, Recognizer, TrainSettings, train
from activity_cli.dataset.manifest import read_prepared
from activity_cli.errors import ConfigError, TrainingError
from activity_cli.model.bundle import WEIGHTS_FILE, read_bundle
from activity_cli.model.network import Network, load_network
from activity_cli.progress import SilentProgress, Stage
from activity_cli.streams.encoders import build_encoder
from activity_cli.training.checkpoint import checkpoint_path, read_checkpoint, write_checkpoint
from learning_support import scalars_in

HEAD, ALL = "Training, encoder as it is", "Training"
HEAD_AGAIN, ALL_AGAIN = "Training on all clips, encoder as it is", "Training on all clips"
Weights = list[npt.NDArray[np.float32]]
BATCH = 8


class Fate(SilentProgress):
    """Raises an error at a step of a stage, and remembers what it was told."""

    def __init__(self, title: str, step: int, error: type[BaseException]) -> None:
        self.title, self.step, self.error = title, step, error
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    warn = note

    @contextmanager
    def stage(self, title: str, total: int | None, unit: str) -> Iterator[Stage]:
        left, error = (self.step if title == self.title else -1), self.error

        class Steps:
            def advance(self, amount: int = 1, note: str = "") -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    raise error

        yield Steps()


@pytest.fixture(scope="module")
def config(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainSettings:
    """Finetuning of a small encoder whose weights come from a file."""
    keras.utils.set_random_seed(5)
    weights = tmp_path_factory.mktemp("encoder") / "small.weights.h5"
    build_encoder("small", 32, weights="none").save_weights(weights)
    network = NetworkSettings(encoder="small", units=8, dropout=0.2)
    return TrainSettings(
        prepared,
        network=network,
        weights=str(weights),
        mode="finetune",
        finetune_blocks=1,
        epochs=2,
        head_epochs=8,
        batch_size=BATCH,
        refit=True,
        precision="float32",
    )


@pytest.fixture(scope="module")
def undisturbed(config: TrainSettings, tmp_path_factory: pytest.TempPathFactory) -> Weights:
    out = tmp_path_factory.mktemp("undisturbed") / "model"
    result = train(replace(config, out=out))
    assert result.refitted and len(result.history) == 2
    return network_of(out).whole.get_weights()


def network_of(model: Path) -> Network:
    bundle = read_bundle(model)
    return load_network(model / WEIGHTS_FILE, bundle.network, bundle.sampling, len(bundle.labels))


def same(one: Weights, other: Weights) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_stopped_before_the_encoder_has_learned_what_the_head_has_learned_is_saved(
    config: TrainSettings, tmp_path: Path, videos: Path
) -> None:
    out = tmp_path / "model"
    result = train(replace(config, out=out), Fate(ALL, 1, KeyboardInterrupt))
    assert result.interrupted and not result.refitted
    begun = build_encoder("small", 32, weights=config.weights or "")
    assert same(network_of(out).encoder.get_weights(), begun.get_weights())
    assert len(result.history) > 2, "these are not the epochs of the head"
    assert Recognizer(out).predict(videos / "up" / "person1_0.avi").frames_used == 6


def test_killed_and_stopped_it_goes_on_to_the_weights_of_an_undisturbed_one(
    config: TrainSettings, undisturbed: Weights, tmp_path: Path
) -> None:
    config = replace(config, out=tmp_path / "model")
    with pytest.raises(RuntimeError):
        train(config, Fate(ALL, 5, RuntimeError))
    assert not config.out.exists()
    # The same command goes on; stopped in the second training, the weights are those of the first.
    result = train(config, Fate(HEAD_AGAIN, 5, KeyboardInterrupt))
    assert result.stopped_again and not result.refitted
    assert not same(network_of(config.out).whole.get_weights(), undisturbed)
    assert train(replace(config, resume=True)).refitted
    assert same(network_of(config.out).whole.get_weights(), undisturbed)


def test_a_state_of_another_network_or_machine_is_refused_and_stays(config: TrainSettings, tmp_path: Path) -> None:
    config = replace(config, out=tmp_path / "model", resume=True)
    with pytest.raises(RuntimeError):
        train(replace(config, resume=False), Fate(HEAD_AGAIN, 30, RuntimeError))
    path = checkpoint_path(config.out)
    state = read_checkpoint(path)
    assert state is not None and state.head and state.earlier
    with pytest.raises(ConfigError, match="other settings: precision"):
        train(replace(config, precision="bfloat16"))
    write_checkpoint(path, replace(state, state=state.state[:-1]))
    with pytest.raises(TrainingError, match="another version"):
        train(config)
    write_checkpoint(path, replace(state, head=False))
    with pytest.raises(TrainingError, match="another version"):
        train(config)
    assert path.exists() and not config.out.exists()


def test_the_head_goes_on_from_its_last_epoch(config: TrainSettings, undisturbed: Weights, tmp_path: Path) -> None:
    clips = read_prepared(config.prepared)
    num_train, num_val = (len(clips.in_split(split)) for split in ("train", "val"))
    steps, steps_again = -(-num_train // BATCH), -(-(num_train + num_val) // BATCH)
    config = replace(config, out=tmp_path / "model")
    # In the third epoch of the head, stopped; in the second training killed there, and after each head.
    assert train(config, Fate(HEAD, 2 * steps + 1, KeyboardInterrupt)).interrupted
    resumed = replace(config, resume=True)
    fates = [
        (Fate(ALL, 1, RuntimeError), "epoch 2 of"),
        (Fate(HEAD_AGAIN, 2 * steps_again + 1, RuntimeError), "epoch 8 of"),
        (Fate(ALL_AGAIN, 1, RuntimeError), "epoch 2 of"),
        (Fate("", 0, RuntimeError), "epoch 8 of"),
    ]
    for fate, told in fates:
        if not fate.title:
            make_the_first_end_badly(config.out)
        try:
            result = train(resumed, fate)
        except RuntimeError:
            assert fate.title
        (note,) = (note for note in fate.notes if "Going on" in note)
        assert told in note and "encoder stays as it is" in note
        assert any("goes on to the last epoch" in note for note in fate.notes) == (not fate.title)
    assert same(network_of(config.out).whole.get_weights(), undisturbed)
    assert [record.epoch for record in result.head_history] == [*range(1, 9)] and len(result.history) == 2


def test_a_second_training_stopped_in_its_first_epoch_leaves_the_first(config: TrainSettings, tmp_path: Path) -> None:
    network = NetworkSettings(encoder="small", units=4, sequence="mean")
    frozen = replace(config, network=network, mode="frozen", finetune_blocks=None, epochs=2, head_epochs=None)
    once = train(replace(frozen, out=tmp_path / "once", refit=False))
    result = train(replace(frozen, out=tmp_path / "model"), Fate(ALL_AGAIN, 1, KeyboardInterrupt))
    assert result.stopped_again and not result.refitted
    assert [record.loss for record in result.history] == [record.loss for record in once.history]
    assert same(network_of(tmp_path / "model").whole.get_weights(), network_of(tmp_path / "once").whole.get_weights())


def make_the_first_end_badly(model: Path) -> None:
    state = read_checkpoint(checkpoint_path(model))
    assert state and state.earlier
    *epochs, last = state.earlier[0]
    worse = replace(last, val_loss=100.0)
    write_checkpoint(checkpoint_path(model), replace(state, earlier=((*epochs, worse), 1)))


def test_the_encoder_goes_on_from_what_a_frozen_training_gives(config: TrainSettings, tmp_path: Path) -> None:
    frozen = replace(config, out=tmp_path / "frozen", mode="frozen", finetune_blocks=None, refit=False)
    frozen = replace(frozen, epochs=8, head_epochs=None)
    alone = train(frozen)
    tuned = replace(config, out=tmp_path / "tuned", encoder_learning_rate=1e-9, refit=False)
    result = train(replace(tuned, tensorboard=tmp_path / "logs"))
    assert [record.loss for record in result.head_history] == [record.loss for record in alone.history]
    assert not any(record.encoder_learns for record in (*result.head_history, *alone.history))
    curves = scalars_in(tmp_path / "logs")
    for name, epochs in (("head", result.head_history), ("epoch", result.history)):
        for record in epochs:
            assert curves[f"{name}/loss", record.epoch] == pytest.approx(record.loss, rel=1e-6)
    before, after = answers_of(frozen.out), answers_of(tuned.out)
    np.testing.assert_allclose(after, before, atol=1e-3)
    assert np.ptp(before, axis=0).max() > 0.01, "all clips look the same, so the test shows nothing"
    # Driven far off, also in two runs, it is left as it was.
    harmed = replace(tuned, out=tmp_path / "harmed", encoder_learning_rate=1.0)
    with pytest.raises(RuntimeError):
        train(harmed, Fate(ALL, 6, RuntimeError))
    result = train(harmed, fate := Fate("", 0, RuntimeError))
    assert "Going on after epoch 1" in fate.notes[0] and "left as it was" in fate.notes[-1]
    assert [record.loss for record in result.history] == [record.loss for record in alone.history]
    np.testing.assert_array_equal(answers_of(harmed.out), before)


def answers_of(model: Path) -> npt.NDArray[np.float32]:
    clips = np.random.default_rng(0).integers(0, 256, (4, 6, 32, 32, 3), np.uint8)
    clips //= np.arange(1, 5, dtype=np.uint8).reshape(4, 1, 1, 1, 1)
    return np.asarray(network_of(model).whole([clips, np.arange(6) < np.array([[6], [6], [3], [1]])]))


def test_a_head_without_a_linear_layer_goes_before_as_well(config: TrainSettings, tmp_path: Path) -> None:
    out = tmp_path / "model"
    network = NetworkSettings(encoder="small", units=4, sequence="mean")
    config = replace(config, network=network, out=out, refit=False, epochs=1, augment=Augmentation(crop=0.3))
    train(config, fate := Fate("", 0, RuntimeError))
    assert "Crop and color change nothing in the mode 'finetune'" in fate.notes[0]
    begun = build_encoder("small", 32, weights=config.weights or "")
    pairs = zip(network_of(out).encoder.get_weights(), begun.get_weights(), strict=True)
    assert [np.array_equal(one, other) for one, other in pairs].count(False) == 1  # the last convolution


def test_a_file_of_weights_that_was_replaced_meanwhile_is_another_setting(
    config: TrainSettings, tmp_path: Path
) -> None:
    weights = tmp_path / "small.weights.h5"
    build_encoder("small", 32, weights="none").save_weights(weights)
    config = replace(config, out=tmp_path / "model", weights=str(weights))
    with pytest.raises(RuntimeError):
        train(config, Fate(ALL, 1, RuntimeError))
    build_encoder("small", 32, weights="none").save_weights(weights)
    with pytest.raises(ConfigError, match="weights_sha256"):
        train(replace(config, resume=True))
