"""The parts of a network -> LiteRT files of built-in operations, which run without Keras and TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from activity_cli.files import write_bytes
from activity_cli.model.heads import frame_outputs
from activity_cli.model.network import NetworkShape, build_head
from activity_cli.quiet import native_output_silenced

__all__ = ["encoder_to_litert", "head_to_litert"]


def encoder_to_litert(encoder: keras.Model, path: Path) -> None:
    """Writes an encoder, or its first blocks: ``uint8 [N, H, W, 3]`` to ``[N, ...]``.

    Raises:
        OutputError: The file cannot be written.
    """

    @tf.function(input_signature=[tf.TensorSpec(encoder.input_shape, tf.uint8, name="frames")])
    def encode(frames: tf.Tensor) -> tf.Tensor:
        return encoder(frames, training=False)

    _convert(encode, path)


def head_to_litert(head: keras.Model, name: str, shape: NetworkShape, path: Path) -> None:
    """Writes a head for one clip at a time: ``float32 [1, T, D]`` and ``bool [1, T]`` to ``[1, classes]``.

    A head that classifies frames has a second output, ``[1, T, classes]``.

    Raises:
        OutputError: The file cannot be written.
    """
    # An LSTM converts to built-in operations only where the batch size is fixed.
    single = build_head(shape, name, batch_size=1)
    single.set_weights(head.get_weights())
    frames = frame_outputs(single)
    model = single if frames is None else keras.Model(single.inputs, [single.output, frames.output])

    @tf.function(
        input_signature=[
            tf.TensorSpec((1, shape.num_frames, shape.num_features), tf.float32, name="features"),
            tf.TensorSpec((1, shape.num_frames), tf.bool, name="mask"),
        ]
    )
    def classify(features: tf.Tensor, mask: tf.Tensor) -> Any:
        return model([features, mask], training=False)

    _convert(classify, path)


def _convert(function: Any, path: Path) -> None:
    # From the function itself: Keras' own export goes through a SavedModel and takes three times as long.
    with native_output_silenced():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
        content = converter.convert()
    write_bytes(path, content)
