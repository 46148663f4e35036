"""The LiteRT files say what Keras says; what does not is never saved."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest

from activity_cli import BundleError, NetworkSettings, Sampling, TrainingError
from activity_cli.files import atomic_folder
from activity_cli.model.bundle import ENCODER_FILE, SEQUENCE_FILE, WEIGHTS_FILE
from activity_cli.model.conversion import encoder_fingerprint, encoder_to_litert, sequence_to_litert
from activity_cli.model.network import Network, build_network
from activity_cli.runtime.litert import EncoderRuntime, SequenceRuntime
from activity_cli.streams.encoders import build_encoder
from activity_cli.training.bundling import MAX_LITERT_DIFFERENCE, litert_difference, pack

STEPS, SIZE = 6, 32
LABELS = ("a", "b", "c")
SAMPLING = Sampling(num_frames=STEPS, frame_size=SIZE)
CONFIG = NetworkSettings(encoder="small", units=8, dropout=0.3)
REST = {"name": "mine", "training": {"mode": "joint"}, "data": {"prepared": "/nowhere", "fingerprint": "0"}}


@dataclass(frozen=True)
class Converted:
    """A network with weights of some size, and its LiteRT files in a folder."""

    network: Network
    folder: Path


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    keras.utils.set_random_seed(3)
    network = build_network(CONFIG, SAMPLING, len(LABELS))
    rng = np.random.default_rng(0)
    for layer in network.encoder.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma, beta + 0.3, mean + rng.normal(size=mean.shape) * 0.1, variance * 0.7])
    classes = network.sequence.get_layer("classes")
    classes.set_weights([5 * weights for weights in classes.get_weights()])  # far from equal probabilities
    folder = tmp_path_factory.mktemp("converted")
    encoder_to_litert(network.encoder, folder / ENCODER_FILE)
    sequence_to_litert(network, CONFIG, folder / SEQUENCE_FILE)
    return Converted(network, folder)


@pytest.fixture(scope="module")
def other_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The LiteRT file of an encoder with other weights."""
    keras.utils.set_random_seed(4)
    path = tmp_path_factory.mktemp("other") / ENCODER_FILE
    encoder_to_litert(build_encoder("small", SIZE, weights="none"), path)
    return path


def clip(length: int) -> np.ndarray:
    """Noise, brighter in longer clips."""
    brightest = 40 + 215 * length // STEPS
    return np.random.default_rng(length).integers(0, brightest, (length, SIZE, SIZE, 3), dtype=np.uint8)


def test_litert_agrees_with_keras_on_clips_of_every_length(converted: Converted) -> None:
    encoder = EncoderRuntime(converted.folder / ENCODER_FILE, threads=1)
    sequence = SequenceRuntime(converted.folder / SEQUENCE_FILE)
    answers = []
    # Down and up again, so that the encoder's batch grows and shrinks.
    for length in (*range(STEPS, 0, -1), *range(2, STEPS + 1)):
        frames = clip(length)
        padded = np.full((1, STEPS, SIZE, SIZE, 3), 77, np.uint8)
        padded[0, :length] = frames
        mask = np.arange(STEPS)[np.newaxis] < length
        features = encoder.features(frames)
        assert features.shape == (length, converted.network.encoder.output_shape[-1])
        assert features.dtype == np.float32
        probabilities = sequence.probabilities(features)
        expected = np.asarray(converted.network.whole([padded, mask], training=False))[0]
        np.testing.assert_allclose(probabilities, expected, atol=1e-4)
        answers.append(probabilities)
    assert np.ptp(answers[:STEPS], axis=0).max() > 0.01, "all clips have the same answer, so the test shows nothing"
    np.testing.assert_array_equal(answers[0], answers[-1])


