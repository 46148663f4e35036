"""A picture in a few parts: the mean of each, side by side."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

__all__ = ["GridPooling"]


@keras.saving.register_keras_serializable("activity")
class GridPooling(keras.layers.Layer):
    """The mean of each part of a map: from ``[N, h, w, C]`` to ``float32 [N, parts * C]``.

    Global average pooling forgets where things are; a few parts keep whether an arm is up or down.

    Args:
        grid: Rows and columns of the parts, as far as the map has so many; with an odd number of rows or
            columns, neighboring parts share one.
    """

    def __init__(self, grid: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grid = grid

    def call(self, maps: tf.Tensor) -> tf.Tensor:
        maps = tf.cast(maps, tf.float32)
        parts = [
            tf.reduce_mean(maps[:, top:bottom, left:right], axis=[1, 2])
            for top, bottom in self._bounds(maps.shape[1])
            for left, right in self._bounds(maps.shape[2])
        ]
        return tf.concat(parts, axis=-1)

    def _bounds(self, size: int) -> list[tuple[int, int]]:
        parts = min(self.grid, size)
        return [(part * size // parts, -(-(part + 1) * size // parts)) for part in range(parts)]

    def compute_output_shape(self, maps_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        rows, columns, channels = (int(size or 0) for size in maps_shape[1:])
        return (maps_shape[0], len(self._bounds(rows)) * len(self._bounds(columns)) * channels)

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config(), grid=self.grid)
