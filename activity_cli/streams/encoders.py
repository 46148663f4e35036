"""The appearance stream: CNNs that describe one frame, each with its own preprocessing inside.

An encoder takes RGB frames of 0 to 255, ``[N, H, W, 3]``, and gives features ``float32 [N, D]``. It scales pixels
itself, so the scaling cannot differ between training and predicting.
"""

from __future__ import annotations

import keras

from activity_cli.errors import ConfigError
from activity_cli.settings.encoders import ENCODER_SPECS
from activity_cli.streams import efficientnet_lite0
from activity_cli.streams.applications import build_application
from activity_cli.streams.pyramid import PyramidPooling
from activity_cli.streams.small import build_small
from activity_cli.streams.weight_files import check_weights, load_weights

__all__ = ["build_encoder"]


def build_encoder(
    name: str,
    frame_size: int,
    *,
    weights: str = "imagenet",
    gray: bool = False,
    truncate_blocks: int = 0,
    pyramid: int = 1,
) -> keras.Model:
    """Builds an encoder for square frames.

    Args:
        name: One of ``ENCODER_SPECS``.
        frame_size: Height and width of a frame in pixels.
        weights: ``imagenet``, ``none`` (random; also if the weights of a bundle follow), or the path of a file that
            Keras saved.
        gray: Use brightness only; for ``small``.
        truncate_blocks: Last blocks that are left out, fewer than there are.
        pyramid: Rows and columns of the smallest cells of the spatial pyramid; 1: one mean over the whole frame.

    Returns:
        A model from frames ``[N, frame_size, frame_size, 3]``, uint8 or float32, to features ``[N, D]``; float32, also
        where the dtype policy computes in fewer bits.

    Raises:
        ConfigError: Frames are too small for the encoder, or it has no such weights.
        MissingDependencyError: Its ImageNet weights are neither here nor can they be downloaded.
        BundleError: The file of weights is missing, cannot be read or does not fit.
    """
    spec = ENCODER_SPECS[name]
    if frame_size < spec.min_frame_size:
        raise ConfigError(
            f"Frames of {frame_size} pixels are too small for the encoder {name!r}.",
            f"Run 'activity prepare' with --frame-size {spec.min_frame_size} or more; best is {spec.frame_size}.",
            setting="frame_size",
        )
    check_weights(spec, weights)
    if name == "small":
        encoder = build_small(frame_size, gray=gray)
    elif name == "efficientnet_lite0":
        encoder = efficientnet_lite0.build(frame_size, frame_size)
    else:
        encoder = build_application(name, frame_size)
    load_weights(encoder, spec, weights)
    if not truncate_blocks and pyramid == 1:
        return encoder
    end = encoder.get_layer(spec.block_starts[-truncate_blocks] if truncate_blocks else "features").input
    if pyramid > 1:
        features = PyramidPooling(pyramid, dtype="float32", name="features")(end)
    else:
        features = keras.layers.GlobalAveragePooling2D(dtype="float32", name="features")(end)
    kept = len(spec.block_starts) - truncate_blocks
    return keras.Model(encoder.inputs[0], features, name=f"{name}_first{kept}_pyramid{pyramid}")
