"""Batch normalization (Ioffe and Szegedy 2015) in one operation, where Keras runs about twenty."""

from __future__ import annotations

import keras
import tensorflow as tf

__all__ = ["BatchNormalization"]

# oneDNN computes 16 channels of 16-bit numbers at once. With other numbers of channels it takes four times as long.
_VECTOR_CHANNELS = 16
# The smallest that cuDNN accepts.
_SMALLEST_EPSILON = 1.001e-5


# Keras finds saved weights by the name of the class.
@keras.saving.register_keras_serializable("activity")
class BatchNormalization(keras.layers.BatchNormalization):
    """A ``keras.layers.BatchNormalization`` that is faster on maps ``[N, H, W, C]``.

    It has the same weights and settings, and computes the same.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        if not self._can_be_fused(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        fast = inputs.dtype == tf.float32 or inputs.shape[-1] % _VECTOR_CHANNELS == 0
        maps = inputs if fast else tf.cast(inputs, tf.float32)
        return tf.cast(self._fused(maps, bool(training and self.trainable)), inputs.dtype)

    def _can_be_fused(self, inputs: tf.Tensor, mask: tf.Tensor | None) -> bool:
        are_maps = len(inputs.shape) == 4 and self.axis in (-1, 3)
        usual = mask is None and not self.synchronized and not self.renorm
        return are_maps and usual and self.epsilon >= _SMALLEST_EPSILON and self.variable_dtype == "float32"

    def _fused(self, maps: tf.Tensor, training: bool) -> tf.Tensor:
        channels = maps.shape[-1]
        scale = tf.convert_to_tensor(self.gamma) if self.scale else tf.ones([channels])
        offset = tf.convert_to_tensor(self.beta) if self.center else tf.zeros([channels])
        mean = tf.zeros([0]) if training else tf.convert_to_tensor(self.moving_mean)
        variance = tf.zeros([0]) if training else tf.convert_to_tensor(self.moving_variance)
        # The reason for this file: with Keras' own layer, a step of joint training takes 1.32 times (padded clips) to
        # 1.36 times (full clips) the processor time (benchmarks/train.py, encoder small, 64 pixels). The fused
        # operation reads and writes the activations a third as often. They are large: a batch has all frames of its
        # clips.
        normalized, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=maps,
            scale=scale,
            offset=offset,
            mean=mean,
            variance=variance,
            epsilon=self.epsilon,
            is_training=training,
        )
        if training:
            # TensorFlow divides the squares by n - 1, Keras by n.
            count = tf.cast(tf.size(maps) // channels, tf.float32)
            batch_variance = variance * (count - 1.0) / count
            for moving, now in ((self.moving_mean, mean), (self.moving_variance, batch_variance)):
                moving.assign(moving * self.momentum + now * (1.0 - self.momentum))
        return normalized
