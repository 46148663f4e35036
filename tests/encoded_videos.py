"""Videos whose frames show their own number, in every form that a camera or an editor leaves behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

_BITS = 16


def ffmpeg(*words: object, frames: bytes | None = None) -> None:
    """Runs the ffmpeg of the package imageio-ffmpeg; no system package is needed."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *map(str, words)]
    done = subprocess.run(command, input=frames, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def numbered(number: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """A frame ``uint8 [height, width]`` of 4 x 4 black and white cells, lowest bit first."""
    bits = np.array([(number >> bit) & 1 for bit in range(_BITS)], np.uint8).reshape(4, 4) * 255
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    return bits[rows][:, columns]


def number_of(frame: npt.NDArray[np.uint8], quarter_turns: int = 0) -> int:
    """The number in a frame of any size, ``quarter_turns`` clockwise after it was drawn."""
    upright = np.rot90(frame, quarter_turns).mean(axis=-1)
    height, width = upright.shape
    centers = [[upright[(2 * y + 1) * height // 8, (2 * x + 1) * width // 8] for x in range(4)] for y in range(4)]
    return sum(1 << bit for bit, cell in enumerate(np.ravel(centers)) if cell > 127)


def encode(path: Path, num_frames: int, *options: object, size: tuple[int, int] = (128, 96), fps: float = 25) -> Path:
    """Writes frames with the numbers 0, 1, 2 ...; ``options`` choose the codec."""
    width, height = size
    frames = b"".join(numbered(number, width, height).tobytes() for number in range(num_frames))
    raw = ("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-r", fps, "-i", "-")
    ffmpeg(*raw, *options, path, frames=frames)
    return path


def truth_of(path: Path, quarter_turns: int = 0) -> list[int]:
    """The numbers of all frames in the order they are shown, read by a plain loop."""
    capture = cv2.VideoCapture(str(path))
    numbers = []
    while True:
        ok, frame = capture.read()
        if not ok:
            return numbers
        numbers.append(number_of(frame, quarter_turns))
