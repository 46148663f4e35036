"""Clips varied without changing what they show: each draw holds for all frames of a clip.

Every draw is a pure function of its ``chance``, two integers, and those of the seed, the epoch and the
clip's number. So a training that goes on after a crash draws what it would have drawn without it, and
so do any number of threads.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.settings import Augmentation

__all__ = ["augment_clip", "augment_time", "clip_rng_key", "clip_view", "draw_view", "shorten_clip"]

# One chance serves several draws; each adds a number of its own, so that none tells of another.
_TIME, _PICTURES, _SIDE, _VIEW, _LENGTH = 1, 2, 3, 4, 5

# How bright red, green and blue look (ITU-R BT.601).
_BRIGHTNESS_OF = (0.299, 0.587, 0.114)

# Every fourth pixel of every fourth row is enough for the mean brightness of a clip.
_STRIDE = 4


def clip_rng_key(seed: int, epoch: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """What a clip's draws of one epoch are made from, ``int32 [2]``.

    Args:
        seed: Of the training, 0 up to 2^32 - 1.
        epoch: Counted from anywhere, a scalar.
        number: The clip's, a scalar.
    """
    start = tf.constant([int(np.uint32(seed).view(np.int32)), 0])
    return _fold_in(_fold_in(start, epoch), number)


def augment_time(length: tf.Tensor, num_frames: int, rng_key: tf.Tensor, config: Augmentation) -> tf.Tensor:
    """Which step to take for each step of a clip: rising, within the clip, and past its end the padding.

    Different people take different times for the same motion, and for its parts: a stretch of the clip is
    shown, faster at one end than at the other, each step a little early or late. The order of the steps,
    their number and the padding stay as they are.

    Args:
        length: Real steps, a scalar.
        num_frames: Steps with padding.
        chance: Two integers that seed the draw.
        config: ``cut`` of it: the largest share that is left out at either end. The speed, which is 1 in
            the middle of the stretch, differs at its ends by up to twice that.

    Returns:
        ``int32 [num_frames]``.
    """
    numbers = tf.range(num_frames)
    if not config.temporal_crop:
        return numbers
    seed = _fold_in(rng_key, _TIME)
    cuts = tf.random.stateless_uniform([2], seed, 0.0, config.temporal_crop)
    bend = tf.random.stateless_uniform([], _fold_in(seed, 1), -2.0 * config.temporal_crop, 2.0 * config.temporal_crop)
    shake = tf.random.stateless_uniform([num_frames], _fold_in(seed, 2), -0.5, 0.5)
    middles = (tf.cast(numbers, tf.float32) + 0.5) / tf.cast(length, tf.float32)
    middles += bend * middles * (1.0 - middles)  # rises everywhere, since the bend is less than 1
    places = (cuts[0] + (1.0 - cuts[0] - cuts[1]) * middles) * tf.cast(length, tf.float32) + shake
    places = tf.clip_by_value(tf.cast(tf.floor(places), tf.int32), 0, length - 1)
    return tf.where(numbers < length, tf.sort(tf.where(numbers < length, places, num_frames)), numbers)


def shorten_clip(length: tf.Tensor, kept: tf.Tensor, rng_key: tf.Tensor) -> tf.Tensor:
    """Which steps to keep of a clip that is to be shorter: one at random from each of ``kept`` equal parts.

    As in Temporal Segment Networks (Wang et al. 2016).

    Args:
        length: Real steps, a scalar.
        kept: How many of them, 1 up to ``length``, a scalar.
        chance: Two integers that seed the draw.

    Returns:
        ``int32 [kept]``, rising; every step where ``kept`` is ``length``.
    """
    bounds = tf.range(kept + 1) * length // kept
    drawn = tf.random.stateless_uniform([kept], _fold_in(rng_key, _LENGTH))
    widths = tf.cast(bounds[1:] - bounds[:-1], tf.float32)
    return bounds[:-1] + tf.minimum(tf.cast(drawn * widths, tf.int32), bounds[1:] - bounds[:-1] - 1)


def augment_clip(clip: tf.Tensor, rng_key: tf.Tensor, config: Augmentation, may_flip: tf.Tensor) -> tf.Tensor:
    """The pictures of a clip, varied: mirrored in one of two cases, cropped and enlarged, in other colors.

    Args:
        clip: ``uint8 [T, H, W, 3]``.
        chance: Two integers that seed the draw.
        config: How much.
        may_mirror: Whether the clip means the same in a mirror, a boolean scalar.

    Returns:
        ``uint8 [T, H, W, 3]``.
    """
    if config.flip:
        heads = tf.random.stateless_uniform([], _fold_in(rng_key, _SIDE)) < 0.5
        clip = _mirrored(clip, heads & may_flip)
    return _cropped_and_colored(clip, _fold_in(rng_key, _PICTURES), config)


def clip_view(
    clip: npt.NDArray[np.uint8], name: str, view: int, config: Augmentation, *, mirrored: bool
) -> npt.NDArray[np.uint8]:
    """A lasting variation of a clip: for one name and view always the same, whatever the training's seed.

    Args:
        clip: ``uint8 [T, H, W, 3]``.
        name: The clip's.
        view: 1 and up.
        config: How much.
        mirrored: Whether it is shown as in a mirror.

    Returns:
        ``uint8 [T, H, W, 3]``.
    """
    digest = hashlib.sha256(f"{name} {view}".encode()).digest()
    with tf.device("CPU:0"):  # a GPU would round otherwise
        rng_key = tf.constant(np.frombuffer(digest[:8], "<i4"))
        frames = _mirrored(tf.constant(clip), tf.constant(mirrored))
        return np.asarray(_cropped_and_colored(frames, _fold_in(rng_key, _PICTURES), config).numpy())


def draw_view(num_views: int, rng_key: tf.Tensor) -> tf.Tensor:
    """Which of a clip's views is learned from, an ``int32`` scalar."""
    return tf.random.stateless_uniform([], _fold_in(rng_key, _VIEW), 0, num_views, tf.int32)


