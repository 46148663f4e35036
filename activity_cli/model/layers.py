"""Layers that Keras does not have. Those that read clips skip padding.

These take ``mask``, ``bool [B, T]``, as an argument. It is True for the real frames: at least one, all before the
padding.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops

__all__ = ["NUM_COSINES", "FrameEncoder", "MaskedMaximum", "SubtractMean", "TimeStatistics"]

NUM_COSINES = 4
# Keeps the gradient of the standard deviation finite for a clip of one frame, whose variance is zero.
_MIN_VARIANCE = 1e-6

Shape = tuple[int | None, ...]


class _MaskedLayer(keras.layers.Layer):
    """A layer whose mask is an argument. It passes no implicit mask on, because other layers drop implicit masks."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None


@keras.saving.register_keras_serializable("activity")
class FrameEncoder(_MaskedLayer):
    """Applies a CNN to every real frame of a batch of clips.

    On real frames it computes the same as ``keras.layers.TimeDistributed``. It folds time into the batch, so the CNN
    runs once over all frames. It removes padding first, so no padded frame changes a weight or a batch statistic.

    Args:
        cnn: A model from ``[N, H, W, C]`` to ``[N, D]``.

    Call arguments:
        clips: ``[B, T, H, W, C]``.
        mask: ``bool [B, T]``.

    Returns:
        ``[B, T, D]``, zeros where the mask is False.
    """

    def __init__(self, cnn: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cnn = cnn

    def build(self, clips_shape: Shape, mask_shape: Shape | None = None) -> None:
        self.built = True

    def call(self, clips: tf.Tensor, mask: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        batch, steps = tf.shape(clips)[0], tf.shape(clips)[1]
        folded = tf.reshape(clips, tf.concat([[batch * steps], tf.shape(clips)[2:]], axis=0))
        folded.set_shape([None, *clips.shape[2:]])
        real = tf.where(tf.reshape(mask, [-1]))
        features = self.cnn(tf.gather_nd(folded, real), training=training)
        width = features.shape[-1]
        unfolded = tf.reshape(
            tf.scatter_nd(real, features, tf.cast([batch * steps, width], real.dtype)), [batch, steps, width]
        )
        unfolded.set_shape([clips.shape[0], clips.shape[1], width])
        return unfolded

    def compute_output_shape(self, clips_shape: Shape, mask_shape: Shape | None = None) -> Shape:
        return (clips_shape[0], clips_shape[1], self.cnn.output_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config(), cnn=keras.saving.serialize_keras_object(self.cnn))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FrameEncoder:
        config = dict(config)
        return cls(cnn=keras.saving.deserialize_keras_object(config.pop("cnn")), **config)


@keras.saving.register_keras_serializable("activity")
class SubtractMean(_MaskedLayer):
    """Subtracts each clip's mean over its real frames: ``[B, T, D]`` to the same shape, zeros on padding.

    This removes what is constant during a clip, such as the place and the clothes. A clip of one frame keeps its
    features, because the difference would be zero.
    """

    def call(self, features: Any, mask: Any) -> Any:
        weights = ops.cast(mask, features.dtype)[..., None]
        count = ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1.0)
        mean = ops.sum(features * weights, axis=1, keepdims=True) / count
        return (features - mean * ops.cast(count > 1.0, features.dtype)) * weights

    def compute_output_shape(self, features_shape: Shape, mask_shape: Shape | None = None) -> Shape:
        return features_shape


@keras.saving.register_keras_serializable("activity")
class TimeStatistics(_MaskedLayer):
    """Computes each feature's mean, deviation and first cosines over time: ``[B, T, D]`` to ``[B, (2 + cosines) * D]``.

    The cosines are the first coefficients of a discrete cosine transform, without the constant one. They describe how a
    feature rises and falls during the clip, independent of the number of frames.
    """

    def call(self, features: Any, mask: Any) -> Any:
        real = ops.cast(mask, features.dtype)[..., None]
        length = ops.sum(real, axis=1, keepdims=True)
        mean = ops.sum(features * real, axis=1, keepdims=True) / length
        centered = (features - mean) * real
        deviation = ops.sqrt(ops.sum(centered * centered, axis=1) / length[:, 0] + _MIN_VARIANCE)
        places = ops.cast(ops.arange(features.shape[1]), features.dtype)[None, :, None]
        angle = math.pi * (places + 0.5) / length
        cosines = [
            ops.sum(centered * (2.0 * ops.cos(angle * number) / length), axis=1) for number in range(1, NUM_COSINES + 1)
        ]
        return ops.concatenate([mean[:, 0], deviation, *cosines], axis=-1)

    def compute_output_shape(self, features_shape: Shape, mask_shape: Shape | None = None) -> Shape:
        width = features_shape[-1]
        return (features_shape[0], None if width is None else (2 + NUM_COSINES) * width)


@keras.saving.register_keras_serializable("activity")
class MaskedMaximum(_MaskedLayer):
    """Computes the maximum over the real frames: ``[B, T, D]`` to ``[B, D]``."""

    def call(self, features: Any, mask: Any) -> Any:
        return ops.max(ops.where(mask[..., None], features, -math.inf), axis=1)

    def compute_output_shape(self, features_shape: Shape, mask_shape: Shape | None = None) -> Shape:
        return (features_shape[0], features_shape[-1])
