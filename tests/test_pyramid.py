"""The cells of the spatial pyramid, and which of their features the recurrent head reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from activity_cli.model.conversion import encoder_to_litert
from activity_cli.runtime.litert import EncoderRuntime
from activity_cli.streams.encoders import build_encoder
from activity_cli.streams.pyramid import PyramidPooling, num_larger_features
from encoder_support import assert_close, features_of, real_frames, settle

# Of 7 rows, 4 cells share rows; of 8 rows, they share none.
BOUNDS = {
    (7, 4): [(0, 2), (1, 4), (3, 6), (5, 7)],
    (7, 2): [(0, 4), (3, 7)],
    (8, 4): [(0, 2), (2, 4), (4, 6), (6, 8)],
    (8, 2): [(0, 4), (4, 8)],
    (7, 1): [(0, 7)],
    (8, 1): [(0, 8)],
}


@pytest.mark.parametrize(("height", "width"), [(7, 7), (8, 8), (7, 8)])
def test_each_cell_has_its_mean_and_each_level_the_same_weight(height: int, width: int) -> None:
    maps = np.random.default_rng(0).normal(size=(2, height, width, 3)).astype(np.float32)
    expected = [
        maps[:, top:bottom, left:right].mean(axis=(1, 2)) / level
        for level in (1, 2, 4)
        for top, bottom in BOUNDS[height, level]
        for left, right in BOUNDS[width, level]
    ]
    layer = PyramidPooling(4)
    found = np.asarray(layer(maps))
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), atol=1e-6)
    assert found.shape == layer.compute_output_shape(maps.shape) == (2, (1 + 4 + 16) * 3)
    squares = np.square(np.asarray(layer(np.ones_like(maps)))[0])
    assert squares[:3].sum() == pytest.approx(squares[3:15].sum()) == pytest.approx(squares[15:].sum())


@pytest.mark.parametrize(
    ("size", "map_size", "cells"), [(1, (7, 7), 1), (3, (7, 7), 10), (7, (7, 7), 59), (4, (3, 5), 10), (4, (5, 1), 1)]
)
def test_there_are_no_more_cells_than_the_map_has_rows_and_columns(
    size: int, map_size: tuple[int, int], cells: int
) -> None:
    layer = PyramidPooling(size)
    assert layer(np.ones((1, *map_size, 2), np.float32)).shape == (1, cells * 2)
    assert PyramidPooling.from_config(layer.get_config()).size == size


def test_the_features_of_the_larger_cells_come_first() -> None:
    encoder = build_encoder("efficientnet_lite0", 128, weights="none", truncate_blocks=1, pyramid=4)
    assert encoder.output_shape == (None, 21 * 192)
    assert num_larger_features(encoder) == 5 * 192
    assert num_larger_features(build_encoder("small", 64, weights="none")) == 0
    assert num_larger_features(build_encoder("efficientnet_lite0", 128, weights="none", truncate_blocks=1)) == 0


@pytest.mark.slow
def test_a_pyramid_gives_the_same_features_in_litert(tmp_path: Path) -> None:
    encoder = build_encoder("efficientnet_lite0", 64, weights="none", truncate_blocks=10, pyramid=4)
    settle(encoder)
    encoder_to_litert(encoder, tmp_path / "encoder.tflite")
    found = EncoderRuntime(tmp_path / "encoder.tflite", threads=1).features(real_frames()[::3])
    assert_close(found, features_of(encoder, real_frames()[::3]), 1e-3)
