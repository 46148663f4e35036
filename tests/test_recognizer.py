"""The Python API: Recognizer and predict()."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from activity_cli import BundleError, PredictSettings, Recognizer, VideoError, predict
from activity_cli.model.bundle import WEIGHTS_FILE
from data_support import read_clip


@pytest.fixture
def video(videos: Path) -> Path:
    return videos / "left" / "person1_0.avi"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not a video at all" * 100)
    return path


def test_the_recognizer_answers_a_video(model: Path, video: Path, broken: Path) -> None:
    recognizer = Recognizer(str(model))
    assert recognizer.labels == ("left", "right", "up")
    answer = recognizer.predict(str(video))
    assert answer.source == str(video)
    assert answer.scores is not None
    assert sum(answer.scores.values()) == pytest.approx(1, abs=1e-5)
    assert answer == recognizer.predict(video)
    with pytest.raises(VideoError):
        recognizer.predict(broken)


def test_scores_of_frames_are_those_of_the_video(model: Path, video: Path) -> None:
    recognizer = Recognizer(model)
    frames = read_clip(video, recognizer.sampling).frames
    assert recognizer.scores(frames) == recognizer.predict(video).scores


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
def test_frames_of_another_shape_are_refused(model: Path, shape: tuple[int, ...], kind: str) -> None:
    with pytest.raises(ValueError, match=r"uint8 \[1\.\.6, 32, 32, 3\], got"):
        Recognizer(model).scores(np.zeros(shape, kind))


def test_predict_is_lazy_but_refuses_a_missing_model_at_once(model: Path, video: Path, tmp_path: Path) -> None:
    answers = predict(PredictSettings((video, tmp_path / "missing.mp4"), model))
    assert isinstance(answers, Iterator)
    assert [answer.status for answer in answers] == ["ok", "error"]
    with pytest.raises(BundleError):
        predict(PredictSettings((video,), tmp_path / "nothing"))


def test_predict_can_be_left_early(model: Path, videos: Path) -> None:
    answers = predict(PredictSettings((videos,), model))
    assert next(answers).status == "ok"
    answers.close()  # type: ignore[attr-defined]


def test_the_recognizer_agrees_with_the_keras_network(model: Path, videos: Path) -> None:
    from activity_cli.model.bundle import read_bundle
    from activity_cli.model.network import load_network

    bundle, recognizer = read_bundle(model), Recognizer(model)
    network = load_network(model / WEIGHTS_FILE, bundle.network, bundle.sampling, len(bundle.labels))
    for name in ("left/person1_0.avi", "up/person0_1.avi", "right/person5_0.avi"):
        frames = read_clip(videos / name, bundle.sampling).frames
        padded = np.zeros((1, 6, 32, 32, 3), np.uint8)
        padded[0, : len(frames)] = frames
        expected = np.asarray(network.whole([padded, np.arange(6)[np.newaxis] < len(frames)], training=False))[0]
        scores = recognizer.scores(frames)
        np.testing.assert_allclose([scores[label] for label in bundle.labels], expected, atol=1e-3)
