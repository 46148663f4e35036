"""Converts the parts of a network to LiteRT files, which run without Keras and TensorFlow.

The files use only operations that are built into LiteRT.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from activity_cli.files import write_bytes
from activity_cli.model.heads import HeadShape, build_head
from activity_cli.quiet import native_output_silenced

__all__ = ["encoder_to_litert", "head_to_litert"]


def encoder_to_litert(encoder: keras.Model, path: Path) -> None:
    """Converts an encoder, or its first blocks: from ``frames``, ``uint8 [N, H, W, 3]``, to ``float32 [N, ...]``.

    Raises:
        OutputError: The file cannot be written.
    """

    @tf.function(input_signature=[tf.TensorSpec(encoder.input_shape, tf.uint8, name="frames")])
    def encode(frames: tf.Tensor) -> tf.Tensor:
        return encoder(frames, training=False)

    _convert(encode, path)


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

    _convert(classify, path)


def _convert(function: Any, path: Path) -> None:
    # Not with Keras' own export, which writes a SavedModel first and takes three times as long.
    with native_output_silenced():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
        content = converter.convert()
    write_bytes(path, content)
