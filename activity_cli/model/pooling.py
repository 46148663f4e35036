"""From steps over time to one vector for each clip; padding never counts."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

__all__ = ["POOLING_LAYERS", "MaskedAttention", "MaskedMax", "MaskedMean", "MaskedMiddle"]


class _Pooling(keras.layers.Layer):
    """From ``[B, T, D]`` and ``mask`` ``bool [B, T]``, at least one real step in each, to ``[B, D]``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, steps: tf.Tensor, previous_mask: tf.Tensor | None = None) -> None:
        # There is no time left to mask; passed on, the mask would reach the loss.
        return None

    def compute_output_shape(
        self, steps_shape: tuple[int | None, ...], mask_shape: tuple[int | None, ...] | None = None
    ) -> tuple[int | None, ...]:
        return (steps_shape[0], steps_shape[2])


@keras.saving.register_keras_serializable("activity")
class MaskedMean(_Pooling):
    """Mean over the real steps."""

    def call(self, steps: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        weights = tf.cast(mask, steps.dtype)[..., tf.newaxis]
        return tf.reduce_sum(steps * weights, axis=1) / tf.maximum(tf.reduce_sum(weights, axis=1), 1.0)


@keras.saving.register_keras_serializable("activity")
class MaskedMax(_Pooling):
    """Largest value of each feature over the real steps."""

    def call(self, steps: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        return tf.reduce_max(tf.where(mask[..., tf.newaxis], steps, steps.dtype.min), axis=1)


@keras.saving.register_keras_serializable("activity")
class MaskedMiddle(_Pooling):
    """The step in the middle of the real ones."""

    def call(self, steps: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        middle = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1) // 2
        # A product instead of a gather: it converts to LiteRT's own operations.
        chosen = tf.one_hot(middle, tf.shape(steps)[1], dtype=steps.dtype)
        return tf.reduce_sum(steps * chosen[..., tf.newaxis], axis=1)


@keras.saving.register_keras_serializable("activity")
class MaskedAttention(_Pooling):
    """Mean over the real steps, weighted by a score that is learned (Bahdanau et al. 2015)."""

    def build(self, steps_shape: tuple[int | None, ...], mask_shape: tuple[int | None, ...] | None = None) -> None:
        width = steps_shape[-1]
        self.project = self.add_weight((width, width), name="project")
        self.bias = self.add_weight((width,), initializer="zeros", name="bias")
        # Of zeros: every step counts the same until something is learned.
        self.score = self.add_weight((width, 1), initializer="zeros", name="score")
        self.built = True

    def call(self, steps: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        scores = tf.matmul(tf.tanh(tf.matmul(steps, self.project) + self.bias), self.score)
        scores = tf.where(mask[..., tf.newaxis], scores, tf.cast(-1e9, scores.dtype))
        return tf.reduce_sum(steps * tf.nn.softmax(scores, axis=1), axis=1)


POOLING_LAYERS: dict[str, type[_Pooling]] = {
    "mean": MaskedMean,
    "max": MaskedMax,
    "attention": MaskedAttention,
}
