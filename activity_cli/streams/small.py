"""The small encoder: four convolutions, for training from random weights on a few hundred clips."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from activity_cli.streams.normalization import BatchNormalization

__all__ = ["Luma", "build_small"]

# Larger frames are first averaged down to about this size. A unit of the last convolution has a receptive field of 33
# pixels, which should be a large part of the frame.
_FRAME_SIZE = 64
# Multiples of 16, because processors compute 16 channels at once: in bfloat16, 32 channels are faster than 24.
_CHANNELS = (32, 48, 96, 128)


@keras.saving.register_keras_serializable("activity")
class Luma(keras.layers.Layer):
    """RGB ``[N, H, W, 3]`` -> brightness ``[N, H, W, 1]`` by the weights of ITU-R Rec. 601."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def call(self, frames: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(frames * tf.constant([0.299, 0.587, 0.114], frames.dtype), axis=-1, keepdims=True)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*shape[:-1], 1)


def build_small(frame_size: int, *, gray: bool = False) -> keras.Model:
    """Builds the small encoder with random weights.

    Args:
        frame_size: Height and width of a frame in pixels.
        gray: Use brightness only. The frames are RGB either way.

    Returns:
        A model from ``[N, frame_size, frame_size, 3]`` to features, float32 ``[N, 256]``.
    """
    # Layers
    # 16 bits hold whole numbers up to 255 exactly, so pixels need no 32 bits.
    computing = keras.config.dtype_policy().compute_dtype
    frames = keras.Input((frame_size, frame_size, 3), dtype=computing, name="frames")
    shrink = max(1, round(frame_size / _FRAME_SIZE))
    # Functional model
    x = Luma(dtype="float32", name="luma")(frames) if gray else frames
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocess")(x)
    if shrink > 1:
        x = keras.layers.AveragePooling2D(shrink, name="shrink")(x)
    for number, channels in enumerate(_CHANNELS, start=1):
        x = keras.layers.Conv2D(channels, 5 if number == 1 else 3, 2, "same", use_bias=False, name=f"conv{number}")(x)
        x = BatchNormalization(momentum=0.9, name=f"conv{number}_norm")(x)
        x = keras.layers.ReLU(name=f"conv{number}_relu")(x)
    # The mean is how much of the frame shows a pattern, the maximum whether any place shows it.
    mean = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    peak = keras.layers.GlobalMaxPooling2D(name="peak")(x)
    features = keras.layers.Concatenate(dtype="float32", name="features")([mean, peak])
    return keras.Model(frames, features, name="small")
