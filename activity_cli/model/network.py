"""The CNN LSTM: encoder -> heads -> activities (LRCN: Donahue et al. 2015).

The encoder computes features of each frame. Each head computes log probabilities from the features of a clip. The
softmax of their weighted sum is the answer.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import keras
import numpy as np

from activity_cli.errors import BundleError, ConfigError
from activity_cli.model.bundle import LINEAR
from activity_cli.model.heads import build_linear_head, build_recurrent_head
from activity_cli.model.layers import FrameEncoder, WeightedSum
from activity_cli.results import LayerRow
from activity_cli.settings import NetworkSettings
from activity_cli.streams.encoders import build_encoder

__all__ = ["LINEAR", "Network", "NetworkShape", "build_encoder_for", "build_head", "layer_rows", "load_network"]


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """Everything needed to build a network again, apart from its weights.

    Attributes:
        settings: With every choice made; ``pca_components`` is the number that the training clips allowed.
        frame_size: Height and width of a frame in pixels.
        num_frames: Largest number of frames that the heads read.
        num_features: Number of features of each frame.
        num_read: Number of features that the recurrent head reads, the first ones; 0: all.
        num_classes: Number of activities.
        pretrained: Whether the encoder started from pretrained weights.
    """

    settings: NetworkSettings
    frame_size: int
    num_frames: int
    num_features: int
    num_read: int
    num_classes: int
    pretrained: bool


@dataclass(frozen=True, slots=True)
class Network:
    """The parts of a network. The models of :meth:`whole` and :meth:`classifier` share their weights.

    Attributes:
        shape: What it was built from.
        encoder: From frames ``[N, H, W, 3]`` to features ``[N, D]``.
        heads: By name: from features ``[B, T, D]`` and mask ``bool [B, T]`` to log probabilities ``[B, classes]``.
        weights: The weight of each head in the sum.
    """

    shape: NetworkShape
    encoder: keras.Model
    heads: Mapping[str, keras.Model]
    weights: Mapping[str, float]

    def classifier(self) -> keras.Model:
        """From features and mask to probabilities ``[B, classes]``."""
        shape = self.shape
        features = keras.Input((shape.num_frames, shape.num_features), dtype="float32", name="features")
        mask = keras.Input((shape.num_frames,), dtype="bool", name="mask")
        return keras.Model([features, mask], self._answer(features, mask), name="classifier")

    def whole(self) -> keras.Model:
        """From clips ``uint8 [B, T, H, W, 3]`` and mask to probabilities."""
        shape = self.shape
        clips = keras.Input((shape.num_frames, shape.frame_size, shape.frame_size, 3), dtype="uint8", name="clips")
        mask = keras.Input((shape.num_frames,), dtype="bool", name="mask")
        features = FrameEncoder(self.encoder, name="frame_encoder")(clips, mask=mask)
        return keras.Model([clips, mask], self._answer(features, mask), name="activity")

    def _answer(self, features: keras.KerasTensor, mask: keras.KerasTensor) -> keras.KerasTensor:
        heads = [head([features, mask]) for head in self.heads.values()]
        weights = [self.weights[name] for name in self.heads]
        return keras.layers.Softmax(name="probabilities")(WeightedSum(weights, dtype="float32", name="sum")(heads))


def build_encoder_for(
    settings: NetworkSettings, frame_size: int, *, weights: str = "none", policy: str = "float32"
) -> keras.Model:
    """Builds the encoder of a network.

    Args:
        settings: With every choice made.
        frame_size: Height and width of a frame in pixels.
        weights: Its first weights: ``imagenet``, ``none`` (random) or a file.
        policy: Keras dtype policy that it computes in. Its weights are always float32.

    Raises:
        ActivityError: The weights are missing or do not fit.
    """
    with _dtype_policy(policy):
        return build_encoder(
            settings.encoder,
            frame_size,
            weights=weights,
            gray=settings.gray,
            truncate_blocks=settings.truncate_blocks or 0,
            pyramid=settings.pyramid or 1,
        )


def build_head(shape: NetworkShape, name: str, *, batch_size: int | None = None) -> keras.Model:
    """Builds a head with its first weights: the linear head if ``name`` is :data:`LINEAR`, else the recurrent one."""
    if name == LINEAR:
        return build_linear_head(shape.num_frames, shape.num_features, shape.num_classes, batch_size=batch_size)
    return build_recurrent_head(
        shape.settings,
        shape.num_frames,
        shape.num_features,
        shape.num_classes,
        num_read=shape.num_read or None,
        scaled=shape.pretrained,
        batch_size=batch_size,
    )


def load_network(path: Path, shape: NetworkShape, weights: Mapping[str, float]) -> Network:
    """Builds a network and loads only its weights from ``model.keras``.

    It ignores the description of layers in the file, so loading runs no code from it.

    Args:
        path: The file.
        shape: What the network is built from.
        weights: The weight of each head, by name.

    Raises:
        BundleError: The weights cannot be read, do not fit, or are not finite numbers.
    """
    try:
        encoder = build_encoder_for(shape.settings, shape.frame_size)
        if encoder.output_shape != (None, shape.num_features):
            raise ValueError(f"the encoder has {encoder.output_shape[-1]} features instead of {shape.num_features}")
        network = Network(shape, encoder, {name: build_head(shape, name) for name in weights}, weights)
        # Keras only warns when a layer has no weights in the file, and leaves random weights in the layer.
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            network.whole().load_weights(path)
        if not all(np.isfinite(one).all() for one in network.whole().get_weights()):
            raise ValueError("some are not finite numbers")
    except (ConfigError, OSError, ValueError, KeyError, UserWarning, BadZipFile) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise BundleError(
            f"The weights in {path} cannot be used: {reason}.", "Train the model again.", code="model.damaged"
        ) from None
    return network


def layer_rows(network: Network) -> list[LayerRow]:
    """All layers of a network, with those inside its parts, in the order of the data."""
    return list(_rows(network.whole(), depth=0))


def _rows(model: keras.Model, depth: int) -> Iterator[LayerRow]:
    for layer in model.layers:
        yield LayerRow(
            name=layer.name,
            kind=type(layer).__name__,
            depth=depth,
            output_shape=" x ".join(str(size) for size in layer.output.shape[1:]) or "1",
            parameters=int(layer.count_params()),
            trainable=bool(layer.trainable_weights),
        )
        inner = layer.cnn if isinstance(layer, FrameEncoder) else layer
        if isinstance(inner, keras.Model):
            yield from _rows(inner, depth + 1)


@contextmanager
def _dtype_policy(policy: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
