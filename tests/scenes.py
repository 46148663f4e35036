"""Videos of places: a textured background that stands for the place, and two balls that move in front of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from activity_cli.leakage.duplicate_groups import DuplicateGroups, find_duplicate_groups
from activity_cli.leakage.signatures import compute_signature
from activity_cli.settings import Sampling
from data_support import read_clip

SIZE = 96, 128  # height, width
FRAMES = 30


def place_of(place: int) -> npt.NDArray[np.uint8]:
    """The background of a place: blotches of a few colors."""
    rng = np.random.default_rng([7, place])
    colors = rng.integers(0, 256, (4, 3))
    coarse = colors[rng.integers(0, 4, (6, 8))].astype(np.uint8)
    return np.asarray(cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def scene(path: Path, place: int, motion: int, *, fps: float = 15.0) -> Path:
    """Writes a video of two soft balls at ``place``; ``motion`` seeds their colors and paths."""
    path.parent.mkdir(parents=True, exist_ok=True)
    background = place_of(place).astype(np.float32)
    rng = np.random.default_rng([11, motion])
    ball_paths = [_ball_path(rng) for _ in range(2)]
    colors = rng.integers(0, 256, (2, 3))
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, SIZE[::-1])
    assert writer.isOpened()
    for number in range(FRAMES):
        frame = background
        for ball_path, color in zip(ball_paths, colors, strict=True):
            y, x = ball_path[number]
            ball = np.exp(-((((rows - y) ** 2 + (columns - x) ** 2) / 14**2) ** 2))[..., np.newaxis]
            frame = frame * (1 - ball) + color * ball
        writer.write(frame.astype(np.uint8))
    writer.release()
    return path


def _ball_path(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    corners = rng.uniform(0.1, 0.9, (4, 2)) * SIZE
    times = np.linspace(0, 3, FRAMES)
    return np.stack([np.interp(times, range(4), corners[:, axis]) for axis in (0, 1)], 1)


def groups_of_videos(paths: list[Path], labels: list[str] | None = None) -> DuplicateGroups:
    """Groups videos by their signatures; by default every other one has the same label."""
    signatures = []
    for path in paths:
        signatures.append(compute_signature(read_clip(path, Sampling(num_frames=16, frame_size=96)).frames))
    labels = labels or [("one", "two")[number % 2] for number in range(len(paths))]
    return find_duplicate_groups(signatures, range(len(paths)), labels)