def test_the_measured_difference_is_that_of_probabilities(
    converted: Converted, other_encoder: Path, tmp_path: Path
) -> None:
    clips = [clip(STEPS), clip(2), clip(1)]
    assert litert_difference(converted.network, converted.folder, SAMPLING, clips) < 1e-4
    shutil.copy(converted.folder / SEQUENCE_FILE, tmp_path)
    shutil.copy(other_encoder, tmp_path)
    found = litert_difference(converted.network, tmp_path, SAMPLING, clips)
    runtime, sequence = EncoderRuntime(other_encoder, 1), SequenceRuntime(tmp_path / SEQUENCE_FILE)
    expected = 0.0
    for frames in clips:
        padded = np.zeros((1, STEPS, SIZE, SIZE, 3), np.uint8)
        padded[0, : len(frames)] = frames
        keras_says = np.asarray(converted.network.whole([padded, np.arange(STEPS)[np.newaxis] < len(frames)]))[0]
        expected = max(expected, np.abs(keras_says - sequence.probabilities(runtime.features(frames))).max())
    assert found == pytest.approx(expected, abs=1e-6)


def test_files_that_differ_are_not_saved(converted: Converted, other_encoder: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "mine"
    with pytest.raises(TrainingError) as caught, atomic_folder(out) as folder:
        pack(converted.network, folder, LABELS, SAMPLING, CONFIG, [clip(STEPS)], REST, other_encoder)
    assert caught.value.code == "training.conversion"
    assert f"{MAX_LITERT_DIFFERENCE:g}" in caught.value.message
    assert not out.exists()
    assert list(out.parent.iterdir()) == []


def test_a_network_that_gives_no_number_is_not_saved(tmp_path: Path) -> None:
    network = build_network(CONFIG, SAMPLING, len(LABELS))
    classes = network.sequence.get_layer("classes")
    classes.set_weights([np.full_like(weights, np.nan) for weights in classes.get_weights()])
    with pytest.raises(TrainingError, match="inf"):
        pack(network, tmp_path, LABELS, SAMPLING, CONFIG, [clip(2)], REST)
    assert not (tmp_path / "bundle.json").exists()


def test_a_packed_network_remembers_how_far_litert_is_from_keras(converted: Converted, tmp_path: Path) -> None:
    made = pack(
        converted.network, tmp_path, LABELS, SAMPLING, CONFIG, [clip(STEPS), clip(1)], REST,
        converted.folder / ENCODER_FILE,
    )  # fmt: skip
    assert made.document["litert"]["clips_compared"] == 2
    assert 0 <= made.document["litert"]["max_abs_difference"] < 1e-4
    assert made.name.startswith("mine@")
    assert {path.name for path in tmp_path.iterdir()} == {"bundle.json", WEIGHTS_FILE, ENCODER_FILE, SEQUENCE_FILE}
    assert made.file(ENCODER_FILE).read_bytes() == (converted.folder / ENCODER_FILE).read_bytes()


@pytest.mark.parametrize("content", ["", "text", "cut", "zeros", "the other file"])
@pytest.mark.parametrize("name", [ENCODER_FILE, SEQUENCE_FILE])
def test_a_broken_litert_file_is_a_bundle_error(converted: Converted, tmp_path: Path, name: str, content: str) -> None:
    whole = (converted.folder / name).read_bytes()
    other = SEQUENCE_FILE if name == ENCODER_FILE else ENCODER_FILE
    contents = {
        "": b"",
        "text": b"not a model\n" * 50,
        "cut": whole[: len(whole) // 2],
        "zeros": bytes(2000),
        "the other file": (converted.folder / other).read_bytes(),
    }
    path = tmp_path / name
    path.write_bytes(contents[content])
    with pytest.raises(BundleError) as caught:
        EncoderRuntime(path, threads=1) if name == ENCODER_FILE else SequenceRuntime(path)
    assert str(path) in caught.value.message
    assert "\n" not in str(caught.value)


def test_the_fingerprint_is_that_of_the_weights_and_the_frame_size() -> None:
    keras.utils.set_random_seed(8)
    encoder = build_encoder("small", SIZE, weights="none")
    first = encoder_fingerprint(encoder)
    assert encoder_fingerprint(encoder) == first
    assert first.startswith("small-")
    same = build_encoder("small", SIZE, weights="none")
    same.set_weights(encoder.get_weights())
    assert encoder_fingerprint(same) == first
    larger = build_encoder("small", SIZE + 32, weights="none")
    larger.set_weights(encoder.get_weights())
    assert encoder_fingerprint(larger) != first
    weights = encoder.get_weights()
    weights[-1] = weights[-1] + 1e-3
    encoder.set_weights(weights)
    assert encoder_fingerprint(encoder) != first
