"""Which part of an encoder learns: its last blocks, all of it, or nothing.

A block is what the encoder's paper calls one (an inverted bottleneck, a residual block, the
convolutions between two poolings); ``EncoderSpec.block_starts`` lists them. What is before the first
is the stem. What is after the last (a convolution that widens the maps, the pooling) counts with it.
"""

from __future__ import annotations

import keras

from activity_cli.errors import ConfigError
from activity_cli.settings import MODES
from activity_cli.settings.encoders import EncoderSpec

__all__ = ["cut_encoder", "num_blocks", "set_trainable"]

# Of the running statistics: a few hundred steps must be enough for them to arrive.
_FAST_MOMENTUM = 0.9


def num_blocks(spec: EncoderSpec) -> int:
    """How many blocks an encoder has."""
    return len(spec.block_starts)


def cut_encoder(encoder: keras.Model, spec: EncoderSpec, blocks: int) -> tuple[keras.Model, keras.Model]:
    """Cuts an encoder where its last blocks begin, so that what is before them runs once for each frame.

    Args:
        encoder: What ``build_encoder`` returns, for features or for maps.
        spec: Of it.
        blocks: Last blocks in the second part, 0 to :func:`num_blocks`.

    Returns:
        The stem, from frames ``[N, H, W, 3]`` to maps ``float32 [N, h, w, C]``, and the top, from maps to
        what the encoder gives. Their layers are those of the encoder: what one learns, the other
        knows. With 0 blocks the stem is the encoder, and the top returns what it gets.

    Raises:
        ConfigError: The encoder does not have so many blocks.
    """
    _check(spec, blocks, least=0)
    if blocks == 0:
        features = keras.Input(encoder.output_shape[1:], name="features")
        return encoder, keras.Model(features, keras.layers.Identity(name="same")(features), name="top")
    cut = encoder.get_layer(spec.block_starts[-blocks]).input
    maps = keras.layers.Activation("linear", dtype="float32", name="cut")(cut)
    stem = keras.Model(encoder.inputs[0], maps, name=f"{encoder.name}_stem{blocks}")
    return stem, keras.Model(cut, encoder.outputs[0], name="top")


def set_trainable(
    encoder: keras.Model, spec: EncoderSpec, mode: str, blocks: int = 0, *, keep_norms: bool = False
) -> None:
    """Says which layers of an encoder learn; a later call takes back an earlier one.

    Batch normalization that is not trainable computes with the statistics of its weights, also when
    it is called for training. That is what trained weights want: a batch holds the frames of a few
    clips, which resemble each other, so its statistics are not those of the pictures that the
    weights were trained on, and moving them spoils the features sooner than the weights can follow
    (an encoder also predicts frame by frame, with statistics that no batch had). Random weights have
    no statistics yet and need those of the batch.

    Args:
        encoder: What ``build_encoder`` returns.
        spec: Of it.
        mode: ``frozen``: nothing learns. ``finetune``: the last ``blocks`` blocks, without their batch
            normalization. ``joint``: everything.
        blocks: For ``finetune``.
        keep_norms: For ``joint``: batch normalization stays as it is, for trained weights.

    Raises:
        ConfigError: The encoder does not have so many blocks, or the mode is not known.
    """
    if mode not in MODES:
        raise ConfigError(f"mode is {mode!r}, which is not known.", f"Allowed: {', '.join(MODES)}.")
    encoder.trainable = mode != "frozen"
    if mode == "frozen":
        return
    first = 0
    if mode == "finetune":
        _check(spec, blocks, least=1)
        # Layers stand in the order of the data: nothing of a block is before its first one.
        first = encoder.layers.index(encoder.get_layer(spec.block_starts[-blocks]))
    norms_learn = mode == "joint" and not keep_norms
    for place, layer in enumerate(encoder.layers):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = place >= first and (norms_learn or not is_norm)
        if is_norm and layer.trainable:
            # keras.applications has 0.999, made for the million steps of ImageNet: after the few
            # hundred of a small data set, predicting would still use the statistics of the beginning.
            layer.momentum = min(layer.momentum, _FAST_MOMENTUM)


def _check(spec: EncoderSpec, blocks: int, *, least: int) -> None:
    if not least <= blocks <= num_blocks(spec):
        raise ConfigError(
            f"{blocks} blocks cannot be cut from the encoder {spec.name!r}, which has {num_blocks(spec)}.",
            f"Allowed: {least} to {num_blocks(spec)}; the mode 'joint' lets everything learn.",
        )
