"""An encoder in two parts is the encoder, and training changes only what it shall change."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from activity_cli.model.layers import FrameEncoder
from activity_cli.settings.encoders import ENCODER_SPECS
from activity_cli.streams.encoders import build_encoder
from activity_cli.streams.truncation import set_trainable, split_encoder
from encoder_support import SIZE, assert_close, features_of, real_frames, settled

# These take most of the time, and are built like the others.
LARGE = ("mobilenet_v3_large", "efficientnet_v2_b0", "resnet50")
ENCODERS = [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in ENCODER_SPECS]
NORMALIZED = [encoder for encoder in ENCODERS if encoder.values != ("vgg16",)]
# Clips of 3, 2 and 1 real frames.
MASK = np.array([[True, True, True], [True, True, False], [True, False, False]])


def norms_of(encoder: keras.Model) -> list[keras.layers.BatchNormalization]:
    return [layer for layer in encoder.layers if isinstance(layer, keras.layers.BatchNormalization)]


def statistics_of(encoder: keras.Model) -> list[np.ndarray]:
    return [value.numpy().copy() for norm in norms_of(encoder) for value in (norm.moving_mean, norm.moving_variance)]


def ids_of(weights: list[object]) -> set[int]:
    return {id(weight) for weight in weights}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
def test_the_frozen_part_and_the_trained_part_are_the_encoder(name: str) -> None:
    encoder, spec = settled(name), ENCODER_SPECS[name]
    frames = real_frames()[::4]
    expected, num_blocks = features_of(encoder, frames), len(spec.block_starts)
    for blocks in (2, num_blocks // 2, num_blocks):
        frozen, trained = split_encoder(encoder, spec, blocks)
        maps = features_of(frozen, frames)
        assert maps.dtype == np.float32
        assert maps.shape[1:] == frozen.output_shape[1:] == trained.input_shape[1:]
        assert_close(features_of(trained, maps), expected, 1e-5)
        assert ids_of(frozen.weights) | ids_of(trained.weights) == ids_of(encoder.weights), "a weight is a copy or lost"
        assert len(frozen.weights) + len(trained.weights) == len(encoder.weights), "a weight is in both parts"

        set_trainable(encoder, spec, blocks, pretrained=True)
        of_norms = ids_of([weight for norm in norms_of(encoder) for weight in norm.weights])
        if blocks < num_blocks:
            assert ids_of(encoder.trainable_weights) == ids_of(trained.weights) - of_norms != set()
        else:  # the stem is trained, too
            assert ids_of(encoder.trainable_weights) == ids_of(encoder.weights) - of_norms
        assert ids_of(trained.trainable_weights) == ids_of(trained.weights) - of_norms
    assert features_of(encoder, frames).tobytes() == expected.tobytes(), "splitting changed the encoder"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet_lite0"])
def test_a_step_of_training_changes_the_last_blocks_alone(name: str) -> None:
    spec = ENCODER_SPECS[name]
    encoder = build_encoder(name, SIZE, weights="none")
    encoder.set_weights(settled(name).get_weights())
    frozen, trained = split_encoder(encoder, spec, 2)
    set_trainable(encoder, spec, 2, pretrained=True)
    frames = real_frames()[::4]
    maps, before = features_of(frozen, frames), features_of(encoder, frames)
    weights_before = encoder.get_weights()

    trained.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    trained.fit(maps, np.zeros_like(before), verbose=0)
    pairs = zip(encoder.weights, weights_before, strict=True)
    changed = {id(weight) for weight, old in pairs if (weight.numpy() != old).any()}
    assert changed == ids_of(trained.trainable_weights) != set()
    np.testing.assert_array_equal(features_of(frozen, frames), maps)
    assert np.abs(features_of(encoder, frames) - before).max() > 1e-4 * np.abs(before).max()
    assert_close(features_of(trained, maps), features_of(encoder, frames), 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NORMALIZED)
def test_batch_normalization_of_a_pretrained_encoder_is_never_touched(name: str) -> None:
    """Through FrameEncoder, called for training, with padding."""
    spec, encoder = ENCODER_SPECS[name], settled(name)
    clips = tf.constant(np.stack([real_frames()[:3], real_frames()[4:7], real_frames()[8:11]]))
    layer, mask = FrameEncoder(encoder), tf.constant(MASK)
    before, expected = statistics_of(encoder), np.asarray(layer(clips, mask=mask, training=False))
    for blocks in (0, 2, len(spec.block_starts)):
        set_trainable(encoder, spec, blocks, pretrained=True)
        assert bool(encoder.trainable_weights) == (blocks > 0)
        found = np.asarray(layer(clips, mask=mask, training=True))
        for old, new in zip(before, statistics_of(encoder), strict=True):
            np.testing.assert_array_equal(new, old)
        if name != "efficientnet_v2_b0":  # which drops blocks while training
            np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["small", "efficientnet_lite0"])
def test_batch_normalization_of_random_weights_is_trained_fast(name: str) -> None:
    encoder, spec = build_encoder(name, SIZE, weights="none"), ENCODER_SPECS[name]
    set_trainable(encoder, spec, 0, pretrained=False)
    assert not encoder.trainable_weights
    set_trainable(encoder, spec, len(spec.block_starts), pretrained=False)
    assert len(encoder.trainable_weights) == len(encoder.weights) - 2 * len(norms_of(encoder))
    before, layer = statistics_of(encoder), FrameEncoder(encoder)
    for _ in range(2):
        layer(tf.constant(real_frames()[np.newaxis]), mask=tf.ones((1, 12), tf.bool), training=True)
    after = statistics_of(encoder)
    assert all(np.abs(new - old).max() > 0 for old, new in zip(before, after, strict=True))
    # The variances of random convolutions are far from 1, their first value.
    assert any(np.abs(new - old).max() > 0.1 for old, new in zip(before, after, strict=True))
