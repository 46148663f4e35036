"""Clips, or their features -> batches, padded on the right and masked.

What is drawn in training (the order, the augmentation) is a pure function of the seed, the epoch and the clip's number.
So a training that starts at an epoch gets, bit for bit, what one that got there by itself would get.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.dataset.arrays import array_reader
from activity_cli.dataset.augmentation import augment_clip, augment_time, clip_rng_key, random_segments
from activity_cli.dataset.processes import default_workers
from activity_cli.results import ClipRecord
from activity_cli.settings import Augmentation

__all__ = ["Draws", "Examples", "batches", "one_hot_labels"]

# Arrays that are no larger in all are held in memory: features are, pictures hardly ever.
HELD_BYTES = 256 << 20

# Batches that are ready before they are needed. A fixed number: left to itself, TensorFlow takes as many as fit into
# half of the memory.
_AHEAD = 2

# In place of a clip's number, for the key that an epoch's order is drawn from.
_NO_CLIP = -1


@dataclass(frozen=True, slots=True)
class Examples:
    """Clips and their labels.

    Attributes:
        paths: A ``.npy`` file of each: pictures ``uint8 [T, H, W, 3]``, or features ``[T, ...]``.
        targets: ``float32 [N, classes]``, 1 at the clip's label.
        weights: How much each clip counts, ``float32 [N]``.
        kept_frames: How many frames are read of each clip, ``int64 [N]``, 1 up to its length.
        may_flip: Whether each mirrored clip still shows its label, ``bool [N]``.
    """

    paths: Sequence[Path]
    targets: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    kept_frames: npt.NDArray[np.int64]
    may_flip: npt.NDArray[np.bool_]

    def take(self, numbers: npt.NDArray[np.int64]) -> Examples:
        """Some of the clips."""
        return Examples(
            [self.paths[number] for number in numbers],
            self.targets[numbers],
            self.weights[numbers],
            self.kept_frames[numbers],
            self.may_flip[numbers],
        )


@dataclass(frozen=True, slots=True)
class Draws:
    """What makes batches those of a training: endless, shuffled and augmented anew in each epoch, counted from 0."""

    seed: int
    first_epoch: int
    augmentation: Augmentation


def one_hot_labels(records: Sequence[ClipRecord], labels: Sequence[str]) -> npt.NDArray[np.float32]:
    """A row for each clip with a 1 at its label's place, ``float32 [N, classes]``."""
    number_of = {label: number for number, label in enumerate(labels)}
    return np.eye(len(labels), dtype=np.float32)[[number_of[record.label] for record in records]]


def batches(examples: Examples, num_frames: int, batch_size: int, draws: Draws | None = None) -> tf.data.Dataset:
    """Batches of ``((clips [B, T, ...], mask bool [B, T]), target float32 [B, classes], weight float32 [B])``.

    Arrays keep the dtype of their files. They are held in memory where they are few, else read when they are needed, so
    that memory does not grow with the data.

    Args:
        examples, num_frames: The clips, and their frames with padding.
        batch_size: Clips in a batch; the last one of an epoch may be smaller.
        draws: None: one pass in order, of each clip the middle frames of ``kept_frames`` equal parts. Else without an
            end, and an epoch never shares a batch with the next.

    Raises:
        DatasetError: A file is missing, damaged, or unlike the others.
    """
    load = _loader(examples, draws)
    with tf.device("CPU:0"):
        targets, weights = tf.constant(examples.targets), tf.constant(examples.weights)

    # Nothing in it branches in Python: looking for that would take as long as building the rest.
    @tf.autograph.experimental.do_not_convert
    def element(epoch: tf.Tensor, number: tf.Tensor) -> tuple[object, ...]:
        array = load(epoch, number)
        length = tf.shape(array)[0]
        padded = tf.pad(array, [[0, num_frames - length], *[[0, 0]] * (array.shape.rank - 1)])
        padded = tf.ensure_shape(padded, [num_frames, *array.shape[1:]])
        return (padded, tf.sequence_mask(length, num_frames)), targets[number], weights[number]

    def one_pass(order: tf.Tensor, epoch: tf.Tensor) -> tf.data.Dataset:
        numbers = tf.data.Dataset.from_tensor_slices(order)
        # A number of its own, since within a pass nothing is left to TensorFlow's tuning.
        return numbers.map(partial(element, epoch), default_workers(), deterministic=True).batch(batch_size)

    count = len(examples.paths)
    if draws is None:
        return _untuned(one_pass(tf.range(count), tf.constant(0, tf.int64)).prefetch(_AHEAD))
    epochs = tf.data.Dataset.range(draws.first_epoch, tf.int64.max)
    data = epochs.flat_map(lambda epoch: one_pass(_order(count, draws.seed, epoch), epoch))
    # Said plainly, so that nobody waits for the end of an epoch.
    data = data.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return _untuned(data.prefetch(_AHEAD))


def _loader(examples: Examples, draws: Draws | None) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """From an epoch and the number of a clip, both scalars, to the array ``[T, ...]`` of that epoch."""
    read = array_reader(examples.paths, HELD_BYTES)
    with tf.device("CPU:0"):
        kept_frames = tf.constant(examples.kept_frames, tf.int32)
        may_flip = tf.constant(examples.may_flip)

    def middles(epoch: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        array, kept = read(number), kept_frames[number]
        return tf.gather(array, (2 * tf.range(kept) + 1) * tf.shape(array)[0] // (2 * kept))

    if draws is None:
        return middles
    seed, augmentation = draws.seed, draws.augmentation

    def augmented(epoch: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        array, rng_key = read(number), clip_rng_key(seed, epoch, number)
        length = tf.shape(array)[0]
        # A clip may be longer than what is read of it: all of its frames take part in the draw.
        places = augment_time(length, rng_key, augmentation)
        array = tf.gather(array, tf.gather(places, random_segments(length, kept_frames[number], rng_key)))
        if array.dtype != tf.uint8:
            return array  # features
        return augment_clip(array, rng_key, augmentation, may_flip[number])

    return augmented


def _untuned(data: tf.data.Dataset) -> tf.data.Dataset:
    # All numbers are given, so there is nothing to tune; and a pass that ends would sometimes wait for the thread that
    # tunes, which sleeps twice as long each time: for up to as long as the pass took.
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def _order(number: int, seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """An order of the clips, each as likely as any other: ``int32 [number]``."""
    # TensorFlow's index_shuffle needs no memory, but of 10 clips it knows only 256 orders.
    rng_key = clip_rng_key(seed, epoch, tf.constant(_NO_CLIP))
    return tf.argsort(tf.random.stateless_uniform([number], rng_key, None, None, tf.int32), stable=True)
