"""The Python API: Recognizer and predict()."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from activity_cli import BundleError, PredictSettings, Recognizer, VideoError, predict
from activity_cli.model.network import Network
from bundle_support import (
    BOTH_HEADS,
    LABELS,
    SAMPLING,
    probabilities_of,
    random_bundle,
    random_network,
    scores_in_order,
)
from conftest import draw_video
from data_support import read_clip


@pytest.fixture(scope="module")
def network() -> Network:
    return random_network(BOTH_HEADS)


@pytest.fixture(scope="module")
def model(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the network."""
    return random_bundle(tmp_path_factory.mktemp("models") / "mine", network)


@pytest.fixture
def video(videos: Path) -> Path:
    return videos / "left" / "person1_0.avi"


def test_the_recognizer_agrees_with_the_keras_network(model: Path, network: Network, videos: Path) -> None:
    recognizer, found = Recognizer(str(model)), []
    assert recognizer.labels == LABELS
    for name in ("left/person1_0.avi", "up/person0_1.avi", "right/person5_0.avi"):
        frames = read_clip(videos / name, recognizer.sampling).frames
        prediction = recognizer.predict(str(videos / name))
        found.append(scores_in_order(prediction.scores))
        np.testing.assert_allclose(found[-1], probabilities_of(network, frames), atol=1e-3)
        assert (prediction.source, prediction.status) == (str(videos / name), "ok")
        assert prediction.label == LABELS[int(np.argmax(found[-1]))]
        assert prediction.confidence == max(found[-1])
        assert prediction.frames_used == len(frames)
        assert recognizer.scores(frames) == prediction.scores
        assert recognizer.predict(videos / name) == prediction
    assert np.ptp(found, axis=0).max() > 0.01, "all videos have the same answer, so the test shows nothing"


def test_the_answer_for_a_video_is_the_mean_over_its_windows(
    network: Network, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sampling = replace(SAMPLING, window_seconds=0.5)  # 6 frames of 12 each second
    recognizer = Recognizer(random_bundle(tmp_path / "mine", network, sampling))
    parts = [draw_video(tmp_path / f"{motion}.avi", motion, num_frames=6) for motion in ("left", "up")]
    whole = tmp_path / "whole.avi"
    import cv2

    writer = cv2.VideoWriter(str(whole), cv2.VideoWriter.fourcc(*"MJPG"), 12, (64, 48))
    for part in parts:
        capture = cv2.VideoCapture(str(part))
        while (read := capture.read())[0]:
            writer.write(read[1])
    writer.release()
    prediction = recognizer.predict(whole)
    assert prediction.frames_used == 12
    each = [scores_in_order(recognizer.predict(part).scores) for part in parts]
    assert np.abs(np.subtract(*each)).max() > 0.01
    np.testing.assert_allclose(scores_in_order(prediction.scores), np.mean(each, axis=0), atol=0.02)
    assert list(prediction.scores or ()) == sorted(prediction.scores or (), key=lambda label: -prediction.scores[label])  # type: ignore[index]


@pytest.mark.slow
def test_a_long_video_is_never_in_memory_as_a_whole(network: Network, tmp_path: Path) -> None:
    model = random_bundle(tmp_path / "mine", network, replace(SAMPLING, window_seconds=0.5))
    long = draw_video(tmp_path / "long.avi", num_frames=1800)  # 300 windows of 18 kB
    recognizer = Recognizer(model)
    for answer in (lambda: recognizer.predict(long), lambda: next(predict(PredictSettings((str(long),), model)))):
        tracemalloc.start()
        prediction = answer()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert prediction.frames_used == 1800
        assert peak < 1800 * 32 * 32 * 3 / 2, f"{peak} bytes"


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"clips_per_video": 4}, {"short_clips": "drop"}])
def test_random_clips_and_dropped_short_clips_are_for_training_only(
    network: Network, video: Path, model: Path, tmp_path: Path, settings: dict[str, object]
) -> None:
    other = random_bundle(tmp_path / "mine", network, replace(SAMPLING, **settings))  # type: ignore[arg-type]
    short = draw_video(tmp_path / "short.avi", num_frames=3)
    for path in (video, short):
        assert Recognizer(other).predict(path).scores == Recognizer(model).predict(path).scores


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((0, 32, 32, 3), "uint8"),
        ((7, 32, 32, 3), "uint8"),
        ((6, 33, 32, 3), "uint8"),
        ((6, 32, 32, 4), "uint8"),
        ((32, 32, 3), "uint8"),
        ((6, 32, 32, 3), "float32"),
    ],
)
def test_frames_of_another_shape_are_rejected(model: Path, shape: tuple[int, ...], kind: str) -> None:
    with pytest.raises(ValueError, match=r"uint8 \[1\.\.6, 32, 32, 3\], got"):
        Recognizer(model).scores(np.zeros(shape, kind))


def test_a_video_that_cannot_be_used_is_an_error(model: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a video at all" * 100)
    for name in ("broken.mp4", "missing.mp4"):
        with pytest.raises(VideoError, match=name):
            Recognizer(model).predict(tmp_path / name)


def test_predict_is_lazy_but_rejects_a_missing_model_at_once(model: Path, video: Path, tmp_path: Path) -> None:
    answers = predict(PredictSettings((video, tmp_path / "missing.mp4"), model))
    assert isinstance(answers, Iterator)
    assert [answer.status for answer in answers] == ["ok", "error"]
    with pytest.raises(BundleError):
        predict(PredictSettings((video,), tmp_path / "nothing"))


def test_a_caller_may_stop_early(model: Path, videos: Path) -> None:
    answers = predict(PredictSettings((videos,), model))
    assert next(answers).status == "ok"
    answers.close()  # type: ignore[attr-defined]
