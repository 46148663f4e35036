"""Which part of an encoder is trained: its last blocks, all of it, or nothing.

A block is what the encoder's paper calls one (an inverted bottleneck, a residual block, the convolutions between two
poolings); ``EncoderSpec.block_starts`` lists them. What comes before the first block is the stem; what comes after the
last one (a convolution that widens the maps, the pooling) counts with it.
"""

from __future__ import annotations

import keras

from activity_cli.settings.encoders import EncoderSpec

__all__ = ["set_trainable", "split_encoder"]

# Of the running statistics: a few hundred steps must be enough for them to settle.
_FAST_MOMENTUM = 0.9


def split_encoder(encoder: keras.Model, spec: EncoderSpec, blocks: int) -> tuple[keras.Model, keras.Model]:
    """Splits an encoder where its last blocks begin, so that what is before them runs once for each frame.

    Args:
        encoder: What ``build_encoder`` returns.
        spec: Of it.
        blocks: Last blocks in the second part, 1 up to all of them.

    Returns:
        The frozen part, from frames ``[N, H, W, 3]`` to maps ``float32 [N, h, w, C]``, and the trained part, from maps
        to features ``[N, D]``. Their layers are those of the encoder, not copies.
    """
    cut = encoder.get_layer(spec.block_starts[-blocks]).input
    maps = keras.layers.Activation("linear", dtype="float32", name="maps")(cut)
    frozen = keras.Model(encoder.inputs[0], maps, name=f"{encoder.name}_frozen{blocks}")
    return frozen, keras.Model(cut, encoder.outputs[0], name="trained_blocks")


def set_trainable(encoder: keras.Model, spec: EncoderSpec, blocks: int, *, pretrained: bool) -> None:
    """Sets which layers of an encoder are trained; a later call undoes an earlier one.

    Batch normalization of a pretrained encoder stays as it is, and computes with the statistics of its weights. A batch
    holds the frames of a few clips, which resemble each other, so its statistics are not those of the pictures that the
    weights were trained on, and moving them would spoil the features sooner than the weights can follow. Random weights
    have no statistics yet and need those of the batch.

    Args:
        encoder: What ``build_encoder`` returns.
        spec: Of it.
        blocks: Last blocks that are trained: 0 up to all of them.
        pretrained: Whether the encoder starts from pretrained weights.
    """
    encoder.trainable = blocks > 0
    if not blocks:
        return
    everything = blocks == len(spec.block_starts)
    # Layers stand in the order of the data: nothing of a block is before its first layer.
    first = 0 if everything else encoder.layers.index(encoder.get_layer(spec.block_starts[-blocks]))
    for place, layer in enumerate(encoder.layers):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = place >= first and not (is_norm and pretrained)
        if is_norm and layer.trainable:
            # keras.applications has 0.999, made for the million steps of ImageNet: after the few hundred of a small
            # data set, predicting would still use the statistics of the start.
            layer.momentum = min(layer.momentum, _FAST_MOMENTUM)
