"""What a head reads of a skeleton: the movement, whatever the frame rate and the place; and its augmentation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from activity_cli.sampling.plan import evenly_spaced
from activity_cli.streams.hands import HANDS_WIDTH
from activity_cli.streams.motion import MOTION_WIDTH
from activity_cli.streams.pose import POSE_WIDTH
from activity_cli.streams.skeleton import (
    Skeletons,
    augmented,
    cut,
    mirrored,
    read_skeleton,
    resampled,
    skeleton_features,
    stack,
)
from activity_cli.streams.views import views_of
from skeleton_support import hand_rows, pose_rows, still, times_of, waving

STEPS = 16
FAST, SLOW = waving(1.0), waving(0.5)
TIMES = times_of(STEPS, 8.0)
Floats = npt.NDArray[np.floating[Any]]


def person(left: Any = FAST, right: Any = still, *, times: Any = TIMES, steps: int = STEPS, **place: Any) -> Skeletons:
    """A clip of a person with hands."""
    times = np.asarray(times)
    return read_skeleton(pose_rows(times, left, right, **place), hand_rows(times, left, right), times, steps)


def features(clip: Skeletons) -> Floats:
    return skeleton_features(clip)[0]


def fields_of(clip: Skeletons) -> list[Floats]:
    assert clip.hands is not None and clip.hands_found is not None
    return [clip.joints, clip.places, clip.found, clip.hands, clip.hands_found, clip.seconds]


def assert_equal(one: Skeletons, other: Skeletons, atol: float = 1e-6) -> None:
    for first, second in zip(fields_of(one), fields_of(other), strict=True):
        np.testing.assert_allclose(first, second, atol=atol)


def test_the_same_movement_at_any_frame_rate_is_the_same() -> None:
    slow, fast = (person(SLOW, FAST, times=times_of(int(2 * fps), fps)) for fps in (15, 60))
    assert slow.seconds == pytest.approx(2) and fast.seconds == pytest.approx(2)
    np.testing.assert_allclose(slow.joints, fast.joints, atol=0.02)
    other = person(FAST, SLOW, times=times_of(30, 15))
    apart = np.abs(features(slow) - features(other)).mean()
    assert np.abs(features(slow) - features(fast)).mean() < 0.1 * apart


def test_rates_are_per_second() -> None:
    # The same pictures, shown twice as fast.
    slow = person()
    fast = read_skeleton(pose_rows(TIMES, FAST), hand_rows(TIMES, FAST), TIMES / 2, STEPS)
    np.testing.assert_allclose(fast.joints, slow.joints, atol=1e-6)
    differs = np.abs(features(fast) - features(slow)).max(axis=0) > 1e-3
    assert differs.any() and not differs.all()


def test_features_do_not_depend_on_where_and_when_the_person_stands() -> None:
    usual = features(person(sway=0.3))
    moved = features(person(sway=0.3, place=(0.3, 0.7)))
    np.testing.assert_allclose(moved, usual, atol=1e-4)
    small = features(person(sway=0.3, size=0.05))
    np.testing.assert_allclose(small, usual, atol=1e-4)
    late = read_skeleton(pose_rows(TIMES, FAST, sway=0.3), hand_rows(TIMES, FAST), TIMES + 100, STEPS)
    np.testing.assert_allclose(features(late), usual, atol=1e-3)
    assert np.abs(features(person(sway=0.6)) - usual).max() > 0.1, "how far somebody walks is part of the movement"


def test_frames_without_anybody_take_the_nearest_skeleton() -> None:
    whole, rows = pose_rows(TIMES, FAST), pose_rows(TIMES, FAST)
    rows[[0, 1, 7, 8, 9]] = 0
    nearest = [2, 2, 2, 3, 4, 5, 6, 6, 6, 10, 10, 11, 12, 13, 14, 15]  # of two that are equally near, the earlier one
    clip = read_skeleton(rows, None, TIMES, STEPS)
    expected = read_skeleton(whole[nearest], None, TIMES, STEPS)
    np.testing.assert_allclose(clip.joints, expected.joints, atol=1e-6)
    np.testing.assert_allclose(clip.places, expected.places, atol=1e-5)
    assert clip.found[0].round(6).tolist() == [float(number not in (0, 1, 7, 8, 9)) for number in range(STEPS)]
    assert clip.hands is None


def test_each_hand_takes_its_own_nearest_frame() -> None:
    hands = hand_rows(TIMES, FAST, SLOW)
    whole = read_skeleton(pose_rows(TIMES), hands.copy(), TIMES, STEPS)
    hands[5, HANDS_WIDTH // 2 :] = 0  # the right one
    clip = read_skeleton(pose_rows(TIMES), hands, TIMES, STEPS)
    assert clip.hands is not None and whole.hands is not None and clip.hands_found is not None
    np.testing.assert_allclose(clip.hands[0, :, 0], whole.hands[0, :, 0], atol=1e-6)
    np.testing.assert_allclose(clip.hands[0, 5, 1], whole.hands[0, 4, 1], atol=1e-6)
    assert clip.hands_found[0].round(6).tolist() == [[1, float(number != 5)] for number in range(STEPS)]


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("somebody", [True, False])
@pytest.mark.parametrize("steps", [1, 2, STEPS])
def test_short_clips_and_clips_of_nobody_have_finite_features(count: int, somebody: bool, steps: int) -> None:
    times = times_of(count, 8.0)
    pose, hands = pose_rows(times, FAST) * somebody, hand_rows(times, FAST) * somebody
    for with_hands in (None, hands):
        clip = read_skeleton(pose, with_hands, times, steps)
        for one in (
            clip,
            mirrored(clip),
            cut(clip, 0.12, 1),
            augmented(clip, np.ones(1, bool), np.random.default_rng(0))[0],
        ):
            found = skeleton_features(one)
            assert found.shape[:2] == (1, steps) and found.dtype == np.float32
            assert np.isfinite(found).all()


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 3, 3), (0, 1, 2, 3, 0, 1)], ids=["repeat_last", "wrap"])
def test_a_frame_that_a_short_clip_shows_twice_counts_once(order: tuple[int, ...]) -> None:
    times, some = times_of(4, 8.0), list(order)
    pose, hands = pose_rows(times, FAST), hand_rows(times, FAST)
    found = read_skeleton(pose[some], hands[some], times[some], STEPS)
    assert_equal(found, read_skeleton(pose, hands, times, STEPS))


def test_a_cut_shows_the_part_of_the_clip() -> None:
    clip = person()
    assert_equal(cut(clip, 0, 1), clip)
    half = cut(clip, 0.5, 1.0)
    assert half.seconds == pytest.approx(clip.seconds / 2)
    # Its steps are half as long: the second one is at 8 1/4 of the whole clip's.
    between = 0.75 * clip.joints[0, 8:15] + 0.25 * clip.joints[0, 9:16]
    np.testing.assert_allclose(half.joints[0, 1:15:2], between, atol=1e-6)
    places = np.array([[0.0, 3.5, 15.0, 99.0]])
    moved = resampled(clip, places, clip.seconds)
    np.testing.assert_allclose(moved.joints[0, 0], clip.joints[0, 0])
    np.testing.assert_allclose(moved.joints[0, 1], (clip.joints[0, 3] + clip.joints[0, 4]) / 2, atol=1e-6)
    np.testing.assert_allclose(moved.joints[0, 2:], clip.joints[0, [15, 15]], atol=1e-6)


def test_a_person_in_a_mirror_moves_the_other_arm() -> None:
    there, mirror_image = person(FAST, SLOW, sway=0.3), person(SLOW, FAST, sway=-0.3)
    np.testing.assert_allclose(features(mirrored(there)), features(mirror_image), atol=1e-4)
    assert np.abs(features(there) - features(mirror_image)).max() > 0.1
    assert_equal(mirrored(mirrored(there)), there)


def test_only_the_chosen_clips_are_mirrored() -> None:
    both = stack([person(FAST, SLOW), person(SLOW, FAST)])
    found = mirrored(both, np.array([False, True]))
    assert_equal(found.take(np.array([0])), person(FAST, SLOW))
    assert_equal(found.take(np.array([1])), mirrored(person(SLOW, FAST)))
    assert len(both) == 2


def many(count: int = 40) -> Skeletons:
    return stack([person(SLOW, still)] * count)


def test_augmentation_is_a_function_of_its_generator() -> None:
    clips, may_flip = many(), np.ones(40, bool)
    (one, flips), (same, same_flips), (other, _) = (
        augmented(clips, may_flip, np.random.default_rng([7, epoch])) for epoch in (0, 0, 1)
    )
    assert_equal(one, same, atol=0)
    assert (flips == same_flips).all() and 10 < flips.sum() < 30
    assert np.abs(one.joints - other.joints).max() > 0.05
    # Clips that are the same become different ones.
    assert np.abs(one.joints[0] - one.joints[1]).max() > 0.05
    assert not augmented(clips, ~may_flip, np.random.default_rng(0))[1].any()


def test_augmentation_keeps_the_shape_of_the_body_and_the_hips_in_the_middle() -> None:
    clips = many()
    varied, _ = augmented(clips, np.zeros(40, bool), np.random.default_rng(0))

    def lengths(joints: Floats) -> Floats:
        # Knees to ankles, and shoulder to shoulder: they do not move in these clips.
        ends = (joints[:, :, [17, 18, 3]], joints[:, :, [19, 20, 4]])
        return np.linalg.norm(ends[0].mean(axis=1) - ends[1].mean(axis=1), axis=-1)

    ratios = lengths(varied.joints) / lengths(clips.joints)
    assert (ratios > 0.8).all() and (ratios < 1.2).all()
    assert ratios.std() > 0.02
    hips = varied.joints[:, :, [15, 16]].mean(axis=(1, 2))
    np.testing.assert_allclose(hips, 0, atol=0.02)
    # At least 70 % of the time is left.
    shares = varied.seconds / clips.seconds
    assert (shares > 0.699).all() and (shares <= 1).all() and shares.std() > 0.02


def test_augmentation_leaves_hands_out_and_says_so() -> None:
    varied, _ = augmented(many(), np.zeros(40, bool), np.random.default_rng(0))
    assert varied.hands_found is not None and varied.hands is not None
    assert set(np.unique(varied.hands_found)) == {0.0, 1.0}
    whole = (varied.hands_found == 0).all(axis=1)
    assert 0.1 < whole.mean() < 0.5
    assert not np.abs(varied.hands.transpose(0, 2, 1, 3, 4)[whole]).any()
    part = (varied.hands_found == 0).any(axis=1) & ~whole
    assert 0.2 < part.mean() < 0.6
    # Their frames take the skeleton of a neighbor, and are not empty.
    assert np.abs(varied.hands.transpose(0, 2, 1, 3, 4)[part]).max(axis=(2, 3)).min() > 0


def rows_of(times: Any, left: Any = FAST, right: Any = SLOW) -> dict[str, npt.NDArray[np.float32]]:
    motion = np.arange(len(times), dtype=np.float32)[:, np.newaxis] * np.ones(MOTION_WIDTH, np.float32)
    return {"motion": motion, "pose": pose_rows(times, left, right), "hands": hand_rows(times, left, right)}


def test_rows_are_read_as_they_are_and_of_a_longer_clip_the_middles_of_its_parts() -> None:
    for count, num_frames in ((4, 6), (6, 6), (20, 6)):
        times = times_of(count, 10.0)
        (view,) = views_of(["motion"], rows_of(times), times.tolist(), num_frames, mirror=True)
        assert view.features[:, 0].tolist() == list(evenly_spaced(count, num_frames))
        assert not view.is_mirrored


@pytest.mark.parametrize("reads", [("pose",), ("pose", "hands")])
def test_the_pose_is_read_at_several_cuts_and_in_a_mirror(reads: tuple[str, ...]) -> None:
    rows = rows_of(TIMES)
    plain = views_of(reads, rows, TIMES.tolist(), STEPS, mirror=False)
    both = views_of(reads, rows, TIMES.tolist(), STEPS, mirror=True)
    assert [view.is_mirrored for view in plain] == [False] * 4
    assert [view.is_mirrored for view in both] == [False, True] * 4
    for one, other in zip(plain, both[::2], strict=True):
        np.testing.assert_array_equal(one.features, other.features)
    clip = read_skeleton(rows["pose"], rows["hands"] if "hands" in reads else None, TIMES, STEPS)
    np.testing.assert_allclose(plain[0].features, features(clip), atol=1e-4)
    in_mirror = views_of(reads, rows_of(TIMES, SLOW, FAST), TIMES.tolist(), STEPS, mirror=False)
    for one, other in zip(both[1::2], in_mirror, strict=True):
        np.testing.assert_allclose(one.features, other.features, atol=1e-3)
    assert len({view.features.tobytes() for view in both}) == 8


def test_a_clip_of_nobody_has_views() -> None:
    rows = {"pose": np.zeros((3, POSE_WIDTH), np.float32), "hands": np.zeros((3, HANDS_WIDTH), np.float32)}
    views = views_of(["pose", "hands"], rows, [0.0, 0.1, 0.2], STEPS, mirror=True)
    assert all(np.isfinite(view.features).all() for view in views)
