"""Spatial pyramid pooling: the mean of a map's cells at several sizes, side by side."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

__all__ = ["PyramidPooling", "num_larger_features"]


@keras.saving.register_keras_serializable("activity")
class PyramidPooling(keras.layers.Layer):
    """The means of the cells of a spatial pyramid: from ``[N, h, w, C]`` to ``float32 [N, cells * C]``.

    A spatial pyramid (Lazebnik et al. 2006) is the whole map, and the map in ever more rows and columns, twice as many
    each time. Global average pooling forgets where things are; small cells keep whether an arm is up or down, and large
    cells say the same when it is a little higher. All sizes count the same: the numbers of a cell are divided by the
    cells in a row.

    Args:
        size: Rows and columns of the smallest cells, as far as the map has so many. Where a map cannot be divided
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
        """Cells in a row, from few to many."""
        level, levels = min(self.size, int(maps_shape[1] or 0), int(maps_shape[2] or 0)), []
        while level:
            levels.append(level)
            level //= 2
        return levels[::-1]

    def compute_output_shape(self, maps_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (maps_shape[0], sum(level**2 for level in self.levels(maps_shape)) * int(maps_shape[3] or 0))

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config(), size=self.size)


def num_larger_features(encoder: keras.Model) -> int:
    """How many features of an encoder, the first ones, are not of the smallest cells; 0: it has no pyramid."""
    pooling = encoder.layers[-1]
    if not isinstance(pooling, PyramidPooling):
        return 0
    shape = pooling.input.shape
    *larger, _ = pooling.levels(shape)
    return sum(level**2 for level in larger) * int(shape[3])


def _bounds(size: int, cells: int) -> list[tuple[int, int]]:
    return [(cell * size // cells, -(-(cell + 1) * size // cells)) for cell in range(cells)]
