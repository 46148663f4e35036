"""The CNN LSTM: encoder -> LSTM -> activities (Donahue et al. 2015, LRCN).

Two parts that are trained together or one after the other, and that predicting runs one after the
other: the encoder (frames to features) and the sequence part (features over time to probabilities).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import keras

from activity_cli.errors import BundleError
from activity_cli.model.layers import FrameEncoder
from activity_cli.model.sequence import build_sequence
from activity_cli.results import LayerRow
from activity_cli.settings import NetworkSettings, Sampling
from activity_cli.settings.encoders import spec_of
from activity_cli.streams.encoders import build_encoder
from activity_cli.streams.pyramid import large_features
from activity_cli.streams.truncation import set_trainable

__all__ = ["Network", "build_network", "in_float32", "layer_rows", "load_network", "set_mode"]


@dataclass(frozen=True, slots=True)
class Network:
    """The network as a whole and its two parts, which share their weights.

    Attributes:
        whole: From clips ``[B, T, H, W, 3]`` and mask ``bool [B, T]`` to probabilities ``[B, classes]``.
        encoder: From frames ``[N, H, W, 3]`` to features ``[N, D]``.
        sequence: From features ``[B, T, D]`` and mask to probabilities.
    """

    whole: keras.Model
    encoder: keras.Model
    sequence: keras.Model


def build_network(
    config: NetworkSettings,
    sampling: Sampling,
    num_classes: int,
    *,
    weights: str = "none",
    policy: str = "float32",
) -> Network:
    """Builds the network for clips of a certain sampling.

    Args:
        config: Its shape.
        sampling: Number and size of the frames.
        num_classes: Activities to tell apart.
        weights: What the encoder begins with: ``imagenet``, ``none`` or a file.
        policy: What the encoder computes in, by Keras' name: its weights are float32 always, and so is
            the sequence part as a whole.

    Raises:
        ActivityError: The weights cannot be had, or do not fit; says what to do.
    """
    size, steps = sampling.frame_size, sampling.num_frames
    # Layers
    with _computing_in(policy):
        encoder = build_encoder(
            config.encoder,
            size,
            weights=weights,
            gray=config.gray,
            maps=config.sequence == "convlstm",
            drop_blocks=config.drop_blocks or 0,
            grid=config.grid or 1,
        )
    map_shape = None
    if len(encoder.output_shape) > 2:
        map_shape = tuple(encoder.output_shape[1:])
        # Flat, everything that keeps or carries features is the same for maps and for vectors.
        encoder = keras.Model(encoder.inputs, keras.layers.Flatten(name="flat")(encoder.output), name=encoder.name)
    large = large_features(encoder)
    sequence = build_sequence(
        config, steps, encoder.output_shape[-1], num_classes, map_shape=map_shape, large_features=large
    )
    clips = keras.Input((steps, size, size, 3), dtype="uint8", name="clips")
    mask = keras.Input((steps,), dtype="bool", name="mask")
    # Functional model
    features = FrameEncoder(encoder, name="frame_encoder")(clips, mask=mask)
    probabilities = sequence([features, mask])
    whole = keras.Model([clips, mask], probabilities, name="activity")
    return Network(whole, encoder, sequence)


def in_float32(network: Network, config: NetworkSettings, sampling: Sampling, num_classes: int) -> Network:
    """The same network computing in float32, on one device: as it is saved and converted."""
    plain = build_network(config, sampling, num_classes)
    plain.whole.set_weights(network.whole.get_weights())
    return plain


def set_mode(network: Network, mode: str, config: NetworkSettings, trained_blocks: int, *, learned: bool) -> None:
    """Says which weights learn.

    Args:
        network: Built by :func:`build_network` with ``config``.
        mode: ``frozen``, ``finetune`` or ``joint``.
        config: The network's shape.
        trained_blocks: Last blocks that learn, in the mode ``finetune``.
        learned: Whether the encoder begins with trained weights.
    """
    set_trainable(network.encoder, spec_of(config), mode, trained_blocks, keep_norms=learned)


@contextmanager
def _computing_in(policy: str) -> Iterator[None]:
    """Layers that are built inside compute by this policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def load_network(path: Path, config: NetworkSettings, sampling: Sampling, num_classes: int) -> Network:
    """Builds the network from its settings and takes only the weights from ``model.keras``.

    The file's own description of layers is never followed, so loading runs no code from it.

    Raises:
        BundleError: The weights do not fit the settings, or cannot be read.
    """
    network = build_network(config, sampling, num_classes)
    try:
        # Keras only warns where it finds no weights for a layer, and leaves random ones in it.
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            network.whole.load_weights(path)
    except (OSError, ValueError, KeyError, UserWarning, BadZipFile) as error:
        raise BundleError(
            f"The weights in {path} cannot be read: {str(error).splitlines()[0]}", "Train the model again."
        ) from None
    return network


def layer_rows(network: Network) -> list[LayerRow]:
    """Every layer of the network, those of the CNN included, in the order of the data."""
    return list(_rows(network.whole, depth=0))


def _rows(model: keras.Model, depth: int) -> Iterator[LayerRow]:
    for layer in model.layers:
        yield LayerRow(
            name=layer.name,
            kind=type(layer).__name__,
            depth=depth,
            output_shape=_shape_of(layer),
            parameters=int(layer.count_params()),
            trainable=bool(layer.trainable_weights),
        )
        inner = layer.cnn if isinstance(layer, FrameEncoder) else layer
        if isinstance(inner, keras.Model):
            yield from _rows(inner, depth + 1)


def _shape_of(layer: keras.Layer) -> str:
    output = layer.output
    return " x ".join(str(size) for size in output.shape[1:]) or "1"
