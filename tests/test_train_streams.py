"""train chooses among streams: drawn skeletons show the label, motion is noise."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from activity_cli import (
    ConfigError,
    DatasetError,
    EvaluateSettings,
    NetworkSettings,
    TrainingError,
    TrainResult,
    TrainSettings,
    evaluate,
    train,
)
from activity_cli.dataset.manifest import read_prepared
from activity_cli.model.bundle import ENCODER_FILE, OUT_OF_FOLD_FILE, WEIGHTS_FILE, read_bundle
from conftest import TINY_NETWORK
from training_support import MAIN, SMALL, At, Recording, press_ctrl_c, trains, write_encoder


@pytest.fixture(scope="module")
def usual(with_streams: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainSettings:
    """A frozen training, but for where it is written."""
    weights = write_encoder(tmp_path_factory.mktemp("encoder") / "small.weights.h5")
    return TrainSettings(with_streams, network=SMALL, weights=weights, mode="frozen", epochs=2, batch_size=8)


@pytest.fixture(scope="module")
def progress() -> Recording:
    return Recording()


@pytest.fixture(scope="module")
def trained(usual: TrainSettings, progress: Recording, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    streams = ("appearance", "motion", "pose")
    return train(replace(usual, streams=streams, out=tmp_path_factory.mktemp("trained") / "model"), progress)


def test_streams_that_help_nothing_are_dropped_with_their_files(trained: TrainResult) -> None:
    assert [(head.stream, head.accuracy) for head in trained.heads] == [("pose", 1.0)]
    assert trained.dropped == ("appearance", "motion")
    document = read_bundle(trained.model).document
    assert [(head.stream, head.reads, head.file) for head in document.heads] == [("pose", ["pose"], "pose.tflite")]
    assert document.appearance is None and document.streams == {"pose": 1}
    assert document.labels == ["left", "right", "up"] and document.mirrored_labels == [1, 0, 2]
    names = {path.name for path in trained.model.iterdir()}
    assert names == {"bundle.json", "pose.tflite", OUT_OF_FOLD_FILE, "history.csv"}
    assert not names & {ENCODER_FILE, WEIGHTS_FILE}


def test_where_linear_heads_make_no_mistake_recurrent_ones_are_not_tried(
    trained: TrainResult, progress: Recording
) -> None:
    assert {head.kind for head in trained.heads} == {"linear"}
    assert not trains(progress.titles)
    assert trained.history == () and trained.history_picture is None


def test_a_model_has_an_answer_for_every_clip_that_it_was_trained_on_by_heads_that_were_not(
    trained: TrainResult, with_streams: Path
) -> None:
    prepared = read_prepared(with_streams)
    with np.load(trained.model / OUT_OF_FOLD_FILE, allow_pickle=False) as file:
        clips, truth, logs = file["clips"], file["truth"], file["log_probabilities"]
    records = [*prepared.in_split("train"), *prepared.in_split("val")]
    assert clips.tolist() == [record.clip for record in records]
    assert [prepared.labels[number] for number in truth] == [record.label for record in records]
    np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1, atol=1e-5)
    assert trained.val_accuracy == float(np.mean(logs.argmax(axis=1) == truth))
    assert trained.val_loss == pytest.approx(-logs[np.arange(len(truth)), truth].mean())
    assert np.exp(logs).max(axis=1).mean() < 0.98, "answers are never certain"


def test_the_model_recognizes_the_clips_of_others(trained: TrainResult) -> None:
    assert evaluate(EvaluateSettings(trained.model)).accuracy == 1


@pytest.mark.slow
def test_a_recurrent_head_alone_is_trained_without_an_encoder_to_the_same_weights(
    with_streams: Path, tmp_path: Path
) -> None:
    network = NetworkSettings(units=8, head="recurrent")
    settings = TrainSettings(with_streams, network=network, streams=("pose",), epochs=2, batch_size=8)
    progress = Recording()
    result = train(replace(settings, out=tmp_path / "one"), progress)
    assert [(head.stream, head.kind) for head in result.heads] == [("pose", "recurrent")] and result.dropped == ()
    assert [(record.stage, record.epoch) for record in result.history] == [("pose", 1), ("pose", 2)]
    assert result.history_picture and result.history_picture.is_file()
    assert progress.titles == ["Cross-validating pose"] * 3 + ["Training pose"]
    assert not (with_streams / "features").exists() or "Computing features" not in progress.titles
    # Ctrl-C in the second fold, and again: nothing depends on what was done before.
    again = replace(settings, out=tmp_path / "two")
    with pytest.raises(KeyboardInterrupt):
        train(again, At("Cross-validating pose", 7, press_ctrl_c))
    train(again)
    assert (tmp_path / "one" / "pose.tflite").read_bytes() == (tmp_path / "two" / "pose.tflite").read_bytes()


def test_heads_for_which_memory_is_too_small_are_an_error_that_says_so(with_streams: Path, tmp_path: Path) -> None:
    network = NetworkSettings(units=4, head="recurrent")
    settings = TrainSettings(with_streams, tmp_path / "model", network=network, streams=("motion",), epochs=3)
    with pytest.raises(TrainingError, match=r"does not fit into memory.*`batch_size`") as caught:
        train(settings, At("Cross-validating motion", 2, lambda: np.empty(1 << 60, np.uint8)))
    assert caught.value.code == "training.memory"


@pytest.mark.slow
def test_linear_heads_only_if_wanted(usual: TrainSettings, tmp_path: Path) -> None:
    network, progress = replace(SMALL, head="linear"), Recording()
    result = train(replace(usual, network=network, streams=("appearance", "motion"), out=tmp_path / "model"), progress)
    assert result.heads and {head.kind for head in result.heads} == {"linear"}
    assert not trains(progress.titles) and result.history_picture is None


@pytest.mark.slow
def test_a_side_without_a_partner_is_never_mirrored(usual: TrainSettings, tmp_path: Path) -> None:
    augmentation = replace(usual.augmentation, no_flip_label=("up",))
    settings = TrainSettings(
        usual.prepared, tmp_path / "model", epochs=2, batch_size=8, augmentation=augmentation, streams=("pose",)
    )
    train(settings)
    assert read_bundle(settings.out).document.mirrored_labels is None


@pytest.fixture
def damaged(with_streams: Path, tmp_path: Path) -> Path:
    """The prepared folder without the rows of one clip's pose."""
    folder = Path(shutil.copytree(with_streams, tmp_path / "prepared"))
    prepared = read_prepared(folder)
    prepared.streams.path("pose", prepared.in_split("val")[0].clip).unlink()
    return folder


