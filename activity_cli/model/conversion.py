"""Converts the parts of a network to LiteRT files, which run without Keras and TensorFlow.

The files use only operations that are built into LiteRT.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.files import write_bytes
from activity_cli.model.heads import HeadShape, build_head
from activity_cli.quiet import native_output_silenced

__all__ = ["encoder_to_litert", "head_to_litert"]


def encoder_to_litert(
    encoder: keras.Model,
    path: Path,
    precision: str = "float32",
    calibration: Iterable[npt.NDArray[np.uint8]] = (),
) -> None:
    """Converts an encoder, or its first blocks: from ``frames``, ``uint8 [N, H, W, 3]``, to ``float32 [N, ...]``.

    Args:
        encoder: A model of frames.
        path: The file to write.
        precision: ``float32``; ``float16``: stores the weights in 16 bits; ``int8``: also computes in 8 bits.
        calibration: Real frames ``uint8 [H, W, 3]``. ``int8`` takes the range of each layer from them.

    Raises:
        OutputError: The file cannot be written.
    """

    @tf.function(input_signature=[tf.TensorSpec(encoder.input_shape, tf.uint8, name="frames")])
    def encode(frames: tf.Tensor) -> tf.Tensor:
        return encoder(frames, training=False)

    with native_output_silenced(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that calibration finds the ranges
        converter = tf.lite.TFLiteConverter.from_concrete_functions([encode.get_concrete_function()])
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if precision == "int8":
            converter.representative_dataset = lambda: ([frame[np.newaxis]] for frame in calibration)
        content = converter.convert()
    write_bytes(path, content)


def head_to_litert(head: keras.Model, shape: HeadShape, path: Path) -> None:
    """Converts a head for one clip at a time, from ``features`` and ``mask`` to log probabilities.

    ``features`` are ``float32 [1, T, D]``, ``mask`` is ``bool [1, T]``, the output is ``float32 [1, classes]``.

    Raises:
        OutputError: The file cannot be written.
    """
    # The converter needs a fixed batch size to use the built-in recurrent layers.
    single = build_head(shape, batch_size=1)
    single.set_weights(head.get_weights())

    @tf.function(
        input_signature=[
            tf.TensorSpec((1, shape.num_frames, shape.num_features), tf.float32, name="features"),
            tf.TensorSpec((1, shape.num_frames), tf.bool, name="mask"),
        ]
    )
    def classify(features: tf.Tensor, mask: tf.Tensor) -> Any:
        return single([features, mask], training=False)

    # Not with Keras' own export, which writes a SavedModel first and takes three times as long.
    with native_output_silenced():
        content = tf.lite.TFLiteConverter.from_concrete_functions([classify.get_concrete_function()]).convert()
    write_bytes(path, content)
