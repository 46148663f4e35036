"""What the tests of the encoders share: real frames, and each encoder built once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import keras
import numpy as np
import numpy.typing as npt

from activity_cli.streams.encoders import build_encoder

SIZE = 64
ROOT = Path(__file__).parent.parent


@cache
def real_frames(size: int = SIZE) -> npt.NDArray[np.uint8]:
    """Four frames each of three sample videos, RGB ``[12, size, size, 3]``; read-only."""
    frames = []
    for name in ("wave/person01_wave_2", "sit_down/person01_sit_down_1", "walk/person07_walk_1"):
        video = cv2.VideoCapture(str(ROOT / "sample_videos" / f"{name}.mp4"))
        for _ in range(4):
            read, frame = video.read()
            assert read, name
            frames.append(cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA)[..., ::-1])
    stacked = np.stack(frames)
    stacked.setflags(write=False)
    return stacked


def settle(encoder: keras.Model) -> None:
    """Batch normalization that has seen real frames: with random weights alone, features would vanish."""
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    encoder(real_frames(), training=True)


@cache
def settled(name: str) -> keras.Model:
    """An encoder with random weights whose features differ from frame to frame; leave its weights alone."""
    keras.utils.set_random_seed(11)
    encoder = build_encoder(name, SIZE, weights="none")
    settle(encoder)
    return encoder


def features_of(
    model: keras.Model, frames: npt.NDArray[np.generic], *, training: bool = False
) -> npt.NDArray[np.float32]:
    return np.asarray(model(frames, training=training))


def assert_close(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32], relative: float) -> None:
    """Equal, as compared with the largest value, and not all the same."""
    scale = float(np.abs(expected).max())
    assert scale > 1e-4
    assert float(np.ptp(expected, axis=0).max()) > 0.01 * scale, "every frame has the same features"
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * scale)
