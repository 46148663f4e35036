"""What a network reads of the pose and hands streams: the movement of a skeleton, and its augmentation.

A clip is resampled to a fixed number of steps, linearly between its frames, so that a network reads the same movement
at any frame rate. All rates are per second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from activity_cli.streams.hands import split_hands
from activity_cli.streams.pose import split_pose

__all__ = ["CUTS", "Skeletons", "augmented", "mirrored", "read_skeleton", "resampled", "skeleton_features", "stack"]

Floats = npt.NDArray[np.floating[Any]]

# Joints of BlazePose that are read: nose, ears, and all from the shoulders to the feet.
_JOINTS = (0, 7, 8, *range(11, 33))
_SWAPPED = np.array([0, 2, 1, *(joint + 1 if joint % 2 else joint - 1 for joint in range(11, 33))])
_SWAPPED[3:] = [_JOINTS.index(joint) for joint in _SWAPPED[3:]]
_PLACE = {joint: place for place, joint in enumerate(_JOINTS)}
_LEFT_SHOULDER, _RIGHT_SHOULDER, _LEFT_HIP, _RIGHT_HIP = (_PLACE[joint] for joint in (11, 12, 23, 24))
# From joint to joint: arms and hands, shoulders, hips, sides, thighs and shins.
_BONES = [
    (11, 13), (13, 15), (15, 19), (15, 17), (12, 14), (14, 16), (16, 20), (16, 18),
    (11, 12), (23, 24), (11, 23), (12, 24), (23, 25), (24, 26), (25, 27), (26, 28),
]  # fmt: skip
_BONE_STARTS, _BONE_ENDS = (np.array([_PLACE[bone[end]] for bone in _BONES]) for end in (0, 1))
# Angles at the middle one of three joints: elbows, shoulders, hips, knees.
_ANGLES = [
    (11, 13, 15),
    (12, 14, 16),
    (13, 11, 23),
    (14, 12, 24),
    (11, 23, 25),
    (12, 24, 26),
    (23, 25, 27),
    (24, 26, 28),
]
_ANGLE_JOINTS = np.array([[_PLACE[joint] for joint in angle] for angle in _ANGLES])
_NUM_ARM_ANGLES = 4
# Wrists to head, hips and shoulders, and to each other.
_DISTANCES = np.array(
    [[_PLACE[a], _PLACE[b]] for a, b in [(15, 0), (16, 0), (15, 23), (16, 24), (15, 11), (16, 12), (15, 16)]]
)
_FAST_JOINTS = [_PLACE[joint] for joint in (13, 14, 15, 16)]
# Of a hand: knuckles of index and little finger, and the ends and starts of the fingers.
_INDEX_KNUCKLE, _LITTLE_KNUCKLE = 5, 17
_FINGER_STARTS, _FINGER_ENDS = np.array([2, 5, 9, 13, 17]), np.array([4, 8, 12, 16, 20])

# Parts of a clip whose answers are averaged.
CUTS = ((0.0, 1.0), (0.0, 0.88), (0.06, 0.94), (0.12, 1.0))


@dataclass(frozen=True, slots=True)
class Skeletons:
    """Clips of the same number of steps.

    Attributes:
        joints: In meters around the hips, ``[B, T, J, 3]``.
        places: Middles of the hips and of the shoulders in the picture, in lengths of the torso, ``[B, T, 2, 2]``.
        found: Whether somebody was found, ``[B, T]``.
        hands: In meters around the middle of each hand, ``[B, T, 2, 21, 3]``; None: hands are not read.
        hands_found: Whether each hand was found, ``[B, T, 2]``.
        seconds: How long each clip is, ``[B]``.
    """

    joints: Floats
    places: Floats
    found: Floats
    hands: Floats | None
    hands_found: Floats | None
    seconds: Floats

    def __len__(self) -> int:
        return len(self.seconds)

    def take(self, numbers: npt.NDArray[np.int64]) -> Skeletons:
        """Some of the clips."""
        parts = (None if one is None else one[numbers] for one in _fields(self))
        return Skeletons(*parts)  # type: ignore[arg-type]


def _fields(one: Skeletons) -> tuple[Floats | None, ...]:
    return one.joints, one.places, one.found, one.hands, one.hands_found, one.seconds


def stack(clips: list[Skeletons]) -> Skeletons:
    """Several clips as one batch."""
    parts = (None if of[0] is None else np.concatenate(of) for of in zip(*map(_fields, clips), strict=True))  # type: ignore[arg-type]
    return Skeletons(*parts)  # type: ignore[arg-type]


def read_skeleton(pose: Floats, hands: Floats | None, times_seconds: npt.NDArray[np.float64], steps: int) -> Skeletons:
    """A clip ``[1, steps, ...]`` from its rows of the streams.

    Frames in which nobody was found take the skeleton of the nearest frame in which somebody was. A short clip may show
    frames twice (``short_clips``): each counts once.

    Args:
        pose: ``float32 [T, POSE_WIDTH]``.
        hands: ``float32 [T, HANDS_WIDTH]``; None: hands are not read.
        times_seconds: When each frame is shown, ``[T]``.
        steps: To resample to.
    """
    times_seconds, kept = np.unique(times_seconds, return_index=True)
    rows = split_pose(pose[kept])
    found = rows.found > 0
    nearest = _nearest(found)
    picture = rows.picture[nearest]
    hips, shoulders = ((picture[:, a] + picture[:, b]) / 2 for a, b in ((23, 24), (11, 12)))
    torso = float(np.median(np.linalg.norm(shoulders - hips, axis=1)))
    places = np.stack([hips, shoulders], axis=1) / max(torso, 1e-3)
    parts: list[Floats] = [rows.world[nearest][:, list(_JOINTS)], places, found.astype(np.float32)]
    if hands is not None:
        both = split_hands(hands[kept])
        seen = both.found > 0
        world = np.stack([both.world[_nearest(seen[:, one]), one] for one in (0, 1)], axis=1)
        parts += [world, seen.astype(np.float32)]
    # Every frame is shown for about as long as the time to the next.
    gap = float(np.median(np.diff(times_seconds))) if len(times_seconds) > 1 else 1.0
    seconds = float(times_seconds[-1] - times_seconds[0]) + gap
    start = float(times_seconds[0]) - gap / 2
    moments = start + (np.arange(steps) + 0.5) / steps * seconds
    resampled_parts = [_at(part, times_seconds, moments)[np.newaxis] for part in parts]
    joints, middles, shown, *rest = resampled_parts
    hand, hand_found = rest or (None, None)
    return Skeletons(joints, middles, shown, hand, hand_found, np.array([seconds], np.float32))


def _nearest(found: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """For each frame the nearest one that is found; itself where none is."""
    places = np.flatnonzero(found)
    numbers = np.arange(len(found))
    if not len(places):
        return numbers
    return np.asarray(places[np.abs(numbers[:, np.newaxis] - places).argmin(axis=1)])


def _at(values: Floats, times: npt.NDArray[np.float64], moments: npt.NDArray[np.float64]) -> Floats:
    """Values ``[T, ...]`` at other moments, linearly between frames; the first and the last beyond them."""
    if len(times) == 1:
        return np.repeat(values, len(moments), axis=0).astype(np.float32)
    high = np.clip(np.searchsorted(times, moments), 1, len(times) - 1)
    low = high - 1
    share = np.clip((moments - times[low]) / (times[high] - times[low]), 0, 1).astype(np.float32)
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(values[low] * (1 - share) + values[high] * share, np.float32)


def resampled(clips: Skeletons, positions: Floats, seconds: Floats) -> Skeletons:
    """Clips at other places ``[B, T]`` in time, in steps from 0; they last ``seconds`` ``[B]`` then."""
    most = clips.joints.shape[1] - 1
    positions = np.clip(positions, 0, most)
    low = np.minimum(positions.astype(np.int64), max(most - 1, 0))
    share = (positions - low).astype(np.float32)
    rows = np.arange(len(positions))[:, np.newaxis]

    def moved(values: Floats | None) -> Any:
        if values is None:
            return None
        weight = share.reshape(*share.shape, *[1] * (values.ndim - 2))
        return values[rows, low] * (1 - weight) + values[rows, np.minimum(low + 1, most)] * weight

    joints, places, found, hands, hands_found = (moved(one) for one in _fields(clips)[:-1])
    return Skeletons(joints, places, found, hands, hands_found, seconds)


def cut(clips: Skeletons, start: float, end: float) -> Skeletons:
    """The part of each clip between two shares of its time, in as many steps."""
    steps = clips.joints.shape[1]
    positions = np.broadcast_to(
        (start + (np.arange(steps) + 0.5) / steps * (end - start)) * steps - 0.5, (len(clips), steps)
    )
    return resampled(clips, positions, clips.seconds * (end - start))


def mirrored(clips: Skeletons, which: npt.NDArray[np.bool_] | None = None) -> Skeletons:
    """The clips, or those of ``which``, as a mirror shows them: right is left, left joints are right ones."""
    flip = np.ones(len(clips), np.bool_) if which is None else which

    def chosen(before: Floats, after: Floats) -> Floats:
        return np.where(flip.reshape(-1, *[1] * (before.ndim - 1)), after, before).astype(np.float32)

    three, two = np.array([-1, 1, 1], np.float32), np.array([-1, 1], np.float32)
    hands, found = clips.hands, clips.hands_found
    return replace(
        clips,
        joints=chosen(clips.joints, clips.joints[:, :, _SWAPPED] * three),
        places=chosen(clips.places, clips.places * two),
        hands=None if hands is None else chosen(hands, hands[:, :, ::-1] * three),
        hands_found=None if found is None else chosen(found, found[:, :, ::-1]),
    )


def augmented(
    clips: Skeletons, may_flip: npt.NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Skeletons, npt.NDArray[np.bool_]]:
    """The clips, varied at random: cut and warped in time, mirrored, turned, scaled, jittered, and hands left out.

    Returns:
        The clips, and which of them are mirrored, ``bool [B]``.
    """
    count, steps = len(clips), int(clips.joints.shape[1])
    length = rng.uniform(0.7, 1.0, count)
    start = rng.uniform(0, 1 - length)
    line = (np.arange(steps) + 0.5) / steps
    # Faster at first and slower later, or the other way round; the ends stay.
    warped = line + rng.uniform(-0.15, 0.15, (count, 1)) * np.sin(np.pi * line) ** 2
    positions = (start[:, np.newaxis] + warped * length[:, np.newaxis]) * steps - 0.5
    varied = resampled(clips, positions, (clips.seconds * length).astype(np.float32))
    flipped = may_flip & (rng.random(count) < 0.5)
    varied = mirrored(varied, flipped)
    matrix = _rotations(rng.normal(0, 0.35, count), rng.normal(0, 0.12, count))
    matrix = (matrix * rng.uniform(0.85, 1.15, (count, 1, 3))).astype(np.float32)

    def turned(points: Floats, noise: float) -> Floats:
        moved = np.einsum("b...i,bji->b...j", points, matrix)
        return np.asarray(moved + rng.standard_normal(moved.shape, np.float32) * np.float32(noise))

    hands, hands_found = varied.hands, varied.hands_found
    if hands is not None and hands_found is not None:
        hands, hands_found = _hands_dropped(turned(hands, 0.003), hands_found, rng)
    return replace(varied, joints=turned(varied.joints, 0.01), hands=hands, hands_found=hands_found), flipped


def _rotations(about_vertical: Floats, about_horizontal: Floats) -> Floats:
    """Matrices ``[B, 3, 3]`` that turn about the vertical, then about the horizontal axis, by angles in radians."""
    count = len(about_vertical)
    cos, sin = np.cos(about_vertical), np.sin(about_vertical)
    vertical = np.zeros((count, 3, 3))
    vertical[:, 0, 0], vertical[:, 0, 2], vertical[:, 2, 0], vertical[:, 2, 2] = cos, sin, -sin, cos
    vertical[:, 1, 1] = 1
    cos, sin = np.cos(about_horizontal), np.sin(about_horizontal)
    horizontal = np.zeros((count, 3, 3))
    horizontal[:, 1, 1], horizontal[:, 1, 2], horizontal[:, 2, 1], horizontal[:, 2, 2] = cos, -sin, sin, cos
    horizontal[:, 0, 0] = 1
    return np.asarray(horizontal @ vertical)


def _hands_dropped(hands: Floats, found: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Leaves hands out, as the landmark model does: a whole hand (0.3), or some frames in a row (0.4)."""
    hands, found = hands.copy(), found.copy()
    count, steps = len(found), int(found.shape[1])
    for one in range(2):
        draw = rng.random(count)
        whole = draw < 0.3
        hands[whole, :, one], found[whole, :, one] = 0, 0
        part = (draw >= 0.3) & (draw < 0.7) & (steps > 3)
        lengths, starts = rng.integers(3, 12, count), rng.random(count)
        for clip in np.flatnonzero(part):
            length = min(int(lengths[clip]), steps - 1)
            begin = int(starts[clip] * (steps - length + 1))
            end = begin + length
            middle = begin + length // 2
            if begin > 0:
                hands[clip, begin:middle, one] = hands[clip, begin - 1, one]
            if end < steps:
                hands[clip, (middle if begin > 0 else begin) : end, one] = hands[clip, end, one]
            else:
                hands[clip, begin:end, one] = hands[clip, begin - 1, one]
            found[clip, begin:end, one] = 0
    return hands, found


