"""Every encoder: its numbers, its pixels, and the same answers in every form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from activity_cli import ConfigError, NetworkSettings
from activity_cli.model.conversion import encoder_to_litert
from activity_cli.model.layers import FrameEncoder
from activity_cli.runtime.litert import EncoderRuntime
from activity_cli.settings.encoders import ENCODER_SPECS
from activity_cli.settings.train import EncoderName
from activity_cli.streams.applications import APPLICATIONS
from activity_cli.streams.encoders import build_encoder
from activity_cli.streams.small import Luma
from encoder_support import SIZE, assert_close, features_of, real_frames, settled

ENCODERS = tuple(ENCODER_SPECS)
# Name in keras.applications, module with its preprocess_input.
KERAS_NAMES = {
    "mobilenet_v2": ("MobileNetV2", "mobilenet_v2"),
    "mobilenet_v3_small": ("MobileNetV3Small", "mobilenet_v3"),
    "mobilenet_v3_large": ("MobileNetV3Large", "mobilenet_v3"),
    "efficientnet_v2_b0": ("EfficientNetV2B0", "efficientnet_v2"),
    "resnet50": ("ResNet50", "resnet50"),
    "vgg16": ("VGG16", "vgg16"),
}


@pytest.fixture
def bfloat16() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def test_the_table_has_the_encoders_that_can_be_asked_for() -> None:
    assert set(get_args(EncoderName)) == set(ENCODERS)
    assert all(name == spec.name for name, spec in ENCODER_SPECS.items())
    assert list(ENCODER_SPECS) == list(ENCODERS)
    assert next(iter(ENCODER_SPECS)) == NetworkSettings().encoder, "the default is not the first"
    sources = {name: spec.weights_source for name, spec in ENCODER_SPECS.items()}
    assert (sources["efficientnet_lite0"], sources["small"]) == ("included", "none")
    assert sources["mobilenet_v2"] == "download, 9 MB"
    assert set(KERAS_NAMES) == set(APPLICATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
def test_the_numbers_of_the_table_are_those_of_the_network(name: str) -> None:
    encoder, spec = settled(name), ENCODER_SPECS[name]
    assert encoder.name == name
    assert encoder.input_shape == (None, SIZE, SIZE, 3)
    assert encoder.output_shape == (None, spec.features)
    assert encoder.count_params() == spec.parameters
    # LiteRT refuses names that begin so.
    assert not [layer.name for layer in encoder.layers if layer.name.startswith("_")]
    places = [encoder.layers.index(encoder.get_layer(start)) for start in spec.block_starts]
    assert places == sorted(set(places))
    assert len(places) > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", KERAS_NAMES)
def test_features_are_those_of_keras(name: str, tmp_path: Path) -> None:
    encoder = settled(name)
    encoder.save_weights(tmp_path / "ours.weights.h5")
    kind, module = KERAS_NAMES[name]
    plain = getattr(keras.applications, kind)(
        include_top=False, pooling="avg", input_shape=(SIZE, SIZE, 3), weights=str(tmp_path / "ours.weights.h5")
    )
    preprocess: Any = getattr(keras.applications, module).preprocess_input
    expected = features_of(plain, preprocess(real_frames().astype(np.float32)))
    assert_close(features_of(encoder, real_frames()), expected, 1e-4)


@pytest.mark.parametrize("name", ENCODERS)
def test_uint8_and_float_frames_are_the_same_picture(name: str) -> None:
    frames = real_frames()[::4]
    found = features_of(settled(name), frames)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(features_of(settled(name), frames.astype(np.float32)), found)


@pytest.mark.parametrize("name", ["small", "mobilenet_v3_small", "vgg16"])
def test_what_comes_out_is_float32_where_bfloat16_computes(name: str, bfloat16: None) -> None:
    encoder = build_encoder(name, SIZE, weights="none")
    assert encoder.get_layer(ENCODER_SPECS[name].block_starts[-1]).compute_dtype == "bfloat16"
    found = features_of(encoder, real_frames()[:1])
    assert found.dtype == np.float32
    assert encoder.output.dtype == "float32"


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
def test_a_frame_encoder_is_the_stock_layer_on_real_frames(name: str) -> None:
    encoder = settled(name)
    clips = real_frames()[[0, 1, 2, 4, 5, 8]].reshape(2, 3, SIZE, SIZE, 3)
    mask = np.array([[True, True, True], [True, True, False]])
    inputs = keras.Input(clips.shape[1:])
    stock = keras.Model(inputs, keras.layers.TimeDistributed(encoder)(inputs))

    found = np.asarray(FrameEncoder(encoder)(tf.constant(clips), mask=tf.constant(mask), training=False))
    expected = features_of(stock, clips)
    assert_close(found[mask], expected[mask], 1e-5)
    assert not found[~mask].any()
    assert np.abs(expected[~mask]).max() > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
def test_litert_agrees_with_keras_and_needs_built_in_operations_only(name: str, tmp_path: Path) -> None:
    path = tmp_path / "encoder.tflite"
    encoder_to_litert(settled(name), path)
    frames = real_frames()[::3]
    found = EncoderRuntime(path, threads=1).features(frames)
    assert_close(found, features_of(settled(name), frames), 1e-3)


@pytest.mark.parametrize("factor", [2, 4])
def test_the_small_encoder_looks_at_large_frames_as_at_small_ones(factor: int) -> None:
    near, far = (build_encoder("small", size, weights="none") for size in (56, 56 * factor))
    far.set_weights(near.get_weights())
    frames = real_frames(56)
    large = frames.repeat(factor, axis=1).repeat(factor, axis=2)
    assert_close(features_of(far, large), features_of(near, frames), 1e-5)


def test_gray_is_the_brightness_of_the_frames() -> None:
    frames = real_frames()
    luma = np.asarray(Luma(dtype="float32")(frames.astype(np.float32)))
    expected = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    np.testing.assert_allclose(luma[..., 0], expected, atol=0.51)  # OpenCV rounds

    keras.utils.set_random_seed(3)
    encoder = build_encoder("small", SIZE, weights="none", gray=True)
    assert encoder.input_shape == (None, SIZE, SIZE, 3)
    gray = np.repeat(luma, 3, axis=-1)
    assert_close(features_of(encoder, gray), features_of(encoder, frames), 1e-5)
    color = build_encoder("small", SIZE, weights="none")
    assert np.abs(features_of(color, gray) - features_of(color, frames)).max() > 1e-3
    assert color.count_params() - encoder.count_params() == 2 * 5 * 5 * 32


def test_gray_converts_to_litert_too(tmp_path: Path) -> None:
    encoder = build_encoder("small", SIZE, weights="none", gray=True)
    encoder_to_litert(encoder, tmp_path / "encoder.tflite")
    found = EncoderRuntime(tmp_path / "encoder.tflite", threads=1).features(real_frames())
    assert_close(found, features_of(encoder, real_frames()), 1e-3)


@pytest.mark.parametrize("name", ["gray", "vgg16"])
def test_what_is_not_of_keras_is_built_again_from_its_description(name: str) -> None:
    # Brightness, and the order of the channels.
    encoder = settled(name) if name == "vgg16" else build_encoder("small", SIZE, weights="none", gray=True)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(encoder))
    again.set_weights(encoder.get_weights())
    np.testing.assert_array_equal(features_of(again, real_frames()[:2]), features_of(encoder, real_frames()[:2]))


@pytest.mark.parametrize(
    ("name", "size", "options", "said"),
    [("small", 31, {"weights": "none"}, "31"), ("vgg16", 8, {}, "8"), ("small", 64, {}, "'imagenet'")],
)
def test_what_an_encoder_cannot_do_is_refused(name: str, size: int, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_encoder(name, size, **options)
    assert said in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)
