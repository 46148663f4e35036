"""Loss and accuracy on held-out clips, while training."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

__all__ = ["judge_of"]

# As in keras.losses: the logarithm of nothing would be infinite.
_SMALLEST_PROBABILITY = 1e-7


def judge_of(model: keras.Model, batches: tf.data.Dataset, label_smoothing: float) -> Callable[[], tuple[float, float]]:
    """A function that gives a network's loss and accuracy of the moment.

    Not Keras' own ``evaluate``: shared among devices, a last batch of one clip would leave one of them
    without any, and its mean would not be a number.

    Args:
        model: From the batches' inputs to probabilities.
        batches: Of ``(inputs, target [B, classes], weight [B])``; a pass gives every clip once.
        label_smoothing: As in the training loss, so that the curves can be compared.
    """

    @tf.function(reduce_retracing=True)
    def probabilities(inputs: tf.Tensor | tuple[tf.Tensor, ...]) -> tf.Tensor:
        return model(list(inputs) if isinstance(inputs, tuple) else inputs, training=False)

    def judge() -> tuple[float, float]:
        losses: list[npt.NDArray[np.float64]] = []
        rights: list[npt.NDArray[np.bool_]] = []
        weights: list[npt.NDArray[np.float64]] = []
        for inputs, target, weight in batches:
            found, truth = np.asarray(probabilities(inputs), np.float64), np.asarray(target, np.float64)
            smooth = truth * (1 - label_smoothing) + label_smoothing / truth.shape[1]
            losses.append(-(smooth * np.log(np.maximum(found, _SMALLEST_PROBABILITY))).sum(axis=1))
            rights.append(found.argmax(axis=1) == truth.argmax(axis=1))
            weights.append(np.asarray(weight, np.float64))
        loss = np.average(np.concatenate(losses), weights=np.concatenate(weights))
        return float(loss), float(np.concatenate(rights).mean())

    return judge
