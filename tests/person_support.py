"""A person in motion: a photograph that a package holds, moved, and turned into videos."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from encoded_videos import ffmpeg

FPS = 20.0


@cache
def astronaut() -> npt.NDArray[np.uint8]:
    """Eileen Collins, 1992, by NASA (public domain), ``uint8 [512, 512, 3]``, RGB."""
    from skimage import data

    return np.asarray(data.astronaut(), np.uint8)


def moving_person(num_frames: int = 12, size: tuple[int, int] = (320, 240)) -> npt.NDArray[np.uint8]:
    """She grows, sways and moves to one side: ``uint8 [T, H, W, 3]``, RGB."""
    width, height = size
    frames = []
    for index in range(num_frames):
        share = index / max(1, num_frames - 1)
        angle, scale = 8 * np.sin(2 * np.pi * share), height / 512 * (0.9 + 0.2 * share)
        matrix = cv2.getRotationMatrix2D((256, 256), angle, scale)
        matrix[:, 2] += (width * (0.4 + 0.25 * share) - 256, height / 2 - 256)
        frames.append(cv2.warpAffine(astronaut(), matrix, size, borderValue=(70, 60, 50)))
    return np.asarray(np.stack(frames), np.uint8)


def write_lossless(path: Path, frames: npt.NDArray[np.uint8], fps: float = FPS) -> Path:
    """Writes frames ``uint8 [T, H, W, 3]``, RGB, that come back as they are."""
    height, width = frames.shape[1:3]
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", fps, "-i", "-")
    ffmpeg(*raw, "-c:v", "ffv1", "-pix_fmt", "bgr0", path, frames=frames.tobytes())
    return path