def skeleton_features(clips: Skeletons) -> Floats:
    """What the network reads of each step, ``float32 [B, T, F]``; it standardizes it itself."""
    joints = clips.joints
    count, steps = joints.shape[:2]
    step_seconds = (clips.seconds / steps).reshape(-1, 1, 1).astype(np.float32)

    def rate(values: Floats) -> Floats:
        """Change per second, of values ``[B, T, N]``."""
        changes = np.diff(values, axis=1, prepend=values[:, :1])
        if steps > 1:
            changes[:, 0] = changes[:, 1]
        return np.asarray(changes / step_seconds)

    flat = joints.reshape(count, steps, -1)
    bones = _unit(joints[:, :, _BONE_ENDS] - joints[:, :, _BONE_STARTS]).reshape(count, steps, -1)
    angles = _angles(joints)
    first, second = joints[:, :, _DISTANCES[:, 0]], joints[:, :, _DISTANCES[:, 1]]
    distances = np.linalg.norm(first - second, axis=-1)
    places = (clips.places - clips.places.mean(axis=1, keepdims=True)).reshape(count, steps, -1)
    shoulders = (joints[:, :, _LEFT_SHOULDER] + joints[:, :, _RIGHT_SHOULDER]) / 2
    torso = np.median(np.linalg.norm(shoulders, axis=-1), axis=1).reshape(-1, 1, 1)
    moved = rate(joints[:, :, _FAST_JOINTS].reshape(count, steps, -1)).reshape(count, steps, -1, 3)
    speeds = np.log1p(np.linalg.norm(moved, axis=-1) / np.maximum(torso, 0.1))
    angle_rates = rate(angles[..., :_NUM_ARM_ANGLES])
    parts = [
        flat,
        0.45 * rate(flat),
        bones,
        0.15 * rate(bones),
        angles,
        distances,
        0.3 * places,
        clips.found[..., np.newaxis],
        speeds,
        _logarithm(rate(speeds)),
        _logarithm(angle_rates),
    ]
    if clips.hands is not None and clips.hands_found is not None:
        parts += _hand_parts(clips.hands, clips.hands_found, rate)
    return np.concatenate(parts, axis=-1).astype(np.float32)


