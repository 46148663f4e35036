"""A trained model in one folder, with all that predicting needs.

``bundle.json`` describes the model and carries the SHA-256 of every file, itself included; a bundle that was cut, edited
or mixed up is refused. Everything in it is data: loading runs no code from it, and no TensorFlow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from activity_cli.errors import BundleError, ConfigError
from activity_cli.files import sha256_of, write_text
from activity_cli.settings import NetworkSettings, Sampling, build, leaves

__all__ = [
    "BUNDLE_SCHEMA",
    "ENCODER_FILE",
    "TRAINED_ON_DIGITS",
    "WEIGHTS_FILE",
    "Bundle",
    "Data",
    "Document",
    "HeadEntry",
    "Shape",
    "head_file",
    "read_bundle",
    "write_bundle",
]

BUNDLE_SCHEMA = "activity.bundle/2"
# For training on and exporting:
WEIGHTS_FILE = "model.keras"
# For predicting: frames to features.
ENCODER_FILE = "encoder.tflite"
# Of the SHA-256 of a video, in the list of those that a model was trained on.
TRAINED_ON_DIGITS = 20

_DOCUMENT = "bundle.json"
_TRAIN_AGAIN = "Copy the whole folder again, or train the model again."

Label = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]


class HeadEntry(msgspec.Struct, frozen=True):
    """A head: its name, its LiteRT file, its weight in the sum, and what it reaches alone on validation clips."""

    name: str
    file: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]+\.tflite$")]
    weight: float
    val_accuracy: float | None = None


class Shape(msgspec.Struct, frozen=True):
    """The numbers of :class:`activity_cli.model.network.NetworkShape`."""

    frame_size: Count
    num_frames: Annotated[int, msgspec.Meta(ge=1, le=512)]
    num_features: Count
    num_read: Count
    num_classes: Count
    pretrained: bool


class Data(msgspec.Struct, frozen=True):
    """What a model was trained on: the way from the bundle to the prepared folder, and which clips.

    ``trained_on`` are the first digits of the SHA-256 of each video, ``splits`` the splits that they are from.
    """

    prepared: str
    fingerprint: str
    trained_on: list[str]
    splits: list[str]
    clips: dict[str, int]


class FileEntry(msgspec.Struct, frozen=True):
    """SHA-256 (hexadecimal) and size of a file."""

    sha256: str
    bytes: int


class Document(msgspec.Struct, frozen=True):
    """``bundle.json``, apart from its schema, files and hash.

    Attributes:
        name: Of the model's folder when it was trained.
        labels: The activities, in the order of the network's outputs.
        settings: What was asked for, flat, by command; None is a choice left open.
        network: The settings of the network with every choice made, flat.
        shape: Its numbers.
        heads: In the order of the sum.
        training: The choices that were made, and how training ended.
        metrics: On the validation clips, and of the best epoch.
        data: What it was trained on.
        versions: Of the packages.
        litert: How the LiteRT files compare with Keras.
    """

    name: str
    labels: Annotated[list[Label], msgspec.Meta(min_length=1)]
    settings: dict[str, dict[str, Any]]
    network: dict[str, Any]
    shape: Shape
    heads: Annotated[list[HeadEntry], msgspec.Meta(min_length=1)]
    training: dict[str, Any]
    metrics: dict[str, float | None]
    data: Data
    versions: dict[str, str]
    litert: dict[str, float]


class _Written(Document, frozen=True, kw_only=True):
    schema: str
    files: dict[str, FileEntry]
    hash: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose ``bundle.json`` is sound; each file is checked when it is asked for.

    Attributes:
        folder: Where it is.
        name: Name and the first 8 digits of the hash, such as ``activity@3fa9c1d2``.
        sampling: Which frames of a video the network reads, and their size.
        network: The network's settings with every choice made.
        document: All of ``bundle.json``.
    """

    folder: Path
    name: str
    sampling: Sampling
    network: NetworkSettings
    document: _Written

    @property
    def labels(self) -> tuple[str, ...]:
        """The activities, in the order of the network's outputs."""
        return tuple(self.document.labels)

    def file(self, name: str) -> Path:
        """The path of a file whose content is what was written with the bundle.

        Raises:
            BundleError: It is missing (``model.incomplete``) or differs (``model.damaged``).
        """
        path = self.folder / name
        try:
            whole = name in self.document.files and sha256_of(path) == self.document.files[name].sha256
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise BundleError(f"{path} cannot be read: {reason}.", _TRAIN_AGAIN, code="model.incomplete") from None
        if not whole:
            raise BundleError(
                f"{path} is not the file that was written with this model.", _TRAIN_AGAIN, code="model.damaged"
            )
        return path


def head_file(name: str) -> str:
    """The name of a head's LiteRT file."""
    return f"{name}.tflite"


def write_bundle(folder: Path, document: Document) -> None:
    """Writes ``bundle.json`` for the files that are already in ``folder``.

    Raises:
        OutputError: It cannot be written.
    """
    names = [WEIGHTS_FILE, ENCODER_FILE, *(head.file for head in document.heads)]
    files = {name: {"sha256": sha256_of(folder / name), "bytes": (folder / name).stat().st_size} for name in names}
    content = {"schema": BUNDLE_SCHEMA, **msgspec.to_builtins(document), "files": files}
    content["hash"] = _hash_of(content)
    write_text(folder / _DOCUMENT, json.dumps(content, indent=2) + "\n")


def read_bundle(folder: Path) -> Bundle:
    """Reads and checks ``bundle.json``.

    Raises:
        BundleError: There is no bundle (``model.missing``), it was edited or cut (``model.damaged``), or it is of
            another version (``model.schema``).
    """
    path = folder / _DOCUMENT
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        schema, written_hash = content["schema"], content["hash"]
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
            "Train the model again, or update activity if the model is newer.",
            code="model.schema",
        )
    if _hash_of(content) != written_hash:
        raise BundleError(f"{path} was changed after it was written.", _TRAIN_AGAIN, code="model.damaged")
    try:
        # The hash proves that nothing was lost, not that values are of the right kind.
        document = msgspec.convert(content, _Written)
        if len(set(document.labels)) < len(document.labels) or len(document.labels) != document.shape.num_classes:
            raise ValueError("the labels do not fit the network")
        return Bundle(
            folder=folder,
            name=f"{document.name}@{document.hash[:8]}",
            sampling=_subset(Sampling, document.settings["prepare"]),
            network=build(NetworkSettings, document.network),
            document=document,
        )
    except (msgspec.ValidationError, ConfigError, ValueError, KeyError, TypeError) as error:
        reason = str(error).rstrip(".") if not isinstance(error, KeyError) else f"it has no {error}"
        raise BundleError(f"{path} is damaged: {reason}.", _TRAIN_AGAIN, code="model.damaged") from None


def _subset(cls: type[Sampling], values: Mapping[str, Any]) -> Sampling:
    return build(cls, {leaf.name: values[leaf.name] for leaf in leaves(cls)})


def _hash_of(content: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != "hash"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
