"""Augmentation: what may change, what never does, and that a draw is a function of its RNG key."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from activity_cli.dataset.augmentation import augment_clip, augment_time, clip_rng_key, random_segments
from activity_cli.labels.flip import may_flip
from activity_cli.settings import Augmentation, without_augmentation

SIZE = 32
STRONG = Augmentation(crop=0.4, color_jitter=0.5, temporal_crop=0.4)
NONE = without_augmentation()
Frames = npt.NDArray[np.uint8]


def picture(seed: int = 0, size: int = SIZE) -> Frames:
    """Smooth in space, so that a crop can be recognized; ``uint8 [size, size, 3]``."""
    coarse = np.random.default_rng(seed).integers(40, 200, (4, 4, 3)).astype(np.float32)
    return np.asarray(tf.image.resize(coarse, [size, size])).round().astype(np.uint8)


def augmented(clip: Frames, rng_key: int, settings: Augmentation, *, may_flip: bool = True) -> Frames:
    return np.asarray(augment_clip(tf.constant(clip), tf.constant([rng_key, 7]), settings, tf.constant(may_flip)))


@pytest.mark.parametrize("settings", [Augmentation(), STRONG, Augmentation(flip=False, color_jitter=0), NONE])
@pytest.mark.parametrize("rng_key", range(4))
def test_a_clip_of_one_frame_repeated_stays_one(settings: Augmentation, rng_key: int) -> None:
    clip = np.repeat(picture()[np.newaxis], 5, axis=0)
    out = augmented(clip, rng_key, settings)
    assert (out.dtype, out.shape) == (clip.dtype, clip.shape)
    assert (out == out[:1]).all()


def test_every_frame_is_cropped_and_flipped_alike() -> None:
    # Red is where a pixel was from left to right, green from top to bottom; blue tells the frames apart.
    ramp = np.linspace(0, 248, SIZE).round()
    clip = np.stack([np.stack([*np.meshgrid(ramp, ramp), np.full((SIZE, SIZE), 40 * t)], -1) for t in range(6)])
    sides = set()
    for rng_key in range(12):
        out = augmented(clip.astype(np.uint8), rng_key, Augmentation(crop=0.4, color_jitter=0)).astype(int)
        assert (out[..., :2] == out[:1, ..., :2]).all()
        np.testing.assert_array_equal(out[:, 0, 0, 2], 40 * np.arange(6))
        across, down = out[0, 0, :, 0], out[0, :, 0, 1]
        assert (np.diff(down) >= 0).all()
        widths = abs(across[-1] - across[0]), down[-1] - down[0]
        assert widths[0] == pytest.approx(widths[1], abs=9)  # one pixel: the shape is kept
        assert 0.6 * 248 - 9 <= widths[0] <= 248
        sides.add(bool(across[0] > across[-1]))
    assert sides == {True, False}


def test_two_frames_get_the_same_colors() -> None:
    first, second = picture(1), picture(2)
    second[:8, :8] = first[:8, :8]
    out = augmented(np.stack([first, second]), 3, Augmentation(flip=False, crop=0, color_jitter=0.3))
    assert (out[0, :8, :8] == out[1, :8, :8]).all()
    assert (out[0] != first).any()


@pytest.mark.parametrize("value", [0, 255])
def test_colors_stay_within_their_range(value: int) -> None:
    clip = np.zeros((2, SIZE, SIZE, 3), np.uint8)
    clip[:, ::2] = 255
    for rng_key in range(8):
        out = augmented(clip, rng_key, Augmentation(flip=False, crop=0, color_jitter=0.9)).astype(int)
        # Over the edge of uint8, white would become black.
        assert out[:, ::2].min() >= out[:, 1::2].max()
    flat = augmented(np.full((2, SIZE, SIZE, 3), value, np.uint8), 1, STRONG)
    assert len(np.unique(flat)) == 1


def test_gray_stays_gray_and_colors_differ_by_no_more_than_the_share() -> None:
    gray = np.repeat(picture()[..., :1], 3, axis=-1)[np.newaxis]
    means = []
    for rng_key in range(40):
        out = augmented(gray, rng_key, Augmentation(flip=False, crop=0, color_jitter=0.2)).astype(int)
        assert np.ptp(out, axis=-1).max() <= 1
        means.append(out.mean() / gray.mean())
    assert min(means) > 0.78
    assert max(means) < 1.22
    assert max(means) - min(means) > 0.2


def test_a_key_always_gives_the_same_and_another_key_something_else() -> None:
    clip = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
    for rng_key in range(4):
        assert (augmented(clip, rng_key, STRONG) == augmented(clip, rng_key, STRONG)).all()
    outs = {augmented(clip, rng_key, STRONG).tobytes() for rng_key in range(10)}
    assert len(outs) == 10


def test_about_half_of_the_clips_are_flipped_but_none_that_may_not_be() -> None:
    clip = picture()[np.newaxis]
    only_flip = Augmentation(crop=0, color_jitter=0)
    flipped = sum((augmented(clip, rng_key, only_flip) == clip[:, :, ::-1]).all() for rng_key in range(60))
    assert 18 <= flipped <= 42
    for rng_key in range(20):
        assert (augmented(clip, rng_key, only_flip, may_flip=False) == clip).all()
        assert (augmented(clip, rng_key, replace(only_flip, flip=False)) == clip).all()


def test_no_augmentation_is_the_clip_itself() -> None:
    clip = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)
    for rng_key in range(5):
        assert (augmented(clip, rng_key, NONE) == clip).all()
        assert list(augment_time(tf.constant(3), tf.constant([rng_key, 1]), NONE)) == [0, 1, 2]


@pytest.mark.parametrize("settings", [Augmentation(), STRONG, Augmentation(temporal_crop=0.49)])
@pytest.mark.parametrize("length", [1, 2, 7, 16])
def test_times_rise_and_stay_inside_the_clip(settings: Augmentation, length: int) -> None:
    draws = set()
    for rng_key in range(50):
        places = np.asarray(augment_time(tf.constant(length), tf.constant([rng_key, 3]), settings))
        assert (places.dtype, places.shape) == (np.int32, (length,))
        assert (np.diff(places) >= 0).all()
        assert places.min() >= 0
        assert places.max() < length
        draws.add(tuple(places))
    assert (len(draws) > 1) == (length > 1)


def test_the_speed_changes_within_a_clip_and_no_more_than_the_share_is_cropped() -> None:
    length, slopes = 200, []
    for rng_key in range(60):
        settings = Augmentation(temporal_crop=0.15)
        places = np.asarray(augment_time(tf.constant(length), tf.constant([rng_key, 3]), settings))
        assert places[0] <= 0.15 * length + 1
        assert places[-1] >= 0.85 * length - 2
        first, second = places[100] - places[0], places[199] - places[100]
        slopes.append(first / second)
    assert max(slopes) > 1.15
    assert min(slopes) < 1 / 1.15


@pytest.mark.parametrize("length", [1, 4, 7, 10])
def test_segments_take_one_frame_of_each_equal_part(length: int) -> None:
    for kept in range(1, length + 1):
        bounds = np.arange(kept + 1) * length // kept
        draws = set()
        for rng_key in range(20):
            places = np.asarray(random_segments(tf.constant(length), tf.constant(kept), tf.constant([rng_key, 3])))
            assert places.dtype == np.int32
            assert ((bounds[:-1] <= places) & (places < bounds[1:])).all()
            draws.add(tuple(places))
        assert (len(draws) > 1) == (kept < length), "every frame is taken only if all are kept"


def test_keys_differ_by_seed_epoch_and_clip_and_there_is_one_for_every_seed() -> None:
    draws = [
        tuple(np.asarray(clip_rng_key(seed, tf.constant(epoch, tf.int64), tf.constant(number))))
        for seed in (0, 1, 2**31, 2**32 - 1)
        for epoch in range(4)
        for number in range(4)
    ]
    assert len(set(draws)) == len(draws)
    assert draws[0] == tuple(np.asarray(clip_rng_key(0, tf.constant(0, tf.int64), tf.constant(0))))


@pytest.mark.parametrize(
    "label",
    [
        *("left", "turn_left", "LeftHook", "right-hand wave", "turnLEFT", "LEFTTurn", "swiperight", "leftward turn"),
        *("Spin Clockwise", "spin_counterclockwise", "anti-clockwise", "turn ccw"),
        *("hook_R", "left2right", "righthanded"),
    ],
)
def test_a_label_that_names_a_side_is_never_flipped(label: str) -> None:
    assert not may_flip(label, Augmentation())


@pytest.mark.parametrize("label", ["wave", "walk upright", "bright_light", "Clap", "relay", "cleft", "走"])
def test_other_labels_are_flipped_unless_a_setting_says_no(label: str) -> None:
    assert may_flip(label, Augmentation())
    assert not may_flip(label, Augmentation(no_flip_label=("box", label)))
    assert not may_flip(label, Augmentation(flip=False))
