"""A model that classifies every frame: its answers, their times, and their written form."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from activity_cli import Recognizer
from activity_cli.model.heads import frame_outputs
from activity_cli.model.network import Network
from activity_cli.results import FrameAnswer, Prediction
from activity_cli.writers.json import prediction_json
from bundle_support import LABELS, PER_FRAME, SAMPLING, STEPS, random_bundle, random_network, scores_in_order
from conftest import draw_video
from data_support import read_clip
from test_predict import OK_KEYS


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Network]:
    network = random_network(PER_FRAME)
    return random_bundle(tmp_path_factory.mktemp("frames") / "model", network), network


def test_every_frame_has_an_answer_and_its_time(bundle: tuple[Path, Network], videos: Path) -> None:
    folder, network = bundle
    frames = frame_outputs(network.heads["lstm"])
    assert frames is not None
    for name, length in (("left/person1_0.avi", 6), ("up/person0_1.avi", 4)):
        prediction, clip = Recognizer(folder).predict(videos / name), read_clip(videos / name, SAMPLING)
        assert prediction.frames is not None
        assert len(prediction.frames) == prediction.frames_used == length
        times = [frame.seconds for frame in prediction.frames]
        np.testing.assert_allclose(times, np.array(clip.cut.indices) / 12, atol=1e-3)

        features = np.zeros((1, STEPS, network.shape.num_features), np.float32)
        features[0, :length] = network.encoder(clip.frames, training=False)
        expected = np.asarray(frames([features, np.arange(STEPS)[np.newaxis] < length]))[0, :length]
        assert [frame.label for frame in prediction.frames] == [LABELS[row.argmax()] for row in expected]
        np.testing.assert_allclose([frame.confidence for frame in prediction.frames], expected.max(axis=1), atol=1e-3)
        np.testing.assert_allclose(scores_in_order(prediction.scores), expected.mean(axis=0), atol=1e-3)


@pytest.mark.slow
def test_the_frames_of_windows_follow_one_another(bundle: tuple[Path, Network], videos: Path, tmp_path: Path) -> None:
    sampling = replace(SAMPLING, num_frames=3, window_seconds=0.5)
    folder = random_bundle(tmp_path / "model", random_network(PER_FRAME, sampling), sampling)
    video = draw_video(tmp_path / "long.avi", num_frames=24)
    prediction = Recognizer(folder).predict(video)
    assert prediction.frames is not None
    # Four windows of 6 frames at 12 a second, of each the frames 1, 3 and 5.
    expected = [(6 * window + frame) / 12 for window in range(4) for frame in (1, 3, 5)]
    np.testing.assert_allclose([frame.seconds for frame in prediction.frames], expected, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("short_clips", ["repeat_last", "wrap"])
def test_a_frame_that_is_read_twice_keeps_its_time(
    bundle: tuple[Path, Network], tmp_path: Path, short_clips: str
) -> None:
    sampling = replace(SAMPLING, short_clips=short_clips)
    folder = random_bundle(tmp_path / "model", bundle[1], sampling)
    prediction = Recognizer(folder).predict(draw_video(tmp_path / "short.avi", num_frames=3))
    assert prediction.frames is not None
    indices = {"repeat_last": [0, 1, 2, 2, 2, 2], "wrap": [0, 1, 2, 0, 1, 2]}[short_clips]
    np.testing.assert_allclose([frame.seconds for frame in prediction.frames], np.array(indices) / 12, atol=1e-3)


def test_of_a_longer_clip_every_frame_gets_the_answer_of_its_part(videos: Path, tmp_path: Path) -> None:
    """The network was trained on clips of at most 3 frames, and reads the frames 1, 3 and 5 of 6."""
    short = replace(SAMPLING, num_frames=3)
    folder = random_bundle(tmp_path / "model", random_network(PER_FRAME, short), SAMPLING)
    recognizer, video = Recognizer(folder), videos / "left" / "person1_0.avi"
    prediction, frames = recognizer.predict(video), read_clip(video, SAMPLING).frames
    assert prediction.scores == recognizer.scores(frames[1::2])
    assert prediction.frames is not None
    answers = [(frame.label, frame.confidence) for frame in prediction.frames]
    assert answers[::2] == answers[1::2]
    assert len(set(answers)) == 3


def test_the_answers_for_frames_are_one_more_key(
    bundle: tuple[Path, Network], model: Path, videos: Path, activity: Callable[..., Result]
) -> None:
    video = videos / "left" / "person1_0.avi"
    answer = json.loads(activity("predict", video, "--model", bundle[0]).stdout)
    assert list(answer) == [*OK_KEYS, "frames"]
    assert answer["schema"] == "activity.prediction/1"
    assert [list(frame) for frame in answer["frames"]] == [["seconds", "label", "confidence"]] * 6
    assert list(json.loads(activity("predict", video, "--model", model).stdout)) == OK_KEYS
    for form in ("csv", "table"):
        assert activity("predict", video, "--model", bundle[0], "--format", form).exit_code == 0


def test_a_frame_is_written_as_exactly_this() -> None:
    frames = (FrameAnswer(0.12345, "wave", 0.93004), FrameAnswer(1.0, "bend", float("nan")))
    line = prediction_json(Prediction("a.mp4", "ok", "wave", 0.5, {"wave": 0.5}, frames=frames))
    assert line.endswith(
        '"frames": [{"seconds": 0.123, "label": "wave", "confidence": 0.93}, '
        '{"seconds": 1.0, "label": "bend", "confidence": null}]}'
    )
