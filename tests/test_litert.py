"""The network in LiteRT gives the answers of Keras, and adds up the streams as the bundle says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from activity_cli import BundleError
from activity_cli.commands.predict import open_network
from activity_cli.model.bundle import ENCODER_FILE, head_file, read_bundle
from activity_cli.model.network import Network
from activity_cli.runtime.litert import EncoderRuntime, HeadRuntime, NetworkRuntime, combine
from activity_cli.streams.frames import FrameStreams
from activity_cli.streams.views import views_of
from activity_cli.video.arrays import ArraySource
from activity_cli.video.reader import Clip, ClipReader
from bundle_support import MIRRORED, SAMPLING, SMALL, STEPS, noise, probabilities_of, random_bundle, random_network
from person_support import FPS, moving_person

OTHERS = [("motion",), ("pose", "hands")]
# Joints of BlazePose that a mirror swaps; the nose stays.
SWAPPED = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(joint + 1 if joint % 2 else joint - 1 for joint in range(11, 33))]


@pytest.fixture(scope="module")
def network() -> Network:
    return random_network(SMALL, num_frames=4)


@pytest.fixture(scope="module")
def folder(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that reads all streams; its head of the appearance reads four frames."""
    return random_bundle(tmp_path_factory.mktemp("models") / "mine", network, others=OTHERS, weight=0.6)


@pytest.fixture(scope="module")
def runtime(folder: Path) -> NetworkRuntime:
    return open_network(read_bundle(folder))


@pytest.fixture(scope="module")
def clip() -> Clip:
    """A clip of a person, with all rows but those of the appearance."""
    source = ArraySource(moving_person(), np.arange(12) / FPS)  # type: ignore[arg-type]
    [clip] = ClipReader(source, SAMPLING, describer=FrameStreams(("motion", "pose", "hands")))
    return clip


def appearance_alone(runtime: NetworkRuntime) -> NetworkRuntime:
    return NetworkRuntime(runtime.encoder, {"appearance": runtime.heads["appearance"]})


def test_litert_agrees_with_keras_on_clips_of_every_length(network: Network, runtime: NetworkRuntime) -> None:
    alone, found = appearance_alone(runtime), []
    assert alone.encoder is not None
    # Down and up again, so that nothing of a longer clip is left in a tensor.
    for length in (*range(4, 0, -1), *range(2, 5)):
        features = alone.encoder.features(noise(length))
        assert (features.shape, features.dtype) == ((length, network.shape.head.num_features), np.float32)
        [answer] = alone.alone({"appearance": features}, range(length)).values()
        np.testing.assert_allclose(np.exp(answer), probabilities_of(network, noise(length)), atol=1e-4)
        found.append(answer)
    assert np.ptp(np.exp(found[:4]), axis=0).max() > 0.01, "all clips have the same answer, so the test shows nothing"
    np.testing.assert_array_equal(found[0], found[-1])


def test_of_a_longer_clip_the_middle_frame_of_each_equal_part_is_read(runtime: NetworkRuntime) -> None:
    alone = appearance_alone(runtime)
    assert alone.encoder is not None
    features = alone.encoder.features(noise(12))
    answers = [alone.answer({"appearance": rows}, range(len(rows))) for rows in (features, features[1::3])]
    np.testing.assert_array_equal(*answers)


def test_the_answer_is_the_weighted_sum_over_streams(runtime: NetworkRuntime, clip: Clip) -> None:
    assert runtime.streams == ("appearance", "motion", "pose", "hands")
    assert runtime.encoder is not None
    rows = {"appearance": runtime.encoder.features(clip.frames), **clip.rows}
    alone = runtime.alone(rows, clip.times_seconds)
    weights = {"appearance": 0.6, "motion": 0.3, "pose": 0.15}
    assert list(alone) == list(weights)
    for answer in alone.values():
        assert np.exp(answer).sum() == pytest.approx(1, abs=1e-5)
    total = np.prod([np.exp(alone[name]) ** weights[name] for name in weights], axis=0)
    np.testing.assert_allclose(runtime.answer(rows, clip.times_seconds), total / total.sum(), atol=1e-5)


