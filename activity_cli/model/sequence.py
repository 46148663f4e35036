"""The part that reads features in their order: a recurrent network, pooled over the real frames.

Sources: an LSTM on CNN features, and its answers for every frame averaged (Donahue et al. 2015),
attention pooling (Bahdanau et al. 2015); the recurrent layers' are in :mod:`activity_cli.model.recurrent`.

All of it computes in float32, whatever the policy of the encoder: it is small, and sums over many steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras

from activity_cli.model.components import PrincipalComponents
from activity_cli.model.layers import CenterOverTime
from activity_cli.model.pooling import POOLING_LAYERS, MaskedMiddle
from activity_cli.model.recurrent import read_maps, read_steps
from activity_cli.model.statistics import Beside, TimeStatistics
from activity_cli.model.steps import AtMost, FeatureScale, FirstFeatures, Resample
from activity_cli.settings import BASELINE_SEQUENCES, NetworkSettings

__all__ = [
    "LinearPart",
    "build_sequence",
    "components_of",
    "feature_scale",
    "frame_outputs",
    "large_features_of",
    "linear_part",
    "read_at_most",
    "reads_statistics",
]

_AT_MOST, _SCALE, _FRAMES, _CLASSES = "read_at_most", "scale", "frames", "classes"
_LARGE = "large_parts"
_COMPONENTS, _STATISTICS, _LINEAR, _LOGITS = "components", "statistics", "statistics_classes", "logits"


@dataclass(frozen=True, slots=True)
class LinearPart:
    """What stands beside the recurrent network.

    Attributes:
        statistics: A model from the inputs of the sequence part to a clip's statistics ``[B, S]``.
        linear: The linear layer.
        recurrent: The last layer of the recurrent network.
        beside: Adds the logits of both.
    """

    statistics: keras.Model
    linear: keras.layers.Dense
    recurrent: keras.layers.Dense
    beside: Beside


def build_sequence(
    config: NetworkSettings,
    num_frames: int,
    num_features: int,
    num_classes: int,
    *,
    unroll: bool = False,
    map_shape: tuple[int, int, int] | None = None,
    large_features: int | None = None,
) -> keras.Model:
    """Builds the part that reads the features in their order.

    Args:
        config: Its shape.
        num_frames: ``T``.
        num_features: ``D``; of flattened maps ``h * w * C``.
        num_classes: Activities to tell apart.
        unroll: One copy of a recurrent step for each frame, which converts to built-in LiteRT
            operations; the weights are the same.
        map_shape: ``(h, w, C)`` of the maps that were flattened, for ``convlstm``.
        large_features: How many features, the first ones, are of large parts of the picture: a recurrent
            network beside a linear layer reads these alone, since it would learn by heart what all are like.
            None: there is no such difference.

    Returns:
        A model from ``[features float32 [B, T, D], mask bool [B, T]]`` to probabilities ``float32
        [B, classes]``. The mask is True for the real frames, which come first, one at least.

    Raises:
        ConfigError: ``convlstm`` without maps.
    """
    # Layers
    features = keras.Input((num_frames, num_features), dtype="float32", name="features")
    mask = keras.Input((num_frames,), dtype="bool", name="mask")
    drop = keras.layers.Dropout(config.dropout, dtype="float32", name="dropout")
    activation = None if reads_statistics(config) else "softmax"
    classes = keras.layers.Dense(num_classes, activation=activation, dtype="float32", name=_CLASSES)
    # Functional model
    read = AtMost(dtype="float32", name=_AT_MOST)(mask)
    shorten, scale = Resample(dtype="float32", name="shorten"), FeatureScale(dtype="float32", name=_SCALE)
    x = features
    if large_features and reads_statistics(config):
        x = FirstFeatures(large_features, dtype="float32", name=_LARGE)(x)
    x = scale(shorten(x, mask=mask, wanted=read), mask=read)
    if config.components and config.sequence in ("lstm", "bilstm", "gru"):
        components = min(config.components, x.shape[-1])
        x = PrincipalComponents(components, dtype="float32", name=_COMPONENTS)(x, mask=read)
    if config.center and config.sequence not in BASELINE_SEQUENCES:  # of which nothing would be left
        x = CenterOverTime(dtype="float32", name="center")(x, mask=read)
    # The same features in all steps: hidden in some only, the others would tell them (Gal and Ghahramani 2016).
    x = keras.layers.SpatialDropout1D(config.dropout, dtype="float32", name="feature_dropout")(x)
    if config.sequence == "convlstm":
        x = read_maps(x, read, config, map_shape, unroll=unroll)
    elif config.sequence not in BASELINE_SEQUENCES:
        x = read_steps(x, read, config, unroll=unroll)
    if config.per_frame:
        each = Resample(dtype="float32", name=_FRAMES)(classes(drop(x)), mask=read, wanted=mask)
        probabilities = POOLING_LAYERS["mean"](dtype="float32", name="pool")(each, mask=mask)
    elif reads_statistics(config):
        scaled = scale(shorten(features, mask=mask, wanted=read), mask=read)
        linear = _linear_logits(scaled, read, num_classes)
        logits = Beside(dtype="float32", name=_LOGITS)(classes(drop(_pooled(x, read, config))), linear)
        probabilities = keras.layers.Softmax(dtype="float32", name="probabilities")(logits)
    else:
        probabilities = classes(drop(_pooled(x, read, config)))
    return keras.Model([features, mask], probabilities, name="sequence")


def reads_statistics(config: NetworkSettings) -> bool:
    """Whether a linear layer reads the course of the features beside the recurrent network.

    Not where each frame is to be classified, of maps, which are too many numbers for it, nor beside the
    baselines, which are to know nothing of order.
    """
    return bool(config.statistics) and not config.per_frame and config.sequence in ("lstm", "bilstm", "gru")


def _linear_logits(x: keras.KerasTensor, mask: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    x = TimeStatistics(dtype="float32", name=_STATISTICS)(x, mask=mask)
    # It does not learn, but is solved for. Until then it says nothing.
    linear = keras.layers.Dense(num_classes, kernel_initializer="zeros", dtype="float32", name=_LINEAR)
    linear.trainable = False
    return linear(x)


def linear_part(sequence: keras.Model) -> LinearPart | None:
    """What stands beside the recurrent network of a sequence part; None where nothing does."""
    if _STATISTICS not in [layer.name for layer in sequence.layers]:
        return None
    statistics = keras.Model(sequence.inputs, sequence.get_layer(_STATISTICS).output, name="statistics_alone")
    return LinearPart(statistics, *(sequence.get_layer(name) for name in (_LINEAR, _CLASSES, _LOGITS)))


def components_of(sequence: keras.Model) -> PrincipalComponents | None:
    """The layer of a sequence part that is told along what the training clips' features vary."""
    return next((layer for layer in sequence.layers if layer.name == _COMPONENTS), None)


