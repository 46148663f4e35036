"""Layers from steps over time to steps over time: scaled, shortened, turned round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

__all__ = ["FeatureScale", "MeanOverSpace", "ReverseOverTime", "Shorten", "Spread"]

Shape = tuple[int | None, ...]
# More steps than a clip can have; twice their product with a length still fits into 32 bits.
_NO_LIMIT = 10_000


class _Steps(keras.layers.Layer):
    """From ``[B, T, ...]``, and ``mask`` ``bool [B, T]`` where it is needed, to steps of the same shape."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, steps: tf.Tensor, previous_mask: tf.Tensor | None = None) -> None:
        # Masks are handed to each layer by name; one that travels by itself is lost without a word.
        return None

    def compute_output_shape(self, steps_shape: Shape, mask_shape: Shape | None = None) -> Shape:
        return steps_shape


@keras.saving.register_keras_serializable("activity")
class FeatureScale(_Steps):
    """Brings features to a standard deviation of about 1, by what was measured on the training clips.

    ``(features - mean) * scale`` on real steps, zeros on padding. Both are saved with the weights, and
    neither is trained.
    """

    def build(self, steps_shape: Shape, mask_shape: Shape | None = None) -> None:
        width = (steps_shape[-1],)
        self.mean = self.add_weight(width, initializer="zeros", trainable=False, name="mean")
        self.scale = self.add_weight(width, initializer="ones", trainable=False, name="scale")
        self.built = True

    def adapt(self, features: Sequence[npt.NDArray[np.float32]], *, per_feature: bool = False) -> None:
        """Measures the features of some clips.

        Args:
            features: ``float32 [T_i, D]`` of each clip, without padding; one clip at least.
            per_feature: Each feature on its own is brought to mean 0 and standard deviation 1. Without
                it one scale serves all, and what varies little stays small.
        """
        # Sums instead of one large array, in double precision: memory stays that of a clip.
        count = sum(len(clip) for clip in features)
        mean = sum(clip.sum(axis=0, dtype=np.float64) for clip in features) / count
        if not per_feature:
            mean = np.full_like(mean, mean.mean())
        variance = sum(np.square(clip - mean).sum(axis=0) for clip in features) / count
        if not per_feature:
            variance = np.full_like(variance, variance.mean())
            mean = np.zeros_like(mean)
        # Of a feature that never changes: rounding must not be blown up.
        moves = variance > np.finfo(np.float32).eps * np.square(mean) + np.finfo(np.float32).tiny
        self.mean.assign(mean)
        self.scale.assign(np.where(moves, 1 / np.sqrt(np.where(moves, variance, 1)), 1))

    def call(self, steps: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        return _real((steps - self.mean) * self.scale, mask)


@keras.saving.register_keras_serializable("activity")
class ReverseOverTime(_Steps):
    """The real steps from the last to the first; padding stays behind them.

    Twice gives the steps back. A plain reversal would put the padding first.
    """

    def call(self, steps: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        return tf.reverse_sequence(steps, _lengths(mask)[:, 0], seq_axis=1, batch_axis=0)


@keras.saving.register_keras_serializable("activity")
class MeanOverSpace(_Steps):
    """Mean over rows and columns: ``[..., h, w, C]`` to ``[..., C]``."""

    def call(self, maps: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(maps, axis=(-3, -2))

    def compute_mask(self, maps: tf.Tensor, previous_mask: tf.Tensor | None = None) -> None:
        return None

    def compute_output_shape(self, maps_shape: Shape) -> Shape:
        return (*maps_shape[:-3], maps_shape[-1])


@keras.saving.register_keras_serializable("activity")
class Shorten(_Steps):
    """Of a clip with more than ``longest`` real steps, that many: the middle one of each equal part.

    A network that has learned from short clips only answers at random for longer ones, by their length.
    ``longest`` is saved with the weights; until it is set, every step is read.

    Call arguments:
        steps: ``[B, T, D]``.
        mask: ``bool [B, T]``.

    Returns:
        Steps and mask, of the same shapes.
    """

    def build(self, steps_shape: Shape, mask_shape: Shape | None = None) -> None:
        initializer = keras.initializers.Constant(_NO_LIMIT)
        self.longest = self.add_weight((), initializer=initializer, dtype="int32", trainable=False, name="longest")
        self.built = True

    def call(self, steps: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        real = _lengths(mask)
        kept = tf.minimum(real, self.longest)
        numbers = tf.range(tf.shape(mask)[1])[tf.newaxis]
        chosen = (2 * numbers + 1) * real // (2 * kept)
        # Of a clip that is read as it is, its padding stays where it is.
        chosen = tf.where(real > kept, tf.minimum(chosen, real - 1), numbers)
        return tf.gather(steps, chosen, batch_dims=1), numbers < kept

    def compute_mask(self, steps: tf.Tensor, previous_mask: tf.Tensor | None = None) -> tuple[None, None]:
        return None, None

    def compute_output_shape(self, steps_shape: Shape, mask_shape: Shape | None = None) -> Any:
        return steps_shape, mask_shape or steps_shape[:2]


@keras.saving.register_keras_serializable("activity")
class Spread(_Steps):
    """Gives every real step of a clip the value of the one that :class:`Shorten` took for it; else zeros.

    Call arguments:
        steps: ``[B, T, D]``, shortened.
        read: ``bool [B, T]``, the mask after shortening.
        mask: ``bool [B, T]``, the mask before it.
    """

    def call(self, steps: tf.Tensor, read: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        real, kept = _lengths(mask), _lengths(read)
        numbers = tf.range(tf.shape(mask)[1])[tf.newaxis]
        # The part of the clip that the step is in.
        part = tf.where(real > kept, ((numbers + 1) * kept - 1) // real, numbers)
        return _real(tf.gather(steps, tf.minimum(part, kept - 1), batch_dims=1), mask)

    def compute_output_shape(
        self, steps_shape: Shape, read_shape: Shape | None = None, mask_shape: Shape | None = None
    ) -> Shape:
        return steps_shape


def _lengths(mask: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(mask, tf.int32), axis=1, keepdims=True)


def _real(steps: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    # Not a product: padding may hold anything, and infinity times zero is no number.
    return tf.where(mask[..., tf.newaxis], steps, tf.zeros_like(steps))
