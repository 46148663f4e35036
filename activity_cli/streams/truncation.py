"""Trains an encoder in part: its last blocks, all of it, or nothing.

A block is what the encoder's paper calls a block: an inverted bottleneck, a residual block, the convolutions between
two poolings. ``EncoderSpec.block_starts`` lists them. The layers before the first block are the stem. The layers after
the last block (a convolution that widens the maps, the pooling) belong to the last block.
"""

from __future__ import annotations

import keras

from activity_cli.settings.encoders import EncoderSpec

__all__ = ["set_trainable", "split_encoder"]

# keras.applications has a momentum of 0.999, for the million steps of an ImageNet training. After the few hundred steps
# on a small data set, the moving statistics would still be near their first values.
_FAST_MOMENTUM = 0.9


def split_encoder(encoder: keras.Model, spec: EncoderSpec, blocks: int) -> tuple[keras.Model, keras.Model]:
    """Splits an encoder before its last blocks, so that training computes the frozen part once for each frame.

    Args:
        encoder: From ``build_encoder``.
        spec: The description of the encoder.
        blocks: Number of last blocks in the second part: 1 up to all.

    Returns:
        The frozen part, from frames ``[N, H, W, 3]`` to maps ``float32 [N, h, w, C]``, and the trained part, from maps
        to features ``[N, D]``. Both share their layers with the encoder.
    """
    cut = encoder.get_layer(spec.block_starts[-blocks]).input
    maps = keras.layers.Activation("linear", dtype="float32", name="maps")(cut)
    frozen = keras.Model(encoder.inputs[0], maps, name=f"{encoder.name}_frozen{blocks}")
    return frozen, keras.Model(cut, encoder.outputs[0], name="trained_blocks")


def set_trainable(encoder: keras.Model, spec: EncoderSpec, blocks: int, *, pretrained: bool) -> None:
    """Sets which layers of an encoder are trained.

    In a pretrained encoder, batch normalization is not trained and keeps its moving statistics. A batch holds the
    frames of a few clips, which resemble each other, so its statistics differ from those of ImageNet, and would change
    the features faster than the weights can adapt. Random weights have no statistics yet and need those of the batch.

    Args:
        encoder: From ``build_encoder``.
        spec: The description of the encoder.
        blocks: Number of last blocks that are trained: 0 up to all.
        pretrained: Whether the encoder starts from pretrained weights.
    """
    encoder.trainable = blocks > 0
    if not blocks:
        return
    # Keras lists layers in the order of the data, so the first layer of a block comes before its other layers.
    stem_too = blocks == len(spec.block_starts)
    first = 0 if stem_too else encoder.layers.index(encoder.get_layer(spec.block_starts[-blocks]))
    for place, layer in enumerate(encoder.layers):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = place >= first and not (is_norm and pretrained)
        if is_norm and layer.trainable:
            layer.momentum = min(layer.momentum, _FAST_MOMENTUM)