def large_features_of(sequence: keras.Model) -> int | None:
    """How many features, the first ones, the recurrent network of a sequence part reads; None: all."""
    return next((layer.count for layer in sequence.layers if layer.name == _LARGE), None)


def feature_scale(sequence: keras.Model) -> FeatureScale:
    """The layer of a sequence part that is told how large the training clips' features are."""
    layer: FeatureScale = sequence.get_layer(_SCALE)
    return layer


def read_at_most(sequence: keras.Model, longest: int) -> None:
    """Has a sequence part read at most so many frames of a clip: as many as it has learned from.

    Args:
        sequence: What :func:`build_sequence` built.
        longest: Frames, 1 or more.
    """
    sequence.get_layer(_AT_MOST).longest.assign(longest)


def frame_outputs(sequence: keras.Model) -> keras.Model | None:
    """What a sequence part says of every frame; its layers are the same, not copies.

    Returns:
        A model from the same inputs to ``float32 [B, T, classes]``, zeros on padding, whose mean over
        the real frames is the clip's answer; None where frames are not classified.
    """
    if _FRAMES not in [layer.name for layer in sequence.layers]:
        return None
    return keras.Model(sequence.inputs, sequence.get_layer(_FRAMES).output, name="frames")


def _pooled(x: keras.KerasTensor, mask: keras.KerasTensor, config: NetworkSettings) -> keras.KerasTensor:
    """One vector for each clip."""
    if config.sequence == "frame":
        return MaskedMiddle(dtype="float32", name="pool")(x, mask=mask)
    pooling = "mean" if config.sequence == "mean" else config.pooling
    if pooling == "last":  # the recurrent layer ends with it
        return x
    return POOLING_LAYERS[pooling](dtype="float32", name="pool")(x, mask=mask)
