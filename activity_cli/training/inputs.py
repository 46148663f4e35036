"""What a head is trained on: the rows of a stream for each clip, their labels, and how batches are made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.dataset.batches import Draws, Examples, batches
from activity_cli.streams.skeleton import CUTS, Skeletons, augmented, cut, mirrored, skeleton_features

__all__ = ["HeadInputs", "RowInputs", "SkeletonInputs"]

Numbers = npt.NDArray[np.int64]


class HeadInputs(Protocol):
    """Clips as a head reads them."""

    @property
    def targets(self) -> npt.NDArray[np.float32]:
        """``[N, classes]``, 1 at the clip's label."""

    @property
    def weights(self) -> npt.NDArray[np.float32]:
        """How much each clip counts, ``[N]``."""

    @property
    def width(self) -> int:
        """Numbers for each frame."""

    def take(self, numbers: Numbers) -> HeadInputs:
        """Some of the clips."""

    def batches(self, batch_size: int, draws: Draws | None = None) -> tf.data.Dataset:
        """Batches of ``((features [B, T, D], mask [B, T]), targets [B, classes], weights [B])``.

        Args:
            batch_size: Clips in a batch.
            draws: None: one pass in order. Else without an end, shuffled, and augmented anew in every epoch.
        """

    def views(self, batch_size: int, *, whole: bool = False) -> Iterator[tuple[tf.data.Dataset, Sequence[int] | None]]:
        """The views whose answers are averaged: batches, and where mirrored, the label that each label becomes.

        Args:
            batch_size: Clips in a batch.
            whole: Only those of whole clips.
        """


@dataclass(frozen=True, slots=True)
class RowInputs:
    """Clips whose rows a head reads as they are: appearance and motion.

    Attributes:
        examples: The clips.
        num_frames: ``T``, with padding.
        width: Numbers for each frame.
    """

    examples: Examples
    num_frames: int
    width: int

    @property
    def targets(self) -> npt.NDArray[np.float32]:
        return self.examples.targets

    @property
    def weights(self) -> npt.NDArray[np.float32]:
        return self.examples.weights

    def take(self, numbers: Numbers) -> RowInputs:
        return replace(self, examples=self.examples.take(numbers))

    def batches(self, batch_size: int, draws: Draws | None = None) -> tf.data.Dataset:
        return batches(self.examples, self.num_frames, batch_size, draws)

    def views(self, batch_size: int, *, whole: bool = False) -> Iterator[tuple[tf.data.Dataset, Sequence[int] | None]]:
        yield self.batches(batch_size), None


@dataclass(frozen=True, slots=True)
class SkeletonInputs:
    """Clips of which a head reads the movement of the skeleton: pose, with or without hands.

    Attributes:
        clips: The skeletons.
        targets, weights: As in :class:`HeadInputs`.
        mirrored_labels: For each label the number of the one that a mirrored clip shows; None: nothing is mirrored.
    """

    clips: Skeletons
    targets: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    mirrored_labels: Sequence[int] | None

    @property
    def width(self) -> int:
        return int(skeleton_features(self.clips.take(np.arange(1))).shape[-1])

    def take(self, numbers: Numbers) -> SkeletonInputs:
        return SkeletonInputs(
            self.clips.take(numbers), self.targets[numbers], self.weights[numbers], self.mirrored_labels
        )

    def batches(self, batch_size: int, draws: Draws | None = None) -> tf.data.Dataset:
        if draws is None:
            return _batched(self.clips, self.targets, self.weights, batch_size)
        count, steps = self.clips.joints.shape[:2]
        signature = (
            (tf.TensorSpec((None, steps, self.width), tf.float32), tf.TensorSpec((None, steps), tf.bool)),
            tf.TensorSpec((None, self.targets.shape[1]), tf.float32),
            tf.TensorSpec((None,), tf.float32),
        )

        def endless() -> Iterator[object]:
            epoch = draws.first_epoch
            while True:
                # A function of the seed and the epoch: a training that goes on there gets the same.
                rng = np.random.default_rng([draws.seed, epoch])
                features, targets = self._drawn(draws, rng)
                order = rng.permutation(count)
                for start in range(0, count, batch_size):
                    some = order[start : start + batch_size]
                    mask = np.ones((len(some), steps), np.bool_)
                    yield (features[some], mask), targets[some], self.weights[some]
                epoch += 1

        return tf.data.Dataset.from_generator(endless, output_signature=signature).prefetch(2)

    def _drawn(self, draws: Draws, rng: np.random.Generator) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Features and targets of all clips in one epoch."""
        if not draws.augmentation.skeleton:
            return skeleton_features(self.clips), self.targets
        may_flip = np.full(len(self.clips), self.mirrored_labels is not None)
        varied, flipped = augmented(self.clips, may_flip, rng)
        targets = self.targets.copy()
        if self.mirrored_labels is not None:
            targets[flipped] = self.targets[flipped][:, list(self.mirrored_labels)]
        return skeleton_features(varied), targets

    def views(self, batch_size: int, *, whole: bool = False) -> Iterator[tuple[tf.data.Dataset, Sequence[int] | None]]:
        for start, end in CUTS[:1] if whole else CUTS:  # the first is the whole clip
            part = cut(self.clips, start, end)
            yield _batched(part, self.targets, self.weights, batch_size), None
            if self.mirrored_labels is not None:
                yield _batched(mirrored(part), self.targets, self.weights, batch_size), self.mirrored_labels


def _batched(
    clips: Skeletons, targets: npt.NDArray[np.float32], weights: npt.NDArray[np.float32], batch_size: int
) -> tf.data.Dataset:
    features = skeleton_features(clips)
    mask = np.ones(features.shape[:2], np.bool_)
    return tf.data.Dataset.from_tensor_slices(((features, mask), targets, weights)).batch(batch_size)
