"""Layers from steps over time to steps over time: scaled, shortened, turned round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

__all__ = ["AtMost", "FeatureScale", "FirstFeatures", "MeanOverSpace", "Resample", "ReverseOverTime"]

Shape = tuple[int | None, ...]
# More steps than a clip has.
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

    ``features * scale`` on real steps, zeros on padding. One scale serves all, so that what varies little
    stays small; it is saved with the weights, and not trained.
    """

    def build(self, steps_shape: Shape, mask_shape: Shape | None = None) -> None:
        self.scale = self.add_weight((), initializer="ones", trainable=False, name="scale")
        self.built = True

    def adapt(self, features: Sequence[npt.NDArray[np.float32]]) -> None:
        """Measures the features of some clips: ``float32 [T_i, D]`` of each, without padding; one at least."""
        # Sums instead of one large array, in double precision: memory stays that of a clip.
        count = sum(clip.size for clip in features)
        mean = sum(clip.sum(dtype=np.float64) for clip in features) / count
        variance = sum(np.square(clip - mean).sum() for clip in features) / count
        # Of features that never change: rounding must not be blown up.
        moves = variance > np.finfo(np.float32).eps * np.square(mean) + np.finfo(np.float32).tiny
        self.scale.assign(1 / np.sqrt(variance) if moves else 1.0)

    def call(self, steps: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        return _real(steps * self.scale, mask)


@keras.saving.register_keras_serializable("activity")
class FirstFeatures(keras.layers.Layer):
    """The first ``count`` features of every step: ``[B, T, D]`` to ``[B, T, count]``."""

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = count

    def call(self, steps: tf.Tensor) -> tf.Tensor:
        return steps[..., : self.count]

    def compute_output_shape(self, steps_shape: Shape) -> Shape:
        return (*steps_shape[:-1], self.count)

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config(), count=self.count)


@keras.saving.register_keras_serializable("activity")
class ReverseOverTime(_Steps):
    """The real steps from the last to the first; padding stays behind them.

    Twice gives the steps back. A plain reversal would put the padding first.
    """

    def call(self, steps: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        return tf.reverse_sequence(steps, _lengths(mask)[:, 0], seq_axis=1, batch_axis=0)


@keras.saving.register_keras_serializable("activity")
class AtMost(keras.layers.Layer):
    """From the mask of the real steps to that of those to read, ``bool [B, T]``: at most ``longest``.

    A network that has learned from short clips only answers longer ones by their length, at random.
    ``longest`` is saved with the weights; until it is set, every step is read.
    """

    def build(self, real_shape: Shape) -> None:
        initializer = keras.initializers.Constant(_NO_LIMIT)
        self.longest = self.add_weight((), initializer=initializer, dtype="int32", trainable=False, name="longest")
        self.built = True

    def call(self, real: tf.Tensor) -> tf.Tensor:
        return tf.range(tf.shape(real)[1]) < tf.minimum(_lengths(real), self.longest)

    def compute_output_spec(self, real: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(real.shape, "bool")


@keras.saving.register_keras_serializable("activity")
class Resample(_Steps):
    """The steps of a clip as fewer, or as more: of each of equal parts the middle one. Padding is zero.

    To fewer and back again gives each step that was taken its own value, and its neighbors too. Equal
    numbers change nothing.

    Call arguments:
        steps: ``[B, T, D]``.
        mask: ``bool [B, T]``, the steps that there are.
        wanted: ``bool [B, T]``, the steps that there will be.
    """

    def call(self, steps: tf.Tensor, mask: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        last = tf.shape(steps)[1] - 1
        numbers = tf.range(last + 1)[tf.newaxis]
        places = (2 * numbers + 1) * _lengths(mask) // (2 * tf.maximum(_lengths(wanted), 1))
        return _real(tf.gather(steps, tf.minimum(places, last), batch_dims=1), wanted)

    def compute_output_shape(
        self, steps_shape: Shape, mask_shape: Shape | None = None, wanted_shape: Shape | None = None
    ) -> Shape:
        return steps_shape


@keras.saving.register_keras_serializable("activity")
class MeanOverSpace(keras.layers.Layer):
    """Mean over rows and columns: ``[B, ..., h, w, C]`` to ``[B, ..., C]``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, maps: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(maps, axis=(-3, -2))

    def compute_output_shape(self, maps_shape: Shape) -> Shape:
        return (*maps_shape[:-3], maps_shape[-1])


def _lengths(mask: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(mask, tf.int32), axis=1, keepdims=True)


def _real(steps: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    # Not a product: padding may hold anything, and infinity times zero is no number.
    return tf.where(mask[..., tf.newaxis], steps, tf.zeros_like(steps))
