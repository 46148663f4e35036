"""The parts of the picture whose features are kept apart, and which of them a recurrent network reads."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from activity_cli import NetworkSettings, Sampling
from activity_cli.model.conversion import sequence_to_litert
from activity_cli.model.network import build_network
from activity_cli.model.sequence import build_sequence, large_features_of, linear_part
from activity_cli.runtime.litert import SequenceRuntime
from activity_cli.streams.encoders import build_encoder
from activity_cli.streams.pyramid import PyramidPooling, large_features

# Of a map with 7 rows, 4 parts share rows; those of 8 do not.
BOUNDS = {
    (7, 4): [(0, 2), (1, 4), (3, 6), (5, 7)],
    (7, 2): [(0, 4), (3, 7)],
    (8, 4): [(0, 2), (2, 4), (4, 6), (6, 8)],
    (8, 2): [(0, 4), (4, 8)],
    (7, 1): [(0, 7)],
    (8, 1): [(0, 8)],
}


@pytest.mark.parametrize("size", [7, 8])
def test_each_size_of_parts_has_their_means_and_counts_the_same(size: int) -> None:
    maps = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)
    expected = [
        maps[:, top:bottom, left:right].mean(axis=(1, 2)) / level
        for level in (1, 2, 4)
        for top, bottom in BOUNDS[size, level]
        for left, right in BOUNDS[size, level]
    ]
    layer = PyramidPooling(4)
    found = np.asarray(layer(maps))
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), atol=1e-6)
    assert found.shape == layer.compute_output_shape(maps.shape) == (2, (1 + 4 + 16) * 3)
    even = np.square(np.asarray(layer(np.ones_like(maps)))[0])
    assert even[:3].sum() == pytest.approx(even[3:15].sum()) == pytest.approx(even[15:].sum())


@pytest.mark.parametrize(("grid", "size", "parts"), [(1, 7, 1), (3, 7, 10), (7, 7, 59), (4, 3, 10), (4, 1, 1)])
def test_there_are_no_more_parts_than_the_map_has_rows(grid: int, size: int, parts: int) -> None:
    layer = PyramidPooling(grid)
    assert layer(np.ones((1, size, size, 2), np.float32)).shape == (1, parts * 2)
    assert PyramidPooling.from_config(layer.get_config()).grid == grid


def test_what_is_not_of_the_smallest_parts_comes_first() -> None:
    encoder = build_encoder("efficientnet_lite0", 128, weights="none", drop_blocks=1, grid=4)
    assert encoder.output_shape == (None, 21 * 192)
    assert large_features(encoder) == 5 * 192
    assert large_features(build_encoder("small", 64, weights="none")) is None
    assert large_features(build_encoder("efficientnet_lite0", 128, weights="none", drop_blocks=1)) is None


@pytest.mark.parametrize("sequence", ["lstm", "bilstm", "gru"])
def test_beside_a_linear_layer_that_reads_all_a_recurrent_network_reads_large_parts(sequence: str) -> None:
    model = build_sequence(NetworkSettings(sequence=sequence, statistics=True), 5, 6, 3, large_features=2)
    part = linear_part(model)
    assert part is not None
    part.linear.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in part.linear.get_weights()])
    both = keras.Model(model.inputs, [part.recurrent.output, part.linear.output])
    features, mask = np.random.default_rng(2).normal(size=(2, 5, 6)).astype(np.float32), np.ones((2, 5), bool)
    changed = {}
    for name, place in (("large", 1), ("small", 2)):
        others = features.copy()
        others[..., place] *= np.arange(5)
        pairs = zip(both([features, mask]), both([others, mask]), strict=True)
        changed[name] = [float(np.abs(np.asarray(a) - np.asarray(b)).max()) > 1e-3 for a, b in pairs]
    assert changed == {"large": [True, True], "small": [False, True]}


@pytest.mark.parametrize("config", [NetworkSettings(statistics=False), NetworkSettings(sequence="mean")])
def test_alone_a_sequence_part_reads_all(config: NetworkSettings) -> None:
    assert large_features_of(build_sequence(config, 5, 6, 3, large_features=2)) is None


def test_parts_come_through_the_conversion(tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    sampling = Sampling(num_frames=4, frame_size=128)
    network = build_network(
        NetworkSettings(drop_blocks=12, grid=4, components=3, units=4, statistics=True), sampling, num_classes=3
    )
    width = network.encoder.output_shape[-1]
    assert large_features_of(network.sequence) == width * 5 // 21
    part = linear_part(network.sequence)
    assert part is not None
    part.linear.set_weights([np.random.default_rng(4).normal(size=w.shape) for w in part.linear.get_weights()])
    sequence_to_litert(network, NetworkSettings(components=3, units=4, statistics=True), tmp_path / "sequence.tflite")
    features = np.random.default_rng(5).normal(size=(4, width)).astype(np.float32)
    found = SequenceRuntime(tmp_path / "sequence.tflite").probabilities(features)
    expected = network.sequence([features[np.newaxis], np.ones((1, 4), bool)], training=False)
    np.testing.assert_allclose(found, expected[0], atol=1e-5)
