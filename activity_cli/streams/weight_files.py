"""Trained weights of encoders: where they are looked for, and how they get into a network.

Only numbers are read out of a file, by their places in the network; what else it says is not
followed, so loading one runs no code from it.
"""

from __future__ import annotations

import io
import os
import socket
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from functools import partial
from pathlib import Path

import keras

from activity_cli.errors import BundleError, ConfigError, MissingDependencyError
from activity_cli.settings.encoders import EncoderSpec
from activity_cli.streams.efficientnet_lite0 import load_state_dict, read_imagenet_weights
from activity_cli.streams.torch_checkpoint import read_state_dict

__all__ = ["find_weights", "imagenet_file"]

_KERAS_ENDINGS = (".weights.h5", ".h5", ".hdf5")
# A server that says nothing for so long will not; without a limit Keras waits forever.
_SILENCE_SECONDS = 30.0


def find_weights(spec: EncoderSpec, weights: str) -> Callable[[keras.Model], None]:
    """Finds weights, so that missing ones are told before seconds are spent on building.

    Args:
        spec: Of the encoder.
        weights: ``imagenet``, ``none`` (random), or the path of a file.

    Returns:
        What puts them into the encoder; it raises BundleError where they do not fit.

    Raises:
        ConfigError: The encoder has no such weights.
        MissingDependencyError: The ImageNet weights are neither here nor can they be downloaded.
        BundleError: There is no such file, it is of an unknown kind, or it cannot be read.
    """
    if weights == "none":
        return lambda encoder: None
    if weights == "imagenet":
        if not spec.pretrained:
            raise ConfigError(
                f"weights is 'imagenet', but there are no such weights of the encoder {spec.name!r}.",
                "Use weights 'none', a file, or another encoder.",
            )
        if not spec.weights_url:
            return partial(load_state_dict, state_dict=read_imagenet_weights())
        path = imagenet_file(spec)
        return partial(_load_keras_file, path=path, hint=f"Delete it to have it downloaded again: {path}")
    return _find_file(spec, Path(weights))


def _find_file(spec: EncoderSpec, path: Path) -> Callable[[keras.Model], None]:
    if not path.is_file():
        raise BundleError(
            f"weights is {str(path)!r}, but there is no such file.",
            "Allowed: imagenet, none, or the path of a file.",
            code="weights.missing",
        )
    if path.name.endswith(_KERAS_ENDINGS):
        hint = f"Give weights of {spec.name} without its classifier ('no top'), as Keras saves them."
        return partial(_load_keras_file, path=path, hint=hint)
    if path.suffix == ".pth" and spec.name == "efficientnet_lite0":
        return partial(load_state_dict, state_dict=read_state_dict(path), origin=f"The weights in {path}")
    raise BundleError(
        f"The weights file {path} is of a kind that the encoder {spec.name!r} does not read.",
        f"Allowed: {', '.join(_KERAS_ENDINGS)}; for efficientnet_lite0 also .pth.",
        code="weights.unreadable",
    )


def imagenet_file(spec: EncoderSpec) -> Path:
    """The file of ImageNet weights where Keras keeps such files, downloaded there if it is missing.

    What Keras says of a download goes to stderr: stdout is for data.

    Raises:
        MissingDependencyError: It is not there and cannot be downloaded.
    """
    path = _keras_home() / "models" / spec.weights_file
    # Not left to Keras: it would download anew, and delete, what has another hash, and it looks into
    # another folder where this one cannot be written.
    if path.is_file():
        return path
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    limit = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SILENCE_SECONDS)
    try:
        with redirect_stdout(_OnceConnected()):
            return Path(
                keras.utils.get_file(
                    spec.weights_file,
                    spec.weights_url,
                    cache_subdir="models",
                    cache_dir=str(path.parent.parent),
                    file_hash=spec.weights_md5 or None,
                )
            )
    except Exception as error:  # Keras raises bare ones, the network nearly every other
        path.unlink(missing_ok=True)  # whole, but not what it should be
        reason = _first_line(str(error).rpartition(" -- ")[2] or repr(error))
        raise MissingDependencyError(
            f"The ImageNet weights of {spec.name} are not at {path} and cannot be downloaded: {reason}.",
            f"Run once with a network, put {spec.weights_url} there, or name another file with --weights.",
            code="weights.missing",
        ) from None
    finally:
        socket.setdefaulttimeout(limit)


class _OnceConnected(io.TextIOBase):
    """Passes on to stderr what Keras says of a download, from when bytes arrive: else the error says it all."""

    def __init__(self) -> None:
        self._held: str | None = ""

    def write(self, text: str) -> int:
        if self._held is not None and (not text.strip() or text.startswith("Downloading data")):
            self._held += text
        else:
            sys.stderr.write((self._held or "") + text)
            self._held = None
        return len(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _keras_home() -> Path:
    """Where Keras keeps its files, by the rule of Keras, asked now and not when it was imported."""
    if named := os.environ.get("KERAS_HOME"):
        return Path(named).expanduser()
    home = Path.home()
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"


def _load_keras_file(encoder: keras.Model, path: Path, hint: str) -> None:
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
