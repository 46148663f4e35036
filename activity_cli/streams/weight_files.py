"""Pretrained weights of encoders: where they come from, and how they get into a network.

Only numbers are read out of a file, by their places in the network; what else it says is not followed, so loading one
runs no code from it.
"""

from __future__ import annotations

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
# A server that says nothing for so long will not; without a limit Keras waits forever.
_TIMEOUT_SECONDS = 30.0


def check_weights(spec: EncoderSpec, weights: str) -> None:
    """Refuses weights that are not there before seconds are spent on building the encoder.

    Args:
        spec: Of the encoder.
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
                f"`weights` cannot be 'imagenet': there are no such weights of the encoder {spec.name!r}.",
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
            f"The weights file {weights} has an ending that Keras does not read.",
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
    """The ImageNet weights as Keras loads them: from ``$KERAS_HOME/models``, or downloaded to there."""
    limit = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_SECONDS)
    try:
        # What Keras says of a download goes to stderr: stdout is for data.
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # MobileNetV2 says which size it takes
            return list(pretrained_application(spec.name).get_weights())
    except Exception as error:  # Keras raises bare ones, the network and a damaged file nearly every other
        raise MissingDependencyError(
            f"Keras cannot load the ImageNet weights of {spec.name}: {_first_line(str(error) or repr(error))}.",
            "Run once with a network, or put the file into the folder models of $KERAS_HOME (usually ~/.keras). If "
            "it is there, it is damaged: delete it.",
            code="weights.missing",
        ) from None
    finally:
        socket.setdefaulttimeout(limit)


def _load_file(encoder: keras.Model, path: Path, spec: EncoderSpec) -> None:
    hint = f"Give weights of {spec.name} without its classifier ('no top'), as Keras saves them."
    try:
        # Keras only warns where it finds no weights for a layer, and leaves random ones in it.
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            encoder.load_weights(path)
    except UserWarning:
        raise BundleError(
            f"The weights file {path} is of another network than {encoder.name}: layers or shapes differ.",
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
