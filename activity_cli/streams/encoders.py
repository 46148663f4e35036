"""The CNNs that look at one frame, each with its own preprocessing inside.

An encoder takes RGB frames of 0 to 255, ``[N, H, W, 3]``, and gives features ``float32 [N, D]``. How
pixels are scaled is its own affair, so it cannot differ between training and predicting.
"""

from __future__ import annotations

import keras

from activity_cli.errors import ConfigError
from activity_cli.settings.encoders import ENCODER_SPECS, EncoderSpec
from activity_cli.streams import efficientnet_lite0
from activity_cli.streams.applications import build_application
from activity_cli.streams.pyramid import PyramidPooling
from activity_cli.streams.small import build_small
from activity_cli.streams.weight_files import find_weights

__all__ = ["ENCODER_SPECS", "EncoderSpec", "build_encoder"]


def build_encoder(
    name: str,
    frame_size: int,
    *,
    weights: str = "imagenet",
    gray: bool = False,
    maps: bool = False,
    truncate_blocks: int = 0,
    pyramid: int = 1,
) -> keras.Model:
    """Builds an encoder for square frames.

    Args:
        name: One of :data:`ENCODER_SPECS`.
        frame_size: Height and width of a frame in pixels.
        weights: ``imagenet`` (where :attr:`EncoderSpec.pretrained`), ``none`` (random, also where
            weights follow from a bundle), or the path of a file: of Keras (``.weights.h5``, ``.h5``),
            or a PyTorch checkpoint (``.pth``) of EfficientNet-Lite0.
        gray: Look at brightness only; for ``small``.
        maps: Its last maps, which keep rows and columns, instead of features.
        truncate_blocks: Blocks at its end that are left out, of :attr:`EncoderSpec.block_starts`.
        grid: Rows and columns of the smallest parts of the picture whose features are kept apart.

    Returns:
        A model from frames ``[N, frame_size, frame_size, 3]``, uint8 or float32, to features
        ``[N, D]`` or maps ``[N, h, w, C]``; float32, also where the dtype policy computes in fewer bits.

    Raises:
        ConfigError: No encoder has this name, or it cannot do what is asked of it.
        MissingDependencyError: Its ImageNet weights are neither here nor can they be downloaded.
        BundleError: The file of weights is missing, cannot be read or does not fit.
    """
    if name not in ENCODER_SPECS:
        raise ConfigError(f"encoder is {name!r}, which is not known.", f"Allowed: {', '.join(ENCODER_SPECS)}.")
    spec = ENCODER_SPECS[name]
    if frame_size < spec.min_frame_size:
        raise ConfigError(
            f"frame_size is {frame_size}, which is too small for the encoder {name!r}.",
            f"Allowed: {spec.min_frame_size} pixels or more; its weights are made for {spec.frame_size}.",
        )
    if gray and name != "small":
        raise ConfigError(
            f"gray is not possible with the encoder {name!r}, which knows colors.",
            "Use the encoder 'small', or leave gray out.",
        )
    load = find_weights(spec, weights)
    encoder = _build(name, frame_size, gray)
    load(encoder)
    if maps and not truncate_blocks:
        return _last_maps(encoder, spec)
    if truncate_blocks or pyramid > 1:
        return _cut(encoder, spec, truncate_blocks, maps=maps, pyramid=pyramid)
    return encoder


def _build(name: str, frame_size: int, gray: bool) -> keras.Model:
    if name == "small":
        return build_small(frame_size, gray=gray)
    if name == "efficientnet_lite0":
        return efficientnet_lite0.build(frame_size, frame_size)
    return build_application(name, frame_size)


def _cut(encoder: keras.Model, spec: EncoderSpec, blocks: int, *, maps: bool, pyramid: int) -> keras.Model:
    """The same network up to where its last blocks begin, pooled by parts of the picture or not at all."""
    if blocks >= len(spec.block_starts):
        raise ConfigError(
            f"truncate_blocks is {blocks}, but the encoder {spec.name!r} has {len(spec.block_starts)} blocks.",
            "Leave out fewer.",
        )
    if pyramid > 1 and not spec.pretrained:
        raise ConfigError(f"grid is {pyramid}, but the encoder {spec.name!r} has no parts.", "Use grid 1.")
    end = encoder.get_layer(spec.block_starts[-blocks] if blocks else "features").input
    kind = "_maps" if maps else f"_pyramid{pyramid}"
    if maps:
        output = keras.layers.Activation("linear", dtype="float32", name="maps")(end)
    elif pyramid > 1:
        output = PyramidPooling(pyramid, dtype="float32", name="features")(end)
    else:
        output = keras.layers.GlobalAveragePooling2D(dtype="float32", name="features")(end)
    kept = len(spec.block_starts) - blocks
    return keras.Model(encoder.inputs[0], output, name=f"{spec.name}_first{kept}{kind}")


def _last_maps(encoder: keras.Model, spec: EncoderSpec) -> keras.Model:
    """The same network up to its last narrow maps."""
    maps = keras.layers.Activation("linear", dtype="float32", name="maps")(encoder.get_layer(spec.map_layer).output)
    return keras.Model(encoder.inputs[0], maps, name=f"{spec.name}_maps")
