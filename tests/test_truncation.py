"""An encoder in two parts is the encoder, and only what shall learn learns."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from activity_cli import ConfigError
from activity_cli.model.layers import FrameEncoder
from activity_cli.settings import ENCODERS
from activity_cli.settings.encoders import ENCODER_SPECS
from activity_cli.streams.encoders import build_encoder
from activity_cli.streams.truncation import cut_encoder, num_blocks, set_trainable
from encoder_support import SIZE, assert_close, features_of, real_frames, settled

NORMALIZED = tuple(name for name in ENCODERS if name != "vgg16")
# Clips of 3, 2 and 1 real frames.
MASK = np.array([[True, True, True], [True, True, False], [True, False, False]])


def norms_of(encoder: keras.Model) -> list[keras.layers.BatchNormalization]:
    return [layer for layer in encoder.layers if isinstance(layer, keras.layers.BatchNormalization)]


def statistics_of(encoder: keras.Model) -> list[np.ndarray]:
    return [value.numpy().copy() for norm in norms_of(encoder) for value in (norm.moving_mean, norm.moving_variance)]


def names_of(layers: list[keras.Layer]) -> set[str]:
    return {layer.name for layer in layers}


@pytest.mark.parametrize("name", ENCODERS)
def test_the_parts_in_a_row_are_the_encoder_and_the_second_one_learns(name: str) -> None:
    encoder, spec = settled(name), ENCODER_SPECS[name]
    frames = real_frames()[::4]
    expected = features_of(encoder, frames)
    for blocks in (1, num_blocks(spec) // 2, num_blocks(spec)):
        stem, top = cut_encoder(encoder, spec, blocks)
        maps = features_of(stem, frames)
        assert maps.dtype == np.float32
        assert maps.shape[1:] == stem.output_shape[1:] == top.input_shape[1:]
        assert_close(features_of(top, maps), expected, 1e-5)
        shared = {id(weight) for part in (stem, top) for weight in part.weights}
        assert shared == {id(weight) for weight in encoder.weights}, "a weight is a copy, or is in neither part"
        assert len(stem.weights) + len(top.weights) == len(encoder.weights), "a weight is in both parts"

        set_trainable(encoder, spec, "finetune", blocks)
        learning = names_of([layer for layer in encoder.layers if layer.trainable_weights])
        assert learning == names_of([layer for layer in top.layers if layer.weights]) - names_of(norms_of(encoder))
        assert {id(w) for w in top.trainable_weights} == {id(w) for w in encoder.trainable_weights} != set()
    assert features_of(encoder, frames).tobytes() == expected.tobytes(), "cutting changed the encoder"


def test_without_blocks_the_stem_is_the_encoder() -> None:
    encoder = settled("small")
    stem, top = cut_encoder(encoder, ENCODER_SPECS["small"], 0)
    assert stem is encoder
    assert top.weights == []
    assert top.output_shape == encoder.output_shape


def test_maps_can_be_cut_too() -> None:
    spec = ENCODER_SPECS["mobilenet_v2"]
    encoder = build_encoder("mobilenet_v2", SIZE, weights="none", maps=True)
    encoder.set_weights(settled("mobilenet_v2").get_weights()[: len(encoder.get_weights())])
    stem, top = cut_encoder(encoder, spec, 2)
    frames = real_frames()[::4]
    assert_close(features_of(top, features_of(stem, frames)), features_of(encoder, frames), 1e-5)
    set_trainable(encoder, spec, "finetune", 1)
    assert names_of([layer for layer in encoder.layers if layer.trainable_weights]) == {
        "block_16_expand",
        "block_16_depthwise",
        "block_16_project",
    }


@pytest.mark.parametrize("name", ["small", "efficientnet_lite0", "mobilenet_v3_small"])
def test_training_the_top_on_kept_maps_changes_the_last_blocks_alone(name: str) -> None:
    spec = ENCODER_SPECS[name]
    encoder = build_encoder(name, SIZE, weights="none")
    encoder.set_weights(settled(name).get_weights())
    stem, top = cut_encoder(encoder, spec, 2)
    set_trainable(encoder, spec, "finetune", 2)
    frames = real_frames()[::4]
    maps, before = features_of(stem, frames), features_of(encoder, frames)
    weights_before = [weight.numpy().copy() for weight in encoder.weights]

    top.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    top.fit(maps, np.zeros_like(before), verbose=0)
    pairs = zip(encoder.weights, weights_before, strict=True)
    changed = {id(weight) for weight, old in pairs if (weight.numpy() != old).any()}
    assert changed == {id(weight) for weight in top.trainable_weights} != set()
    np.testing.assert_array_equal(features_of(stem, frames), maps)
    assert np.abs(features_of(encoder, frames) - before).max() > 1e-4 * np.abs(before).max(), "the top did not learn"
    assert_close(features_of(top, maps), features_of(encoder, frames), 1e-5)


@pytest.mark.parametrize("name", NORMALIZED)
def test_norms_that_are_kept_compute_the_same_in_training(name: str) -> None:
    """Through FrameEncoder, called for training, with padding."""
    spec, encoder = ENCODER_SPECS[name], settled(name)
    clips = tf.constant(np.stack([real_frames()[:3], real_frames()[4:7], real_frames()[8:11]]))
    layer = FrameEncoder(encoder)
    before, expected = statistics_of(encoder), np.asarray(layer(clips, mask=tf.constant(MASK), training=False))
    settings = [("frozen", 0, False), ("finetune", 1, False), ("finetune", 2, False), ("joint", 0, True)]
    for mode, blocks, keep_norms in settings:
        set_trainable(encoder, spec, mode, blocks, keep_norms=keep_norms)
        found = np.asarray(layer(clips, mask=tf.constant(MASK), training=True))
        for old, new in zip(before, statistics_of(encoder), strict=True):
            np.testing.assert_array_equal(new, old)
        if name != "efficientnet_v2_b0":  # which drops blocks while training
            np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
        is_frozen = mode == "frozen"
        assert bool(encoder.trainable_weights) != is_frozen


@pytest.mark.parametrize("name", ["small", "efficientnet_lite0", "mobilenet_v2"])
def test_norms_of_random_weights_learn_fast_in_joint_training(name: str) -> None:
    encoder = build_encoder(name, SIZE, weights="none")
    set_trainable(encoder, ENCODER_SPECS[name], "frozen")
    set_trainable(encoder, ENCODER_SPECS[name], "joint")
    assert len(encoder.trainable_weights) == len(encoder.weights) - 2 * len(norms_of(encoder))
    before = statistics_of(encoder)
    layer = FrameEncoder(encoder)
    for _ in range(2):
        layer(tf.constant(real_frames()[np.newaxis]), mask=tf.ones((1, 12), tf.bool), training=True)
    # The variances of random convolutions are far from the 1 that they begin with.
    moved = [np.abs(new - old).max() > 0.1 for old, new in zip(before, statistics_of(encoder), strict=True)]
    assert any(moved)
    assert all(np.abs(new - old).max() > 0 for old, new in zip(before, statistics_of(encoder), strict=True))
    assert max(norm.momentum for norm in norms_of(encoder)) <= 0.9


@pytest.mark.parametrize(("name", "blocks"), [("small", 5), ("vgg16", 6), ("efficientnet_lite0", 17), ("resnet50", -1)])
def test_blocks_that_are_not_there_are_refused(name: str, blocks: int) -> None:
    spec = ENCODER_SPECS[name]
    for refused in (
        lambda: cut_encoder(settled(name), spec, blocks),
        lambda: set_trainable(settled(name), spec, "finetune", blocks),
    ):
        with pytest.raises(ConfigError, match=f"{blocks} blocks .*{name}.* has {num_blocks(spec)}") as caught:
            refused()
        assert str(num_blocks(spec)) in caught.value.hint


def test_finetuning_nothing_and_unknown_modes_are_refused() -> None:
    with pytest.raises(ConfigError, match="0 blocks"):
        set_trainable(settled("small"), ENCODER_SPECS["small"], "finetune", 0)
    with pytest.raises(ConfigError, match="'thawed'"):
        set_trainable(settled("small"), ENCODER_SPECS["small"], "thawed", 1)
