"""An LSTM whose products with the inputs do not wait for each other.

The mathematics is that of Keras (Hochreiter and Schmidhuber 1997), weights, names and settings too. What
the inputs add to the gates does not depend on the state, so it is one product for all steps instead of
one in each (as in cuDNN: Appleyard et al. 2016); its gradient, too. And a few dozen steps are written one
after the other: going round in a loop costs a processor more than the numbers of a step.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

__all__ = ["LSTM"]

# More copies of a step than this take longer to trace than they save.
_MOST_COPIES = 32


# The name is that of Keras, because saved weights are found by it.
@keras.saving.register_keras_serializable("activity")
class LSTM(keras.layers.LSTM):
    """``keras.layers.LSTM``, faster on a processor; otherwise the same."""

    def inner_loop(
        self, sequences: tf.Tensor, initial_state: Any, mask: tf.Tensor | None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        if not self._can_be_written_out(sequences):
            result: tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]] = super().inner_loop(
                sequences, initial_state, mask, training
            )
            return result
        cell = self.cell
        recurrent = tf.convert_to_tensor(cell.recurrent_kernel)
        given = tf.tensordot(sequences, tf.convert_to_tensor(cell.kernel), 1) + tf.convert_to_tensor(cell.bias)
        hidden, carry = initial_state
        outputs = []
        for step, inputs in enumerate(tf.unstack(given, axis=1)):
            in_gate, forget, candidate, out_gate = tf.split(inputs + tf.matmul(hidden, recurrent), 4, axis=1)
            new_carry = tf.sigmoid(forget) * carry + tf.sigmoid(in_gate) * tf.tanh(candidate)
            new_hidden = tf.sigmoid(out_gate) * tf.tanh(new_carry)
            if mask is not None:  # padding leaves the state as it is
                real = mask[:, step, tf.newaxis]
                new_carry, new_hidden = tf.where(real, new_carry, carry), tf.where(real, new_hidden, hidden)
            hidden, carry = new_hidden, new_carry
            outputs.append(hidden)
        return hidden, tf.stack(outputs if self.return_sequences else [hidden], axis=1), [hidden, carry]

    def _can_be_written_out(self, sequences: tf.Tensor) -> bool:
        # Where there is a GPU, cuDNN does all of it at once, unless it must not.
        cudnn = self.use_cudnn is not False and bool(tf.config.list_logical_devices("GPU"))
        usual = self.activation is keras.activations.tanh and self.recurrent_activation is keras.activations.sigmoid
        plain = usual and self.use_bias and not (self.dropout or self.recurrent_dropout or self.go_backwards)
        steps = sequences.shape[1]
        return plain and not cudnn and steps is not None and (self.unroll or steps <= _MOST_COPIES)
