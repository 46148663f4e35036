"""The network of the appearance stream: encoder -> head -> activities (LRCN: Donahue et al. 2015)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import keras
import numpy as np

from activity_cli.errors import BundleError, ConfigError
from activity_cli.model.heads import HeadShape, build_head
from activity_cli.model.layers import FrameEncoder
from activity_cli.results import LayerRow
from activity_cli.settings import NetworkSettings
from activity_cli.streams.encoders import build_encoder

__all__ = ["Network", "NetworkShape", "build_encoder_for", "layer_rows", "load_network"]


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """Everything needed to build the network of the appearance stream again, apart from its weights.

    Attributes:
        settings: Of the network, with every choice made.
        frame_size: Height and width of a frame in pixels.
        head: The head, which reads the encoder's features.
    """

    settings: NetworkSettings
    frame_size: int
    head: HeadShape


@dataclass(frozen=True, slots=True)
class Network:
    """The network of the appearance stream. The models of :meth:`whole` and :meth:`classifier` share their weights.

    Attributes:
        shape: What it was built from.
        encoder: From frames ``[N, H, W, 3]`` to features ``[N, D]``.
        head: From features ``[B, T, D]`` and mask ``bool [B, T]`` to log probabilities ``[B, classes]``.
    """

    shape: NetworkShape
    encoder: keras.Model
    head: keras.Model

    def classifier(self) -> keras.Model:
        """From features and mask to probabilities ``[B, classes]``."""
        head = self.shape.head
        features = keras.Input((head.num_frames, head.num_features), dtype="float32", name="features")
        mask = keras.Input((head.num_frames,), dtype="bool", name="mask")
        return keras.Model([features, mask], self._probabilities(features, mask), name="classifier")

    def whole(self) -> keras.Model:
        """From clips ``uint8 [B, T, H, W, 3]`` and mask to probabilities."""
        size, steps = self.shape.frame_size, self.shape.head.num_frames
        clips = keras.Input((steps, size, size, 3), dtype="uint8", name="clips")
        mask = keras.Input((steps,), dtype="bool", name="mask")
        features = FrameEncoder(self.encoder, name="frame_encoder")(clips, mask=mask)
        return keras.Model([clips, mask], self._probabilities(features, mask), name="activity")

    def _probabilities(self, features: keras.KerasTensor, mask: keras.KerasTensor) -> keras.KerasTensor:
        # Log probabilities are logits of themselves.
        return keras.layers.Softmax(dtype="float32", name="probabilities")(self.head([features, mask]))


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


def load_network(path: Path, shape: NetworkShape) -> Network:
    """Builds a network and loads only its weights from ``model.keras``.

    It ignores the description of layers in the file, so loading runs no code from it.

    Args:
        path: The file.
        shape: What the network is built from.

    Raises:
        BundleError: The weights cannot be read, do not fit, or are not finite numbers.
    """
    try:
        encoder = build_encoder_for(shape.settings, shape.frame_size)
        if encoder.output_shape != (None, shape.head.num_features):
            raise ValueError(f"the encoder has {encoder.output_shape[-1]} features, not {shape.head.num_features}")
        network = Network(shape, encoder, build_head(shape.head))
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
