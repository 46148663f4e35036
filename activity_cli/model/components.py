"""Features turned so that those along which clips differ most come first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

__all__ = ["PrincipalComponents"]


@keras.saving.register_keras_serializable("activity")
class PrincipalComponents(keras.layers.Layer):
    """The principal components of features, on real steps; zeros on padding (Pearson 1901).

    Not whitened: one scale serves all, so that what varies little stays small. Dropout on components
    hides whole ways in which clips differ, such as their places, instead of single features of which
    others tell the same; measured, that is what makes the recurrent network generalize.

    The directions are measured on the training clips, saved with the weights, and not trained.

    Args:
        components: How many, at most the number of features.

    Call arguments:
        steps: ``[B, T, D]``.
        mask: ``bool [B, T]``.
    """

    def __init__(self, components: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.components = components

    def build(self, steps_shape: tuple[int | None, ...], mask_shape: tuple[int | None, ...] | None = None) -> None:
        width = int(steps_shape[-1] or 0)
        self.mean = self.add_weight((width,), initializer="zeros", trainable=False, name="mean")
        # Until they are measured: the first features as they are.
        self.directions = self.add_weight(
            (width, self.components), initializer=keras.initializers.Identity(), trainable=False, name="directions"
        )
        self.built = True

    def adapt(self, features: Sequence[npt.NDArray[np.float32]]) -> None:
        """Measures the features ``float32 [T_i, D]`` of some clips, without padding."""
        count = sum(len(clip) for clip in features)
        mean = np.sum([clip.sum(axis=0, dtype=np.float64) for clip in features], axis=0) / count
        covariance = np.zeros((len(mean), len(mean)))
        for clip in features:
            away = clip - mean
            covariance += away.T @ away / count
        variances, directions = np.linalg.eigh(covariance)
        order = np.argsort(-variances, kind="stable")[: self.components]
        directions = directions[:, order]
        # An eigenvector may as well point the other way; the same one on every machine.
        largest = np.abs(directions).argmax(axis=0)
        directions *= np.sign(directions[largest, np.arange(len(order))])
        usual = max(float(variances[order].mean()), float(np.finfo(np.float32).tiny))
        self.mean.assign(mean)
        self.directions.assign(directions / np.sqrt(usual))

    def call(self, steps: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        turned = tf.matmul(steps - self.mean, self.directions)
        return tf.where(mask[..., tf.newaxis], turned, tf.zeros([], turned.dtype))

    def compute_mask(self, steps: tf.Tensor, previous_mask: tf.Tensor | None = None) -> None:
        return None

    def compute_output_shape(
        self, steps_shape: tuple[int | None, ...], mask_shape: tuple[int | None, ...] | None = None
    ) -> tuple[int | None, ...]:
        return (*steps_shape[:-1], self.components)

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config(), components=self.components)
