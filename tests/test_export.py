"""export: files that other runtimes load, with the same answers."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from activity_cli import Recognizer
from activity_cli.model.bundle import ENCODER_FILE, SEQUENCE_FILE
from activity_cli.runtime.litert import EncoderRuntime, SequenceRuntime
from data_support import read_clip

Activity = Callable[..., Result]
HAS_ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "tf2onnx"))
HAS_ONNX_RUNTIME = HAS_ONNX and importlib.util.find_spec("onnxruntime") is not None

SAMPLE = Path(__file__).parents[1] / "models" / "sample"


@pytest.fixture
def frames(model: Path, videos: Path) -> np.ndarray:
    """A short clip, so that padding and mask have a part in the answer."""
    return short_clip(model, videos)


def short_clip(model: Path, videos: Path) -> np.ndarray:
    return read_clip(videos / "left" / "person0_1.avi", Recognizer(model).sampling).frames


@pytest.fixture
def expected(model: Path, frames: np.ndarray) -> list[float]:
    recognizer = Recognizer(model)
    scores = recognizer.scores(frames)
    return [scores[label] for label in recognizer.labels]


def padded(frames: np.ndarray, num_frames: int = 6) -> tuple[np.ndarray, np.ndarray]:
    clips = np.zeros((1, num_frames, *frames.shape[1:]), np.uint8)
    clips[0, : len(frames)] = frames
    return clips, np.arange(num_frames)[np.newaxis] < len(frames)


def test_litert_files_and_their_description(
    activity: Activity, model: Path, tmp_path: Path, frames: np.ndarray, expected: list[float]
) -> None:
    out = tmp_path / "deep" / "exported"
    result = activity("export", model, "--out", out)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{out}\n", "")
    assert {path.name for path in out.iterdir()} == {ENCODER_FILE, SEQUENCE_FILE, "description.json"}
    assert [path.name for path in out.parent.iterdir()] == ["exported"]

    features = EncoderRuntime(out / ENCODER_FILE, threads=1).features(frames)
    np.testing.assert_allclose(SequenceRuntime(out / SEQUENCE_FILE).probabilities(features), expected, atol=1e-5)

    description = json.loads((out / "description.json").read_text())
    assert list(description) == ["schema", "model", "format", "labels", "sampling", "encoder", "sequence"]
    assert description["schema"] == "activity.export/1"
    assert description["labels"] == ["left", "right", "up"]
    assert description["model"] == Recognizer(model).name
    assert description["sampling"]["num_frames"] == 6
    assert "[N, 32, 32, 3]" in description["encoder"]["input"]


def test_a_saved_model_loads_in_tensorflow_and_agrees(
    activity: Activity, model: Path, tmp_path: Path, frames: np.ndarray, expected: list[float]
) -> None:
    import keras
    import tensorflow as tf

    out = tmp_path / "exported"
    result = activity("export", model, "--format", "saved_model", "--out", out)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{out}\n", "")
    clips, mask = padded(frames)
    loaded = tf.saved_model.load(str(out / "saved_model"))
    np.testing.assert_allclose(np.asarray(loaded.serve([clips, mask]))[0], expected, atol=1e-4)
    layer = keras.layers.TFSMLayer(str(out / "saved_model"), call_endpoint="serve")
    both = np.concatenate([clips, clips]), np.concatenate([mask, mask])
    np.testing.assert_allclose(np.asarray(layer(list(both)))[1], expected, atol=1e-4)


@pytest.mark.skipif(not HAS_ONNX_RUNTIME, reason="onnx, tf2onnx and onnxruntime are not installed")
def test_onnx_files_agree(
    activity: Activity, model: Path, tmp_path: Path, frames: np.ndarray, expected: list[float]
) -> None:
    out = tmp_path / "exported"
    assert activity("export", model, "--format", "onnx", "--out", out).exit_code == 0
    np.testing.assert_allclose(from_onnx(out, frames, 6), expected, atol=1e-4)


@pytest.mark.parametrize("format", ["saved_model", "onnx"])
def test_what_default_settings_have_in_them_is_exported(
    activity: Activity, tmp_path: Path, videos: Path, format: str
) -> None:
    if format == "onnx" and not HAS_ONNX_RUNTIME:
        pytest.skip("onnx, tf2onnx and onnxruntime are not installed")
    recognizer = Recognizer(SAMPLE)
    frames, num_frames = short_clip(SAMPLE, videos), recognizer.sampling.num_frames
    assert 1 < len(frames) < num_frames
    scores = recognizer.scores(frames)
    assert activity("export", SAMPLE, "--format", format, "--out", tmp_path / "out").exit_code == 0
    found = answer_of[format](tmp_path / "out", frames, num_frames)
    np.testing.assert_allclose(found, [scores[label] for label in recognizer.labels], atol=1e-4)


def from_saved_model(folder: Path, frames: np.ndarray, num_frames: int) -> np.ndarray:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder / "saved_model"))
    return np.asarray(loaded.serve([*padded(frames, num_frames)]))[0]


def from_onnx(folder: Path, frames: np.ndarray, num_frames: int) -> np.ndarray:
    import onnxruntime

    encoder = onnxruntime.InferenceSession(folder / "encoder.onnx")
    found = encoder.run(None, {encoder.get_inputs()[0].name: frames.astype(np.float32)})[0]
    features = np.zeros((1, num_frames, found.shape[1]), np.float32)
    features[0, : len(found)] = found
    sequence = onnxruntime.InferenceSession(folder / "sequence.onnx")
    by_rank = {3: features, 2: padded(frames, num_frames)[1]}
    return sequence.run(None, {given.name: by_rank[len(given.shape)] for given in sequence.get_inputs()})[0][0]


answer_of = {"saved_model": from_saved_model, "onnx": from_onnx}


@pytest.mark.skipif(HAS_ONNX, reason="onnx and tf2onnx are installed")
def test_onnx_without_its_packages_is_refused_in_one_line(activity: Activity, model: Path, tmp_path: Path) -> None:
    result = activity("export", model, "--format", "onnx", "--out", tmp_path / "exported")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "pip install 'activity-cli[onnx]'" in line
    assert not list(tmp_path.iterdir())


def test_what_was_exported_is_replaced_only_when_asked(activity: Activity, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    assert activity("export", model, "--out", out).exit_code == 0
    (out / "old").write_text("old")
    refused = activity("export", model, "--out", out)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert (out / "old").is_file()
    assert activity("export", model, "--out", out, "--overwrite").exit_code == 0
    assert not (out / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["exported"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_was_not_exported_is_never_replaced(
    activity: Activity, model: Path, tmp_path: Path, overwrite: bool
) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter.tex").write_text("years of work")
    for place in (out, out / "chapter.tex"):
        result = activity("export", model, "--out", place, *(["--overwrite"] if overwrite else []))
        assert result.exit_code == 2
        assert "not made by 'activity export'" in result.stderr
        assert "--overwrite" not in result.stderr
    assert (out / "chapter.tex").read_text() == "years of work"


def test_an_empty_folder_is_taken(activity: Activity, model: Path, tmp_path: Path) -> None:
    (tmp_path / "exported").mkdir()
    assert activity("export", model, "--out", tmp_path / "exported").exit_code == 0
    assert (tmp_path / "exported" / "description.json").is_file()


def test_a_place_that_cannot_be_written_is_refused_in_one_line(activity: Activity, model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = activity("export", model, "--out", tmp_path / "file" / "exported")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_a_model_that_is_not_there_is_refused(activity: Activity, tmp_path: Path) -> None:
    result = activity("export", tmp_path / "nothing", "--out", tmp_path / "exported")
    assert result.exit_code == 2
    assert "nothing" in result.stderr
    assert not list(tmp_path.iterdir())
