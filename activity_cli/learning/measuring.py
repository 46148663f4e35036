"""What the sequence part is told of the training clips before it learns: how large features are, and how they vary."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.model.layers import FrameEncoder
from activity_cli.model.network import Network
from activity_cli.model.sequence import components_of, feature_scale, statistics_of
from activity_cli.results import ClipRecord

__all__ = ["MOST_MEASURED", "measure_features", "spread"]

# Clips that are looked at: enough, and features of a thousand clips fit into memory.
MOST_MEASURED = 1000


def spread(records: tuple[ClipRecord, ...], most: int) -> tuple[ClipRecord, ...]:
    """At most so many of them, from the first to the last alike: clips stand label by label."""
    places = np.linspace(0, len(records) - 1, min(most, len(records))).round().astype(int)
    return tuple(records[place] for place in places)


def measure_features(network: Network, model: keras.Model, batches: tf.data.Dataset) -> None:
    """Adapts the layers of the sequence part that only measure.

    Args:
        network: Whose sequence part it is.
        model: What learns, from the batches' inputs.
        batches: One pass over the training clips, as they are.
    """
    features = _features(model, batches)
    feature_scale(network.sequence).adapt(features)
    if components := components_of(network.sequence):
        scale = np.asarray(feature_scale(network.sequence).scale)
        components.adapt([clip * scale for clip in features])
    if found := statistics_of(network.sequence):
        statistics, standardize = found
        standardize.adapt(np.concatenate(list(_statistics(statistics, features))))


def _features(model: keras.Model, batches: tf.data.Dataset) -> list[npt.NDArray[np.float32]]:
    """``float32 [T_i, D]`` of each clip, without padding."""
    encoder = next((layer for layer in model.layers if isinstance(layer, FrameEncoder)), None)
    found: list[npt.NDArray[np.float32]] = []
    for (inputs, mask), *_ in batches:
        features = encoder(inputs, mask=mask, training=False) if encoder else inputs
        found += [np.asarray(clip[real], np.float32) for clip, real in zip(features, mask, strict=True)]
    return found


def _statistics(model: keras.Model, features: list[npt.NDArray[np.float32]]) -> Iterator[npt.NDArray[np.float32]]:
    steps = model.input_shape[0][1]
    for clip in features:
        padded = np.zeros((1, steps, clip.shape[1]), np.float32)
        padded[0, : len(clip)] = clip
        yield np.asarray(model([padded, np.arange(steps)[np.newaxis] < len(clip)], training=False))
