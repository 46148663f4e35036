"""A clip in a few numbers for each feature: what a linear classifier can read beside the recurrent network.

On a few dozen clips of an activity a linear layer on these learns more surely than a recurrent network,
and the two err differently; their logits are added, so that one network has both (as a wide and a deep
part: Cheng et al. 2016).

The linear layer is solved for (:mod:`activity_cli.training.ridge`), and the recurrent network learns
alone: a linear layer that is right of all training clips would leave it nothing to learn. Where the encoder
learns after that, it learns from both together.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

__all__ = ["NUM_COSINES", "Beside", "TimeStatistics"]

NUM_COSINES = 4
# Under the root: a clip of one frame has no spread, and its slope would be infinite.
_SMALLEST_VARIANCE = 1e-6


@keras.saving.register_keras_serializable("activity")
class TimeStatistics(keras.layers.Layer):
    """Mean, standard deviation and the first cosines of each feature over the real steps.

    The cosines (of a discrete cosine transform, without its constant) say how a feature rises and falls
    during the clip, from slow to fast, whatever the number of frames.

    Call arguments:
        steps: ``[B, T, D]``.
        mask: ``bool [B, T]``, True for the real steps, which come first; one at least.

    Returns:
        ``[B, (2 + NUM_COSINES) * D]``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, steps: tf.Tensor, previous_mask: tf.Tensor | None = None) -> None:
        return None

    def call(self, steps: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        real = tf.cast(mask, steps.dtype)[..., tf.newaxis]
        length = tf.reduce_sum(real, axis=1, keepdims=True)
        mean = tf.reduce_sum(steps * real, axis=1, keepdims=True) / length
        away = (steps - mean) * real
        spread = tf.sqrt(tf.reduce_sum(away * away, axis=1) / length[:, 0] + _SMALLEST_VARIANCE)
        numbers = tf.cast(tf.range(tf.shape(mask)[1]), steps.dtype)[tf.newaxis, :, tf.newaxis]
        angle = math.pi * (numbers + 0.5) / length
        waves = [2.0 * tf.cos(angle * number) / length for number in range(1, NUM_COSINES + 1)]
        # On what is away from the mean: a cosine over all steps is zero on the mean itself.
        courses = [tf.reduce_sum(away * wave, axis=1) for wave in waves]
        return tf.concat([mean[:, 0], spread, *courses], axis=-1)

    def compute_output_shape(
        self, steps_shape: tuple[int | None, ...], mask_shape: tuple[int | None, ...] | None = None
    ) -> tuple[int | None, ...]:
        width = steps_shape[-1]
        return (steps_shape[0], None if width is None else (2 + NUM_COSINES) * width)


@keras.saving.register_keras_serializable("activity")
class Beside(keras.layers.Layer):
    """The logits of the recurrent network and of the linear layer beside it, added: ``[B, classes]`` each.

    ``share``, what a logit of the recurrent network counts in an answer, is saved with the weights, and
    not trained. ``learned_together`` says whether the linear layer counts while learning, too; it is looked
    at when a graph is built, in which then nothing is computed in vain.
    """

    learned_together = True

    def build(self, recurrent_shape: tuple[int | None, ...], linear_shape: tuple[int | None, ...]) -> None:
        self.share = self.add_weight((), initializer="ones", trainable=False, name="share")
        self.built = True

    def call(self, recurrent: tf.Tensor, linear: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if training:
            return recurrent + linear if self.learned_together else recurrent
        return recurrent * self.share + linear

    def compute_output_shape(
        self, recurrent_shape: tuple[int | None, ...], linear_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return recurrent_shape
