"""train: what it writes and says, what it refuses before any work, and where Ctrl-C leaves it."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import pytest

from activity_cli import (
    ActivityError,
    ConfigError,
    DatasetError,
    MissingDependencyError,
    NetworkSettings,
    OutputError,
    PrepareSettings,
    Recognizer,
    Split,
    TrainResult,
    TrainSettings,
    UsageError,
    prepare,
    train,
)
from activity_cli.commands.train import network_layers
from activity_cli.dataset.manifest import read_prepared
from activity_cli.model.bundle import read_bundle
from activity_cli.training.checkpoint import FitStore
from conftest import TINY_NETWORK, TINY_SAMPLING, TINY_STREAMS
from training_support import (
    CROSS_VALIDATING,
    MAIN,
    SMALL,
    At,
    Recording,
    files_of,
    press_ctrl_c,
    trains,
    write_encoder,
)

STEPS = 3  # an epoch of 24 clips, or of the 20 clips of two folds, 8 in a step
CROSS_VALIDATION = CROSS_VALIDATING.format("appearance")
# The quickest: nothing is trained step by step.
QUICK = NetworkSettings(encoder="small", head="linear")
RECURRENT = replace(SMALL, head="recurrent")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_encoder(tmp_path_factory.mktemp("encoder") / "small.weights.h5")


@pytest.fixture(scope="module")
def usual(prepared: Path, weights: str) -> TrainSettings:
    """A frozen training of seed 4, but for where it is written."""
    return TrainSettings(prepared, network=RECURRENT, weights=weights, mode="frozen", epochs=2, batch_size=8, seed=4)


@pytest.fixture(scope="module")
def quick(prepared: Path, weights: str) -> TrainSettings:
    return TrainSettings(prepared, network=QUICK, weights=weights, mode="frozen")


@pytest.fixture(scope="module")
def trained(usual: TrainSettings, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    root = tmp_path_factory.mktemp("trained")
    curves = root / "logs" if find_spec("tensorboard") else None
    return train(replace(usual, out=root / "models" / "mine", tensorboard=curves))


def refused_at_once(settings: TrainSettings) -> ActivityError:
    progress = Recording()
    with pytest.raises(ActivityError) as caught:
        train(settings, progress)
    assert not trains(progress.titles), "refused only after it was trained"
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.slow
def test_what_a_training_writes(trained: TrainResult, usual: TrainSettings, videos: Path) -> None:
    out, curves = trained.model, trained.model.parent.parent / "logs"
    assert [path.name for path in out.parent.iterdir()] == ["mine"]
    with (out / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["stage"], row["epoch"]) for row in rows] == [("appearance", "1"), ("appearance", "2")]
    assert not any(row["val_loss"] or row["val_accuracy"] for row in rows)
    if find_spec("tensorboard"):  # of cross-validation there are no curves
        assert {path.parts[-3] for path in curves.rglob("*tfevents*")} == {"appearance"}
    assert cv2.imread(str(out / "history.png")) is not None

    document = read_bundle(out).document
    assert document.settings["train"]["seed"] == 4 and document.settings["train"]["learning_rate"] is None
    names = ("mode", "epochs", "batch_size", "trained_blocks")
    assert [document.training[name] for name in names] == ["frozen", 2, 8, 0]
    assert 0 < document.training["learning_rate"] < 0.1
    assert document.training["interrupted"] is False and not document.training["failure"]
    assert trained.refitted and document.training["refitted"] is True, "heads are fitted to all clips"
    figures = {"best_epoch": 0, "val_loss": trained.val_loss, "val_accuracy": trained.val_accuracy}
    assert document.metrics == figures and trained.best_epoch == 0
    (head,), (entry,) = trained.heads, document.heads
    assert (head.stream, head.kind, head.weight, head.accuracy) == (
        *(entry.stream, entry.kind, entry.weight, entry.accuracy),
    )
    assert (entry.stream, entry.reads, entry.kind) == ("appearance", ["appearance"], "recurrent")
    assert (document.streams, document.mirrored_labels, trained.dropped) == ({"appearance": 1}, None, ())
    prepared = read_prepared(usual.prepared)
    assert (out / document.data.prepared).samefile(prepared.folder)
    assert document.data.fingerprint == prepared.fingerprint
    known = {record.content_hash[:20] for split in ("train", "val") for record in prepared.in_split(split)}
    assert set(document.data.trained_on) == known
    assert document.data.splits == ["train", "val"]
    assert Recognizer(out).predict(videos / "up" / "person1_0.avi").status == "ok"


@pytest.mark.slow
def test_another_seed_gives_other_weights_and_a_model_is_replaced_only_if_asked(
    trained: TrainResult, usual: TrainSettings, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(trained.model, tmp_path / "mine"))
    again = replace(usual, out=out)
    assert "`overwrite`" in refused_at_once(again).hint
    assert files_of(out) == files_of(trained.model)
    train(replace(again, seed=5, overwrite=True))
    assert files_of(out)["appearance.tflite"] != files_of(trained.model)["appearance.tflite"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.slow
def test_ctrl_c_with_a_frozen_encoder_keeps_finished_fits_and_only_the_same_settings_go_on(
    trained: TrainResult, usual: TrainSettings, tmp_path: Path
) -> None:
    weights = shutil.copy(usual.weights or "", tmp_path / "copy.weights.h5")
    settings = replace(usual, out=tmp_path / "model", weights=str(weights))
    fits = tmp_path / ".model.fits"
    with pytest.raises(KeyboardInterrupt):
        train(settings, At(CROSS_VALIDATION, 2 * STEPS + 1, press_ctrl_c))  # in the second fold
    assert len(list(fits.glob("*.npz"))) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".model.fits", "copy.weights.h5"]

    for other, name in ((replace(settings, learning_rate=0.1), "learning_rate"), (replace(settings, seed=5), "seed")):
        assert name in refused_at_once(replace(other, resume=True)).message
    kept = Path(weights).read_bytes()
    Path(weights).write_bytes(kept + b"\0")
    assert "weights_sha256" in refused_at_once(replace(settings, resume=True)).message
    Path(weights).write_bytes(kept)

    # Without --resume, a training with other settings takes its place, and says so.
    other = replace(usual, network=QUICK, epochs=None, out=tmp_path / "other")
    shutil.copytree(fits, tmp_path / ".other.fits")
    (tmp_path / ".other.fits" / "a note").write_text("of a person")
    progress = Recording()
    assert train(other, progress).history == ()
    assert any("Starting again" in note and "epochs" in note and "head" in note for note in progress.notes)
    assert [path.name for path in (tmp_path / ".other.fits").iterdir()] == ["a note"]

    progress = Recording()
    result = train(replace(settings, resume=True), progress)
    assert any("1 fits" in note for note in progress.notes)
    assert progress.titles.count(CROSS_VALIDATION) == 2
    assert files_of(settings.out) == files_of(trained.model)
    assert (result.val_loss, result.heads) == (trained.val_loss, trained.heads)
    assert not fits.exists()


@pytest.mark.slow
def test_ctrl_c_while_an_encoder_is_trained_keeps_the_best_weights_and_only_the_same_settings_go_on(
    model: Path, prepared: Path, tmp_path: Path
) -> None:
    # The settings of the fixture ``model``.
    settings = TrainSettings(prepared, tmp_path / "model", network=TINY_NETWORK, epochs=3, batch_size=8)
    result = train(settings, At(MAIN, STEPS + 1, press_ctrl_c))
    assert result.interrupted and [record.epoch for record in result.history] == [1] and result.best_epoch == 1
    document = read_bundle(settings.out).document
    assert document.training["interrupted"] is True and document.data.splits == ["train"]
    assert "`resume`" in refused_at_once(settings).hint
    assert "learning_rate" in refused_at_once(replace(settings, learning_rate=0.1, resume=True)).message
    before = files_of(settings.out)
    progress = Recording()
    assert len(train(replace(settings, resume=True, patience=77), progress).history) == 3  # when to stop may differ
    assert any("epoch 1 of the stage 'main'" in note for note in progress.notes)
    assert files_of(settings.out) == files_of(model) != before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.slow
def test_ctrl_c_before_anything_was_learned_leaves_nothing_but_where_to_go_on(
    usual: TrainSettings, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(replace(usual, out=tmp_path / "models" / "mine"), At(CROSS_VALIDATION, 1, press_ctrl_c))
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".mine.fits"]
    assert [path.name for path in (tmp_path / "models" / ".mine.fits").iterdir()] == ["settings.json"]
    joint = replace(usual, mode="joint", warmup_epochs=1, out=tmp_path / "joint", network=SMALL)
    with pytest.raises(KeyboardInterrupt):
        train(joint, At("Warm-up", 1, press_ctrl_c))
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


@pytest.mark.slow
def test_one_run_at_a_time_trains_a_model(usual: TrainSettings, tmp_path: Path) -> None:
    settings = replace(usual, out=tmp_path / "mine")
    refused: list[OutputError] = []

    def start_another() -> None:
        with pytest.raises(OutputError) as caught:
            train(settings)
        refused.append(caught.value)
        press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        train(settings, At(CROSS_VALIDATION, 1, start_another))
    assert refused[0].code == "output.locked"
    assert [path.name for path in tmp_path.iterdir()] == [".mine.fits"]


def test_a_model_that_lacks_labels_of_the_folder_or_knows_others_says_so_when_it_is_not_replaced(
    model: Path, videos: Path, tmp_path: Path
) -> None:
    for label, source in (("dance", "left"), ("right", "right"), ("up", "up")):
        shutil.copytree(videos / source, tmp_path / "videos" / label)
    other = tmp_path / "other"
    prepare(PrepareSettings(tmp_path / "videos", other, sampling=TINY_SAMPLING, streams=TINY_STREAMS, workers=1))
    message = refused_at_once(TrainSettings(other, model, network=TINY_NETWORK)).message
    assert f"It does not know labels of {other}: dance." in message
    assert f"It knows labels that {other} does not have: left." in message


def test_a_model_of_the_same_labels_that_is_not_replaced_says_nothing_of_labels(
    quick: TrainSettings, model: Path
) -> None:
    assert refused_at_once(replace(quick, out=model)).message == f"There is already a model at {str(model)!r}."


def test_what_else_differs_from_an_unfinished_training_is_said_in_words(quick: TrainSettings, tmp_path: Path) -> None:
    FitStore(tmp_path / "model", {"labels": ["a", "b"], "data": "other clips"}).start()
    message = refused_at_once(replace(quick, out=tmp_path / "model", resume=True)).message
    assert "the prepared clips" in message and "the labels" in message and "values that train chose" in message


def test_settings_that_linear_heads_do_not_use_are_warned_of(quick: TrainSettings, tmp_path: Path) -> None:
    nowhere = replace(quick, out=tmp_path, device="GPU:9")
    given = replace(nowhere, epochs=3, learning_rate=0.1, network=replace(QUICK, units=8))
    for settings, names in ((nowhere, ""), (given, "train ignores units and epochs and learning_rate")):
        progress = Recording()
        with pytest.raises(ConfigError, match="GPU:9"):  # after all checks, before any work
            train(settings, progress)
        assert any("train ignores" in warning for warning in progress.warnings) == bool(names)
        assert any(names in warning for warning in progress.warnings) == bool(names)


def test_resume_without_an_unfinished_training_is_refused(quick: TrainSettings, tmp_path: Path) -> None:
    error = refused_at_once(replace(quick, out=tmp_path / "model", resume=True))
    assert isinstance(error, UsageError) and "`resume`" in error.hint


def test_a_folder_that_is_no_model_is_never_replaced(quick: TrainSettings, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for out in (tmp_path, tmp_path / "thesis.tex"):
        error = refused_at_once(replace(quick, out=out, overwrite=True))
        assert isinstance(error, OutputError) and "`out`" in error.hint
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("place", ["file/model", "/proc/activity/model"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_trained(
    quick: TrainSettings, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("")
    assert refused_at_once(replace(quick, out=tmp_path / place)).code == "output.unwritable"


def test_the_folder_that_one_works_in_is_not_replaced(
    quick: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for out in (Path(), Path("/")):
        assert isinstance(refused_at_once(replace(quick, out=out)), OutputError)


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"device": "GPU:9"}, ConfigError, "CPU:0"),
        ({"device": "cpu"}, ConfigError, "CPU:0"),
        ({"augmentation": {"no_flip_label": ("lfet",)}}, ConfigError, "lfet"),
        ({"network": {"encoder": "vgg16"}, "weights": "nowhere.h5"}, ActivityError, "nowhere.h5"),
        ({"tensorboard": "model"}, OutputError, "`tensorboard=DIR`"),
        ({"tensorboard": "model/logs"}, OutputError, "`tensorboard=DIR`"),
    ],
)
def test_what_is_not_possible_is_refused_before_anything_is_trained(
    quick: TrainSettings, tmp_path: Path, settings: dict[str, Any], error: type[ActivityError], text: str
) -> None:
    changed: dict[str, Any] = {"out": tmp_path / "model"} | settings
    if "network" in changed:
        changed["network"] = NetworkSettings(**changed["network"])
    if "augmentation" in changed:
        changed["augmentation"] = replace(quick.augmentation, **changed["augmentation"])
    if "tensorboard" in changed:
        changed["tensorboard"] = tmp_path / changed["tensorboard"]
    found = refused_at_once(replace(quick, **changed))
    assert isinstance(found, error)
    assert text in str(found)
    assert not list(tmp_path.iterdir())


def test_curves_for_tensorboard_need_its_package(
    quick: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    error = refused_at_once(replace(quick, out=tmp_path / "model", tensorboard=tmp_path / "logs"))
    assert isinstance(error, MissingDependencyError) and "pip install" in error.hint


def prepare_few(root: Path, labels: tuple[str, ...], videos: Path, **split: object) -> Path:
    for label in labels:
        for person in range(3):
            (root / "videos" / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(videos / label / f"person{person}_0.avi", root / "videos" / label)
    out = root / "prepared"
    settings = Split(group_by=r"person\d+", **split)  # type: ignore[arg-type]
    prepare(
        PrepareSettings(root / "videos", out, sampling=TINY_SAMPLING, streams=TINY_STREAMS, split=settings, workers=1)
    )
    return out


def test_clips_of_one_label_are_refused(quick: TrainSettings, videos: Path, tmp_path: Path) -> None:
    # Everything of the second label is in the test split.
    (tmp_path / "videos" / "test" / "right").mkdir(parents=True)
    shutil.copytree(videos / "left", tmp_path / "videos" / "train" / "left")
    shutil.copy(videos / "right" / "person5_0.avi", tmp_path / "videos" / "test" / "right")
    out = tmp_path / "prepared"
    prepare(PrepareSettings(tmp_path / "videos", out, sampling=TINY_SAMPLING, streams=TINY_STREAMS, workers=1))
    error = refused_at_once(replace(quick, prepared=out, out=tmp_path / "model"))
    assert isinstance(error, DatasetError) and "1 label" in error.message


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["frozen", "joint"])
def test_without_validation_clips_folds_measure_it_or_the_last_epoch_is_kept_and_that_is_warned_of(
    usual: TrainSettings, quick: TrainSettings, videos: Path, tmp_path: Path, mode: str
) -> None:
    few = prepare_few(tmp_path, ("left", "up"), videos, val_fraction=0.0, test_fraction=0.0)
    joint = TrainSettings(network=TINY_NETWORK, epochs=2)
    settings = replace(quick if mode == "frozen" else joint, prepared=few, out=tmp_path / "model")
    progress = Recording()
    result = train(settings, progress)
    assert not result.refitted and result.best_epoch == (0 if mode == "frozen" else 2)
    assert any("validation clips" in warning for warning in progress.warnings) == (mode == "joint")
    if mode == "frozen":
        assert result.val_accuracy is not None and result.val_loss is not None and result.history == ()
    else:
        assert [record.stage for record in result.history] == ["main"] * 2
        assert (result.val_loss, result.val_accuracy) == (None, None)
        assert math.isnan(result.history[-1].val_loss)

    def not_json(constant: str) -> None:
        raise AssertionError(constant)

    json.loads((settings.out / "bundle.json").read_text(), parse_constant=not_json)


@pytest.mark.parametrize("state", ["missing", "unfinished", "edited", "cut manifest", "newer"])
def test_a_prepared_folder_that_is_not_sound_is_refused(
    prepared_copy: Path, tmp_path: Path, quick: TrainSettings, state: str
) -> None:
    manifest, config = prepared_copy / "manifest.csv", prepared_copy / "config.json"
    if state == "missing":
        shutil.rmtree(prepared_copy)
    elif state == "unfinished":
        config.unlink()
    elif state == "edited":
        manifest.write_text(manifest.read_text().replace(",left,", ",right,", 1))
    elif state == "cut manifest":
        manifest.write_bytes(manifest.read_bytes()[:-150])
    else:
        content = json.loads(config.read_text())
        config.write_text(json.dumps(content | {"schema": "activity.prepared/99"}))
    error = refused_at_once(replace(quick, prepared=prepared_copy, out=tmp_path / "new"))
    assert str(prepared_copy) in error.message and "activity prepare" in error.hint
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("mode", ["joint", "frozen"])
@pytest.mark.parametrize("how", ["missing", "cut"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_or_cut_clip_is_named_before_anything_is_trained(
    prepared_copy: Path, tmp_path: Path, usual: TrainSettings, split: str, how: str, mode: str
) -> None:
    # The last of its split: features of the others are cached already.
    clip = prepared_copy / "clips" / read_prepared(prepared_copy).in_split(split)[-1].clip
    for features in (prepared_copy / "features").glob(f"*/{clip.name}"):
        features.unlink()
    content = clip.read_bytes()
    clip.unlink()
    if how == "cut":
        clip.write_bytes(content[:-100])
    joint = TrainSettings(prepared_copy, tmp_path / "new", network=TINY_NETWORK)
    frozen = replace(usual, prepared=prepared_copy, out=tmp_path / "new")
    error = refused_at_once(joint if mode == "joint" else frozen)
    assert clip.name in error.message and "activity prepare" in error.hint
    assert not (tmp_path / "new").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for less than a model."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_while_saving_leaves_nothing(quick: TrainSettings, small_disk: Path) -> None:
    (small_disk / "old").write_bytes(b"x" * 100_000)
    with pytest.raises(OutputError, match="full") as caught:
        train(replace(quick, out=small_disk / "model"))
    assert caught.value.code == "output.full" and str(small_disk) in caught.value.message
    # But for what the same command goes on with.
    assert sorted(path.name for path in small_disk.iterdir()) == [".model.fits", "old"]


def test_a_link_as_the_place_of_a_model_is_followed(quick: TrainSettings, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    train(replace(quick, out=tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "bundle.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


@pytest.fixture
def locked(prepared: Path, tmp_path: Path) -> Iterator[Path]:
    """The prepared folder, which cannot be written, not even by root."""
    place = Path(shutil.copytree(prepared, tmp_path / "locked", ignore=lambda *_: ["features"]))
    place.chmod(0o555)
    if os.geteuid():
        yield place
        return
    for options in (("--bind", str(place)), ("-o", "remount,ro,bind")):
        if subprocess.run(["mount", *options, str(place)], capture_output=True, check=False).returncode:
            pytest.skip("nothing can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_features_are_cached_elsewhere_if_the_prepared_folder_cannot_be_written_and_that_is_said_once(
    quick: TrainSettings, locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    progress = Recording()
    train(replace(quick, prepared=locked, out=tmp_path / "model"), progress)
    folder = tmp_path / "cache" / "activity" / "features"
    assert len([note for note in progress.notes if str(folder) in note]) == 1
    (features,) = folder.iterdir()
    assert len(list(features.glob("*.npy"))) == 30
    assert not (locked / "features").exists()


def test_the_layers_say_what_is_frozen(prepared: Path, usual: TrainSettings, quick: TrainSettings) -> None:
    def trainable(settings: TrainSettings) -> dict[str, bool]:
        return {row.name: row.trainable for row in network_layers(settings)}

    frozen, joint = trainable(usual), trainable(TrainSettings(prepared, network=TINY_NETWORK))
    assert not frozen["conv1"] and frozen["bidirectional"] and not frozen["projection"]
    assert joint["conv1"] and joint["conv1_norm"] and joint["bidirectional"] and "projection" not in joint
    finetune = trainable(replace(usual, mode="finetune", finetune_blocks=1, network=SMALL))
    assert finetune["conv4"] and not finetune["conv4_norm"] and not finetune["conv3"]


@pytest.mark.parametrize(
    ("changes", "mode", "warns"),
    [({"crop": 0.3}, "frozen", True), ({"crop": 0.3}, "joint", False), ({"temporal_crop": 0.3}, "frozen", False)],
)
def test_augmentation_that_has_no_effect_is_warned_of(
    quick: TrainSettings, tmp_path: Path, changes: dict[str, float], mode: str, warns: bool
) -> None:
    settings = replace(quick, out=tmp_path, augmentation=replace(quick.augmentation, **changes), device="GPU:9")
    if mode == "joint":
        settings = replace(settings, network=TINY_NETWORK, weights=None, mode=None)
    progress = Recording()
    with pytest.raises(ConfigError, match="GPU:9"):  # after all checks, before any work
        train(settings, progress)
    assert any("crop has no effect" in w or "crop have no effect" in w for w in progress.warnings) == warns
