"""EfficientNet-Lite0 without its classifier: from one frame to 1280 features.

M. Tan and Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019. The Lite
variant (Google, 2020) is made for phones: ReLU6 instead of swish, no squeeze-and-excite, stem and head never scaled.
Google trained the ImageNet weights (75 % top-1). ``tools/convert_efficientnet_lite0.py`` writes their file.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from activity_cli.errors import BundleError
from activity_cli.files import sha256_of

__all__ = ["NUM_FEATURES", "WEIGHTS", "WEIGHTS_SHA256", "build", "load_imagenet_weights"]

NUM_FEATURES = 1280

WEIGHTS = Path(__file__).parent / "weights" / "efficientnet_lite0.npz"
WEIGHTS_SHA256 = "2e3cd3d3e4dc5895e13dc56ffc2ad44b62902ccec94fd5bc0aff21b4da11bf97"
_STEM_CHANNELS = 32
_BATCH_NORM_EPSILON = 1e-3


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int  # of the first block; the others have 1
    expansion: int
    channels: int


# Table 1 of the paper, stages 2 to 8: 16 blocks.
_STAGES = (
    _Stage(repeats=1, kernel=3, stride=1, expansion=1, channels=16),
    _Stage(repeats=2, kernel=3, stride=2, expansion=6, channels=24),
    _Stage(repeats=2, kernel=5, stride=2, expansion=6, channels=40),
    _Stage(repeats=3, kernel=3, stride=2, expansion=6, channels=80),
    _Stage(repeats=3, kernel=5, stride=1, expansion=6, channels=112),
    _Stage(repeats=4, kernel=5, stride=2, expansion=6, channels=192),
    _Stage(repeats=1, kernel=3, stride=1, expansion=6, channels=320),
)


def build(frame_height: int, frame_width: int) -> keras.Model:
    """Builds the network from pixels to features, with random weights.

    Args:
        frame_height: In pixels.
        frame_width: In pixels.

    Returns:
        A model from RGB frames of 0 to 255, ``[N, frame_height, frame_width, 3]``, uint8 or float,
        to features, float32 ``[N, 1280]``, also where the dtype policy computes in fewer bits.
    """
    frames = keras.Input((frame_height, frame_width, 3), dtype="float32", name="frames")
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="preprocess")(frames)
    x = _conv(x, "stem", _STEM_CHANNELS, kernel=3, stride=2)
    index = 0
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            x = _block(x, f"block{index:02d}", stage, stride=stage.stride if repeat == 0 else 1)
            index += 1
    x = _conv(x, "head", NUM_FEATURES, kernel=1)
    features = keras.layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)

    return keras.Model(frames, features, name="efficientnet_lite0")


def _block(x: keras.KerasTensor, name: str, stage: _Stage, stride: int) -> keras.KerasTensor:
    """Inverted bottleneck: widen, filter each channel, narrow, and add the input if its shape fits."""
    block_input, channels = x, x.shape[-1]
    if stage.expansion > 1:
        x = _conv(x, f"{name}_expand", channels * stage.expansion, kernel=1)
    x = keras.layers.DepthwiseConv2D(
        stage.kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = _normalize(x, f"{name}_depthwise", relu=True)
    x = _conv(x, f"{name}_project", stage.channels, kernel=1, relu=False)
    if stride == 1 and channels == stage.channels:
        x = keras.layers.Add(name=f"{name}_add")([block_input, x])
    return x


def _conv(
    x: keras.KerasTensor, name: str, channels: int, *, kernel: int, stride: int = 1, relu: bool = True
) -> keras.KerasTensor:
    # The weights were trained with TensorFlow's "same", which pads more at the bottom and right.
    conv = keras.layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")
    return _normalize(conv(x), name, relu=relu)


def _normalize(x: keras.KerasTensor, name: str, *, relu: bool) -> keras.KerasTensor:
    x = keras.layers.BatchNormalization(epsilon=_BATCH_NORM_EPSILON, name=f"{name}_norm")(x)
    return keras.layers.ReLU(max_value=6, name=f"{name}_relu")(x) if relu else x


def load_imagenet_weights(model: keras.Model) -> None:
    """Loads the ImageNet weights that come with this package into a network built by :func:`build`.

    Raises:
        BundleError: The file is damaged (``weights.unreadable``).
    """
    try:
        if sha256_of(WEIGHTS) != WEIGHTS_SHA256:
            raise ValueError("its content was changed")
        with np.load(WEIGHTS, allow_pickle=False) as arrays:
            for layer in model.layers:
                layer.set_weights([arrays[f"{layer.name}/{variable.name}"] for variable in layer.weights])
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(
            f"The weights file {WEIGHTS} cannot be read: {error}.", "Install activity again.", code="weights.unreadable"
        ) from None
