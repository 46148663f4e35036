"""The LiteRT files give the answers of Keras, and training never saves files that do not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from activity_cli import BundleError, TrainingError
from activity_cli.files import atomic_folder
from activity_cli.model.bundle import ENCODER_FILE, LINEAR, WEIGHTS_FILE, head_file
from activity_cli.model.conversion import encoder_to_litert
from activity_cli.model.network import Network
from activity_cli.runtime.litert import EncoderRuntime, HeadRuntime, NetworkRuntime, combine
from activity_cli.training.packing import MAX_LITERT_DIFFERENCE, litert_difference, write_network_files
from bundle_support import BOTH_HEADS, STEPS, noise, probabilities_of, random_network

HEADS = (LINEAR, "gru")


@pytest.fixture(scope="module")
def network() -> Network:
    return random_network(BOTH_HEADS)


@pytest.fixture(scope="module")
def files(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the network."""
    folder = tmp_path_factory.mktemp("files")
    assert write_network_files(network, folder, [noise(STEPS), noise(2), noise(1)], None) < 1e-4
    return folder


@pytest.fixture(scope="module")
def other_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The LiteRT file of an encoder with other weights."""
    path = tmp_path_factory.mktemp("other") / ENCODER_FILE
    encoder_to_litert(random_network(BOTH_HEADS, seed=4).encoder, path)
    return path


def runtime_of(files: Path, network: Network) -> NetworkRuntime:
    heads = {name: HeadRuntime(files / head_file(name)) for name in HEADS}
    return NetworkRuntime(EncoderRuntime(files / ENCODER_FILE, threads=1), heads, network.weights)


def test_litert_agrees_with_keras_on_clips_of_every_length(network: Network, files: Path) -> None:
    runtime, found = runtime_of(files, network), []
    # Down and up again, so that nothing of a longer clip is left in a tensor.
    for length in (*range(STEPS, 0, -1), *range(2, STEPS + 1)):
        features = runtime.encoder.features(noise(length))
        assert (features.shape, features.dtype) == ((length, network.shape.num_features), np.float32)
        answer = runtime.answer(features)
        assert answer.frames is None
        np.testing.assert_allclose(answer.probabilities, probabilities_of(network, noise(length)), atol=1e-4)
        found.append(answer.probabilities)
    assert np.ptp(found[:STEPS], axis=0).max() > 0.01, "all clips have the same answer, so the test shows nothing"
    np.testing.assert_array_equal(found[0], found[-1])


def test_of_a_longer_clip_the_middle_frame_of_each_equal_part_is_read(network: Network, files: Path) -> None:
    runtime = runtime_of(files, network)
    features = runtime.encoder.features(noise(3 * STEPS))
    np.testing.assert_array_equal(runtime.answer(features).probabilities, runtime.answer(features[1::3]).probabilities)


def test_probabilities_are_the_softmax_of_the_weighted_sum() -> None:
    first, second = np.log([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]), np.log([[0.2, 0.2, 0.6], [0.3, 0.3, 0.4]])
    expected = np.exp(first) ** 0.75 * np.exp(second) ** 0.25
    found = combine({"a": first, "b": second}, {"b": 0.25, "a": 0.75})
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)


def test_the_measured_difference_is_that_of_probabilities(
    network: Network, files: Path, other_encoder: Path, tmp_path: Path
) -> None:
    clips = [noise(STEPS), noise(2), noise(1)]
    assert litert_difference(network, files, clips) < 1e-4
    mixed = Path(shutil.copytree(files, tmp_path / "mixed"))
    shutil.copy(other_encoder, mixed)
    runtime = runtime_of(mixed, network)
    found = [runtime.answer(runtime.encoder.features(clip)).probabilities for clip in clips]
    expected = max(np.abs(probabilities_of(network, clip) - one).max() for clip, one in zip(clips, found, strict=True))
    assert litert_difference(network, mixed, clips) == pytest.approx(expected, abs=1e-6)
    assert expected > MAX_LITERT_DIFFERENCE


def test_files_that_differ_are_not_saved(network: Network, other_encoder: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "mine"
    with pytest.raises(TrainingError) as caught, atomic_folder(out) as folder:
        write_network_files(network, folder, [noise(STEPS)], other_encoder)
    assert caught.value.code == "training.conversion"
    assert f"{MAX_LITERT_DIFFERENCE:g}" in caught.value.message
    assert list(out.parent.iterdir()) == []


@pytest.mark.slow
def test_a_network_that_gives_no_number_is_not_saved(tmp_path: Path) -> None:
    for head, value in ((LINEAR, np.nan), ("gru", np.inf)):
        network = random_network(BOTH_HEADS)
        network.heads[head].get_layer("classes").bias.assign([0.0, value, 0.0])
        with pytest.raises(TrainingError, match=r"by (inf|nan)"):
            write_network_files(network, tmp_path, [noise(2)], None)


def test_a_converted_encoder_is_saved_as_it_is(network: Network, files: Path, tmp_path: Path) -> None:
    write_network_files(network, tmp_path, [noise(3)], files / ENCODER_FILE)
    assert {path.name for path in tmp_path.iterdir()} == {WEIGHTS_FILE, ENCODER_FILE, *map(head_file, HEADS)}
    assert (tmp_path / ENCODER_FILE).read_bytes() == (files / ENCODER_FILE).read_bytes()


@pytest.mark.parametrize("content", ["empty", "text", "cut", "zeros", "the other file"])
@pytest.mark.parametrize("name", [ENCODER_FILE, head_file("gru")])
def test_a_broken_litert_file_is_an_error_that_names_it(files: Path, tmp_path: Path, name: str, content: str) -> None:
    intact = (files / name).read_bytes()
    other = files / (head_file("gru") if name == ENCODER_FILE else ENCODER_FILE)
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
