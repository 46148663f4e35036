"""The optimizer: AdamW over one cycle, in which each part of the network learns at a pace of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

__all__ = ["OneCycle", "Pace", "PacedAdamW"]

# Shifts and scales are few, and have no reason to be near zero (as in Goyal et al. 2017, section 5.3).
_NEVER_DECAYED = ("bias", "beta", "gamma")


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a variable learns, and how strongly it is pulled to zero.

    Attributes:
        rate: Of the optimizer's learning rate.
        decay: Share of the variable that a step takes off, times the learning rate.
    """

    rate: float = 1.0
    decay: float = 0.0


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Rises to the learning rate and falls to almost nothing, both as a cosine (Smith and Topin 2018).

    Args:
        learning_rate: At its highest.
        total_steps: Of the training.
    """

    _RISE = 0.15  # of all steps
    _FIRST, _LAST = 1 / 25, 1e-4  # of the learning rate

    def __init__(self, learning_rate: float, total_steps: int) -> None:
        self.learning_rate = learning_rate
        self.total_steps = total_steps

    def __call__(self, step: Any) -> Any:
        done = tf.cast(step, tf.float32) / max(1, self.total_steps - 1)
        rising = self._between(self._FIRST, 1.0, done / self._RISE)
        falling = self._between(1.0, self._LAST, tf.minimum((done - self._RISE) / (1.0 - self._RISE), 1.0))
        return self.learning_rate * tf.where(done < self._RISE, rising, falling)

    @staticmethod
    def _between(start: float, end: float, share: Any) -> Any:
        return end + (start - end) * (1.0 + tf.cos(math.pi * share)) / 2.0

    def get_config(self) -> dict[str, Any]:
        return {"learning_rate": self.learning_rate, "total_steps": self.total_steps}


class PacedAdamW(keras.optimizers.Adam):
    """AdamW (Loshchilov and Hutter 2019) with a pace for each variable.

    Scaling gradients would change nothing, since Adam divides by their size; so the step is scaled. The
    mathematics is that of ``keras.optimizers.AdamW``, in one operation for each variable instead of twenty.

    Args:
        learning_rate: A number or a schedule.
        paces: By the variable's path.
        usual: Of all others. Biases and normalizations are never pulled to zero.
    """

    def __init__(self, learning_rate: Any, paces: Mapping[str, Pace], usual: Pace) -> None:
        super().__init__(learning_rate)
        self._known = dict(paces)
        self._usual = usual
        self._paces: list[Pace] = []

    def build(self, variables: Sequence[keras.Variable]) -> None:
        super().build(variables)
        self._paces = [self._pace_of(variable) for variable in variables]

    def _pace_of(self, variable: keras.Variable) -> Pace:
        pace = self._known.get(variable.path, self._usual)
        return Pace(pace.rate, 0.0) if variable.name in _NEVER_DECAYED else pace

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        pace = self._paces[index]
        rate = tf.cast(learning_rate, tf.float32) * pace.rate
        if pace.decay:
            self.assign_sub(variable, variable * (rate * pace.decay))
        step = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.convert_to_tensor(gradient),
        )


def _handle(variable: Any) -> tf.Tensor:
    """Of a variable of Keras or of TensorFlow; shared among devices, of that on this one."""
    known = variable.value if isinstance(variable, keras.Variable) else variable
    handle: tf.Tensor = known.handle
    return handle
