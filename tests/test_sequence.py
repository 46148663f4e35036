"""Everything that can read features in their order: padding never counts, LiteRT says the same."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest

from activity_cli import ConfigError, NetworkConfig, SamplingConfig
from activity_cli.config import POOLINGS
from activity_cli.model.conversion import sequence_to_litert
from activity_cli.model.network import Network, build_network, load_network
from activity_cli.model.sequence import build_sequence
from activity_cli.runtime.litert import SequenceRuntime

STEPS, WIDTH, CLASSES = 5, 6, 3
LENGTHS = (5, 3, 1)
BASE = NetworkConfig(encoder="small", units=4)
CONFIGS = [
    *(
        replace(BASE, sequence=sequence, pooling=pooling, recurrent_layers=1 + (number % 2))
        for number, (sequence, pooling) in enumerate(product(("lstm", "gru"), POOLINGS))
    ),
    replace(BASE, sequence="mean"),
    replace(BASE, sequence="frame"),
    replace(BASE, center=False),
]


def named(config: NetworkConfig) -> str:
    return f"{config.sequence}-{config.pooling}-{config.recurrent_layers}"


def built(config: NetworkConfig) -> keras.Model:
    keras.utils.set_random_seed(3)
    model = build_sequence(config, STEPS, WIDTH, CLASSES)
    # Not as they begin, when attention is a plain mean.
    rng = np.random.default_rng(4)
    model.set_weights([rng.normal(size=weights.shape).astype(np.float32) for weights in model.get_weights()])
    return model


def some_features() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    features = np.random.default_rng(5).normal(size=(len(LENGTHS), STEPS, WIDTH)).astype(np.float32)
    return features, np.arange(STEPS)[np.newaxis] < np.array(LENGTHS)[:, np.newaxis]


def answers(
    model: keras.Model, features: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    return np.asarray(model([features, mask], training=False))


@pytest.mark.parametrize("config", CONFIGS, ids=named)
def test_padding_and_batch_mates_never_change_an_answer(config: NetworkConfig) -> None:
    model, (features, mask) = built(config), some_features()
    found = answers(model, features, mask)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    noisy = np.where(mask[..., np.newaxis], features, 1e4).astype(np.float32)
    np.testing.assert_allclose(answers(model, noisy, mask), found, atol=1e-6)
    for clip, length in enumerate(LENGTHS):
        alone = answers(model, features[clip : clip + 1], mask[clip : clip + 1])
        np.testing.assert_allclose(alone[0], found[clip], atol=1e-6)
        # The same weights in a network for clips of just this length: there is no padding at all.
        short = build_sequence(config, length, WIDTH, CLASSES)
        short.set_weights(model.get_weights())
        whole = np.ones((1, length), np.bool_)
        np.testing.assert_allclose(answers(short, features[clip : clip + 1, :length], whole)[0], found[clip], atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS, ids=named)
def test_order_counts_where_it_should_and_every_real_frame_does(config: NetworkConfig) -> None:
    model, (features, mask) = built(config), some_features()
    first = answers(model, features, mask)[0]
    turned = answers(model, features[:, ::-1], mask)[0]
    assert (np.abs(turned - first).max() > 1e-4) == (config.sequence not in ("mean", "frame"))
    changed = features.copy()
    changed[:, -1] += 1
    assert (np.abs(answers(model, changed, mask)[0] - first).max() > 1e-5) == (config.sequence != "frame")


@pytest.mark.parametrize("config", CONFIGS, ids=named)
def test_litert_gives_the_same_answers(config: NetworkConfig, tmp_path: Path) -> None:
    model, (features, mask) = built(config), some_features()
    frames = keras.Input((32, 32, 3))
    unused = keras.Model(frames, keras.layers.GlobalAveragePooling2D()(frames))
    sequence_to_litert(Network(model, unused, model), config, tmp_path / "sequence.tflite")
    runtime = SequenceRuntime(tmp_path / "sequence.tflite")
    for clip, length in enumerate(LENGTHS):
        said = runtime.probabilities(features[clip, :length])
        np.testing.assert_allclose(said, answers(model, features, mask)[clip], atol=1e-5)


@pytest.mark.parametrize("config", [CONFIGS[3], CONFIGS[5], CONFIGS[7]], ids=named)
def test_saved_weights_come_back(config: NetworkConfig, tmp_path: Path) -> None:
    sampling = SamplingConfig(num_frames=4, frame_size=32)
    network = build_network(config, sampling, CLASSES)
    network.whole.save(tmp_path / "model.keras")
    again = load_network(tmp_path / "model.keras", config, sampling, CLASSES)
    for weights, others in zip(network.whole.get_weights(), again.whole.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, others)


@pytest.mark.parametrize(
    "wrong", [{"sequence": "rnn"}, {"pooling": "median"}, {"recurrent_layers": 0}, {"recurrent_layers": 99}]
)
def test_what_is_not_possible_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        NetworkConfig(**wrong)  # type: ignore[arg-type]
