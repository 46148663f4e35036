"""Features turned so that those along which clips differ most come first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

__all__ = ["PrincipalComponents"]

_MOST_ROWS = 3000
_SMALLEST_SHARE = 1e-9


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
        together = np.concatenate(features)
        # From the first to the last alike: as many as tell the directions, in seconds with any encoder.
        rows = together[np.linspace(0, len(together) - 1, min(_MOST_ROWS, len(together))).astype(int)]
        rows = rows.astype(np.float64)
        mean = rows.mean(axis=0)
        variances, directions = _principal(rows - mean, self.components)
        # What does not vary here has no direction: rounding would give one.
        known = variances > variances[0] * _SMALLEST_SHARE
        # A direction may as well point the other way; the same one on every machine.
        largest = np.abs(directions).argmax(axis=0)
        signs = np.where(directions[largest, np.arange(directions.shape[1])] < 0, -1.0, 1.0)
        usual = max(float(variances[known].mean()), float(np.finfo(np.float32).tiny)) if known.any() else 1.0
        turned = np.zeros((rows.shape[1], self.components))
        turned[:, : len(variances)] = directions * np.where(known, signs, 0.0) / np.sqrt(usual)
        self.mean.assign(mean)
        self.directions.assign(turned)

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


def _principal(away: npt.NDArray[np.float64], most: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Variances, largest first, and directions ``[D, up to most]`` of rows ``[N, D]`` around their mean."""
    count, width = away.shape
    # The two square matrices have the same spectrum: the smaller one is taken.
    few_rows = count < width
    square = away @ away.T if few_rows else away.T @ away
    values, vectors = np.linalg.eigh(square / count)
    order = np.argsort(-values, kind="stable")[: min(most, len(values))]
    variances, vectors = np.maximum(values[order], 0.0), vectors[:, order]
    if few_rows:
        vectors = away.T @ vectors
        vectors /= np.maximum(np.linalg.norm(vectors, axis=0), np.finfo(np.float64).tiny)
    return variances, vectors
