"""FrameEncoder is TimeDistributed on real frames, and padding can do nothing at all."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from activity_cli import NetworkSettings, Sampling
from activity_cli.model.layers import CenterOverTime, FrameEncoder
from activity_cli.model.network import Network, build_network
from activity_cli.model.pooling import MaskedMean

BATCH, STEPS, SIZE = 3, 5, 32
LENGTHS = (5, 3, 2)
SAMPLING = Sampling(num_frames=STEPS, frame_size=SIZE)
Clips = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


def small_cnn() -> keras.Model:
    frames = keras.Input((SIZE, SIZE, 3), dtype="float32")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(frames)
    x = keras.layers.Conv2D(4, 3, 2)(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU()(x)
    return keras.Model(frames, keras.layers.GlobalAveragePooling2D()(x), name="cnn")


@pytest.fixture(scope="module")
def network() -> Network:
    keras.utils.set_random_seed(1)
    network = build_network(NetworkSettings(encoder="small", units=8, dropout=0.0), SAMPLING, 3)
    for layer in network.encoder.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # Statistics as after a training, so that a batch norm does something when predicting.
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma, beta + 0.3, mean + 0.2, variance * 0.5])
    return network


@pytest.fixture
def batch() -> tuple[Clips, Mask]:
    """Clips of 5, 3 and 2 real frames with noise in the padding."""
    clips = np.random.default_rng(0).integers(0, 256, (BATCH, STEPS, SIZE, SIZE, 3), dtype=np.uint8)
    mask = np.arange(STEPS)[np.newaxis] < np.array(LENGTHS)[:, np.newaxis]
    return clips, mask


def encoded(layer: FrameEncoder, clips: Clips, mask: Mask, *, training: bool = False) -> npt.NDArray[np.float32]:
    return np.asarray(layer(tf.constant(clips), mask=tf.constant(mask), training=training))


def answers(network: Network, clips: Clips, mask: Mask) -> npt.NDArray[np.float32]:
    return np.asarray(network.whole([clips, mask], training=False))


def test_frame_encoder_equals_time_distributed_on_real_frames(batch: tuple[Clips, Mask]) -> None:
    cnn = small_cnn()
    clips, mask = batch
    inputs = keras.Input((STEPS, SIZE, SIZE, 3), dtype="uint8")  # a static T: with a dynamic one it drops frames
    stock = keras.Model(inputs, keras.layers.TimeDistributed(cnn)(inputs))

    ours, theirs = encoded(FrameEncoder(cnn), clips, mask), np.asarray(stock(clips, training=False))

    assert ours.shape == theirs.shape == (BATCH, STEPS, 4)
    np.testing.assert_allclose(ours[mask], theirs[mask], atol=1e-5)
    assert np.abs(theirs[~mask]).max() > 1e-3, "the padding would be zero anyway, so the next test shows nothing"


def test_features_of_padding_are_zero(batch: tuple[Clips, Mask]) -> None:
    clips, mask = batch
    for training in (False, True):
        assert not encoded(FrameEncoder(small_cnn()), clips, mask, training=training)[~mask].any()


def test_what_padded_frames_hold_never_changes_an_answer(network: Network, batch: tuple[Clips, Mask]) -> None:
    clips, mask = batch
    blank = np.where(mask[..., np.newaxis, np.newaxis, np.newaxis], clips, np.uint8(0))
    assert (blank != clips).any()
    np.testing.assert_array_equal(answers(network, clips, mask), answers(network, blank, mask))


def test_the_length_of_the_padding_never_changes_an_answer(network: Network, batch: tuple[Clips, Mask]) -> None:
    config = NetworkSettings(encoder="small", units=8, dropout=0.0)
    longer = build_network(config, Sampling(num_frames=STEPS + 7, frame_size=SIZE), 3)
    longer.whole.set_weights(network.whole.get_weights())
    clips, mask = batch
    more = np.pad(clips, ((0, 0), (0, 7), (0, 0), (0, 0), (0, 0)), constant_values=99)
    more_mask = np.pad(mask, ((0, 0), (0, 7)))
    np.testing.assert_allclose(answers(longer, more, more_mask), answers(network, clips, mask), atol=1e-6)


def test_batch_mates_never_change_an_answer(network: Network, batch: tuple[Clips, Mask]) -> None:
    clips, mask = batch
    together = answers(network, clips, mask)
    for row in range(BATCH):
        alone = answers(network, clips[row : row + 1], mask[row : row + 1])
        np.testing.assert_allclose(together[row], alone[0], atol=1e-6)


def test_every_real_frame_changes_the_answer_the_last_one_too(network: Network, batch: tuple[Clips, Mask]) -> None:
    clips, mask = batch
    before = answers(network, clips, mask)
    for row, length in enumerate(LENGTHS):
        for step in range(STEPS):
            other = clips.copy()
            other[row, step] = 255 - other[row, step] // 2
            changed = np.abs(answers(network, other, mask) - before).max(axis=1) > 1e-7
            assert changed[row] == (step < length), (row, step)
            assert not np.delete(changed, row).any()


def test_the_order_of_frames_changes_the_answer(network: Network, batch: tuple[Clips, Mask]) -> None:
    clips, mask = batch
    backward = clips[:1, ::-1]
    assert np.abs(answers(network, backward, mask[:1]) - answers(network, clips[:1], mask[:1])).max() > 1e-6


def test_a_number_of_frames_that_is_known_only_at_run_time_works(batch: tuple[Clips, Mask]) -> None:
    clips, mask = batch
    layer = FrameEncoder(small_cnn())
    inputs = keras.Input((None, SIZE, SIZE, 3), dtype="uint8")
    mask_input = keras.Input((None,), dtype="bool")
    dynamic = keras.Model([inputs, mask_input], layer(inputs, mask=mask_input))
    assert dynamic.output_shape == (None, None, 4)
    for steps in (1, 3, STEPS):
        found = np.asarray(dynamic([clips[:, :steps], mask[:, :steps]]))
        np.testing.assert_allclose(found, encoded(layer, clips, mask)[:, :steps], atol=1e-6)


def test_a_model_with_the_layer_is_saved_and_loaded(tmp_path: Path, batch: tuple[Clips, Mask]) -> None:
    clips, mask = batch
    inputs = keras.Input((STEPS, SIZE, SIZE, 3), dtype="uint8")
    mask_input = keras.Input((STEPS,), dtype="bool")
    x = FrameEncoder(small_cnn(), name="frame_encoder")(inputs, mask=mask_input)
    x = CenterOverTime()(x, mask=mask_input)
    model = keras.Model([inputs, mask_input], MaskedMean()(x, mask=mask_input))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(loaded([clips, mask])), np.asarray(model([clips, mask])))
    assert len(loaded.trainable_weights) == len(model.trainable_weights) == 4


def test_padding_leaves_batch_statistics_and_gradients_alone(batch: tuple[Clips, Mask]) -> None:
    clips, mask = batch
    padded, bare = small_cnn(), small_cnn()
    bare.set_weights(padded.get_weights())
    target = np.random.default_rng(2).normal(size=(sum(LENGTHS), 4)).astype(np.float32)

    with tf.GradientTape() as tape:
        features = FrameEncoder(padded)(tf.constant(clips), mask=tf.constant(mask), training=True)
        loss = tf.reduce_sum((tf.boolean_mask(features, mask) - target) ** 2)
    with_padding = tape.gradient(loss, padded.trainable_weights)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum((bare(clips[mask].astype(np.float32), training=True) - target) ** 2)
    without = tape.gradient(loss, bare.trainable_weights)

    for one, other in zip(with_padding, without, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(padded.get_layer("norm").moving_mean, bare.get_layer("norm").moving_mean, atol=1e-6)
    np.testing.assert_allclose(
        padded.get_layer("norm").moving_variance, bare.get_layer("norm").moving_variance, atol=1e-6
    )
    assert np.abs(padded.get_layer("norm").moving_mean).max() > 0, "training moved no statistic at all"


def test_masked_mean_is_the_mean_of_the_real_steps() -> None:
    features = np.random.default_rng(3).normal(size=(BATCH, STEPS, 4)).astype(np.float32)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
    found = np.asarray(MaskedMean()(features, mask=mask))
    np.testing.assert_allclose(found[0], features[0].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found[1], features[1, :2].mean(axis=0), atol=1e-6)
    np.testing.assert_array_equal(found[2], np.zeros(4))


def test_center_over_time_takes_what_stands_still_off_the_real_steps() -> None:
    features = np.random.default_rng(4).normal(size=(BATCH, STEPS, 4)).astype(np.float32)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
    layer = CenterOverTime()
    found = np.asarray(layer(features, mask=mask))
    np.testing.assert_allclose(found[0], features[0] - features[0].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found[1, :2], features[1, :2] - features[1, :2].mean(axis=0), atol=1e-6)
    assert not found[~mask].any()
    np.testing.assert_allclose(np.asarray(layer(features + 7, mask=mask)), found, atol=1e-5)
