"""Augmentation of clips: each draw holds for all frames of a clip, and none changes what the clip shows.

Every draw is a pure function of an RNG key (two integers), and the key is one of the seed, the epoch and the clip's
number. So a training that goes on after a crash draws what it would have drawn without it, in any number of threads.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from activity_cli.settings import Augmentation

__all__ = ["augment_clip", "augment_time", "clip_rng_key", "random_segments"]

# One key serves several draws; each folds in a number of its own, so that none depends on another.
_TIME, _PICTURES, _FLIP, _SEGMENTS = 1, 2, 3, 5

# Luma of red, green and blue (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)

# Every fourth pixel of every fourth row is enough for the mean brightness of a clip.
_STRIDE = 4


def clip_rng_key(seed: int, epoch: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """The key of a clip's draws in one epoch, ``int32 [2]``: from a seed up to 2^32 - 1 and two scalars."""
    start = tf.constant([int(np.uint32(seed).view(np.int32)), 0])
    return _fold_in(_fold_in(start, epoch), number)


def augment_time(length: tf.Tensor, rng_key: tf.Tensor, augmentation: Augmentation) -> tf.Tensor:
    """Which frame to take for each of the ``length`` frames of a clip: ``int32 [length]``, rising.

    Different people take different times for the same motion, and for its parts: a stretch of the clip is shown, faster
    at one end than at the other, each frame a little early or late. ``temporal_crop`` is the largest share left out at
    either end. The speed, which is 1 in the middle of the stretch, differs at its ends by up to twice that.
    """
    numbers = tf.range(length)
    most = augmentation.temporal_crop
    if not most:
        return numbers
    key = _fold_in(rng_key, _TIME)
    crops = tf.random.stateless_uniform([2], key, 0.0, most)
    bend = tf.random.stateless_uniform([], _fold_in(key, 1), -2.0 * most, 2.0 * most)
    jitter = tf.random.stateless_uniform([length], _fold_in(key, 2), -0.5, 0.5)
    middles = (tf.cast(numbers, tf.float32) + 0.5) / tf.cast(length, tf.float32)
    middles += bend * middles * (1.0 - middles)  # rises everywhere, since the bend is less than 1
    places = (crops[0] + (1.0 - crops[0] - crops[1]) * middles) * tf.cast(length, tf.float32) + jitter
    return tf.sort(tf.clip_by_value(tf.cast(tf.floor(places), tf.int32), 0, length - 1))


def random_segments(length: tf.Tensor, kept: tf.Tensor, rng_key: tf.Tensor) -> tf.Tensor:
    """A random frame of each of ``kept`` equal parts of ``length`` frames: ``int32 [kept]``, rising.

    Temporal Segment Networks (Wang et al. 2016). ``kept`` is 1 up to ``length``, which gives every frame.
    """
    bounds = tf.range(kept + 1) * length // kept
    drawn = tf.random.stateless_uniform([kept], _fold_in(rng_key, _SEGMENTS))
    widths = tf.cast(bounds[1:] - bounds[:-1], tf.float32)
    return bounds[:-1] + tf.minimum(tf.cast(drawn * widths, tf.int32), bounds[1:] - bounds[:-1] - 1)


def augment_clip(clip: tf.Tensor, rng_key: tf.Tensor, augmentation: Augmentation, may_flip: tf.Tensor) -> tf.Tensor:
    """A clip ``uint8 [T, H, W, 3]``, mirrored in one of two cases, cropped and enlarged, with jittered colors.

    ``may_flip`` says whether the mirrored clip still shows its label.
    """
    if augmentation.flip:
        heads = tf.random.stateless_uniform([], _fold_in(rng_key, _FLIP)) < 0.5
        clip = tf.cond(heads & may_flip, lambda: tf.reverse(clip, [2]), lambda: clip)
    crop, jitter = augmentation.crop, augmentation.color_jitter
    if not crop and not jitter:
        return clip
    key = _fold_in(rng_key, _PICTURES)
    frames = _cropped(clip, _fold_in(key, 1), crop) if crop else tf.cast(clip, tf.float32)
    if jitter:
        frames = _color_jittered(frames, clip, _fold_in(key, 2), jitter)
    return tf.cast(tf.clip_by_value(frames, 0.0, 255.0) + 0.5, tf.uint8)


def _cropped(clip: tf.Tensor, rng_key: tf.Tensor, crop: float) -> tf.Tensor:
    """A part of the picture, of the same shape, at any place, enlarged: ``float32 [T, H, W, 3]``."""
    drawn = tf.random.stateless_uniform([3], rng_key)
    size = tf.shape(clip)[1:3]
    whole = tf.cast(size, tf.float32)
    part = tf.maximum(tf.cast(tf.round((1.0 - crop * drawn[0]) * whole), tf.int32), 1)
    # Up to the last place where the part fits; a draw of almost 1 must not round beyond it.
    corner = tf.cast(drawn[1:] * tf.cast(size - part + 1, tf.float32), tf.int32)
    corner = tf.minimum(corner, size - part)
    top, left = corner[0], corner[1]
    frames = clip[:, top : top + part[0], left : left + part[1]]
    return tf.ensure_shape(tf.image.resize(frames, size), clip.shape)


def _color_jittered(frames: tf.Tensor, clip: tf.Tensor, rng_key: tf.Tensor, jitter: float) -> tf.Tensor:
    """Saturation, contrast, brightness, each times 1 - jitter up to 1 + jitter.

    All three are one matrix for red, green and blue, and what it adds: one pass over the pixels, not three.
    """
    factors = tf.random.stateless_uniform([3], rng_key, 1.0 - jitter, 1.0 + jitter)
    brightness, contrast, saturation = tf.unstack(factors)
    luma = tf.constant(_LUMA)
    mean = tf.reduce_mean(tf.cast(clip[:, ::_STRIDE, ::_STRIDE], tf.float32), [0, 1, 2])
    gray = tf.repeat(luma[:, tf.newaxis], 3, axis=1)
    matrix = brightness * contrast * (saturation * tf.eye(3) + (1.0 - saturation) * gray)
    shift = brightness * (1.0 - contrast) * tf.tensordot(mean, luma, 1)
    return tf.nn.conv2d(frames, matrix[tf.newaxis, tf.newaxis], 1, "VALID") + shift


def _fold_in(rng_key: tf.Tensor, data: int | tf.Tensor) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(rng_key, tf.cast(data, tf.int32))
