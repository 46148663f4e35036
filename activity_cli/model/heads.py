"""The heads: what reads the features of a clip's frames and names its activity.

- The **recurrent head**: an LSTM on CNN features (LRCN: Donahue et al. 2015), a bidirectional LSTM or a GRU, averaged
  over the real frames. With a pretrained encoder it reads principal components of the features.
- The **linear head**: a linear layer on each feature's mean, deviation and course over the clip. It is not trained but
  solved for (:mod:`activity_cli.training.ridge`).

Every head is a Keras model from ``[features float32 [B, T, D], mask bool [B, T]]`` to log probabilities ``float32 [B,
classes]``. The log probabilities of several heads are added with weights. All of it computes in float32, whatever the
encoder computes in: heads are small, and sum over many steps.
"""

from __future__ import annotations

import keras
from keras import ops

from activity_cli.model.layers import SubtractMean, TimeStatistics
from activity_cli.settings import NetworkSettings

__all__ = ["FRAMES", "PROJECTION", "SCALE", "build_linear_head", "build_recurrent_head", "frame_outputs"]

PROJECTION, SCALE, FRAMES = "projection", "scale", "frames"
# Added to a mean of probabilities before its logarithm, which would be infinite of zero.
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
        network: Its shape; ``pca_components`` are at most ``num_read``.
        num_frames: ``T``.
        num_features: ``D``.
        num_classes: Activities to tell apart.
        num_read: It reads the first so many features (those of the larger pyramid cells); None: all.
        scaled: Whether features are brought to one scale, where no principal components do that.
        batch_size: 1 for conversion to LiteRT, which has no LSTM of an open batch; None: open.
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
        # Measured on the training clips (activity_cli.training.heads), not trained.
        projection = keras.layers.Dense(network.pca_components, dtype="float32", name=PROJECTION)
        projection.trainable = False
        x = projection(x)
    elif scaled:
        x = keras.layers.Normalization(axis=None, dtype="float32", name=SCALE)(x)
    if network.subtract_mean:
        x = SubtractMean(dtype="float32", name="subtract_mean")(x, mask=mask)
    # The same features in all frames: dropped in some only, the others would tell them (Gal and Ghahramani 2016).
    x = keras.layers.SpatialDropout1D(network.dropout, dtype="float32", name="feature_dropout")(x)
    x = _recurrent_layer(network)(x, mask=mask)
    if network.per_frame:
        frames = keras.layers.Softmax(dtype="float32", name=FRAMES)(classes(drop(x)))
        log_probabilities = ops.log(average(frames, mask=mask) + _TINY)
    else:
        log_probabilities = ops.log_softmax(classes(drop(average(x, mask=mask))))
    return keras.Model([features, mask], log_probabilities, name=network.sequence)


def build_linear_head(
    num_frames: int, num_features: int, num_classes: int, *, batch_size: int | None = None
) -> keras.Model:
    """Builds the linear head; until its weights are solved for, all activities are equally probable."""
    features = keras.Input((num_frames, num_features), batch_size=batch_size, dtype="float32", name="features")
    mask = keras.Input((num_frames,), batch_size=batch_size, dtype="bool", name="mask")
    x = TimeStatistics(dtype="float32", name="statistics")(features, mask=mask)
    classes = keras.layers.Dense(num_classes, kernel_initializer="zeros", dtype="float32", name="classes")
    classes.trainable = False
    return keras.Model([features, mask], ops.log_softmax(classes(x)), name="linear")


def frame_outputs(head: keras.Model) -> keras.Model | None:
    """What a recurrent head says of every frame, ``float32 [B, T, classes]`` probabilities; None if it does not."""
    if FRAMES not in [layer.name for layer in head.layers]:
        return None
    return keras.Model(head.inputs, head.get_layer(FRAMES).output, name=FRAMES)


def _recurrent_layer(network: NetworkSettings) -> keras.Layer:
    # Settings that cuDNN can run.
    if network.sequence == "gru":
        return keras.layers.GRU(network.units, return_sequences=True, dtype="float32", name="gru")
    lstm = keras.layers.LSTM(network.units, return_sequences=True, dtype="float32", name="lstm")
    if network.sequence == "lstm":
        return lstm
    return keras.layers.Bidirectional(lstm, dtype="float32", name="bilstm")
