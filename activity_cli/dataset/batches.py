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

__all__ = ["clip_batches", "feature_batches", "label_numbers", "padded_features"]


def label_numbers(records: Sequence[ClipRecord], labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """The number of each clip's label, ``int64 [N]``."""
    number_of = {label: number for number, label in enumerate(labels)}
    return np.array([number_of[record.label] for record in records], np.int64)


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
    numbers: npt.NDArray[np.int64],
    num_frames: int,
    batch_size: int,
    *,
    shuffle_seed: int | None = None,
) -> tf.data.Dataset:
    """Batches of ``((features [B, T, D], mask [B, T]), label [B])``; shuffled anew each epoch if seeded."""
    data = tf.data.Dataset.from_tensor_slices((padded_features(features, num_frames), numbers))
    if shuffle_seed is not None:
        data = data.shuffle(len(features), seed=shuffle_seed, reshuffle_each_iteration=True)
    return data.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def clip_batches(
    records: Sequence[ClipRecord],
    numbers: npt.NDArray[np.int64],
    store: ClipStore,
    sampling: SamplingConfig,
    batch_size: int,
    *,
    shuffle_seed: int | None = None,
) -> tf.data.Dataset:
    """Batches of ``((clips uint8 [B, T, H, W, 3], mask [B, T]), label [B])``, read from the cache.

    Files are read and padded by TensorFlow itself, on all cores; memory does not grow with the data.
    """
    # Where the pixels begin in each file; also proves, before hours of training, that each is whole.
    headers = np.array([_header_bytes(store, record.clip) for record in records], np.int64)
    paths = [str(store.folder / record.clip) for record in records]
    lengths = np.array([record.clip_frames for record in records], np.int64)
    size, steps = sampling.frame_size, sampling.num_frames

    def load(
        path: tf.Tensor, header: tf.Tensor, length: tf.Tensor, number: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        pixels = tf.io.decode_raw(tf.strings.substr(tf.io.read_file(path), header, -1), tf.uint8)
        clip = tf.reshape(pixels, [length, size, size, 3])
        clip = tf.pad(clip, [[0, steps - length], [0, 0], [0, 0], [0, 0]])
        clip = tf.ensure_shape(clip, [steps, size, size, 3])
        return (clip, tf.sequence_mask(length, steps)), number

    data = tf.data.Dataset.from_tensor_slices((paths, headers, lengths, numbers))
    if shuffle_seed is not None:
        data = data.shuffle(len(records), seed=shuffle_seed, reshuffle_each_iteration=True)
    data = data.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return data.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _header_bytes(store: ClipStore, name: str) -> int:
    path: Path = store.folder / name
    return path.stat().st_size - store.read(name).nbytes
