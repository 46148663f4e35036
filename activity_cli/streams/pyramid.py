"""Spatial pyramid pooling: the means of the cells of a map at several cell sizes."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

__all__ = ["PyramidPooling", "num_larger_features"]


@keras.saving.register_keras_serializable("activity")
class PyramidPooling(keras.layers.Layer):
    """Computes the means of the cells of a spatial pyramid: from ``[N, h, w, C]`` to ``float32 [N, cells * C]``.

    A spatial pyramid (Lazebnik et al. 2006) divides a map at several levels: into 1 cell, 2 x 2 cells, 4 x 4 cells and
    so on. Global average pooling loses the position of things. Small cells keep it, such as whether an arm is up or
    down. Large cells stay the same when the arm is a little higher. The means of a level with ``n x n`` cells are
    divided by ``n``, so all levels have the same weight.

    Args:
        size: Rows and columns of cells at the finest level, at most those of the map. If a map cannot be divided
            evenly, neighboring cells overlap.
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size

    def call(self, maps: tf.Tensor) -> tf.Tensor:
        maps = tf.cast(maps, tf.float32)
        cells = [
            tf.reduce_mean(maps[:, top:bottom, left:right], axis=[1, 2]) / level
            for level in self.levels(maps.shape)
            for top, bottom in _bounds(maps.shape[1], level)
            for left, right in _bounds(maps.shape[2], level)
        ]
        return tf.concat(cells, axis=-1)

    def levels(self, maps_shape: Any) -> list[int]:
        """Rows and columns of cells at each level, from one cell to the finest level."""
        level, levels = min(self.size, int(maps_shape[1]), int(maps_shape[2])), []
        while level:
            levels.append(level)
            level //= 2
        return levels[::-1]

    def compute_output_shape(self, maps_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (maps_shape[0], sum(level**2 for level in self.levels(maps_shape)) * int(maps_shape[3]))

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config(), size=self.size)


def num_larger_features(encoder: keras.Model) -> int:
    """Number of features of an encoder, the first ones, that are not of the finest level; 0: it has no pyramid."""
    pooling = encoder.layers[-1]
    if not isinstance(pooling, PyramidPooling):
        return 0
    *larger, _ = pooling.levels(pooling.input.shape)
    return sum(level**2 for level in larger) * int(pooling.input.shape[3])


def _bounds(size: int, cells: int) -> list[tuple[int, int]]:
    """First pixel, and the one after the last, of each of ``cells`` equal parts, rounded outward."""
    return [(cell * size // cells, -(-(cell + 1) * size // cells)) for cell in range(cells)]
