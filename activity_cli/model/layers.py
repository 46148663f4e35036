"""Layers that Keras does not have: a CNN over time, and two that read a clip as a whole. All skip padding.

Each takes ``mask``, ``bool [B, T]``, as an argument: True for the real frames, which come first, at least one of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

__all__ = ["NUM_COSINES", "FrameEncoder", "SubtractMean", "TimeStatistics", "WeightedSum"]

NUM_COSINES = 4
# Under the square root: a clip of one frame has no deviation, and the slope of its root would be infinite.
_MIN_VARIANCE = 1e-6

Shape = tuple[int | None, ...]


class _MaskedLayer(keras.layers.Layer):
    """Takes its mask as an argument and passes none on: a mask that travels by itself is easily lost."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None


@keras.saving.register_keras_serializable("activity")
class FrameEncoder(_MaskedLayer):
    """Applies a CNN to every real frame of a batch of clips.

    It means the same as ``keras.layers.TimeDistributed`` on real frames. Time is folded into the batch, so the CNN runs
    once over all frames, and padding is taken out before it: no padded frame reaches a weight or a batch statistic.

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

    What does not change during a clip (the place, the clothes) goes, what moves stays. A clip of one frame keeps its
    features, since nothing would be left.
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
    """Mean, standard deviation and first cosines over time of each feature: ``[B, T, D]`` to ``[B, (2 + cosines) * D]``.

    The cosines (of a discrete cosine transform, without its constant) describe how a feature rises and falls during the
    clip, from slow to fast, whatever the number of frames.
    """

    def call(self, features: Any, mask: Any) -> Any:
        real = ops.cast(mask, features.dtype)[..., None]
        length = ops.sum(real, axis=1, keepdims=True)
        mean = ops.sum(features * real, axis=1, keepdims=True) / length
        centered = (features - mean) * real
        deviation = ops.sqrt(ops.sum(centered * centered, axis=1) / length[:, 0] + _MIN_VARIANCE)
        places = ops.cast(ops.arange(features.shape[1]), features.dtype)[None, :, None]
        angle = math.pi * (places + 0.5) / length
        # On the centered features: a cosine over all frames is zero on the mean itself.
        cosines = [
            ops.sum(centered * (2.0 * ops.cos(angle * number) / length), axis=1) for number in range(1, NUM_COSINES + 1)
        ]
        return ops.concatenate([mean[:, 0], deviation, *cosines], axis=-1)

    def compute_output_shape(self, features_shape: Shape, mask_shape: Shape | None = None) -> Shape:
        width = features_shape[-1]
        return (features_shape[0], None if width is None else (2 + NUM_COSINES) * width)


@keras.saving.register_keras_serializable("activity")
class WeightedSum(keras.layers.Layer):
    """Adds log probabilities, ``[B, classes]`` of each head, times one weight for each head.

    Args:
        weights: One for each head.
    """

    def __init__(self, weights: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.head_weights = tuple(weights)

    def call(self, heads: Sequence[Any]) -> Any:
        return sum(weight * head for weight, head in zip(self.head_weights, heads, strict=True))

    def compute_output_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config(), weights=list(self.head_weights))
