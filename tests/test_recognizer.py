"""The Python API: Recognizer and predict()."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from activity_cli import BundleError, PredictSettings, Recognizer, VideoError, predict
from activity_cli.model.network import Network
from activity_cli.results import Prediction
from activity_cli.streams.frames import FrameStreams
from activity_cli.video.opencv import FileSource
from activity_cli.video.reader import ClipReader
from bundle_support import (
    LABELS,
    MIRRORED,
    SAMPLING,
    SMALL,
    probabilities_of,
    random_bundle,
    random_network,
    scores_in_order,
)
from conftest import draw_video
from data_support import read_clip
from person_support import FPS, moving_person, write_lossless


@pytest.fixture(scope="module")
def network() -> Network:
    return random_network(SMALL)


@pytest.fixture(scope="module")
def model(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the network, which reads the appearance alone."""
    return random_bundle(tmp_path_factory.mktemp("models") / "mine", network)


@pytest.fixture(scope="module")
def all_streams(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a model that reads all streams, and skeletons also as a mirror shows them."""
    others = [("motion",), ("pose", "hands")]
    return random_bundle(
        tmp_path_factory.mktemp("models") / "all", network, others=others, mirrored_labels=MIRRORED, weight=0.4
    )


@pytest.fixture
def video(videos: Path) -> Path:
    return videos / "left" / "person1_0.avi"


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lossless video of a person."""
    return write_lossless(tmp_path_factory.mktemp("person") / "person.mkv", moving_person())


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
        assert recognizer.predict(videos / name) == prediction
    assert np.ptp(found, axis=0).max() > 0.01, "all videos have the same answer, so the test shows nothing"


def test_all_streams_of_a_person_are_read(all_streams: Path, person: Path) -> None:
    """The answer is that of the runtime for rows that are computed one after the other."""
    from activity_cli.commands.predict import open_network
    from activity_cli.model.bundle import read_bundle

    runtime = open_network(read_bundle(all_streams))
    assert runtime.encoder is not None
    streams = FrameStreams(runtime.streams, encode=runtime.encoder.features_of_one)
    [clip] = ClipReader(FileSource(person), SAMPLING, describer=streams)
    assert set(clip.rows) == {"appearance", "motion", "pose", "hands"}
    assert (clip.rows["pose"][:, 0] > 0.5).all(), "nobody was found, so the test shows nothing"
    recognizer = Recognizer(all_streams)
    expected = runtime.answer(clip.rows, clip.times_seconds)
    for _ in range(3):  # threads must not change it
        np.testing.assert_array_equal(scores_in_order(recognizer.predict(person).scores), expected.astype(np.float64))
    for name, alone in runtime.alone(clip.rows, clip.times_seconds).items():
        assert np.abs(np.exp(alone) - expected).max() > 0.01, f"{name} alone gives the same answer"


@pytest.mark.parametrize("which", ["model", "all_streams"])
def test_frames_get_the_answer_of_their_video(
    which: str, person: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    recognizer = Recognizer(request.getfixturevalue(which))
    frames = moving_person()
    by_file = recognizer.predict(person)
    # Any clock will do.
    times = 100 + np.arange(len(frames)) / FPS
    assert replace(recognizer.predict_frames(frames, times), source=str(person)) == by_file
    one = recognizer.predict_frames(frames[:1], [7.0])
    assert (one.source, one.status, one.frames_used) == ("frames", "ok", 1)
    assert one.scores == recognizer.predict(write_lossless(tmp_path / "one.mkv", frames[:1])).scores


def test_frames_are_cut_into_windows(network: Network, tmp_path: Path) -> None:
    sampling = replace(SAMPLING, window_seconds=0.3)  # 6 frames of 20 each second
    recognizer, frames = Recognizer(random_bundle(tmp_path / "mine", network, sampling)), moving_person()
    whole = recognizer.predict_frames(frames, np.arange(12) / FPS)
    halves = [recognizer.predict_frames(frames[part], np.arange(6) / FPS) for part in (slice(6), slice(6, 12))]
    each = [scores_in_order(half.scores) for half in halves]
    assert whole.frames_used == 12
    np.testing.assert_allclose(scores_in_order(whole.scores), np.mean(each, axis=0), atol=1e-6)


def test_threads_get_the_answers_of_one_thread(model: Path) -> None:
    recognizer = Recognizer(model)
    clips = np.random.default_rng(0).integers(0, 256, (8, 6, 32, 32, 3), np.uint8)

    def ask(first: int) -> list[Prediction]:
        return [recognizer.predict_frames(clips[(first + call) % 8], np.arange(6) / FPS) for call in range(40)]

    answers = []
    for threads in (1, 8):
        with ThreadPoolExecutor(threads) as pool:
            answers.append(list(pool.map(ask, range(8))))
    assert len({str(answer) for answer in answers[0][0]}) == 8
    assert answers[0] == answers[1]


def test_threads_share_all_streams(all_streams: Path) -> None:
    recognizer, frames = Recognizer(all_streams), moving_person(8)
    parts = [frames[start : start + 4] for start in range(4)]
    expected = [recognizer.predict_frames(part, np.arange(4) / FPS) for part in parts]
    assert len({str(one) for one in expected}) == 4
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(recognizer.predict_frames, parts[call % 4], np.arange(4) / FPS) for call in range(16)]
        assert [one.result() for one in asked] == expected * 4


def test_recognizers_in_threads_leave_the_descriptors_of_the_program_alone(model: Path, video: Path) -> None:
    """A hook sees every call that would redirect one."""
    code = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
import activity_cli
redirected, dup2 = [], os.dup2
os.dup2 = lambda *words, **options: redirected.append(words) or dup2(*words, **options)
before = [os.fstat(number) for number in (1, 2)]
def ask(_):
    return activity_cli.Recognizer(sys.argv[1]).predict(sys.argv[2]).to_dict()
with ThreadPoolExecutor(8) as pool:
    answers = list(pool.map(ask, range(24)))
assert all(answer == answers[0] for answer in answers)
assert [os.fstat(number) for number in (1, 2)] == before and not redirected, redirected
os.write(2, b"end of stderr")
print(answers[0]["status"])
"""
    command = [sys.executable, "-c", code, str(model), str(video)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    assert done.stderr.endswith("end of stderr")


@pytest.mark.parametrize("shape", [(0, 32, 32, 3), (6, 32, 32, 4), (32, 32, 3), (6, 0, 32, 3)])
def test_frames_of_another_shape_are_rejected(model: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"uint8 \[T, H, W, 3\], got"):
        Recognizer(model).predict_frames(np.zeros(shape, np.uint8), np.arange(shape[0]))
    with pytest.raises(ValueError, match="got float32"):
        Recognizer(model).predict_frames(np.zeros((2, 4, 4, 3), np.float32), [0, 1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "times", [[0.0], [0.0, 0.0], [1.0, 0.5], [0.0, float("nan")], [0.0, float("inf")], [[0.0, 1.0]]]
)
def test_times_that_do_not_rise_are_rejected(model: Path, times: list[float]) -> None:
    with pytest.raises(ValueError, match="rising, finite number for each frame"):
        Recognizer(model).predict_frames(np.zeros((2, 4, 4, 3), np.uint8), times)


@pytest.mark.parametrize("short_clips", ["repeat_last", "wrap", "drop", "mask"])
def test_a_short_video_is_answered_by_its_pose(tmp_path: Path, short_clips: str) -> None:
    sampling = replace(SAMPLING, short_clips=short_clips)
    recognizer = Recognizer(random_bundle(tmp_path / "pose", others=[("pose", "hands")], sampling=sampling))
    expected = Recognizer(random_bundle(tmp_path / "mask", others=[("pose", "hands")]))
    frames = moving_person(4)
    found, same = (who.predict_frames(frames, np.arange(4) / FPS) for who in (recognizer, expected))
    assert found.frames_used == (6 if short_clips in ("repeat_last", "wrap") else 4)
    assert found.scores == same.scores


def test_a_video_without_anybody_is_answered(all_streams: Path, video: Path) -> None:
    prediction = Recognizer(all_streams).predict(video)
    assert prediction.status == "ok"
    assert sum(scores_in_order(prediction.scores)) == pytest.approx(1, abs=1e-5)


def test_a_model_of_appearance_alone_opens_no_model_of_poses_and_hands(
    model: Path, all_streams: Path, video: Path
) -> None:
    """By the files that a new process opens."""
    code = """
import sys
opened = []
sys.addaudithook(lambda event, words: opened.append(str(words[0])) if event == "open" else None)
from activity_cli import Recognizer
Recognizer(sys.argv[1]).predict(sys.argv[2])
maps = open("/proc/self/maps").read()
names = "pose_detection", "pose_landmark_full", "hand_landmark_full", "encoder"
print(*(name for name in names if f"{name}.tflite" in maps or any(f"{name}.tflite" in path for path in opened)))
"""

    def files(folder: Path) -> list[str]:
        command = [sys.executable, "-c", code, str(folder), str(video)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()

    assert files(model) == ["encoder"]
    assert files(all_streams) == ["pose_detection", "pose_landmark_full", "hand_landmark_full", "encoder"]


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
