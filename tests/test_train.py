"""train: what it writes, what it says, and what it refuses before it has cost anything."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner, Result

from activity_cli import ActivityError, PrepareSettings, Recognizer, Sampling, TrainSettings, prepare, train
from activity_cli.dataset.manifest import read_prepared
from activity_cli.model.bundle import ENCODER_FILE, SEQUENCE_FILE, read_bundle
from activity_cli.progress import SilentProgress, Stage
from conftest import TINY_NETWORK

Activity = Callable[..., Result]
SMALL = ("--encoder", "small", "--units", 8, "--dropout", 0, "--batch-size", 8)


def one_line(result: Result, *texts: str) -> str:
    """The one line in which a call was refused, which has these texts in it."""
    assert result.exit_code == 2, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert "error in activity itself" not in line
    for text in texts:
        assert text in line
    return line


class NothingIsTrained(SilentProgress):
    """Listens, and fails when training begins."""

    @contextmanager
    def stage(self, title: str, total: int | None, unit: str) -> Iterator[Stage]:
        assert title != "Training", "refused only after the training"
        with super().stage(title, total, unit) as stage:
            yield stage


def refused_at_once(config: TrainSettings) -> ActivityError:
    with pytest.raises(ActivityError) as caught:
        train(config, NothingIsTrained())
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.fixture(scope="module")
def few(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of 3 frames, for the large encoder."""
    out = tmp_path_factory.mktemp("few") / "prepared"
    sampling = Sampling(num_frames=3, frame_size=32)
    prepare(PrepareSettings(videos, out, sampling=sampling, workers=1))
    return out


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A model of seed 4, and what the call said."""
    from activity_cli.cli.app import app

    out = tmp_path_factory.mktemp("trained") / "models" / "mine"
    words = ["train", prepared, "--out", out, *SMALL, "--epochs", 2, "--seed", 4]
    return out, CliRunner().invoke(app, [str(word) for word in words])


def files_of(model: Path) -> list[bytes]:
    return [(model / name).read_bytes() for name in (SEQUENCE_FILE, ENCODER_FILE)]


def test_stdout_is_exactly_the_path_of_the_model(trained: tuple[Path, Result], prepared: Path) -> None:
    out, result = trained
    assert (result.exit_code, result.stdout) == (0, f"{out}\n")
    assert "epochs" in result.stderr
    assert [path.name for path in out.parent.iterdir()] == ["mine"]

    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(float(row["val_loss"]) > 0 for row in rows)
    assert cv2.imread(str(out / "history.png")) is not None

    document = read_bundle(out).document
    best = min(rows, key=lambda row: float(row["val_loss"]))
    assert document["metrics"]["best_epoch"] == int(best["epoch"])
    assert document["training"]["epochs"] == 2
    assert document["training"]["interrupted"] is False
    assert (out / document["data"]["prepared"]).samefile(prepared)
    assert document["data"]["fingerprint"] == read_prepared(prepared).fingerprint


def test_another_seed_gives_other_weights(
    activity: Activity, trained: tuple[Path, Result], prepared: Path, tmp_path: Path
) -> None:
    result = activity("train", prepared, "--out", tmp_path / "other", *SMALL, "--epochs", 2, "--seed", 5, "--quiet")
    assert (result.exit_code, result.stderr) == (0, "")
    for one, other in zip(files_of(trained[0]), files_of(tmp_path / "other"), strict=True):
        assert one != other


def test_a_model_is_replaced_only_when_asked_and_the_same_seed_gives_the_same_weights(
    activity: Activity, trained: tuple[Path, Result], prepared: Path, model_copy: Path
) -> None:
    before = read_bundle(model_copy).name
    refused_at_once(TrainSettings(prepared, model_copy, network=TINY_NETWORK))
    words = ("train", prepared, "--out", model_copy, *SMALL, "--epochs", 2, "--seed", 4)
    assert str(model_copy) in one_line(activity(*words), "--overwrite")
    assert read_bundle(model_copy).name == before
    assert activity(*words, "--overwrite").exit_code == 0
    assert not list(model_copy.parent.glob(".*"))
    assert files_of(model_copy) == files_of(trained[0])


def test_a_folder_that_is_no_model_is_never_replaced(prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for out in (tmp_path, tmp_path / "thesis.tex"):
        config = TrainSettings(prepared, out, network=TINY_NETWORK, overwrite=True)
        assert "not a model" in refused_at_once(config).message
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("place", ["file/model", "/proc/activity/model"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_trained(
    prepared: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("")
    error = refused_at_once(TrainSettings(prepared, tmp_path / place, network=TINY_NETWORK))
    assert "cannot be written" in error.message


def test_layers_prints_the_table_and_trains_nothing(
    activity: Activity, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = activity("train", prepared, *SMALL, "--layers", env={"COLUMNS": "120"})
    assert (result.exit_code, result.stderr) == (0, "")
    for text in ("frame_encoder", "conv1_norm", "lstm", "classes", "parameters", "trainable"):
        assert text in result.stdout
    assert not list(tmp_path.iterdir())


def test_layers_tells_what_is_frozen(activity: Activity, few: Path) -> None:
    result = activity("train", few, "--encoder", "efficientnet_lite0", "--layers", env={"COLUMNS": "120"})
    assert result.exit_code == 0
    (stem,) = [line for line in result.stdout.splitlines() if line.strip().startswith("stem_conv ")]
    assert "frozen" in stem


def test_features_of_the_large_encoder_are_computed_once(
    activity: Activity, few: Path, videos: Path, tmp_path: Path
) -> None:
    # The quickest to build: it is about what is read.
    words = ("train", few, "--encoder", "efficientnet_lite0", "--sequence", "mean", "--epochs", 1, "--views", 2)
    assert activity(*words, "--out", tmp_path / "one").exit_code == 0
    (features,) = (few / "features").iterdir()
    times = {path.name: path.stat().st_mtime_ns for path in features.iterdir()}
    learned, held_out = ({record.clip for record in read_prepared(few).in_split(split)} for split in ("train", "val"))
    views = {name for name in times if ".view" in name}
    assert set(times) - views == learned | held_out | {ENCODER_FILE}
    # In the end the validation clips are learned from, too.
    assert sorted(f"{name.partition('.')[0]}.npy" for name in views) == sorted(learned | held_out)
    # Nothing can be computed any more: the frames are gone.
    shutil.move(few / "clips", few / "gone")
    (few / "clips").mkdir()
    for record in read_prepared(few).in_split("train"):
        shutil.copy(few / "gone" / record.clip, few / "clips")  # to compare Keras and LiteRT on
    try:
        assert activity(*words, "--out", tmp_path / "two", "--seed", 1, "--no-refit").exit_code == 0
    finally:
        shutil.rmtree(few / "clips")
        shutil.move(few / "gone", few / "clips")
    assert {path.name: path.stat().st_mtime_ns for path in features.iterdir()} == times
    assert read_bundle(tmp_path / "one").file(ENCODER_FILE).read_bytes() == (features / ENCODER_FILE).read_bytes()
    assert Recognizer(tmp_path / "two").predict(videos / "up" / "person1_0.avi").frames_used == 3


@pytest.mark.parametrize("state", ["missing", "unfinished", "edited", "cut manifest", "newer"])
def test_a_prepared_folder_that_is_not_sound_is_refused(
    activity: Activity, prepared_copy: Path, tmp_path: Path, state: str
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
        config.write_text(config.read_text().replace("activity.prepared/2", "activity.prepared/3"))
    line = one_line(activity("train", prepared_copy, "--out", tmp_path / "new", *SMALL), "activity prepare")
    assert str(prepared_copy) in line
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("how", ["missing", "cut"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_or_cut_clip_is_named_before_anything_is_trained(
    prepared_copy: Path, tmp_path: Path, split: str, how: str
) -> None:
    clip = prepared_copy / "clips" / read_prepared(prepared_copy).in_split(split)[1].clip
    content = clip.read_bytes()
    clip.unlink()
    if how == "cut":
        clip.write_bytes(content[:-100])
    error = refused_at_once(TrainSettings(prepared_copy, tmp_path / "new", network=TINY_NETWORK))
    assert clip.name in error.message
    assert "activity prepare" in error.hint
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


def test_a_full_disk_while_saving_leaves_nothing_and_is_one_line(
    activity: Activity, prepared: Path, small_disk: Path
) -> None:
    (small_disk / "old").write_bytes(b"x" * 100_000)
    result = activity("train", prepared, "--out", small_disk / "model", *SMALL, "--epochs", 1, "--quiet")
    one_line(result, "The disk is full", str(small_disk))
    assert [path.name for path in small_disk.iterdir()] == ["old"]


def test_a_link_as_the_place_of_a_model_is_followed(activity: Activity, prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert activity("train", prepared, "--out", tmp_path / "link", *SMALL, "--epochs", 1).exit_code == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "bundle.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]
