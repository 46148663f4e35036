"""The heads, which classify a clip from the features of its frames.

- The **recurrent head** is an LSTM on CNN features (LRCN: Donahue et al. 2015), a bidirectional LSTM or a GRU. Its
  outputs are averaged over the real frames. With a pretrained encoder it reads principal components of the features.
- The **linear head** is a linear layer on statistics of each feature over the clip. Its weights are solved for, not
  trained by gradient descent (:mod:`activity_cli.training.ridge`).

Every head is a Keras model from ``[features float32 [B, T, D], mask bool [B, T]]`` to log probabilities ``float32 [B,
classes]``. The network adds the weighted log probabilities of its heads. Heads compute in float32 even if the encoder
computes in 16 bits: they are small, and they sum over many frames.
"""

from __future__ import annotations

import keras
from keras import ops

from activity_cli.model.layers import SubtractMean, TimeStatistics
from activity_cli.settings import NetworkSettings

__all__ = ["FRAMES", "PROJECTION", "SCALE", "build_linear_head", "build_recurrent_head", "frame_outputs"]

PROJECTION, SCALE, FRAMES = "projection", "scale", "frames"
# Added to a mean of probabilities, because the logarithm of zero is infinite.
_TINY = 1e-7


def build_recurrent_head(
    network: NetworkSettings,
    num_frames: int,
    num_features: int,
    num_classes: int,
    *,
    num_read: int | None = None,
    scaled: bool = False,
    batch_size: int | None = None,
) -> keras.Model:
    """Builds the recurrent head with random weights.

    Args:
        network: Settings of the network; ``pca_components`` is at most the number of features that the head reads.
        num_frames: ``T``.
        num_features: ``D``.
        num_classes: Number of activities.
        num_read: Number of features that the head reads, the first ones (of the larger pyramid cells); None: all.
        scaled: Whether the head scales the features to unit variance if it does not project them to principal
            components.
        batch_size: 1 for conversion to LiteRT; None: any.
    """
    # Layers
    features = keras.Input((num_frames, num_features), batch_size=batch_size, dtype="float32", name="features")
    mask = keras.Input((num_frames,), batch_size=batch_size, dtype="bool", name="mask")
    classes = keras.layers.Dense(num_classes, dtype="float32", name="classes")
    drop = keras.layers.Dropout(network.dropout, dtype="float32", name="dropout")
    average = keras.layers.GlobalAveragePooling1D(dtype="float32", name="average")
    # Functional model
    x = features[..., :num_read] if num_read else features
    if network.pca_components:
        # activity_cli.training.heads computes it from the training clips.
        projection = keras.layers.Dense(network.pca_components, dtype="float32", name=PROJECTION)
        projection.trainable = False
        x = projection(x)
    elif scaled:
        x = keras.layers.Normalization(axis=None, dtype="float32", name=SCALE)(x)
    if network.subtract_mean:
        x = SubtractMean(dtype="float32", name="subtract_mean")(x, mask=mask)
    # Drops the same features in all frames: otherwise the other frames would still show them (Gal and Ghahramani 2016).
    x = keras.layers.SpatialDropout1D(network.dropout, dtype="float32", name="feature_dropout")(x)
    x = _recurrent_layer(network)(x, mask=mask)
    if network.per_frame:
        # Not the layer Softmax, which applies the mask that the recurrent layer attaches to its output.
        frames = keras.layers.Activation("softmax", dtype="float32", name=FRAMES)(classes(drop(x)))
        log_probabilities = ops.log(average(frames, mask=mask) + _TINY)
    else:
        log_probabilities = ops.log_softmax(classes(drop(average(x, mask=mask))))
    return keras.Model([features, mask], log_probabilities, name=network.sequence)


def build_linear_head(
    num_frames: int, num_features: int, num_classes: int, *, batch_size: int | None = None
) -> keras.Model:
    """Builds the linear head. Before its weights are solved for, all activities are equally probable."""
    features = keras.Input((num_frames, num_features), batch_size=batch_size, dtype="float32", name="features")
    mask = keras.Input((num_frames,), batch_size=batch_size, dtype="bool", name="mask")
    x = TimeStatistics(dtype="float32", name="statistics")(features, mask=mask)
    classes = keras.layers.Dense(num_classes, kernel_initializer="zeros", dtype="float32", name="classes")
    classes.trainable = False
    return keras.Model([features, mask], ops.log_softmax(classes(x)), name="linear")


def frame_outputs(head: keras.Model) -> keras.Model | None:
    """A model of a head's probabilities for each frame, ``float32 [B, T, classes]``; None: it classifies clips only."""
    if FRAMES not in [layer.name for layer in head.layers]:
        return None
    return keras.Model(head.inputs, head.get_layer(FRAMES).output, name=FRAMES)


def _recurrent_layer(network: NetworkSettings) -> keras.Layer:
    # The other arguments stay at their defaults, which cuDNN supports.
    if network.sequence == "gru":
        return keras.layers.GRU(network.units, return_sequences=True, dtype="float32", name="gru")
    lstm = keras.layers.LSTM(network.units, return_sequences=True, dtype="float32", name="lstm")
    if network.sequence == "lstm":
        return lstm
    return keras.layers.Bidirectional(lstm, dtype="float32", name="bilstm")
