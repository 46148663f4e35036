"""The optimizer: AdamW, in which trained weights may take smaller steps than new ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import keras

__all__ = ["GroupedAdamW"]

# Shifts and scales are few, and have no reason to be near zero (as in Goyal et al. 2017, section 5.3).
_NEVER_DECAYED = ["bias", "beta", "gamma", "score"]


class GroupedAdamW(keras.optimizers.AdamW):
    """AdamW (Loshchilov and Hutter 2019) with a learning rate of their own for some variables.

    Scaling their gradients would change nothing, since Adam divides by the gradients' size; so the
    step itself is scaled.

    Args:
        learning_rate: Of all other variables.
        slow: Paths of the variables with a rate of their own.
        slow_rate: That rate.
        weight_decay: As in AdamW; never of biases and normalizations.
    """

    def __init__(self, learning_rate: float, slow: Collection[str], slow_rate: float, weight_decay: float) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay)
        self._slow = frozenset(slow)
        self._slow_factor = slow_rate / learning_rate
        self._factors: list[float] = []
        self.exclude_from_weight_decay(var_names=_NEVER_DECAYED)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        super().build(variables)
        self._factors = [self._slow_factor if variable.path in self._slow else 1.0 for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)
