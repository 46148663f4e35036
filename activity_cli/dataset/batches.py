"""Clips and features -> batches, padded on the right and masked.

What is drawn while training (the order, the views, the variations) is a pure function of the seed, the
epoch and the clip's number. So a training that begins at an epoch gets, bit for bit, what one that got
there by itself would get.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.dataset.arrays import ReadArray, array_reader
from activity_cli.dataset.augmentation import augment_clip, augment_time, clip_rng_key, draw_view, shorten_clip
from activity_cli.dataset.clips import ClipStore
from activity_cli.dataset.processes import default_workers
from activity_cli.errors import DatasetError
from activity_cli.results import ClipRecord
from activity_cli.settings import Augmentation, Sampling

__all__ = ["Training", "clip_batches", "feature_batches", "one_hot_labels"]

# Features that are no larger in all are held in memory.
HELD_BYTES = 256 << 20

# Batches that are ready before they are asked for. A fixed number: left to itself, TensorFlow takes as
# many as fit into half of the memory.
_AHEAD = 2

# Beside the numbers of the clips, for the chance that an epoch's order is drawn from.
_NO_CLIP = -1

# From an epoch and the number of a clip, both scalars, to the array ``[T, ...]`` that is learned from then.
_Load = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True, slots=True)
class Training:
    """Batches to learn from: endless, shuffled and varied anew in each epoch.

    Attributes:
        seed: Draws everything, 0 up to 2^32 - 1.
        first_epoch: Where to begin, counted from 0.
        augment: How clips are varied.
        may_mirror: For each clip whether it means the same in a mirror, ``bool [N]``.
        kept_frames: How many frames to keep of each clip, ``int64 [N]``, 1 up to its length; None: all.
    """

    seed: int
    first_epoch: int
    augment: Augmentation
    may_flip: npt.NDArray[np.bool_]
    kept_frames: npt.NDArray[np.int64] | None = None


def one_hot_labels(records: Sequence[ClipRecord], labels: Sequence[str]) -> npt.NDArray[np.float32]:
    """A row for each clip with a 1 at its label's place, ``float32 [N, classes]``."""
    number_of = {label: number for number, label in enumerate(labels)}
    return np.eye(len(labels), dtype=np.float32)[[number_of[record.label] for record in records]]


def clip_batches(
    records: Sequence[ClipRecord],
    targets: npt.NDArray[np.float32],
    store: ClipStore,
    sampling: Sampling,
    batch_size: int,
    *,
    weights: npt.NDArray[np.float32] | None = None,
    training: Training | None = None,
) -> tf.data.Dataset:
    """Batches of ``((clips uint8 [B, T, H, W, 3], mask bool [B, T]), target float32 [B, classes])``.

    Clips are read from the cache when they are needed; memory does not grow with the data.

    Args:
        records: The clips.
        targets: ``float32 [N, classes]``.
        store: Where they are.
        sampling: What they were made with.
        batch_size: Clips in a batch; the last one of an epoch may be smaller.
        weights: How much each clip counts, ``float32 [N]``: a third part of each element.
        training: None: one pass, in order, each clip as it is. Else without an end, and an epoch never
            shares a batch with the next.

    Raises:
        DatasetError: A clip is missing or damaged.
    """
    for record in records:
        clip = store.read(record.clip)  # says plainly what is wrong with a file, before hours of training
        if clip.shape[1:3] != (sampling.frame_size, sampling.frame_size):
            raise DatasetError(f"{record.clip} has another frame size.", "Prepare the videos again.")
    read = array_reader([[store.folder / record.clip] for record in records])
    load = _varied_clip(read, sampling.num_frames, training) if training else _first_view(read)
    return _batches(load, targets, weights, sampling.num_frames, batch_size, training)


def feature_batches(
    paths: Sequence[Sequence[Path]],
    targets: npt.NDArray[np.float32],
    num_frames: int,
    batch_size: int,
    *,
    weights: npt.NDArray[np.float32] | None = None,
    training: Training | None = None,
) -> tf.data.Dataset:
    """Batches of ``((features [B, T, ...], mask bool [B, T]), target float32 [B, classes])``.

    Features have the dtype that they have in their files. They are held in memory where they are few.

    Args:
        paths: The files of each clip, one for each of its views, the clip as it is first.
        targets: ``float32 [N, classes]``.
        num_frames: Steps with padding.
        batch_size: Clips in a batch; the last one of an epoch may be smaller.
        weights: How much each clip counts, ``float32 [N]``: a third part of each element.
        training: None: one pass, in order, the first view of each clip. Else without an end, one view of
            each clip drawn in each epoch; an epoch never shares a batch with the next.

    Raises:
        DatasetError: A file is missing, damaged, or unlike the others.
    """
    if training is None:
        paths = [row[:1] for row in paths]
    read = array_reader(paths, HELD_BYTES)
    load = _varied_features(read, len(paths[0]), num_frames, training) if training else _first_view(read)
    return _batches(load, targets, weights, num_frames, batch_size, training)