@pytest.mark.slow
def test_rows_that_are_missing_are_named_and_only_where_they_are_read(
    usual: TrainSettings, damaged: Path, tmp_path: Path
) -> None:
    settings = replace(usual, prepared=damaged, out=tmp_path / "model", network=replace(SMALL, head="linear"))
    with pytest.raises(DatasetError, match=r"pose-1") as caught:
        train(settings)
    assert "activity prepare" in caught.value.hint
    result = train(replace(settings, streams=("appearance",)))
    assert [head.stream for head in result.heads] == ["appearance"]
    assert (settings.out / ENCODER_FILE).is_file() and (settings.out / WEIGHTS_FILE).is_file()


def test_streams_that_the_folder_has_not_are_refused(usual: TrainSettings, prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`streams` cannot be pose: the prepared folder has no pose") as caught:
        train(replace(usual, prepared=prepared, streams=("pose",), out=tmp_path / "model"))
    assert "activity prepare" in caught.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_beside_an_encoder_that_is_trained_validation_clips_say_what_other_streams_add(
    with_streams: Path, tmp_path: Path
) -> None:
    streams = ("appearance", "motion", "pose")
    settings = TrainSettings(
        with_streams, tmp_path / "model", network=TINY_NETWORK, epochs=1, batch_size=8, streams=streams
    )
    result = train(settings)
    assert "pose" in {head.stream for head in result.heads} and "motion" in result.dropped
    assert [record.stage for record in result.history] == ["main"]
    document = read_bundle(settings.out).document
    assert document.data.splits == ["train"] and document.training["mode"] == "joint"
    val = read_prepared(with_streams).in_split("val")
    with np.load(settings.out / OUT_OF_FOLD_FILE, allow_pickle=False) as file:
        assert file["clips"].tolist() == [record.clip for record in val]
        assert file["log_probabilities"].shape == (len(val), 3)
    assert ("appearance" in {head.stream for head in result.heads}) == (settings.out / ENCODER_FILE).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.slow
def test_an_interrupted_encoder_is_kept_alone(with_streams: Path, tmp_path: Path) -> None:
    settings = TrainSettings(with_streams, tmp_path / "model", network=TINY_NETWORK, epochs=2, batch_size=8)
    result = train(settings, At(MAIN, 4, press_ctrl_c))
    assert result.interrupted
    ((stream, weight),) = [(head.stream, head.weight) for head in result.heads]
    assert (stream, weight) == ("appearance", 1.0)
    assert (settings.out / ENCODER_FILE).is_file() and not (settings.out / OUT_OF_FOLD_FILE).exists()
