"""Clips and features -> batches for training, padded on the right and masked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.config import SamplingConfig
from activity_cli.dataset.clips import ClipStore
from activity_cli.results import ClipRecord

__all__ = ["clip_batches", "feature_batches", "jittered_places", "one_hot_labels", "padded_features"]

# Share of a clip that jitter in time may leave out, at its beginning and at its end.
_LARGEST_CUT = 0.15


def one_hot_labels(records: Sequence[ClipRecord], labels: Sequence[str]) -> npt.NDArray[np.float32]:
    """A row for each clip with a 1 at its label's place, ``float32 [N, classes]``."""
    number_of = {label: number for number, label in enumerate(labels)}
    return np.eye(len(labels), dtype=np.float32)[[number_of[record.label] for record in records]]


def padded_features(
    features: Sequence[npt.NDArray[np.float32]], num_frames: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Stacks features ``float32 [T_i, D]`` into ``[N, num_frames, D]``, and the mask ``bool [N, num_frames]``."""
    padded = np.zeros((len(features), num_frames, features[0].shape[1]), np.float32)
    mask = np.zeros((len(features), num_frames), np.bool_)
    for row, real in enumerate(features):
        padded[row, : len(real)] = real
        mask[row, : len(real)] = True
    return padded, mask


def feature_batches(
    features: Sequence[npt.NDArray[np.float32]],
    targets: npt.NDArray[np.float32],
    num_frames: int,
    batch_size: int,
    *,
    shuffle_seed: int | None = None,
) -> tf.data.Dataset:
    """Batches of ``((features [B, T, D], mask [B, T]), target [B, classes])``.

    With a seed (for training) shuffled and jittered in time, anew each epoch.
    """
    data = tf.data.Dataset.from_tensor_slices((padded_features(features, num_frames), targets))
    if shuffle_seed is not None:
        data = data.shuffle(len(features), seed=shuffle_seed, reshuffle_each_iteration=True)
        data = _jittered(data, shuffle_seed)
    return data.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def clip_batches(
    records: Sequence[ClipRecord],
    targets: npt.NDArray[np.float32],
    store: ClipStore,
    sampling: SamplingConfig,
    batch_size: int,
    *,
    shuffle_seed: int | None = None,
) -> tf.data.Dataset:
    """Batches of ``((clips uint8 [B, T, H, W, 3], mask [B, T]), target [B, classes])``, read from the cache.

    Files are read and padded by TensorFlow itself, on all cores; memory does not grow with the data.
    With a seed (for training) shuffled and jittered in time, anew each epoch.
    """
    # Where the pixels begin in each file; also proves, before hours of training, that each is whole.
    headers = np.array([_header_bytes(store, record.clip) for record in records], np.int64)
    paths = [str(store.folder / record.clip) for record in records]
    lengths = np.array([record.clip_frames for record in records], np.int64)
    size, steps = sampling.frame_size, sampling.num_frames

    def load(
        path: tf.Tensor, header: tf.Tensor, length: tf.Tensor, target: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        pixels = tf.io.decode_raw(tf.strings.substr(tf.io.read_file(path), header, -1), tf.uint8)
        clip = tf.reshape(pixels, [length, size, size, 3])
        clip = tf.pad(clip, [[0, steps - length], [0, 0], [0, 0], [0, 0]])
        clip = tf.ensure_shape(clip, [steps, size, size, 3])
        return (clip, tf.sequence_mask(length, steps)), target

    data = tf.data.Dataset.from_tensor_slices((paths, headers, lengths, targets))
    if shuffle_seed is not None:
        data = data.shuffle(len(records), seed=shuffle_seed, reshuffle_each_iteration=True)
    data = data.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if shuffle_seed is not None:
        data = _jittered(data, shuffle_seed)
    return data.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _jittered(data: tf.data.Dataset, seed: int) -> tf.data.Dataset:
    """Draws each clip's steps anew from a slightly shorter stretch of it, each a little early or late.

    Different people take different times for the same motion. The order of the steps, the length of the
    clip and its padding stay as they are.
    """

    def jitter(
        element: tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor], chance: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        (steps, mask), target = element
        length = tf.reduce_sum(tf.cast(mask, tf.int32))
        places = jittered_places(length, mask.shape[0], chance)
        return (tf.gather(steps, places), mask), target

    # A seed of its own for each clip and epoch, so that parallel reading does not change what is drawn.
    chances = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)
    return tf.data.Dataset.zip(data, chances).map(jitter, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def jittered_places(length: tf.Tensor, num_frames: int, chance: tf.Tensor) -> tf.Tensor:
    """Which step to take for each step of a clip: rising, within the clip, and past its end the padding.

    Args:
        length: Real steps, a scalar.
        num_frames: Steps with padding.
        chance: Two integers that seed the draw.

    Returns:
        ``int32 [num_frames]``.
    """
    real = tf.cast(length, tf.float32)
    cut = tf.random.stateless_uniform([2], chance, 0.0, _LARGEST_CUT)
    shake = tf.random.stateless_uniform([num_frames], chance + 1, -0.5, 0.5)
    numbers = tf.range(num_frames)
    middles = (tf.cast(numbers, tf.float32) + 0.5) / real
    places = (cut[0] + (1.0 - cut[0] - cut[1]) * middles) * real + shake
    places = tf.clip_by_value(tf.cast(tf.floor(places), tf.int32), 0, length - 1)
    return tf.where(numbers < length, tf.sort(tf.where(numbers < length, places, num_frames)), numbers)


def _header_bytes(store: ClipStore, name: str) -> int:
    clip = store.read(name)  # first, because it says plainly what is wrong with a file
    path: Path = store.folder / name
    return path.stat().st_size - clip.nbytes