def _hand_parts(hands: Floats, found: Floats, rate: Callable[[Floats], Floats]) -> list[Floats]:
    count, steps = hands.shape[:2]
    wrist = hands[:, :, :, 0]
    across = [_unit(hands[:, :, :, knuckle] - wrist) for knuckle in (_INDEX_KNUCKLE, _LITTLE_KNUCKLE)]
    normal = _unit(np.cross(across[0], across[1]))
    fingers = _unit(hands[:, :, :, _FINGER_ENDS] - hands[:, :, :, _FINGER_STARTS])
    reach = np.linalg.norm(hands[:, :, :, _FINGER_ENDS] - wrist[:, :, :, np.newaxis], axis=-1) * 10
    directions = np.concatenate([one.reshape(count, steps, -1) for one in (*across, normal, fingers, reach)], axis=-1)
    return [10 * hands.reshape(count, steps, -1), directions, 0.15 * rate(directions), found]


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-4), np.float32)


def _angles(joints: Floats) -> Floats:
    a, b, c = (joints[:, :, _ANGLE_JOINTS[:, place]] for place in range(3))
    cosines = (_unit(a - b) * _unit(c - b)).sum(axis=-1)
    return np.asarray(np.arccos(np.clip(cosines, -1, 1)), np.float32)


def _logarithm(values: Floats) -> Floats:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)), np.float32)
