"""Recurrent layers over the real steps: LSTM, in both directions, GRU, and over maps ConvLSTM.

Sources: LSTM (Hochreiter and Schmidhuber 1997), both directions (Schuster and Paliwal 1997), GRU (Cho
et al. 2014), ConvLSTM (Shi et al. 2015).

Layers of Keras, the LSTM in a faster form, with settings that cuDNN can run, and masks handed to each.
Not Keras' Bidirectional: it turns the padding round with the clip, which an unrolled LSTM reads otherwise
than one in a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from activity_cli.errors import ConfigError
from activity_cli.model.lstm import LSTM
from activity_cli.model.steps import MeanOverSpace, ReverseOverTime
from activity_cli.settings import NetworkSettings

__all__ = ["map_shape_of", "read_maps", "read_steps"]

_MAPS = "maps"


def read_steps(
    x: keras.KerasTensor, mask: keras.KerasTensor, config: NetworkSettings, *, unroll: bool
) -> keras.KerasTensor:
    """Reads features ``[B, T, D]`` with the recurrent layers that ``config`` asks for.

    Returns:
        ``[B, T, units]``, twice as wide in both directions; or, pooled by ``last``, the state at the
        last real step, of the backward direction at the first, ``[B, units]``.
    """
    for number in range(1, config.recurrent_layers + 1):
        kind = "gru" if config.sequence == "gru" else "lstm"
        name = kind if number == 1 else f"{kind}{number}"
        steps = _wants_steps(config, number)
        # The mask is handed to each layer: one that travels by itself is lost without a word.
        forward = _layer(config, name, steps, unroll)(x, mask=mask)
        if config.sequence == "bilstm":
            turned = ReverseOverTime(dtype="float32", name=f"{name}_turn")(x, mask=mask)
            backward = _layer(config, f"{name}_backward", steps, unroll)(turned, mask=mask)
            if steps:
                backward = ReverseOverTime(dtype="float32", name=f"{name}_return")(backward, mask=mask)
            forward = keras.layers.Concatenate(dtype="float32", name=f"{name}_both")([forward, backward])
        x = forward
    return x


def read_maps(
    x: keras.KerasTensor,
    mask: keras.KerasTensor,
    config: NetworkSettings,
    map_shape: tuple[int, int, int] | None,
    *,
    unroll: bool,
) -> keras.KerasTensor:
    """Reads flattened maps ``[B, T, h * w * C]`` with ConvLSTMs, then averages over the picture.

    Returns:
        ``[B, T, filters]``; or, pooled by ``last``, ``[B, filters]``.

    Raises:
        ConfigError: There is no shape of the maps, or it does not fit the features.
    """
    rows, columns, channels = map_shape or (0, 0, 0)
    if rows * columns * channels != x.shape[-1]:
        raise ConfigError(
            f"sequence is 'convlstm', but {x.shape[-1]} features a frame are no maps of the shape {map_shape}.",
            "Use an encoder that gives maps, or another sequence.",
        )
    filters = config.units
    x = keras.layers.Reshape((x.shape[1], rows, columns, channels), dtype="float32", name=_MAPS)(x)
    if channels > filters:
        # At each place of the map: a convolution of 1 x 1.
        x = keras.layers.Dense(filters, activation="relu", dtype="float32", name="bottleneck")(x)
    for number in range(1, config.recurrent_layers + 1):
        x = keras.layers.ConvLSTM2D(
            filters,
            3,
            padding="same",
            return_sequences=_wants_steps(config, number),
            unroll=unroll,
            dtype="float32",
            name="convlstm" if number == 1 else f"convlstm{number}",
        )(x, mask=mask)
    return MeanOverSpace(dtype="float32", name="space")(x)


def map_shape_of(sequence: keras.Model) -> tuple[int, int, int] | None:
    """Rows, columns and channels of the maps that a model reads; None where it reads no maps."""
    shapes = [layer.target_shape[1:] for layer in sequence.layers if layer.name == _MAPS]
    return shapes[0] if shapes else None


def _wants_steps(config: NetworkSettings, number: int) -> bool:
    # The state that the last layer ends with is that of the last real step.
    return number < config.recurrent_layers or config.pooling != "last"


def _layer(config: NetworkSettings, name: str, steps: bool, unroll: bool) -> keras.Layer:
    cell: Callable[..., Any] = keras.layers.GRU if config.sequence == "gru" else LSTM
    layer: keras.Layer = cell(
        config.units,
        return_sequences=steps,
        unroll=unroll,
        use_cudnn=False if unroll else "auto",
        dtype="float32",
        name=name,
    )
    return layer