def test_the_answers_for_the_views_are_averaged(runtime: NetworkRuntime, clip: Clip) -> None:
    head = runtime.heads["pose"]
    views = views_of(head.reads, clip.rows, clip.times_seconds, STEPS, mirror=False)
    each = [np.exp(head.runtime.log_probabilities(view.features)) for view in views]
    assert len(each) > 1
    assert np.ptp(each, axis=0).max() > 0.01, "all views have the same answer, so the test shows nothing"
    alone = NetworkRuntime(None, {"pose": head}).alone(clip.rows, clip.times_seconds)
    np.testing.assert_allclose(np.exp(alone["pose"]), np.mean(each, axis=0), atol=1e-5)


def mirrored(pose: np.ndarray) -> np.ndarray:
    """Rows of the pose stream as a mirror shows them, beside the picture's left border."""
    found, picture, world, visibility = np.split(pose, [1, 67, 166], axis=1)
    picture = picture.reshape(-1, 33, 2)[:, SWAPPED] * [-1, 1]
    world = world.reshape(-1, 33, 3)[:, SWAPPED] * [-1, 1, 1]
    parts = [found, picture.reshape(len(pose), -1), world.reshape(len(pose), -1), visibility[:, SWAPPED]]
    return np.concatenate(parts, axis=1).astype(np.float32)


def test_a_mirrored_clip_gets_the_answers_of_the_mirrored_labels(tmp_path: Path, clip: Clip) -> None:
    """A model that also reads skeletons mirrored sees the other of left and right in a mirrored clip."""
    bundle = random_bundle(tmp_path / "pose", others=[("pose",)], mirrored_labels=MIRRORED)
    runtime = open_network(read_bundle(bundle))
    assert runtime.encoder is None
    plain = NetworkRuntime(None, runtime.heads)
    seen: dict[str, list[np.ndarray]] = {"runtime": [], "plain": []}
    for pose in (clip.rows["pose"], mirrored(clip.rows["pose"])):
        seen["runtime"].append(runtime.answer({"pose": pose}, clip.times_seconds))
        seen["plain"].append(plain.answer({"pose": pose}, clip.times_seconds))
    before, after = seen["runtime"]
    np.testing.assert_allclose(after, before[list(MIRRORED)], atol=1e-4)
    assert np.abs(before - after).max() > 0.01, "left and right have the same answer, so the test shows nothing"
    before, after = seen["plain"]
    assert np.abs(after - before[list(MIRRORED)]).max() > 0.01


def test_probabilities_are_the_softmax_of_the_weighted_sum() -> None:
    first, second = np.log([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]), np.log([[0.2, 0.2, 0.6], [0.3, 0.3, 0.4]])
    expected = np.exp(first) ** 0.75 * np.exp(second) ** 0.25
    found = combine({"a": first, "b": second}, {"b": 0.25, "a": 0.75})
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("content", ["empty", "text", "cut", "zeros", "the other file"])
@pytest.mark.parametrize("name", [ENCODER_FILE, head_file("appearance")])
def test_a_broken_litert_file_is_an_error_that_names_it(folder: Path, tmp_path: Path, name: str, content: str) -> None:
    intact = (folder / name).read_bytes()
    other = folder / (head_file("appearance") if name == ENCODER_FILE else ENCODER_FILE)
    path = tmp_path / name
    path.write_bytes(
        {
            "empty": b"",
            "text": b"not a model\n" * 50,
            "cut": intact[: len(intact) // 2],
            "zeros": bytes(2000),
            "the other file": other.read_bytes(),
        }[content]
    )
    with pytest.raises(BundleError) as caught:
        EncoderRuntime(path, threads=1) if name == ENCODER_FILE else HeadRuntime(path)
    assert str(path) in caught.value.message
    assert "\n" not in str(caught.value)