def _mirrored(clip: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
    return tf.cond(condition, lambda: tf.reverse(clip, [2]), lambda: clip)


def _cropped_and_colored(clip: tf.Tensor, seed: tf.Tensor, config: Augmentation) -> tf.Tensor:
    if not config.crop and not config.color_jitter:
        return clip
    frames = _cropped(clip, _fold_in(seed, 1), config.crop) if config.crop else tf.cast(clip, tf.float32)
    if config.color_jitter:
        frames = _colored(frames, clip, _fold_in(seed, 2), config.color_jitter)
    return tf.cast(tf.clip_by_value(frames, 0.0, 255.0) + 0.5, tf.uint8)


def _cropped(clip: tf.Tensor, seed: tf.Tensor, crop: float) -> tf.Tensor:
    """A part of the picture, of the same shape, at any place, enlarged: ``float32 [T, H, W, 3]``."""
    drawn = tf.random.stateless_uniform([3], seed)
    size = tf.shape(clip)[1:3]
    whole = tf.cast(size, tf.float32)
    part = tf.maximum(tf.cast(tf.round((1.0 - crop * drawn[0]) * whole), tf.int32), 1)
    # Up to the last place where the part fits; a draw of almost 1 must not round beyond it.
    corner = tf.cast(drawn[1:] * tf.cast(size - part + 1, tf.float32), tf.int32)
    corner = tf.minimum(corner, size - part)
    top, left = corner[0], corner[1]
    frames = clip[:, top : top + part[0], left : left + part[1]]
    return tf.ensure_shape(tf.image.resize(frames, size), clip.shape)


def _colored(frames: tf.Tensor, clip: tf.Tensor, seed: tf.Tensor, color: float) -> tf.Tensor:
    """Saturation, contrast, brightness, each times 1 - color up to 1 + color.

    All three are one matrix for red, green and blue, and what it adds: one pass over the pixels, not three.
    """
    brightness, contrast, saturation = tf.unstack(tf.random.stateless_uniform([3], seed, 1.0 - color, 1.0 + color))
    weights = tf.constant(_BRIGHTNESS_OF)
    mean = tf.reduce_mean(tf.cast(clip[:, ::_STRIDE, ::_STRIDE], tf.float32), [0, 1, 2])
    gray = tf.repeat(weights[:, tf.newaxis], 3, axis=1)
    matrix = brightness * contrast * (saturation * tf.eye(3) + (1.0 - saturation) * gray)
    shift = brightness * (1.0 - contrast) * tf.tensordot(mean, weights, 1)
    return tf.nn.conv2d(frames, matrix[tf.newaxis, tf.newaxis], 1, "VALID") + shift


def _fold_in(seed: tf.Tensor, data: int | tf.Tensor) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(seed, tf.cast(data, tf.int32))
