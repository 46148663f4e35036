"""What a clip looks like, in 20 kB: thumbnails of its frames, and the colors of the place.

Thumbnails have mean 0 and variance 1, so that brightness and contrast do not matter; the histogram of
colors is of the resting picture (the median over time), and does not change when that is mirrored.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["COLORS", "FRAMES", "RESTING", "SIDE", "SIGNATURE_SHAPE", "TINT", "Signature", "compute_signature"]

Signature = npt.NDArray[np.float16]
"""float16 [18, 576]: 16 gray thumbnails of 24 x 24, the resting one, and the colors.

The last row holds a histogram of 8 x 8 x 8 colors, of which the square roots stand there, and the tint:
red and blue less green, in parts of white.
"""

FRAMES = 16
SIDE = 24
SIGNATURE_SHAPE = (FRAMES + 2, SIDE * SIDE)
RESTING = FRAMES
_BINS = 8  # for each color
COLORS = FRAMES + 1, slice(0, _BINS**3)
TINT = FRAMES + 1, slice(_BINS**3, _BINS**3 + 2)

_COLOR_SIDE = 56  # pixels of a side that are looked at
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def compute_signature(frames: npt.NDArray[np.uint8]) -> Signature:
    """Reduces a clip to what is compared.

    Args:
        frames: uint8 [T, H, W, 3], RGB, T >= 1.
    """
    from activity_cli.video.fitting import fit_frame  # here: only what looks at frames pays for OpenCV

    # Of a shorter clip some frames are taken twice.
    chosen = frames[np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)]
    thumbnails = np.stack([fit_frame(frame, SIDE, "stretch") for frame in chosen])
    gray = (thumbnails @ _LUMA).reshape(FRAMES, -1)
    gray = (gray - gray.mean(1, keepdims=True)) / (gray.std(1, keepdims=True) + np.float32(1e-3))
    rows, columns = (max(1, size // _COLOR_SIDE) for size in chosen.shape[1:3])
    levels = np.median(chosen[:, ::rows, ::columns], axis=0).astype(np.intp) * _BINS // 256
    histogram = np.bincount((levels @ np.array([_BINS * _BINS, _BINS, 1])).ravel(), minlength=_BINS**3)
    red, green, blue = np.median(thumbnails, axis=0).mean((0, 1)) / 255
    look = np.zeros(SIGNATURE_SHAPE, np.float16)
    look[:FRAMES] = gray
    look[RESTING] = np.median(gray, axis=0)
    look[COLORS] = np.sqrt(histogram / histogram.sum())
    look[TINT] = red - green, blue - green
    return look
