"""What learns in each mode, what is refused, and what the bundle remembers of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import keras
import numpy as np
import pytest
from typer.testing import Result

from activity_cli import (
    Augmentation,
    ConfigError,
    NetworkSettings,
    PrepareSettings,
    Recognizer,
    Sampling,
    TrainSettings,
    prepare,
    train,
)
from activity_cli.files import path_lock
from activity_cli.model.bundle import WEIGHTS_FILE, read_bundle
from activity_cli.model.network import Network, build_network, load_network
from activity_cli.settings import ENCODERS
from activity_cli.training.plan import make_plan
from data_support import no_privileges, run

Activity = Callable[..., Result]
LITE = NetworkSettings(encoder="efficientnet_lite0", units=8, dropout=0.0)
SMALL = NetworkSettings(encoder="small", units=8, dropout=0.0)


@pytest.fixture(scope="module")
def few(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of 3 frames, for large encoders."""
    out = tmp_path_factory.mktemp("few") / "prepared"
    prepare(PrepareSettings(videos, out, sampling=Sampling(num_frames=3, frame_size=32), workers=1))
    return out


def trained(few: Path, out: Path, **settings: object) -> Network:
    settings = {"network": LITE, "epochs": 1, "batch_size": 8, "refit": False} | settings
    train(TrainSettings(few, out, **settings))  # type: ignore[arg-type]
    bundle = read_bundle(out)
    return load_network(out / WEIGHTS_FILE, bundle.network, bundle.sampling, len(bundle.labels))


def at_first(model: Path) -> Network:
    """The network of a bundle as it began."""
    bundle = read_bundle(model)
    return build_network(bundle.network, bundle.sampling, len(bundle.labels), weights="imagenet")


def changed_layers(network: Network, before: keras.Model) -> set[str]:
    """Layers of the encoder with other weights than ``before``."""
    return {
        layer.name
        for layer, old in zip(network.encoder.layers, before.layers, strict=True)
        if any(not np.array_equal(a, b) for a, b in zip(layer.get_weights(), old.get_weights(), strict=True))
    }


def test_finetuning_moves_the_last_blocks_only_and_no_normalization(few: Path, videos: Path, tmp_path: Path) -> None:
    network = trained(few, tmp_path / "model", mode="finetune", finetune_blocks=2, head_epochs=1)
    imagenet = at_first(tmp_path / "model")
    moved = changed_layers(network, imagenet.encoder)
    assert {name.partition("_")[0] for name in moved} == {"block13", "block14"}
    assert not [name for name in moved if name.endswith("norm")]
    training = read_bundle(tmp_path / "model").document["training"]
    chosen = {name: training[name] for name in ("mode", "weights", "trained_blocks", "learning_rate")}
    assert chosen == {"mode": "finetune", "weights": "imagenet", "trained_blocks": 2, "learning_rate": 2e-3}
    assert training["encoder_learning_rate"] == pytest.approx(2e-4)
    assert Recognizer(tmp_path / "model").predict(videos / "up" / "person1_0.avi").frames_used == 3
    # The maps were computed once, and are half as large as they would be.
    (maps,) = (few / "features").glob("*_stem2*")
    assert {np.load(path).dtype for path in maps.glob("*.npy")} == {np.dtype(np.float16)}


def test_clips_that_cannot_be_written_beside_are_learned_from_and_it_is_told_once(few: Path, tmp_path: Path) -> None:
    locked = Path(copytree(few, tmp_path / "locked", ignore=lambda *_: ["features"]))
    locked.chmod(0o555)
    words = ("--mode", "finetune", "--epochs", 1, "--head-epochs", 1, "--batch-size", 8, "--no-refit")
    done = run("train", locked, "--out", tmp_path / "model", *words, preexec_fn=no_privileges)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'model'}\n")
    assert done.stderr.count("features are kept elsewhere") == 1
    assert not (locked / "features").exists()
    assert "1 epoch in" in done.stderr
    assert "after 1 of the sequence part alone" in " ".join(done.stderr.split())


