"""What the sequence part is told of the training clips before it learns: how large features are, and how they vary."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.model.sequence import LinearPart, components_of, feature_scale
from activity_cli.results import ClipRecord
from activity_cli.training.ridge import solve_linear

__all__ = ["learn_together", "measure_features", "most_measured", "most_solved", "solve_beside", "spread"]

# Clips that are looked at to measure features: a thousand are enough. And numbers in all, which maps have many of.
_MOST_MEASURED, _MOST_KEPT = 1000, 100_000_000
# Clips that the linear layer is solved for: their products are a square of so many rows. And numbers in all.
_MOST_SOLVED, _MOST_NUMBERS = 4000, 50_000_000
# What the recurrent network counts beside a linear layer that has been solved for. It errs more; what it
# adds, the motion, is right where the linear layer hesitates.
_RECURRENT_SHARE = 0.2


def spread(records: tuple[ClipRecord, ...], most: int) -> tuple[ClipRecord, ...]:
    """At most so many of them, from the first to the last alike: clips stand label by label."""
    places = np.linspace(0, len(records) - 1, min(most, len(records))).round().astype(int)
    return tuple(records[place] for place in places)


def measure_features(sequence: keras.Model, batches: tf.data.Dataset) -> None:
    """Adapts the layers of the sequence part that only measure.

    Args:
        sequence: From features and mask to probabilities.
        batches: One pass over the training clips, as they are: features and mask first.
    """
    features = [
        np.asarray(clip[real], np.float32)
        for (padded, mask), *_ in batches
        for clip, real in zip(padded, mask, strict=True)
    ]
    feature_scale(sequence).adapt(features)
    if components := components_of(sequence):
        scale, width = np.asarray(feature_scale(sequence).scale), components.directions.shape[0]
        components.adapt([clip[:, :width] * scale for clip in features])


def most_measured(sequence: keras.Model) -> int:
    """How many clips are measured at most: memory does not grow with the data."""
    _, steps, width = sequence.input_shape[0]
    return max(1, min(_MOST_MEASURED, _MOST_KEPT // int(steps * width)))


def most_solved(beside: LinearPart) -> int:
    """How many clips the linear layer can be solved for at most: memory does not grow with the data."""
    width: int = beside.linear.input.shape[-1]
    return min(_MOST_SOLVED, _MOST_NUMBERS // width)


def solve_beside(
    beside: LinearPart,
    batches: tf.data.Dataset,
    kept_frames: npt.NDArray[np.int64],
    groups: Sequence[str],
    label_smoothing: float,
) -> None:
    """Solves for the linear layer beside a recurrent network, which from then on learns alone.

    Args:
        beside: Whose linear layer it is; the features have been measured.
        batches: One pass over clips to learn from: features and mask, label and weight.
        kept_frames: How many frames count of each clip, so that its length says nothing of its label.
        groups: Which clips belong together.
        label_smoothing: As in the training loss.
    """
    values: list[npt.NDArray[np.float32]] = []
    facts: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]] = []
    seen = 0
    for (features, mask), targets, weights in batches:
        lengths = np.asarray(mask).sum(axis=1)
        clips = [
            # Of each of equal parts the middle frame.
            clip[(2 * np.arange(kept) + 1) * length // (2 * kept)]
            for clip, length, kept in zip(np.asarray(features), lengths, kept_frames[seen:], strict=False)
        ]
        values.append(_statistics(beside.statistics, clips))
        facts.append((np.asarray(targets), np.asarray(weights)))
        seen += len(clips)
    targets, weights = (np.concatenate(fact) for fact in zip(*facts, strict=True))
    solved = solve_linear(np.concatenate(values), targets, weights, groups, label_smoothing)
    beside.linear.set_weights([(1 - _RECURRENT_SHARE) * value for value in solved])
    beside.beside.learned_together = False
    beside.beside.share.assign(_RECURRENT_SHARE)


def learn_together(beside: LinearPart) -> None:
    """From here on learning sees the answer of both parts; what the network answers stays as it is."""
    share = float(np.asarray(beside.beside.share))
    beside.recurrent.set_weights([share * value for value in beside.recurrent.get_weights()])
    beside.beside.share.assign(1.0)
    beside.beside.learned_together = True


def _statistics(model: keras.Model, clips: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """``[N, S]`` of the features ``[T_i, D]`` of N clips."""
    _, steps, width = model.input_shape[0]
    padded = np.zeros((len(clips), steps, width), np.float32)
    for row, clip in zip(padded, clips, strict=True):
        row[: len(clip)] = clip
    lengths = np.array([len(clip) for clip in clips])
    return np.asarray(model([padded, np.arange(steps) < lengths[:, np.newaxis]], training=False))
