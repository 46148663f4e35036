"""The fused batch normalization computes what Keras' own computes: outputs, statistics and gradients."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from activity_cli.streams.normalization import BatchNormalization

STOCK = keras.layers.BatchNormalization
Layer = keras.layers.BatchNormalization


def pair(shape: tuple[int, ...], **settings: object) -> tuple[Layer, Layer]:
    """Ours and Keras' own, with the same weights, as after some training."""
    layers = (BatchNormalization(**settings), STOCK(**settings))
    for layer in layers:
        layer.build(shape)
        rng = np.random.default_rng(1)
        layer.set_weights([rng.uniform(0.5, 2, size=weights.shape) for weights in layer.get_weights()])
    return layers


def maps(channels: int, dtype: str = "float32") -> tf.Tensor:
    values = np.random.default_rng(0).normal(3, 2, (6, 5, 4, channels))
    return tf.cast(tf.constant(values, tf.float32), dtype)


def trained(layer: Layer, x: tf.Tensor) -> list[tf.Tensor]:
    """The results of a step of training: output, gradients, and the statistics after it."""
    weight = tf.cast(np.random.default_rng(2).normal(size=x.shape), x.dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        loss = tf.reduce_sum(tf.cast(y * weight, tf.float32))
    gradients = tape.gradient(loss, [x, *layer.trainable_weights])
    return [y, *gradients, *layer.non_trainable_weights]


@pytest.mark.parametrize("channels", [16, 5])
@pytest.mark.parametrize("settings", [{}, {"momentum": 0.5, "epsilon": 1e-2}])
def test_a_step_of_training_gives_what_keras_gives(channels: int, settings: dict[str, object]) -> None:
    x = maps(channels)
    ours, stock = pair(x.shape, **settings)
    for one, other in zip(trained(ours, x), trained(stock, x), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours(x, training=False), stock(x, training=False), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [16, 5])
def test_in_16_bits_it_differs_by_rounding_only(channels: int) -> None:
    x = maps(channels, "bfloat16")
    ours, stock = pair(x.shape, dtype="mixed_bfloat16")
    found, expected = trained(ours, x), trained(stock, x)
    assert found[0].dtype == tf.bfloat16
    for one, other in zip(found, expected, strict=True):
        spread = float(np.abs(np.asarray(other, np.float32)).max())
        np.testing.assert_allclose(np.asarray(one, np.float32), np.asarray(other, np.float32), atol=0.02 * spread)


def test_a_frozen_layer_keeps_and_uses_its_statistics() -> None:
    x = maps(16)
    ours, stock = pair(x.shape)
    ours.trainable = stock.trainable = False
    before = ours.get_weights()
    np.testing.assert_allclose(ours(x, training=True), stock(x, training=True), rtol=1e-4, atol=1e-4)
    for one, other in zip(ours.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((6, 7), {}),
        ((6, 5, 7), {}),
        ((6, 5, 4, 7), {"axis": 1}),
        ((6, 5, 4, 7), {"renorm": True}),
        ((6, 5, 4, 7), {"scale": False}),
        ((6, 5, 4, 7), {"center": False}),
    ],
)
def test_what_the_fused_operation_cannot_compute_is_left_to_keras(
    shape: tuple[int, ...], settings: dict[str, object]
) -> None:
    x = tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)
    ours, stock = pair(shape, **settings)
    for one, other in zip(trained(ours, x), trained(stock, x), strict=True):
        np.testing.assert_array_equal(one, other)
