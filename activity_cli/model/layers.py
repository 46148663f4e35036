"""FrameEncoder: one CNN applied to every frame of a clip, padding skipped.

The meaning is that of ``keras.layers.TimeDistributed`` on real frames, the way is another: time is
folded into the batch, so the CNN is in the graph once and runs once over all frames of all clips;
frames that are only padding are taken out before the CNN and put back as zeros after it. Nothing
that a padded frame holds can reach a weight, a batch statistic or a prediction.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

__all__ = ["CenterOverTime", "FrameEncoder"]


@keras.saving.register_keras_serializable("activity")
class FrameEncoder(keras.layers.Layer):
    """Applies ``cnn`` to the real frames of a batch of clips.

    Call arguments:
        clips: ``[B, T, H, W, C]``.
        mask: ``bool [B, T]``, True for real frames.

    Returns:
        ``[B, T, D]``; zeros where the mask is False.

    Args:
        cnn: A model from ``[N, H, W, C]`` to ``[N, D]``.
    """

    def __init__(self, cnn: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.cnn = cnn

    def compute_mask(self, clips: tf.Tensor, previous_mask: tf.Tensor | None = None) -> None:
        # Masks are handed to each layer by name; one that travels by itself is lost without a word.
        return None

    def call(self, clips: tf.Tensor, mask: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        shape = tf.shape(clips)
        batch, steps = shape[0], shape[1]
        folded = tf.reshape(clips, tf.concat([[batch * steps], shape[2:]], axis=0))
        folded.set_shape([None, *clips.shape[2:]])
        real = tf.where(tf.reshape(mask, [-1]))
        features = self.cnn(tf.gather_nd(folded, real), training=training)
        width = features.shape[-1]
        spread = tf.scatter_nd(real, features, tf.cast([batch * steps, width], real.dtype))
        unfolded = tf.reshape(spread, [batch, steps, width])
        unfolded.set_shape([clips.shape[0], clips.shape[1], width])
        return unfolded

    def build(self, clips_shape: tuple[int | None, ...], mask_shape: tuple[int | None, ...] | None = None) -> None:
        self.built = True

    def compute_output_shape(
        self, clips_shape: tuple[int | None, ...], mask_shape: tuple[int | None, ...] | None = None
    ) -> tuple[int | None, ...]:
        return (clips_shape[0], clips_shape[1], self.cnn.output_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config(), cnn=keras.saving.serialize_keras_object(self.cnn))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FrameEncoder:
        config = dict(config)
        cnn = keras.saving.deserialize_keras_object(config.pop("cnn"))
        return cls(cnn=cnn, **config)


@keras.saving.register_keras_serializable("activity")
class CenterOverTime(keras.layers.Layer):
    """Takes each clip's own mean over its real steps off its features; padding stays zero.

    What does not change during a clip (the place, the clothes) goes; what moves stays. A clip of one
    step keeps it: nothing would be left.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, features: tf.Tensor, previous_mask: tf.Tensor | None = None) -> None:
        return None

    def call(self, features: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        weights = tf.cast(mask, features.dtype)[..., tf.newaxis]
        count = tf.maximum(tf.reduce_sum(weights, axis=1, keepdims=True), 1.0)
        mean = tf.reduce_sum(features * weights, axis=1, keepdims=True) / count
        return (features - mean * tf.cast(count > 1.0, features.dtype)) * weights

    def compute_output_shape(
        self, features_shape: tuple[int | None, ...], mask_shape: tuple[int | None, ...] | None = None
    ) -> tuple[int | None, ...]:
        return features_shape
