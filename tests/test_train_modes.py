"""What is trained in each mode, and that a training that is killed in any stage goes on to the same weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from activity_cli import (
    NetworkSettings,
    PrepareSettings,
    Recognizer,
    Sampling,
    TrainResult,
    TrainSettings,
    prepare,
    train,
)
from activity_cli.dataset.manifest import read_prepared
from activity_cli.model.bundle import ENCODER_FILE, read_bundle
from activity_cli.model.network import build_encoder_for
from activity_cli.training.checkpoint import checkpoint_path, read_checkpoint
from conftest import TINY_NETWORK, TINY_STREAMS
from training_support import (
    CROSS_VALIDATING,
    MAIN,
    REFIT,
    REFIT_WARMUP,
    SMALL,
    TRAINING,
    WARMUP,
    Recording,
    files_of,
    in_a_process,
    kill,
    network_of,
    write_encoder,
)

# Steps of an epoch, of 24 clips to train on and 6 to validate on; folds have 20 of these 30.
BATCH, STEPS, STEPS_OF_REFIT = 8, 3, 4
RECURRENT = replace(SMALL, head="recurrent")

Trained = tuple[TrainSettings, TrainResult]


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """A model of each mode, with the encoder ``small`` from a file of weights; each is trained once."""
    root = tmp_path_factory.mktemp("trained")
    usual = {"network": SMALL, "weights": write_encoder(root / "small.weights.h5"), "batch_size": BATCH}
    modes: dict[str, dict[str, Any]] = {
        "frozen": {"epochs": 2, "network": RECURRENT},
        "finetune": {"epochs": 2, "warmup_epochs": 2, "finetune_blocks": 1},
        "joint": {"epochs": 1, "warmup_epochs": 1, "refit": False},
    }
    done: dict[str, Trained] = {}

    def train_once(mode: str) -> Trained:
        if mode not in done:
            settings = TrainSettings(prepared, root / mode, mode=mode, precision="float32", **usual | modes[mode])
            done[mode] = settings, train(settings)
        return done[mode]

    return train_once


def changed_layers(model: Path, weights: str | None) -> set[str]:
    """Layers of the encoder that have other weights than it started from."""
    network = network_of(model)
    before = build_encoder_for(network.shape.settings, network.shape.frame_size, weights=weights or "imagenet")
    return {
        layer.name
        for layer, old in zip(network.encoder.layers, before.layers, strict=True)
        if any(not np.array_equal(a, b) for a, b in zip(layer.get_weights(), old.get_weights(), strict=True))
    }


@pytest.mark.slow
def test_killed_between_fits_a_frozen_training_goes_on_to_the_weights_of_an_undisturbed_one(
    trained: Callable[[str], Trained], tmp_path: Path
) -> None:
    undisturbed, expected = trained("frozen")
    settings, fits = replace(undisturbed, out=tmp_path / "model"), tmp_path / ".model.fits"
    # In the second epoch of the third fold, and then in that of the last fit.
    for title, step, done in ((CROSS_VALIDATING, 4 * STEPS + 5, 2), (TRAINING, STEPS_OF_REFIT + 2, 3)):
        kill(settings, title.format("appearance"), step)
        assert len(list(fits.glob("*.npz"))) == done
        assert not settings.out.exists()
    progress = Recording()
    result = train(settings, progress)
    assert any("3 fits" in note for note in progress.notes)
    assert [title for title in progress.titles if "ing appearance" in title] == [TRAINING.format("appearance")]
    assert files_of(settings.out) == files_of(undisturbed.out)
    assert [record.loss for record in result.history] == [record.loss for record in expected.history]
    assert (result.heads, result.val_loss) == (expected.heads, expected.val_loss)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.slow
def test_killed_in_every_stage_it_goes_on_to_the_weights_of_an_undisturbed_training(
    trained: Callable[[str], Trained], tmp_path: Path
) -> None:
    undisturbed, expected = trained("finetune")
    settings = replace(undisturbed, out=tmp_path / "model")
    kills = (
        ("warm-up", WARMUP, STEPS),
        ("main", MAIN, STEPS),
        ("refit warm-up", REFIT_WARMUP, STEPS_OF_REFIT),
        ("refit", REFIT, STEPS_OF_REFIT),
    )
    for stage, title, steps in kills:
        kill(settings, title, steps + 2)  # in the second epoch of the stage
        state = read_checkpoint(checkpoint_path(settings.out))
        assert state is not None
        assert (state.records[-1].stage, state.records[-1].epoch) == (stage, 1)
        assert not settings.out.exists()
    progress = Recording()
    result = train(settings, progress)
    assert any("epoch 1 of the stage 'refit'" in note for note in progress.notes)
    assert files_of(settings.out) == files_of(undisturbed.out)
    assert [record.loss for record in result.history] == [record.loss for record in expected.history]
    assert (result.best_epoch, result.heads, result.val_loss) == (
        expected.best_epoch,
        expected.heads,
        expected.val_loss,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.slow
def test_killed_while_everything_is_trained_from_nothing_it_goes_on_to_the_same_weights(
    model: Path, prepared: Path, tmp_path: Path
) -> None:
    settings = TrainSettings(prepared, tmp_path / "model", network=TINY_NETWORK, epochs=3, batch_size=BATCH)
    kill(settings, MAIN, 2 * STEPS + 2)
    assert len(train(settings).history) == 3
    assert files_of(settings.out) == files_of(model)


@pytest.mark.slow
def test_a_frozen_encoder_stays_as_it_is(trained: Callable[[str], Trained]) -> None:
    settings, result = trained("frozen")
    assert changed_layers(settings.out, settings.weights) == set()
    assert [record.stage for record in result.history] == ["appearance"] * 2
    assert result.val_accuracy is not None and 0 <= result.val_accuracy <= 1
    (head,) = result.heads
    assert (head.stream, head.kind) == ("appearance", "recurrent") and head.weight > 0
    assert head.accuracy == result.val_accuracy


@pytest.mark.slow
def test_finetuning_moves_the_last_blocks_and_no_normalization(trained: Callable[[str], Trained]) -> None:
    settings, result = trained("finetune")
    assert changed_layers(settings.out, settings.weights) == {"conv4"}
    names = ["warm-up", "main", "refit warm-up", "refit"]
    assert [record.stage for record in result.history] == [name for name in names for _ in range(2)]
    training = read_bundle(settings.out).document.training
    assert (training["mode"], training["trained_blocks"], training["refitted"]) == ("finetune", 1, True)
    assert training["encoder_learning_rate"] == pytest.approx(training["learning_rate"] / 10)
    # The maps of the frozen blocks are cached, half as large as they would be.
    caches = (settings.prepared / "features").iterdir()
    dtypes = {cache.name: {np.load(path).dtype.name for path in cache.glob("*.npy")} for cache in caches}
    assert {"float16"} in dtypes.values()


@pytest.mark.slow
def test_joint_training_moves_everything_but_the_normalization_of_pretrained_weights(
    trained: Callable[[str], Trained],
) -> None:
    settings, result = trained("joint")
    assert changed_layers(settings.out, settings.weights) == {"conv1", "conv2", "conv3", "conv4"}
    assert [record.stage for record in result.history] == ["warm-up", "main"] and not result.refitted
    assert result.val_accuracy is not None


@pytest.mark.slow
def test_an_encoder_that_harms_is_left_as_it_was(trained: Callable[[str], Trained], tmp_path: Path) -> None:
    finetune, _ = trained("finetune")
    progress = Recording()
    harmful = replace(finetune, out=tmp_path / "model", epochs=1, encoder_learning_rate=1.0)
    result = train(harmful, progress)
    assert any("encoder_learning_rate" in warning for warning in progress.warnings)
    assert changed_layers(harmful.out, harmful.weights) == set()
    assert [record.stage for record in result.history] == ["warm-up"] * 2 + ["main"] + ["refit warm-up"] * 2
    assert (result.refitted, result.best_epoch) == (True, 0)
    assert result.val_loss is not None and result.val_loss < 2


def test_joint_training_from_nothing_measures_the_statistics_of_normalization(model: Path) -> None:
    layers = network_of(model).encoder.layers
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms and all(np.abs(np.asarray(layer.moving_mean)).max() > 0 for layer in norms)
    training = read_bundle(model).document.training
    assert (training["mode"], training["weights"]) == ("joint", "none")


@pytest.mark.slow
def test_features_of_the_default_encoder_are_computed_once(videos: Path, tmp_path: Path) -> None:
    few = tmp_path / "prepared"
    sampling = Sampling(num_frames=2, frame_size=32)
    prepare(PrepareSettings(videos, few, sampling=sampling, streams=TINY_STREAMS, workers=1))
    settings = TrainSettings(few, tmp_path / "one", network=NetworkSettings(units=4, head="recurrent"), epochs=1)
    train(settings)
    (features,) = (few / "features").iterdir()
    times = {path.name: path.stat().st_mtime_ns for path in features.glob("*.npy")}
    used = {record.clip for split in ("train", "val") for record in read_prepared(few).in_split(split)}
    assert set(times) == used
    assert changed_layers(settings.out, None) == set()
    network = NetworkSettings(head="linear")
    train(replace(settings, out=tmp_path / "two", network=network, epochs=None))
    assert {path.name: path.stat().st_mtime_ns for path in features.glob("*.npy")} == times
    encoders = [read_bundle(tmp_path / name).file(ENCODER_FILE).read_bytes() for name in ("one", "two")]
    assert encoders[0] == encoders[1]
    assert Recognizer(tmp_path / "two").predict(videos / "up" / "person1_0.avi").frames_used == 2


@pytest.mark.slow
def test_a_gray_network_in_bfloat16_is_trained_and_answers_in_float32(
    prepared: Path, videos: Path, tmp_path: Path
) -> None:
    network = NetworkSettings(encoder="small", gray=True, units=4)
    settings = TrainSettings(prepared, tmp_path / "model", network=network, epochs=1, precision="bfloat16")
    result = train(settings)
    assert result.litert_max_abs_difference < 1e-4
    assert read_bundle(settings.out).document.training["precision"] == "mixed_bfloat16"
    prediction = Recognizer(tmp_path / "model").predict(videos / "up" / "person1_0.avi")
    assert prediction.scores is not None
    assert sum(prediction.scores.values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_a_deterministic_training(prepared: Path, tmp_path: Path) -> None:
    # In a process of its own: TensorFlow stays deterministic until it ends.
    settings = TrainSettings(prepared, tmp_path / "model", network=TINY_NETWORK, epochs=1, deterministic=True)
    assert len(in_a_process(train, settings).history) == 1
    assert read_bundle(settings.out).document.settings["train"]["deterministic"] is True
