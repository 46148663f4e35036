"""The network -> files that run without Keras."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from activity_cli.files import write_bytes
from activity_cli.model.network import Network
from activity_cli.model.recurrent import map_shape_of
from activity_cli.model.sequence import build_sequence, frame_outputs, large_features_of
from activity_cli.quiet import native_output_silenced
from activity_cli.settings import NetworkSettings

__all__ = ["encoder_fingerprint", "encoder_to_litert", "sequence_to_litert"]


def encoder_fingerprint(encoder: keras.Model) -> str:
    """Name and hash of everything that an encoder's features depend on: shape, input size, weights."""
    digest = hashlib.sha256(f"{encoder.name} {encoder.input_shape} {keras.__version__}".encode())
    for weights in encoder.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    return f"{encoder.name}-{digest.hexdigest()[:12]}"


def encoder_to_litert(encoder: keras.Model, path: Path) -> None:
    """Writes the encoder as a LiteRT file of built-in operations: ``uint8 [N, H, W, 3]`` to ``[N, D]``.

    Raises:
        OutputError: The file cannot be written.
    """
    frames = tf.TensorSpec(encoder.input_shape, tf.uint8, name="frames")

    @tf.function(input_signature=[frames])
    def encode(frames: tf.Tensor) -> tf.Tensor:
        return encoder(frames, training=False)

    _convert(encode, path)


def sequence_to_litert(network: Network, config: NetworkSettings, path: Path) -> None:
    """Writes the sequence part as a LiteRT file of built-in operations, for one clip at a time.

    A plain LSTM would need TensorFlow's own operations; its unrolled form does not. Where every frame
    is classified the file has two outputs: ``[1, classes]`` for the clip, ``[1, T, classes]`` for its
    frames.

    Raises:
        OutputError: The file cannot be written.
    """
    steps, num_features = network.sequence.input_shape[0][1:]
    num_classes = network.sequence.output_shape[-1]
    maps = map_shape_of(network.sequence)
    unrolled = build_sequence(
        config,
        steps,
        num_features,
        num_classes,
        unroll=True,
        map_shape=maps,
        large_features=large_features_of(network.sequence),
    )
    unrolled.set_weights(network.sequence.get_weights())
    frames = frame_outputs(unrolled)
    model = unrolled if frames is None else keras.Model(unrolled.inputs, [unrolled.output, frames.output])
    features = tf.TensorSpec((1, steps, num_features), tf.float32, name="features")
    mask = tf.TensorSpec((1, steps), tf.bool, name="mask")

    @tf.function(input_signature=[features, mask])
    def read(features: tf.Tensor, mask: tf.Tensor) -> Any:
        return model([features, mask], training=False)

    _convert(read, path)


def _convert(function: Any, path: Path) -> None:
    # From the function itself: Keras' own export goes through a SavedModel, three times slower.
    with native_output_silenced():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
        content = converter.convert()
    write_bytes(path, content)
