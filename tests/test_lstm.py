"""The LSTM that is written out is that of Keras: outputs, states, gradients and weights."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from activity_cli.model.lstm import LSTM

CLIPS, WIDTH, UNITS = 5, 7, 6


def pair(**settings: object) -> tuple[keras.layers.LSTM, keras.layers.LSTM]:
    """Ours and that of Keras, with the same weights."""
    keras.utils.set_random_seed(3)
    layers = (LSTM(UNITS, **settings), keras.layers.LSTM(UNITS, **settings))
    for layer in layers:
        layer.build((CLIPS, None, WIDTH))
    weights = [np.random.default_rng(1).normal(0, 0.7, value.shape) for value in layers[0].get_weights()]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def clips(steps: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Features, and a mask of clips of 1 to ``steps`` steps."""
    rng = np.random.default_rng(0)
    lengths = np.linspace(1, steps, CLIPS).astype(int)
    mask = np.arange(steps) < lengths[:, np.newaxis]
    return tf.constant(rng.normal(size=(CLIPS, steps, WIDTH)), tf.float32), tf.constant(mask)


def learned(layer: keras.layers.LSTM, features: tf.Tensor, mask: tf.Tensor | None) -> list[tf.Tensor]:
    """What a layer gives, and the gradients of all that it depends on."""
    with tf.GradientTape() as tape:
        tape.watch(features)
        outputs, hidden, carry = layer(features, mask=mask, training=True)
        loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(hidden * carry)
    return [outputs, hidden, carry, *tape.gradient(loss, [features, *layer.trainable_weights])]


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize(("steps", "unroll"), [(1, False), (9, False), (33, False), (33, True)])
def test_a_step_of_training_is_that_of_keras(steps: int, unroll: bool, sequences: bool, masked: bool) -> None:
    ours, stock = pair(return_sequences=sequences, return_state=True, unroll=unroll)
    features, mask = clips(steps)
    given = mask if masked else None
    for one, other in zip(learned(ours, features, given), learned(stock, features, given), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "settings", [{"go_backwards": True}, {"use_bias": False}, {"recurrent_activation": "hard_sigmoid"}], ids=str
)
def test_settings_that_are_not_written_out_mean_what_they_mean_in_keras(settings: dict[str, object]) -> None:
    ours, stock = pair(**settings)
    features, mask = clips(6)
    np.testing.assert_allclose(ours(features, mask=mask), stock(features, mask=mask), atol=1e-6)


def test_no_loop_is_in_the_graph_of_a_short_clip() -> None:
    def operations(layer: keras.layers.LSTM, steps: int) -> set[str]:
        function = tf.function(lambda x: layer(x)).get_concrete_function(tf.TensorSpec((None, steps, WIDTH)))
        return {operation.type for operation in function.graph.get_operations()}

    ours, stock = pair()
    assert any("While" in kind for kind in operations(stock, 9)), "the test shows nothing"
    assert not any("While" in kind for kind in operations(ours, 9))
    # A copy of a step for each of many steps would take long to trace.
    assert any("While" in kind for kind in operations(ours, 200))


def test_weights_saved_by_keras_are_found(tmp_path: Path) -> None:
    ours, stock = pair()
    saved = keras.Sequential([keras.Input((9, WIDTH)), stock])
    saved.save_weights(tmp_path / "stock.weights.h5")
    ours.set_weights([value * 0 for value in ours.get_weights()])
    keras.Sequential([keras.Input((9, WIDTH)), ours]).load_weights(tmp_path / "stock.weights.h5")
    for one, other in zip(ours.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
