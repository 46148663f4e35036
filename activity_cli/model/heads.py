"""The heads: one for each stream, which classifies a clip from the stream's numbers for each frame.

- The **recurrent head** is a bidirectional GRU (Cho et al. 2014) on these numbers over time: the recurrent network of
  LRCN (Donahue et al. 2015). Mean and maximum of its outputs over the frames classify the clip.
- The **linear head** is a linear layer on statistics of each number over the clip. Its weights are solved for, not
  trained by gradient descent (:mod:`activity_cli.training.ridge`).

Every head is a Keras model from ``[features float32 [B, T, D], mask bool [B, T]]`` to log probabilities ``float32 [B,
classes]``. Heads compute in float32 even if an encoder computes in 16 bits: they are small, and they sum over many
frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import keras
from keras import ops

from activity_cli.model.layers import MaskedMaximum, SubtractMean, TimeStatistics

__all__ = ["LINEAR", "PROJECTION", "RECURRENT", "SCALE", "HeadKind", "HeadShape", "build_head"]

HeadKind = Literal["recurrent", "linear"]
RECURRENT, LINEAR = "recurrent", "linear"
# Layers whose weights are measured on the training clips (:mod:`activity_cli.training.heads`).
PROJECTION, SCALE = "projection", "scale"


@dataclass(frozen=True, slots=True)
class HeadShape:
    """Everything needed to build a head again, apart from its weights.

    Attributes:
        kind: ``recurrent`` or ``linear``.
        num_frames: ``T``.
        num_features: ``D``.
        num_classes: Number of activities.
        units: Of the recurrent layer, in each direction, and of the layer before it.
        dropout: Share of numbers that training drops.
        num_read: Number of features that a recurrent head reads, the first ones; 0: all.
        components: Principal components that a recurrent head reads in place of the features; 0: it standardizes them.
        subtract_mean: Whether a recurrent head reads only how the features differ from their mean over the clip.
        standardized: Whether a linear head standardizes the features.
    """

    kind: HeadKind
    num_frames: int
    num_features: int
    num_classes: int
    units: int = 64
    dropout: float = 0.5
    num_read: int = 0
    components: int = 0
    subtract_mean: bool = False
    standardized: bool = True


def build_head(shape: HeadShape, *, batch_size: int | None = None) -> keras.Model:
    """Builds a head with its first weights.

    Args:
        shape: What it is built from.
        batch_size: 1 for conversion to LiteRT; None: any.
    """
    features = keras.Input((shape.num_frames, shape.num_features), batch_size, dtype="float32", name="features")
    mask = keras.Input((shape.num_frames,), batch_size, dtype="bool", name="mask")
    build = _recurrent if shape.kind == RECURRENT else _linear
    return keras.Model([features, mask], build(shape, features, mask), name=f"{shape.kind}_head")


def _recurrent(shape: HeadShape, features: keras.KerasTensor, mask: keras.KerasTensor) -> keras.KerasTensor:
    x = features[..., : shape.num_read] if shape.num_read else features
    if shape.components:
        projection = keras.layers.Dense(shape.components, dtype="float32", name=PROJECTION)
        projection.trainable = False
        x = projection(x)
    else:
        x = _standardize()(x)
    if shape.subtract_mean:
        x = SubtractMean(dtype="float32", name="subtract_mean")(x, mask=mask)
    x = keras.layers.Dense(shape.units, activation="relu", dtype="float32", name="dense")(x)
    x = keras.layers.Dropout(shape.dropout, dtype="float32", name="dropout")(x)
    # The other arguments stay at their defaults, which cuDNN supports.
    gru = keras.layers.GRU(shape.units, return_sequences=True, dtype="float32", name="gru")
    x = keras.layers.Bidirectional(gru, dtype="float32", name="bidirectional")(x, mask=mask)
    average = keras.layers.GlobalAveragePooling1D(dtype="float32", name="average")(x, mask=mask)
    maximum = MaskedMaximum(dtype="float32", name="maximum")(x, mask=mask)
    x = keras.layers.Concatenate(dtype="float32", name="pooled")([average, maximum])
    x = keras.layers.Dropout(shape.dropout, dtype="float32", name="pooled_dropout")(x)
    return ops.log_softmax(keras.layers.Dense(shape.num_classes, dtype="float32", name="classes")(x))


def _standardize() -> keras.layers.Layer:
    # Its weights are measured once. Keras' Normalization would ignore those that are set.
    layer = keras.layers.BatchNormalization(center=False, scale=False, epsilon=1e-6, dtype="float32", name=SCALE)
    layer.trainable = False
    return layer


def _linear(shape: HeadShape, features: keras.KerasTensor, mask: keras.KerasTensor) -> keras.KerasTensor:
    x = features
    if shape.standardized:
        x = _standardize()(x)
    x = TimeStatistics(dtype="float32", name="statistics")(x, mask=mask)
    classes = keras.layers.Dense(shape.num_classes, kernel_initializer="zeros", dtype="float32", name="classes")
    classes.trainable = False
    return ops.log_softmax(classes(x))
