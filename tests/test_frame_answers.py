"""A model that classifies every frame: what it says of a video, when, and in which form."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from activity_cli.model.sequence import frame_outputs
from activity_cli.training.bundling import pack
from typer.testing import Result

from activity_cli import NetworkSettings, Recognizer, Sampling
from activity_cli.model.network import Network, build_network
from activity_cli.results import FrameAnswer, Prediction
from activity_cli.writers.json import prediction_json
from conftest import TINY_NETWORK, TINY_SAMPLING, draw_video
from data_support import read_clip
from test_predict import OK_KEYS

LABELS = ("left", "right", "up")
CONFIG = replace(TINY_NETWORK, per_frame=True)
REST = {"name": "frames", "training": {"mode": "joint"}, "data": {"prepared": "/nowhere", "fingerprint": "0"}}


def packed(folder: Path, config: NetworkSettings, sampling: Sampling) -> Network:
    """A bundle with random weights, far from equal probabilities."""
    keras.utils.set_random_seed(3)
    network = build_network(config, sampling, len(LABELS))
    classes = network.sequence.get_layer("classes")
    classes.set_weights([9 * weights for weights in classes.get_weights()])
    folder.mkdir()
    clip = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    pack(network, folder, LABELS, sampling, config, [clip], REST)
    return network


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Network]:
    folder = tmp_path_factory.mktemp("frames") / "model"
    return folder, packed(folder, CONFIG, TINY_SAMPLING)


def test_every_frame_has_an_answer_with_its_time(bundle: tuple[Path, Network], videos: Path) -> None:
    folder, network = bundle
    frames = frame_outputs(network.sequence)
    assert frames is not None
    for name, length in (("left/person1_0.avi", 6), ("up/person0_1.avi", 4)):
        prediction, clip = Recognizer(folder).predict(videos / name), read_clip(videos / name, TINY_SAMPLING)
        assert prediction.frames is not None
        assert len(prediction.frames) == prediction.frames_used == length
        times = [frame.seconds for frame in prediction.frames]
        np.testing.assert_allclose(times, np.array(clip.indices) / 12, atol=1e-3)

        features = np.zeros((1, 6, network.encoder.output_shape[-1]), np.float32)
        features[0, :length] = network.encoder(clip.frames, training=False)
        expected = np.asarray(frames([features, np.arange(6)[np.newaxis] < length]))[0, :length]
        assert [frame.label for frame in prediction.frames] == [LABELS[row.argmax()] for row in expected]
        np.testing.assert_allclose([frame.confidence for frame in prediction.frames], expected.max(axis=1), atol=1e-3)
        assert prediction.scores is not None
        found = [prediction.scores[label] for label in LABELS]
        np.testing.assert_allclose(found, expected.mean(axis=0), atol=1e-3)


def test_windows_follow_one_another(videos: Path, tmp_path: Path) -> None:
    sampling = replace(TINY_SAMPLING, num_frames=3, window_seconds=0.5)
    packed(tmp_path / "model", CONFIG, sampling)
    video = draw_video(tmp_path / "long.avi", num_frames=24)
    prediction = Recognizer(tmp_path / "model").predict(video)
    assert prediction.frames is not None
    # Four windows of 6 frames at 12 a second, of each the frames 1, 3 and 5.
    expected = [(6 * window + frame) / 12 for window in range(4) for frame in (1, 3, 5)]
    np.testing.assert_allclose([frame.seconds for frame in prediction.frames], expected, atol=1e-3)


def test_the_answers_for_frames_are_a_further_key(
    bundle: tuple[Path, Network], model: Path, videos: Path, activity: Callable[..., Result]
) -> None:
    video = videos / "left" / "person1_0.avi"
    answer = json.loads(activity("predict", video, "--model", bundle[0]).stdout)
    assert list(answer) == [*OK_KEYS, "frames"]
    assert answer["schema"] == "activity.prediction/1"
    assert [list(frame) for frame in answer["frames"]] == [["seconds", "label", "confidence"]] * 6
    assert list(json.loads(activity("predict", video, "--model", model).stdout)) == OK_KEYS
    assert Recognizer(model).predict(video).frames is None
    for form in ("csv", "table"):
        assert activity("predict", video, "--model", bundle[0], "--format", form).exit_code == 0


def test_a_frame_is_written_as_exactly_this() -> None:
    frames = (FrameAnswer(0.12345, "wave", 0.93004), FrameAnswer(1.0, "bend", float("nan")))
    line = prediction_json(Prediction("a.mp4", "ok", "wave", 0.5, {"wave": 0.5}, frames=frames))
    assert line.endswith(
        '"frames": [{"seconds": 0.123, "label": "wave", "confidence": 0.93}, '
        '{"seconds": 1.0, "label": "bend", "confidence": null}]}'
    )


@pytest.mark.parametrize("short", ["hold", "loop"])
def test_a_frame_that_is_taken_twice_keeps_its_time(tmp_path: Path, short: str) -> None:
    video = draw_video(tmp_path / "short.avi", num_frames=3)
    clip = read_clip(video, replace(TINY_SAMPLING, short=short))
    assert len(clip.indices) == 6
    np.testing.assert_allclose(clip.times_seconds, np.array(clip.indices) / 12, atol=1e-3)


def test_frames_that_are_jumped_to_keep_their_time(tmp_path: Path) -> None:
    video = draw_video(tmp_path / "long.mp4", num_frames=1200, fps=25, codec="mp4v")
    clip = read_clip(video, replace(TINY_SAMPLING, num_frames=4))
    assert clip.info is not None
    assert clip.info.counted_by == "packets", "it was read through, so the test shows nothing"
    np.testing.assert_allclose(clip.times_seconds, np.array(clip.indices) / 25, atol=2e-3)