def test_joint_training_moves_everything_but_the_statistics_of_trained_weights(few: Path, tmp_path: Path) -> None:
    network = trained(few, tmp_path / "model", mode="joint", head_epochs=1)
    imagenet = at_first(tmp_path / "model")
    moved = changed_layers(network, imagenet.encoder)
    assert {layer.name for layer in imagenet.encoder.layers if layer.name.endswith("conv")} == moved


def test_joint_training_from_nothing_measures_its_own_statistics(prepared: Path, tmp_path: Path) -> None:
    network = trained(prepared, tmp_path / "model", network=SMALL)
    norms = [layer for layer in network.encoder.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert all(np.abs(np.asarray(layer.moving_mean)).max() > 0 for layer in norms)
    document = read_bundle(tmp_path / "model").document["training"]
    assert (document["mode"], document["weights"]) == ("joint", "none")


@pytest.mark.parametrize(
    "network",
    [
        NetworkSettings(encoder="efficientnet_lite0", sequence="convlstm", units=4),
        NetworkSettings(
            encoder="efficientnet_lite0", sequence="bilstm", recurrent_layers=2, pooling="attention", units=4
        ),
        NetworkSettings(encoder="small", gray=True, sequence="gru", per_frame=True, units=4),
    ],
    ids=lambda config: f"{config.encoder}-{config.sequence}",
)
def test_encoders_and_sequence_parts_combine_freely(
    few: Path, videos: Path, tmp_path: Path, network: NetworkSettings
) -> None:
    trained(few, tmp_path / "model", network=network)
    prediction = Recognizer(tmp_path / "model").predict(videos / "up" / "person1_0.avi")
    assert prediction.scores is not None
    assert sum(prediction.scores.values()) == pytest.approx(1, abs=1e-5)


def test_a_large_encoder_learns_from_nothing_where_asked() -> None:
    plan = make_plan(TrainSettings(network=NetworkSettings(encoder="mobilenet_v3_small"), weights="none"), 100)
    assert (plan.mode, plan.learned, plan.encoder_learning_rate) == ("joint", False, plan.learning_rate)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"network": SMALL, "mode": "frozen"}, "random weights"),
        ({"network": SMALL, "mode": "finetune"}, "random weights"),
        ({"network": LITE, "weights": "none", "mode": "frozen"}, "random weights"),
        ({"network": SMALL, "weights": "imagenet"}, "no ImageNet weights"),
        ({"network": LITE, "mode": "finetune", "finetune_blocks": 99}, "99"),
        ({"network": LITE, "encoder_learning_rate": 0.1}, "frozen"),
        ({"network": LITE, "mode": "thawed"}, "thawed"),
        ({"network": LITE, "mode": "finetune", "finetune_blocks": 16}, r"has 15 \(1 left out\)"),
        ({"network": replace(SMALL, grid=2)}, "grid"),
        ({"network": replace(SMALL, components=8)}, "components"),
        ({"network": replace(SMALL, statistics=True)}, "statistics"),
        ({"network": replace(LITE, statistics=True, per_frame=True)}, "frames"),
        ({"network": replace(LITE, sequence="convlstm", grid=2)}, "convlstm"),
        ({"network": replace(LITE, sequence="mean", components=8)}, "mean"),
        ({"network": replace(LITE, drop_blocks=16)}, "drop_blocks"),
        ({"network": LITE, "precision": "int8"}, "int8"),
        ({"network": LITE, "head_epochs": 3}, "head_epochs"),
        ({"network": LITE, "finetune_blocks": 3}, "none of them learns"),
        ({"network": SMALL, "finetune_blocks": 3}, "all of them learn"),
        ({"network": LITE, "precision": "bfloat16"}, "in float32"),
        ({"network": SMALL, "augment": Augmentation(views=5)}, "views is 5"),
        ({"network": replace(LITE, sequence="mean", pooling="max")}, "pool"),
        ({"network": replace(LITE, sequence="frame", recurrent_layers=2)}, "recurrent_layers"),
        ({"network": LITE, "weights": ""}, "weights"),
        ({"network": SMALL, "head_epochs": 3}, "head_epochs"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_the_reason(settings: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        make_plan(TrainSettings(**settings), 100)  # type: ignore[arg-type]
    assert caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--per-frame", "--pooling", "max"), "per_frame"),
        (("--gray",), "gray"),
        (("--keep-sides", "jump"), "jump"),
        (("--device", "GPU:9"), "GPU:9"),
        (("--resume",), "no unfinished training"),
        (("--encoder", "vgg16", "--weights", "nowhere.h5"), "nowhere.h5"),
    ],
)
def test_the_command_refuses_in_one_line(
    activity: Activity, few: Path, tmp_path: Path, words: tuple[str, ...], text: str
) -> None:
    result = activity("train", few, "--out", tmp_path / "model", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert text in line
    assert "error in activity itself" not in line


def test_list_encoders_says_when_to_use_which(activity: Activity, tmp_path: Path) -> None:
    result = activity("train", "--list-encoders", env={"COLUMNS": "140"})
    assert (result.exit_code, result.stderr) == (0, "")
    for name in ENCODERS:
        assert name in result.stdout


def test_a_frozen_encoder_stays_as_it_is_and_the_bundle_remembers_every_setting(few: Path, tmp_path: Path) -> None:
    augment = Augmentation(mirror=False, keep_sides=("left",), cut=0.1, crop=0.0, color=0.0, views=1)
    network = trained(few, tmp_path / "model", augment=augment, weight_decay=0.02, class_weights=False, seed=5)
    assert changed_layers(network, at_first(tmp_path / "model").encoder) == set()
    training = read_bundle(tmp_path / "model").document["training"]
    assert training["augment"] == {
        "mirror": False,
        "keep_sides": ["left"],
        "cut": 0.1,
        "crop": 0.0,
        "color": 0.0,
        "views": 1,
    }
    expected = {
        "mode": "frozen",
        "weight_decay": 0.02,
        "class_weights": False,
        "seed": 5,
        "precision": "float32",
        "num_devices": 1,
        "epochs": 1,
        "refit": False,
        "deterministic": False,
    }
    assert {name: training[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (LITE, (1, 4, 256, True, True)),
        (replace(LITE, encoder="mobilenet_v2"), (0, 2, 256, True, True)),
        (replace(LITE, sequence="convlstm"), (1, 1, 0, False, True)),
        (replace(LITE, per_frame=True), (1, 4, 256, False, True)),
        (SMALL, (0, 1, 0, False, True)),
        (replace(LITE, grid=1, drop_blocks=0, components=0, statistics=False), (0, 1, 0, False, True)),
    ],
)
def test_what_is_left_open_is_settled_by_what_the_network_has(
    network: NetworkSettings, expected: tuple[object, ...]
) -> None:
    settled = make_plan(TrainSettings(network=network), 100).network
    found = (settled.drop_blocks, settled.grid, settled.components, settled.statistics, settled.center)
    assert found == expected


def test_a_head_learns_before_an_encoder_that_has_been_trained() -> None:
    plans = {mode: make_plan(TrainSettings(network=LITE, mode=mode), 100) for mode in ("frozen", "finetune", "joint")}
    assert {mode: plan.head_epochs > plan.epochs for mode, plan in plans.items()} == {
        "frozen": False,
        "finetune": True,
        "joint": True,
    }
    assert plans["frozen"].head_epochs == 0
    assert plans["finetune"].head == plans["frozen"]
    assert make_plan(TrainSettings(network=SMALL), 100).head_epochs == 0
    assert make_plan(TrainSettings(network=LITE, mode="finetune", head_epochs=3), 100).head_epochs == 3


def test_patience_is_longer_where_few_clips_make_few_steps() -> None:
    config = TrainSettings(network=SMALL)
    assert {clips: make_plan(config, clips).patience for clips in (5, 24, 105, 2000)} == {
        5: 120,
        24: 60,
        105: 18,
        2000: 15,
    }
    assert make_plan(TrainSettings(network=SMALL, patience=3), 24).patience == 3
    # The learning rate rises over a share of them.
    assert make_plan(TrainSettings(network=SMALL, epochs=300), 105).patience == 60
    assert make_plan(TrainSettings(network=LITE, mode="finetune"), 24).head.patience == 60


def test_training_ends_when_its_patience_does(prepared: Path, tmp_path: Path) -> None:
    config = TrainSettings(prepared, tmp_path / "model", network=SMALL, epochs=40, patience=1, learning_rate=1.0)
    result = train(config)
    assert len(result.history) == result.best_epoch + 1 < 40


def test_joint_training_in_bfloat16_gives_a_model_that_answers_in_float32(
    prepared: Path, videos: Path, tmp_path: Path
) -> None:
    train(TrainSettings(prepared, tmp_path / "model", network=SMALL, epochs=2, batch_size=8, precision="bfloat16"))
    document = read_bundle(tmp_path / "model").document
    assert document["training"]["precision"] == "mixed_bfloat16"
    assert document["litert"]["max_abs_difference"] < 1e-4
    assert Recognizer(tmp_path / "model").predict(videos / "up" / "person1_0.avi").scores


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--no-augment", "--keep-sides", "lfet"), "--keep-sides"),
        (("--no-augment", "--views", 4), "--views"),
        (("--layers", "--keep-sides", "lfet"), "lfet"),
        (("--tensorboard", "/proc"), "--tensorboard"),
        (("--tensorboard", __file__), "--tensorboard"),
    ],
)
def test_options_that_cannot_be_kept_are_refused_in_one_line(
    activity: Activity, prepared: Path, tmp_path: Path, words: tuple[object, ...], text: str
) -> None:
    result = activity("train", prepared, "--out", tmp_path / "model", *words)
    assert result.exit_code == 2
    assert text in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "model").exists()


