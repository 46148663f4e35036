"""Activities as pose trajectories, in units that fit a body of any proportions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from drawing import Floats


class Pose(NamedTuple):
    """Where hips, hands and feet are; elbows and knees follow from that.

    Hips and feet are measured in leg lengths from the spot on the ground, hands in arm lengths from their
    shoulder, each as (forward, up, outward); angles are in radians.
    """

    hip_forward: float = 0.0
    hip_up: float = 0.985
    lean: float = 0.0
    nod: float = 0.0
    right_hand_forward: float = 0.10
    right_hand_up: float = -0.95
    right_hand_out: float = 0.16
    left_hand_forward: float = 0.10
    left_hand_up: float = -0.95
    left_hand_out: float = 0.16
    right_foot_forward: float = 0.0
    right_foot_up: float = 0.0
    right_foot_out: float = 0.04
    left_foot_forward: float = 0.0
    left_foot_up: float = 0.0
    left_foot_out: float = 0.04
    right_toe_pitch: float = 0.0
    left_toe_pitch: float = 0.0
    turn: float = 0.0
    travel: float = 0.0
    box_held: float = 0.0
    umbrella_tilt: float = -1.30
    umbrella_open: float = 0.0


CHANNELS = {name: i for i, name in enumerate(Pose._fields)}

STANDING = Pose()
HALF_SEATED = STANDING._replace(
    hip_forward=-0.30, hip_up=0.74, lean=0.72, nod=-0.25,
    right_hand_forward=0.70, right_hand_up=-0.55, left_hand_forward=0.70, left_hand_up=-0.55,
)  # fmt: skip
SEATED = STANDING._replace(
    hip_forward=-0.50, hip_up=0.50, lean=0.02,
    right_hand_forward=0.62, right_hand_up=-0.68, right_hand_out=0.0,
    left_hand_forward=0.62, left_hand_up=-0.68, left_hand_out=0.0,
)  # fmt: skip
GRASPING = STANDING._replace(
    hip_forward=-0.40, hip_up=0.52, lean=1.12, nod=-0.35,
    right_hand_forward=0.56, right_hand_up=-0.80, right_hand_out=-0.02,
    left_hand_forward=0.56, left_hand_up=-0.80, left_hand_out=-0.02,
)  # fmt: skip
HOLDING = STANDING._replace(
    lean=-0.05, nod=0.05,
    right_hand_forward=0.68, right_hand_up=-0.36, right_hand_out=-0.02,
    left_hand_forward=0.68, left_hand_up=-0.36, left_hand_out=-0.02,
)  # fmt: skip
UMBRELLA_DOWN = STANDING._replace(right_hand_forward=0.22, right_hand_up=-0.90, right_hand_out=0.20)
UMBRELLA_AHEAD = STANDING._replace(
    right_hand_forward=0.80, right_hand_up=-0.28, right_hand_out=0.05, umbrella_tilt=0.15, umbrella_open=0.12,
    left_hand_forward=0.45, left_hand_up=-0.72, left_hand_out=0.0,
)  # fmt: skip
UMBRELLA_UP = STANDING._replace(
    right_hand_forward=0.50, right_hand_up=-0.12, right_hand_out=-0.12, umbrella_tilt=1.52, umbrella_open=1.0,
    nod=-0.10,
)  # fmt: skip


@dataclass(frozen=True)
class Tempo:
    """What a clip may choose for itself without leaving its activity."""

    rate: float = 1.0  # Speed of a motion that repeats.
    phase: float = 0.0  # Where in its cycle such a motion begins, in radians.
    rest: float = 0.12  # Share of the clip for which a motion with two ends rests at each of them.
    amplitude: float = 1.0
    room: float = 2.0  # How far a walk may go before it turns around, in leg lengths.
    walk_yaw: float = 0.3  # The angle that a walk is seen from: turning around mirrors it.


def _path(keys: tuple[Pose, Pose, Pose], progress: Floats) -> Floats:
    """Lead through three poses, smoothly, the second at half of the way."""
    first, middle, last = (np.array(key, dtype=np.float64) for key in keys)
    s = progress[:, None]
    # Hermite halves with a common slope in the middle; at rest at both ends.
    slope = (last - first) * 0.8
    half = np.where(s < 0.5, s * 2, s * 2 - 1)
    start, end = np.where(s < 0.5, first, middle), np.where(s < 0.5, middle, last)
    slope_start, slope_end = np.where(s < 0.5, 0.0, slope), np.where(s < 0.5, slope, 0.0)
    square, cube = half**2, half**3
    return np.asarray(
        start * (2 * cube - 3 * square + 1)
        + slope_start * (cube - 2 * square + half)
        + end * (3 * square - 2 * cube)
        + slope_end * (cube - square)
    )


def _progress(share: Floats, rest: float) -> Floats:
    """Rest, go at an even pace with soft ends, rest for as long again: the same read backward."""
    s = np.clip((share - rest) / (1 - 2 * rest), 0.0, 1.0)
    return np.asarray(0.5 * s + 0.5 * s * s * (3 - 2 * s))


def _sit_down(share: Floats, seconds: Floats, tempo: Tempo) -> Floats:
    return _path((STANDING, HALF_SEATED, SEATED), _progress(share, tempo.rest))


def _pick_up(share: Floats, seconds: Floats, tempo: Tempo) -> Floats:
    progress = _progress(share, tempo.rest)
    poses = _path((STANDING, GRASPING, HOLDING), progress)
    # A step, not a blend: the box lies until the hands are at it. The tolerance keeps the middle frame of a
    # clip and that of its reverse on the same side.
    poses[:, CHANNELS["box_held"]] = progress > 0.5 + 1e-9
    return poses


def _open_umbrella(share: Floats, seconds: Floats, tempo: Tempo) -> Floats:
    poses = _path((UMBRELLA_DOWN, UMBRELLA_AHEAD, UMBRELLA_UP), _progress(share, tempo.rest))
    column = CHANNELS["umbrella_open"]
    poses[:, column] = np.clip(poses[:, column], 0.0, 1.0)
    return poses


def _fill(count: int, base: Pose, **channels: Floats | float) -> Floats:
    """Repeat a pose and put other values into some of its channels."""
    poses = np.tile(np.array(base, dtype=np.float64), (count, 1))
    for name, values in channels.items():
        poses[:, CHANNELS[name]] = values
    return poses


def _wave(share: Floats, seconds: Floats, tempo: Tempo) -> Floats:
    swing = np.sin(2 * np.pi * 1.5 * tempo.rate * seconds + tempo.phase) * tempo.amplitude
    return _fill(
        len(share), STANDING,
        right_hand_forward=0.15, right_hand_up=0.66 - 0.06 * swing, right_hand_out=0.40 + 0.32 * swing,
        nod=0.03 * swing,
    )  # fmt: skip


def _jumping_jack(share: Floats, seconds: Floats, tempo: Tempo) -> Floats:
    angle = 2 * np.pi * 1.05 * tempo.rate * seconds + tempo.phase
    spread = (1 - np.cos(angle)) / 2
    hop = 0.05 * np.sin(angle) ** 2
    arm = 0.15 + (2.55 + 0.15 * tempo.amplitude) * spread
    feet = 0.04 + 0.40 * tempo.amplitude * spread
    return _fill(
        len(share), STANDING,
        right_hand_up=-0.97 * np.cos(arm), left_hand_up=-0.97 * np.cos(arm),
        right_hand_out=0.97 * np.sin(arm), left_hand_out=0.97 * np.sin(arm),
        right_foot_out=feet, left_foot_out=feet, right_foot_up=hop, left_foot_up=hop,
        hip_up=hop + np.sqrt(0.985**2 - feet**2),
    )  # fmt: skip


def _step(angle: Floats, stride: float) -> tuple[Floats, Floats, Floats]:
    """One foot of a walk: (forward, up, pitch of the toes); flat on the ground for half of the cycle."""
    cycle = np.mod(angle, 2 * np.pi)
    stance = cycle < np.pi
    swing = np.clip(cycle - np.pi, 0.0, np.pi)
    forward = np.where(stance, stride * (1 - 2 * cycle / np.pi), -stride * np.cos(swing))
    up = np.where(stance, 0.0, 0.16 * np.sin(swing))
    return forward, up, np.where(stance, 0.0, -0.55 * np.sin(2 * swing))


def _walk(share: Floats, seconds: Floats, tempo: Tempo) -> Floats:
    cadence, stride = 0.95 * tempo.rate, 0.38 * tempo.amplitude
    angle = 2 * np.pi * cadence * seconds + tempo.phase
    speed = 4 * stride * cadence
    # Pacing to and fro: turn toward the viewer at the end of the room, in half a second.
    lap = max(tempo.room / (speed * np.cos(tempo.walk_yaw)), 0.5) + 0.25
    lap_share = np.mod(seconds, 2 * lap)
    there = np.clip((lap_share - lap + 0.5) / 0.5, 0, 1) - np.clip((lap_share - 2 * lap + 0.5) / 0.5, 0, 1)
    turn = (np.pi - 2 * tempo.walk_yaw) * (3 * there**2 - 2 * there**3)
    step = np.diff(seconds, prepend=seconds[0])
    travel = np.cumsum(speed * np.cos(tempo.walk_yaw + turn) * step)
    right, left = _step(angle, stride), _step(angle + np.pi, stride)
    swing = 0.62 * np.cos(angle) * tempo.amplitude
    return _fill(
        len(share), STANDING,
        hip_up=0.945 - 0.025 * np.cos(2 * angle), lean=0.06, turn=turn, travel=travel,
        right_foot_forward=right[0], right_foot_up=right[1], right_toe_pitch=right[2],
        left_foot_forward=left[0], left_foot_up=left[1], left_toe_pitch=left[2],
        right_hand_forward=0.12 - swing, left_hand_forward=0.12 + swing,
        right_hand_up=-0.80, left_hand_up=-0.80,
    )  # fmt: skip


Motion = Callable[[Floats, Floats, Tempo], Floats]

_FORWARD: dict[str, Motion] = {
    "sit_down": _sit_down,
    "pick_up": _pick_up,
    "open_umbrella": _open_umbrella,
    "wave": _wave,
    "jumping_jack": _jumping_jack,
    "walk": _walk,
}

# Each of these is the other one read backward.
REVERSED = {"stand_up": "sit_down", "put_down": "pick_up", "close_umbrella": "open_umbrella"}

LABELS = tuple(sorted([*_FORWARD, *REVERSED]))


def trajectory(label: str, count: int, fps: float, tempo: Tempo) -> Floats:
    """Poses of one clip, one row per frame, one column per field of `Pose`."""
    if label in REVERSED:
        return trajectory(REVERSED[label], count, fps, tempo)[::-1].copy()
    share = np.linspace(0.0, 1.0, count)
    return _FORWARD[label](share, np.arange(count) / fps, tempo)
