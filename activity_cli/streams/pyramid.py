"""A picture in its parts, large and small: the mean of each, side by side."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

__all__ = ["PyramidPooling", "large_features"]


@keras.saving.register_keras_serializable("activity")
class PyramidPooling(keras.layers.Layer):
    """The means of a map's parts at several sizes: from ``[N, h, w, C]`` to ``float32 [N, parts * C]``.

    A spatial pyramid (Lazebnik et al. 2006): all of the picture, and it in ever more rows and columns, twice
    as many each time, up to ``grid``. Global average pooling forgets where things are; small parts keep
    whether an arm is up or down, and large ones say the same when it is a little higher. All sizes count
    the same: the numbers of a part are divided by the parts in a row.

    Args:
        grid: Rows and columns of the smallest parts, as far as the map has so many; where a map cannot be
            divided evenly, neighboring parts share what lies between.
    """

    def __init__(self, grid: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grid = grid

    def call(self, maps: tf.Tensor) -> tf.Tensor:
        maps = tf.cast(maps, tf.float32)
        parts = [
            tf.reduce_mean(maps[:, top:bottom, left:right], axis=[1, 2]) / level
            for level in self.levels(maps.shape)
            for top, bottom in _bounds(maps.shape[1], level)
            for left, right in _bounds(maps.shape[2], level)
        ]
        return tf.concat(parts, axis=-1)

    def levels(self, maps_shape: Any) -> list[int]:
        """Parts in a row, from few to many."""
        level, levels = min(self.grid, int(maps_shape[1] or 0), int(maps_shape[2] or 0)), []
        while level:
            levels.append(level)
            level //= 2
        return levels[::-1]

    def compute_output_shape(self, maps_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (maps_shape[0], sum(level**2 for level in self.levels(maps_shape)) * int(maps_shape[3] or 0))

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config(), grid=self.grid)


def large_features(encoder: keras.Model) -> int | None:
    """How many features of an encoder, the first ones, are not of the smallest parts; None: it has no parts."""
    pooling = encoder.layers[-1]
    if not isinstance(pooling, PyramidPooling):
        return None
    shape = pooling.input.shape
    *larger, _ = pooling.levels(shape)
    return sum(level**2 for level in larger) * int(shape[3]) or None


def _bounds(size: int, parts: int) -> list[tuple[int, int]]:
    return [(part * size // parts, -(-(part + 1) * size // parts)) for part in range(parts)]
