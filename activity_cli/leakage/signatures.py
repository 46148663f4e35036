"""A signature: what a clip looks like, in 37 kB. Clips with similar signatures are near-duplicates, or share a place.

The thumbnails have mean 0 and variance 1, so that brightness and contrast do not matter. The color histogram is of the
background (the median over time), and is the same for a mirrored clip.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import numpy.typing as npt

from activity_cli.dataset.clips import ClipStore, load_array, write_array
from activity_cli.errors import DatasetError

__all__ = ["SIGNATURE_SHAPE", "Signature", "SignatureStore", "compute_signature"]

Signature = npt.NDArray[np.float16]
"""float16 [18, 1024]: 16 gray thumbnails of 32 x 32 pixels, that of the background, and the colors of the background.

The last row holds the square roots of a histogram of 8 x 8 x 8 colors, and the tint: red and blue less green, as shares
of white.
"""

FRAMES = 16
SIDE = 32
SIGNATURE_SHAPE = (FRAMES + 2, SIDE * SIDE)
BACKGROUND = FRAMES
_BINS = 8  # for each color
COLORS = FRAMES + 1, slice(0, _BINS**3)
TINT = FRAMES + 1, slice(_BINS**3, _BINS**3 + 2)

_COLOR_SIDE = 56  # pixels of a side that the histogram counts
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def compute_signature(frames: npt.NDArray[np.uint8]) -> Signature:
    """The signature of a clip: uint8 [T, H, W, 3], RGB, T >= 1."""
    from activity_cli.video.fitting import fit_frame  # here: it loads OpenCV

    # A shorter clip gives some of its frames more than once.
    chosen = frames[np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)]
    thumbnails = np.stack([fit_frame(frame, SIDE, "stretch") for frame in chosen])
    gray = (thumbnails @ _LUMA).reshape(FRAMES, -1)
    gray = (gray - gray.mean(1, keepdims=True)) / (gray.std(1, keepdims=True) + np.float32(1e-3))
    rows, columns = (max(1, size // _COLOR_SIDE) for size in chosen.shape[1:3])
    levels = np.median(chosen[:, ::rows, ::columns], axis=0).astype(np.intp) * _BINS // 256
    histogram = np.bincount((levels @ np.array([_BINS * _BINS, _BINS, 1])).ravel(), minlength=_BINS**3)
    red, green, blue = np.median(thumbnails, axis=0).mean((0, 1)) / 255
    signature = np.zeros(SIGNATURE_SHAPE, np.float16)
    signature[:FRAMES] = gray
    signature[BACKGROUND] = np.median(gray, axis=0)
    signature[COLORS] = np.sqrt(histogram / histogram.sum())
    signature[TINT] = red - green, blue - green
    return signature


class SignatureStore:
    """The signatures of the clips in a store, in a folder beside it; a missing or damaged one is computed again."""

    def __init__(self, clips: ClipStore) -> None:
        self._clips = clips
        self.folder = clips.folder.with_name("signatures")

    def write(self, name: str, frames: npt.NDArray[np.uint8]) -> Signature:
        """Computes and stores the signature of the clip ``name``; frames are uint8 [T, H, W, 3], RGB.

        Raises:
            OutputError: The disk is full, or the folder cannot be written.
        """
        signature = compute_signature(frames)
        write_array(self.folder / name, signature)
        return signature

    def read(self, name: str) -> Signature:
        """The signature of the clip ``name``.

        Raises:
            DatasetError: Both the signature and the clip are missing.
        """
        with suppress(DatasetError):
            signature: Signature = load_array(self.folder / name)
            whole = signature.dtype == np.float16 and signature.shape == SIGNATURE_SHAPE
            if whole and np.isfinite(signature).all():
                return signature
        return self.write(name, self._clips.read(name))
