"""A trained model in one folder, with all that predicting needs.

``bundle.json`` says what the model is and carries the hash of every file, itself included; a bundle
that was cut, edited or mixed up is refused. Everything in it is data: loading runs no code from it.
This module does not load TensorFlow.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from activity_cli.errors import BundleError, ConfigError
from activity_cli.files import sha256_of, write_text
from activity_cli.settings import NetworkSettings, Sampling

__all__ = [
    "BUNDLE_SCHEMA",
    "ENCODER_FILE",
    "LEARNED_DIGITS",
    "SEQUENCE_FILE",
    "WEIGHTS_FILE",
    "Bundle",
    "read_bundle",
    "write_bundle",
]

BUNDLE_SCHEMA = "activity.bundle/1"

# For training on and exporting:
WEIGHTS_FILE = "model.keras"
# For predicting: frames to features, and features over time to probabilities.
ENCODER_FILE = "encoder.tflite"
SEQUENCE_FILE = "sequence.tflite"

# Of the SHA-256 of a video, in the list of those that a model has learned from.
LEARNED_DIGITS = 20

_DOCUMENT = "bundle.json"
_LISTED_FILES = (WEIGHTS_FILE, ENCODER_FILE, SEQUENCE_FILE)
_TRAIN_AGAIN = "Copy the whole folder again, or train the model again."


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose ``bundle.json`` is sound; each file is checked when it is asked for.

    Attributes:
        folder: Where it is.
        name: Name and the first 8 digits of the hash, such as ``activity@3fa9c1d2``.
        labels: The activities, in the order of the network's outputs.
        sampling: Which frames of a video the network wants, and their size.
        network: The network's shape.
        document: All of ``bundle.json``.
    """

    folder: Path
    name: str
    labels: tuple[str, ...]
    sampling: Sampling
    network: NetworkSettings
    document: Mapping[str, Any]

    def file(self, name: str) -> Path:
        """The path of a file whose content is what was written when the bundle was made.

        Raises:
            BundleError: It is missing (``model.incomplete``) or differs (``model.damaged``).
        """
        path = self.folder / name
        try:
            whole = sha256_of(path) == self.document["files"][name]["sha256"]
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise BundleError(f"{path} cannot be read: {reason}.", _TRAIN_AGAIN, code="model.incomplete") from None
        if not whole:
            raise BundleError(
                f"{path} is not the file that was written with this model.", _TRAIN_AGAIN, code="model.damaged"
            )
        return path


def write_bundle(
    folder: Path, labels: tuple[str, ...], sampling: Sampling, network: NetworkSettings, **rest: Any
) -> None:
    """Writes ``bundle.json`` for the files that already lie in ``folder``.

    Args:
        folder: Holds the model's files.
        labels: The activities, in the order of the network's outputs.
        sampling: Which frames the network wants.
        network: The network's shape.
        **rest: Whatever else is worth remembering, as plain JSON values.

    Raises:
        OutputError: It cannot be written.
    """
    files = {
        name: {"sha256": sha256_of(folder / name), "bytes": (folder / name).stat().st_size} for name in _LISTED_FILES
    }
    document = {
        "schema": BUNDLE_SCHEMA,
        "labels": list(labels),
        "sampling": asdict(sampling),
        "network": asdict(network),
        **rest,
        "files": files,
    }
    document["hash"] = _hash_of(document)
    write_text(folder / _DOCUMENT, json.dumps(document, indent=2) + "\n")


def read_bundle(folder: Path) -> Bundle:
    """Reads and checks ``bundle.json``.

    Raises:
        BundleError: There is no bundle (``model.missing``), it was edited or cut (``model.damaged``),
            or it was written by a newer version (``model.schema``).
    """
    path = folder / _DOCUMENT
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        schema, written_hash = document["schema"], document["hash"]
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(
            f"No model at {str(folder)!r}.",
            "Train one with 'activity train', or name another with --model.",
            code="model.missing",
        ) from None
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BundleError(f"{path} is damaged.", _TRAIN_AGAIN, code="model.damaged") from None
    if schema != BUNDLE_SCHEMA:
        raise BundleError(
            f"{folder} has the schema {schema!r}, this version of activity reads {BUNDLE_SCHEMA!r}.",
            "Update activity, or train the model again.",
            code="model.schema",
        )
    if _hash_of(document) != written_hash:
        raise BundleError(f"{path} was changed after it was written.", _TRAIN_AGAIN, code="model.damaged")
    try:
        _check(document)
        return Bundle(
            folder=folder,
            name=f"{document['name']}@{written_hash[:8]}",
            labels=tuple(document["labels"]),
            sampling=Sampling(**document["sampling"]),
            network=NetworkSettings(**document["network"]),
            document=document,
        )
    except KeyError as error:
        raise BundleError(f"{path} is damaged: it has no {error}.", _TRAIN_AGAIN, code="model.damaged") from None
    except (TypeError, ConfigError) as error:
        reason = str(error).rstrip(".")
        raise BundleError(f"{path} is damaged: {reason}.", _TRAIN_AGAIN, code="model.damaged") from None


def _check(document: Mapping[str, Any]) -> None:
    """The hash proves that nothing was lost, not that a person meant well: values may be of any kind.

    Raises:
        KeyError: Something is missing.
        TypeError: Something is of another kind than what was written.
    """
    labels = document["labels"]
    if type(labels) is not list or not labels or not all(type(label) is str and label for label in labels):
        raise TypeError("labels are not a list of names")
    if len(set(labels)) < len(labels):
        raise TypeError("a label is there twice")
    strings = {
        "name": document["name"],
        "encoder_fingerprint": document["encoder_fingerprint"],
        "data.prepared": document["data"]["prepared"],
        "data.fingerprint": document["data"]["fingerprint"],
        "training.mode": document["training"]["mode"],
        **{f"files.{name}.sha256": document["files"][name]["sha256"] for name in _LISTED_FILES},
    }
    for name, value in strings.items():
        if type(value) is not str:
            raise TypeError(f"{name} is not a text")
    # It names a folder of features: never one elsewhere.
    if not re.fullmatch(r"\w[\w-]*", document["encoder_fingerprint"], re.ASCII):
        raise TypeError("encoder_fingerprint is not a name")
    for section, defaults in (("sampling", asdict(Sampling())), ("network", asdict(NetworkSettings()))):
        for name, value in dict(document[section]).items():
            kinds = _KINDS.get(type(defaults.get(name)), (type(value),))
            if type(value) not in kinds:
                raise TypeError(f"{section}.{name} is {value!r}")


# What JSON may give for a setting, by the kind of its default; None is a number or a switch that is not set.
_KINDS: dict[type, tuple[type, ...]] = {
    bool: (bool,),
    int: (int,),
    float: (int, float),
    str: (str,),
    type(None): (bool, int, float, type(None)),
}


def _hash_of(document: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in document.items() if key != "hash"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