def test_logs_for_tensorboard_are_not_written_where_the_model_takes_their_place(
    activity: Activity, prepared: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    for logs in (out, out / "logs"):
        result = activity("train", prepared, "--out", out, "--tensorboard", logs)
        assert result.exit_code == 2 and "replaced as a whole" in result.stderr
        assert list(tmp_path.iterdir()) == []


def test_one_run_at_a_time_trains_a_model(activity: Activity, prepared: Path, tmp_path: Path) -> None:
    out, lock = tmp_path / "model", tmp_path / ".model.lock"
    with path_lock(out):
        assert lock.exists()
        result = activity("train", prepared, "--out", out)
        assert result.exit_code == 2 and "Another run is writing to" in result.stderr
        assert lock.exists()
    assert not lock.exists() and list(tmp_path.iterdir()) == []
    # One that was left by a killed run holds nothing.
    lock.touch()
    with path_lock(out):
        pass
    assert not lock.exists()


def test_options_that_ask_for_the_same_as_no_augment_go_with_it(activity: Activity, prepared: Path) -> None:
    words = ("--no-augment", "--no-mirror", "--cut", 0, "--crop", 0, "--color", 0, "--encoder", "small", "--layers")
    assert activity("train", prepared, *words).exit_code == 0


def test_the_second_training_is_on_all_clips_and_kept(prepared: Path, videos: Path, tmp_path: Path) -> None:
    once = trained(prepared, tmp_path / "once", network=SMALL, epochs=2)
    result = train(TrainSettings(prepared, tmp_path / "twice", network=SMALL, epochs=2, batch_size=8, refit=True))
    assert result.refitted
    bundle = read_bundle(tmp_path / "twice")
    assert bundle.document["training"]["refit"] is True
    # What is said of the validation clips is of the first time.
    metrics = read_bundle(tmp_path / "once").document["metrics"]
    assert bundle.document["metrics"] == pytest.approx(metrics)
    twice = load_network(tmp_path / "twice" / WEIGHTS_FILE, bundle.network, bundle.sampling, len(bundle.labels))
    assert any(
        not np.array_equal(a, b) for a, b in zip(once.whole.get_weights(), twice.whole.get_weights(), strict=True)
    )
    assert not list(tmp_path.glob(".*"))
