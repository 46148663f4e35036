"""The CNNs that look at one frame, each with its own preprocessing inside.

An encoder takes RGB frames of 0 to 255, ``[N, H, W, 3]``, and gives features ``float32 [N, D]``. How
pixels are scaled is its own affair, so it cannot differ between training and predicting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from activity_cli.errors import ConfigError
from activity_cli.model import efficientnet_lite0
from activity_cli.model.normalization import BatchNormalization

__all__ = ["ENCODER_SPECS", "EncoderSpec", "build_encoder"]


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """What is known of an encoder without building it.

    Attributes:
        build: From the frame size in pixels, and whether to load trained weights, to the model.
        pretrained: Whether it brings weights (and is then frozen, and its features computed once).
        feature_std: Standard deviation of its features, to bring them to about 1.
        epochs: Passes over the clips at most, by default.
        learning_rate: Of the optimizer, by default.
    """

    build: Callable[[int, bool], keras.Model]
    pretrained: bool
    feature_std: float
    epochs: int
    learning_rate: float


def build_encoder(name: str, frame_size: int, *, load_weights: bool = True) -> keras.Model:
    """Builds an encoder for square frames.

    Args:
        name: One of :data:`ENCODER_SPECS`.
        frame_size: Height and width of a frame in pixels.
        load_weights: False where trained weights follow anyway, from a bundle.

    Returns:
        A model from ``[N, frame_size, frame_size, 3]`` to ``float32 [N, D]``.

    Raises:
        ConfigError: No encoder has this name.
        MissingDependencyError: The package with its weights is not installed.
    """
    if name not in ENCODER_SPECS:
        raise ConfigError(f"encoder is {name!r}, which is not known.", f"Allowed: {', '.join(ENCODER_SPECS)}.")
    return ENCODER_SPECS[name].build(frame_size, load_weights)


def _efficientnet_lite0(frame_size: int, load_weights: bool) -> keras.Model:
    return efficientnet_lite0.build(frame_size, frame_size, weights="imagenet" if load_weights else None)


# The small CNN was made for frames about this wide; larger ones are averaged down to it first.
_SMALL_FRAME_SIZE = 96
# Multiples of 16, over which processors vectorize: in bfloat16, 32 are faster than 24 would be.
_SMALL_CHANNELS = (32, 48, 96, 128)


def _small(frame_size: int, load_weights: bool) -> keras.Model:
    """Four convolutions with stride 2, made to be trained from scratch on a few hundred clips."""
    # Layers
    frames = keras.Input((frame_size, frame_size, 3), dtype="float32", name="frames")
    shrink = max(1, round(frame_size / _SMALL_FRAME_SIZE))
    # Functional model
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocess")(frames)
    if shrink > 1:
        x = keras.layers.AveragePooling2D(shrink, name="shrink")(x)
    for number, channels in enumerate(_SMALL_CHANNELS, start=1):
        x = keras.layers.Conv2D(channels, 5 if number == 1 else 3, 2, "same", use_bias=False, name=f"conv{number}")(x)
        x = BatchNormalization(momentum=0.9, name=f"conv{number}_norm")(x)
        x = keras.layers.ReLU(name=f"conv{number}_relu")(x)
    # The mean says how much of something there is, the maximum says that it is there at all.
    mean = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    peak = keras.layers.GlobalMaxPooling2D(name="peak")(x)
    features = keras.layers.Concatenate(dtype="float32", name="features")([mean, peak])
    return keras.Model(frames, features, name="small")


ENCODER_SPECS: dict[str, EncoderSpec] = {
    "efficientnet_lite0": EncoderSpec(
        build=_efficientnet_lite0,
        pretrained=True,
        feature_std=0.24,  # 0.23 to 0.245 on three sets of very different videos
        epochs=150,
        learning_rate=1e-3,
    ),
    "small": EncoderSpec(
        build=_small,
        pretrained=False,
        feature_std=1.0,
        epochs=60,
        learning_rate=1e-3,
    ),
}
