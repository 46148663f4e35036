"""Our layers: FrameEncoder is TimeDistributed on real frames, and padding changes nothing in any of them."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from activity_cli.model.layers import NUM_COSINES, FrameEncoder, MaskedMaximum, SubtractMean, TimeStatistics

BATCH, STEPS, SIZE = 3, 5, 32
LENGTHS = (5, 3, 1)
MASK = np.arange(STEPS)[np.newaxis] < np.array(LENGTHS)[:, np.newaxis]
# Noise, in the padding too.
CLIPS = np.random.default_rng(0).integers(0, 256, (BATCH, STEPS, SIZE, SIZE, 3), dtype=np.uint8)
Floats = npt.NDArray[np.float32]


@pytest.fixture
def cnn() -> keras.Model:
    keras.utils.set_random_seed(1)
    frames = keras.Input((SIZE, SIZE, 3), dtype="float32")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(frames)
    x = keras.layers.Conv2D(4, 3, 2)(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    return keras.Model(frames, keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x)), name="cnn")


def encoded(layer: FrameEncoder, *, training: bool = False) -> Floats:
    return np.asarray(layer(tf.constant(CLIPS), mask=tf.constant(MASK), training=training))


def some_features() -> Floats:
    return np.random.default_rng(2).normal(size=(BATCH, STEPS, 4)).astype(np.float32)


def test_frame_encoder_equals_time_distributed_on_real_frames(cnn: keras.Model) -> None:
    inputs = keras.Input((STEPS, SIZE, SIZE, 3), dtype="uint8")
    stock = keras.Model(inputs, keras.layers.TimeDistributed(cnn)(inputs))
    ours, theirs = encoded(FrameEncoder(cnn)), np.asarray(stock(CLIPS, training=False))
    assert ours.shape == theirs.shape == (BATCH, STEPS, 4)
    np.testing.assert_allclose(ours[MASK], theirs[MASK], atol=1e-5)
    assert np.abs(theirs[~MASK]).max() > 1e-3, "the padding would be zero anyway, so the next line shows nothing"
    assert not ours[~MASK].any()


def test_frame_encoder_never_feeds_padding_to_the_cnn(cnn: keras.Model) -> None:
    """The gradients and the batch statistics are those of the real frames alone."""
    bare = keras.models.clone_model(cnn)
    bare.set_weights(cnn.get_weights())
    target = np.random.default_rng(2).normal(size=(sum(LENGTHS), 4)).astype(np.float32)
    with tf.GradientTape() as tape:
        features = FrameEncoder(cnn)(tf.constant(CLIPS), mask=tf.constant(MASK), training=True)
        loss = tf.reduce_sum((tf.boolean_mask(features, MASK) - target) ** 2)
    with_padding = tape.gradient(loss, cnn.trainable_weights)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum((bare(CLIPS[MASK].astype(np.float32), training=True) - target) ** 2)
    without = tape.gradient(loss, bare.trainable_weights)
    for one, other in zip(with_padding, without, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    for one, other in zip(cnn.get_layer("norm").get_weights(), bare.get_layer("norm").get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert np.abs(cnn.get_layer("norm").moving_mean).max() > 0, "training moved no statistic at all"


def test_frame_encoder_takes_a_number_of_frames_that_is_known_only_at_run_time(cnn: keras.Model) -> None:
    layer = FrameEncoder(cnn)
    clips, mask = keras.Input((None, SIZE, SIZE, 3), dtype="uint8"), keras.Input((None,), dtype="bool")
    dynamic = keras.Model([clips, mask], layer(clips, mask=mask))
    assert dynamic.output_shape == (None, None, 4)
    for steps in (1, 3, STEPS):
        found = np.asarray(dynamic([CLIPS[:, :steps], MASK[:, :steps]]))
        np.testing.assert_allclose(found, encoded(layer)[:, :steps], atol=1e-6)


def test_subtract_mean_subtracts_the_mean_of_the_real_frames() -> None:
    features = some_features()
    found = np.asarray(SubtractMean()(features, mask=MASK))
    for row, clip, length in zip(found, features, LENGTHS, strict=True):
        # A clip of one frame keeps its features.
        expected = clip[:length] - (clip[:length].mean(axis=0) if length > 1 else 0)
        np.testing.assert_allclose(row[:length], expected, atol=1e-6)
        assert not row[length:].any()


def test_time_statistics_are_those_of_the_real_frames() -> None:
    features = some_features()
    found = np.asarray(TimeStatistics()(np.where(MASK[..., np.newaxis], features, 1e3), mask=MASK))
    assert found.shape == TimeStatistics().compute_output_shape(features.shape) == (BATCH, (2 + NUM_COSINES) * 4)
    for row, padded, length in zip(found, features, LENGTHS, strict=True):
        clip = padded[:length]
        places = (np.arange(length) + 0.5) / length
        cosines = [2 * np.cos(np.pi * k * places) @ (clip - clip.mean(axis=0)) / length for k in range(1, 5)]
        expected = np.concatenate([clip.mean(axis=0), clip.std(axis=0), *cosines])
        np.testing.assert_allclose(row, expected, atol=2e-3)


def test_time_statistics_depend_on_the_direction_of_a_motion_and_not_on_the_frame_rate() -> None:
    slow = np.linspace(-1, 1, 12, dtype=np.float32)[np.newaxis, :, np.newaxis]
    fast = slow.reshape(1, 6, 2, 1).mean(axis=2)
    forward, backward, at_half_rate = (
        np.asarray(TimeStatistics()(clip, mask=np.ones(clip.shape[:2], bool)))[0]
        for clip in (slow, slow[:, ::-1], fast)
    )
    np.testing.assert_allclose(forward[:2], backward[:2], atol=1e-6)
    np.testing.assert_allclose(forward[2:], -backward[2:], atol=1e-6)
    assert np.abs(forward[2]) > 0.5
    np.testing.assert_allclose(forward, at_half_rate, atol=0.05)


def test_time_statistics_of_one_frame_have_a_finite_gradient() -> None:
    features = tf.constant(some_features())
    with tf.GradientTape() as tape:
        tape.watch(features)
        loss = tf.reduce_sum(TimeStatistics()(features, mask=MASK))
    assert np.isfinite(tape.gradient(loss, features)).all()


def test_masked_maximum_is_that_of_the_real_frames() -> None:
    features = some_features() - 5  # zeros would win
    found = np.asarray(MaskedMaximum()(np.where(MASK[..., np.newaxis], features, 1e3), mask=MASK))
    assert found.shape == MaskedMaximum().compute_output_shape(features.shape)
    for row, clip, length in zip(found, features, LENGTHS, strict=True):
        np.testing.assert_array_equal(row, clip[:length].max(axis=0))


def test_a_model_with_these_layers_is_saved_and_loaded(cnn: keras.Model, tmp_path: Path) -> None:
    clips, mask = keras.Input((STEPS, SIZE, SIZE, 3), dtype="uint8"), keras.Input((STEPS,), dtype="bool")
    x = SubtractMean()(FrameEncoder(cnn)(clips, mask=mask), mask=mask)
    x = keras.layers.Concatenate()([TimeStatistics()(x, mask=mask), MaskedMaximum()(x, mask=mask)])
    model = keras.Model([clips, mask], x)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(loaded([CLIPS, MASK])), np.asarray(model([CLIPS, MASK])))
    assert len(loaded.trainable_weights) == len(model.trainable_weights) == 4
