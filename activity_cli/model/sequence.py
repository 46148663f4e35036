"""The part that reads features in their order: a recurrent network, pooled over the real frames.

Sources: LSTM (Hochreiter and Schmidhuber 1997), its use on CNN features (Donahue et al. 2015), GRU
(Cho et al. 2014), attention pooling (Bahdanau et al. 2015).
"""

from __future__ import annotations

from typing import Any

import keras

from activity_cli.config import NetworkConfig
from activity_cli.model.layers import CenterOverTime
from activity_cli.model.pooling import POOLING_LAYERS, MaskedMiddle

__all__ = ["build_sequence"]

# Standard deviation of an encoder's features, to bring them to about 1; others are taken as they are.
_FEATURE_STD = {"efficientnet_lite0": 0.24}  # 0.23 to 0.245 on three sets of very different videos


def build_sequence(
    config: NetworkConfig, num_frames: int, num_features: int, num_classes: int, *, unroll: bool = False
) -> keras.Model:
    """Builds the part that reads the features in their order.

    Args:
        config: Its shape.
        num_frames: ``T``.
        num_features: ``D``.
        num_classes: Activities to tell apart.
        unroll: One copy of a recurrent step for each frame, which converts to built-in LiteRT
            operations; the weights are the same.

    Returns:
        A model from ``[features float32 [B, T, D], mask bool [B, T]]`` to probabilities.
    """
    # Layers
    features = keras.Input((num_frames, num_features), name="features")
    mask = keras.Input((num_frames,), dtype="bool", name="mask")
    scale = 1 / _FEATURE_STD.get(config.encoder, 1.0)
    # Functional model
    x = keras.layers.Rescaling(scale, name="scale")(features)
    if config.center and config.sequence not in ("mean", "frame"):  # of which nothing would be left
        x = CenterOverTime(name="center")(x, mask=mask)
    x = keras.layers.Dropout(config.dropout, name="feature_dropout")(x)
    if config.sequence == "frame":
        x = MaskedMiddle(name="pool")(x, mask=mask)
    elif config.sequence == "mean":
        x = POOLING_LAYERS["mean"](name="pool")(x, mask=mask)
    else:
        for number in range(1, config.recurrent_layers + 1):
            # The mask is handed to each layer: one that travels by itself is lost without a word.
            x = _recurrent(config, number, unroll)(x, mask=mask)
        if config.pooling != "last":
            x = POOLING_LAYERS[config.pooling](name="pool")(x, mask=mask)
    x = keras.layers.Dropout(config.dropout, name="dropout")(x)
    probabilities = keras.layers.Dense(num_classes, activation="softmax", dtype="float32", name="classes")(x)
    return keras.Model([features, mask], probabilities, name="sequence")


def _recurrent(config: NetworkConfig, number: int, unroll: bool) -> keras.Layer:
    kind = "gru" if config.sequence == "gru" else "lstm"
    name = kind if number == 1 else f"{kind}{number}"
    cell: Any = keras.layers.GRU if kind == "gru" else keras.layers.LSTM
    # The state that it ends with is the last real step.
    steps = number < config.recurrent_layers or config.pooling != "last"
    layer: keras.Layer = cell(
        config.units, return_sequences=steps, unroll=unroll, use_cudnn=False if unroll else "auto", name=name
    )
    return layer
