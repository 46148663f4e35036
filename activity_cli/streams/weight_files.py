"""Loads pretrained weights into encoders.

A file gives only the values of the weights; this package builds the network. So loading a file runs no code from it.
"""

from __future__ import annotations

import os
import socket
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import keras

from activity_cli.errors import BundleError, ConfigError, MissingDependencyError
from activity_cli.settings.encoders import EncoderSpec
from activity_cli.streams.applications import pretrained_application
from activity_cli.streams.efficientnet_lite0 import load_imagenet_weights

__all__ = ["check_weights", "load_weights"]

_KERAS_ENDINGS = (".weights.h5", ".h5", ".hdf5")
# Without a limit, Keras would wait forever for a server that does not answer.
_TIMEOUT_SECONDS = 30.0


def check_weights(spec: EncoderSpec, weights: str) -> None:
    """Refuses weights that are not there before seconds are spent on building the encoder.

    Args:
        spec: The encoder.
        weights: ``imagenet``, ``none`` (random), or the path of a file.

    Raises:
        ConfigError: The encoder has no ImageNet weights.
        BundleError: There is no such file (``weights.missing``), or it is of another kind (``weights.unreadable``).
    """
    if weights == "none":
        return
    if weights == "imagenet":
        if not spec.pretrained:
            raise ConfigError(
                f"`weights` cannot be 'imagenet': the encoder {spec.name!r} has no ImageNet weights.",
                "Use `weights=none`, a file, or another encoder.",
                setting="weights",
            )
        return
    if not Path(weights).is_file():
        raise BundleError(
            f"`weights` is {weights!r}, but there is no such file.",
            "Allowed: imagenet, none, or the path of a file.",
            code="weights.missing",
        )
    if not weights.endswith(_KERAS_ENDINGS):
        raise BundleError(
            f"Keras cannot read weights from {weights}: unknown file extension.",
            f"Allowed: {', '.join(_KERAS_ENDINGS)}.",
            code="weights.unreadable",
        )


def load_weights(encoder: keras.Model, spec: EncoderSpec, weights: str) -> None:
    """Puts weights that :func:`check_weights` has passed into an encoder; ``none`` leaves it as it is.

    Raises:
        MissingDependencyError: The ImageNet weights are neither here nor can Keras download them.
        BundleError: The file cannot be read, or does not fit.
    """
    if weights == "none":
        return
    if weights != "imagenet":
        _load_file(encoder, Path(weights), spec)
    elif spec.name == "efficientnet_lite0":
        load_imagenet_weights(encoder)
    else:
        encoder.set_weights(_downloaded(spec))


def _downloaded(spec: EncoderSpec) -> list[object]:
    """The ImageNet weights as Keras loads them from ``$KERAS_HOME/models``, where it downloads missing ones to."""
    limit = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_SECONDS)
    try:
        # Keras reports a download on stdout, which is for data.
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that MobileNetV2 takes the weights of 224 pixels
            return list(pretrained_application(spec.name).get_weights())
    except Exception as error:  # Keras, a network and a damaged file raise nearly every type
        folder = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"
        raise MissingDependencyError(
            f"Keras cannot load the ImageNet weights of {spec.name}: {_first_line(str(error) or repr(error))}.",
            f"Connect to the internet and run the command again, or copy the weights file into {folder}. If the file "
            "is already there, it is damaged: delete it. If you cannot write to this folder, set KERAS_HOME to "
            "another one.",
            code="weights.missing",
        ) from None
    finally:
        socket.setdefaulttimeout(limit)


def _load_file(encoder: keras.Model, path: Path, spec: EncoderSpec) -> None:
    hint = f"Use a weights file that Keras saved for {spec.name} without its classifier ('no top')."
    try:
        # If Keras finds no weights for a layer, it only warns and keeps the random ones.
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            encoder.load_weights(path)
    except UserWarning:
        raise BundleError(
            f"The weights file {path} does not fit {encoder.name}: it has other layers or shapes.",
            hint,
            code="weights.unreadable",
        ) from None
    except Exception as error:  # a damaged file can raise nearly every type
        raise BundleError(
            f"The weights file {path} cannot be read: {_first_line(str(error) or repr(error))}.",
            hint,
            code="weights.unreadable",
        ) from None


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0].rstrip(" .:")