def _first_view(read: ReadArray) -> _Load:
    return lambda epoch, number: read(number, tf.constant(0))


def _varied_clip(read: ReadArray, num_frames: int, training: Training) -> _Load:
    with tf.device("CPU:0"):
        may_flip = tf.constant(training.may_flip)
    in_time = _in_time(training, num_frames)

    def load(epoch: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        rng_key = clip_rng_key(training.seed, epoch, number)
        clip = in_time(read(number, tf.constant(0)), number, rng_key)
        return augment_clip(clip, rng_key, training.augment, may_flip[number])

    return load


def _varied_features(read: ReadArray, num_views: int, num_frames: int, training: Training) -> _Load:
    in_time = _in_time(training, num_frames)

    def load(epoch: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        rng_key = clip_rng_key(training.seed, epoch, number)
        view = draw_view(num_views, rng_key)
        return in_time(read(number, view), number, rng_key)

    return load


def _in_time(training: Training, num_frames: int) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """From an array ``[T, ...]``, the clip's number and its chance to the steps that are learned from."""
    kept_frames = None
    if training.kept_frames is not None:
        with tf.device("CPU:0"):
            kept_frames = tf.constant(training.kept_frames, tf.int32)

    def vary(array: tf.Tensor, number: tf.Tensor, rng_key: tf.Tensor) -> tf.Tensor:
        length = tf.shape(array)[0]
        places = augment_time(length, num_frames, rng_key, training.augment)
        if kept_frames is None:
            return tf.gather(array, places[:length])
        return tf.gather(array, tf.gather(places, shorten_clip(length, kept_frames[number], rng_key)))

    return vary


def _batches(
    load: _Load,
    targets: npt.NDArray[np.float32],
    weights: npt.NDArray[np.float32] | None,
    num_frames: int,
    batch_size: int,
    training: Training | None,
) -> tf.data.Dataset:
    with tf.device("CPU:0"):
        facts = [tf.constant(fact) for fact in (targets, weights) if fact is not None]

    # Nothing in it branches in Python: looking for that would take as long as building the rest.
    @tf.autograph.experimental.do_not_convert
    def element(epoch: tf.Tensor, number: tf.Tensor) -> tuple[object, ...]:
        array = load(epoch, number)
        length = tf.shape(array)[0]
        padded = tf.pad(array, [[0, num_frames - length], *[[0, 0]] * (array.shape.rank - 1)])
        padded = tf.ensure_shape(padded, [num_frames, *array.shape[1:]])
        return (padded, tf.sequence_mask(length, num_frames)), *(fact[number] for fact in facts)

    def pass_in(order: tf.Tensor, epoch: tf.Tensor) -> tf.data.Dataset:
        numbers = tf.data.Dataset.from_tensor_slices(order)
        # A number of its own, since within a pass nothing is left to TensorFlow's tuning.
        arrays = numbers.map(partial(element, epoch), default_workers(), deterministic=True)
        return arrays.batch(batch_size)

    if training is None:
        return _untuned(pass_in(tf.range(len(targets)), tf.constant(0, tf.int64)).prefetch(_AHEAD))
    seed = training.seed
    epochs = tf.data.Dataset.range(training.first_epoch, tf.int64.max)
    data = epochs.flat_map(lambda epoch: pass_in(_order(len(targets), seed, epoch), epoch))
    # Said plainly, so that nobody waits for the end of an epoch.
    data = data.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return _untuned(data.prefetch(_AHEAD))


def _untuned(data: tf.data.Dataset) -> tf.data.Dataset:
    # All numbers are given, so there is nothing to tune; and a pass that ends would sometimes wait for the
    # thread that tunes, which sleeps twice as long each time: for up to as long as the pass took.
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def _order(number: int, seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """An order of the clips, each as likely as any other: ``int32 [number]``."""
    # TensorFlow's index_shuffle needs no memory, but of 10 clips it knows only 256 orders.
    drawn = tf.random.stateless_uniform(
        [number], clip_rng_key(seed, epoch, tf.constant(_NO_CLIP)), None, None, tf.int32
    )
    return tf.argsort(drawn, stable=True)
