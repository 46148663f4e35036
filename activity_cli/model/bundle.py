"""A trained model in one folder, with everything that predicting needs.

``bundle.json`` describes the model and holds the SHA-256 of every file and of itself, so a bundle that was cut, edited
or mixed with another is rejected. A bundle holds only data: loading it runs no code from it, and loads no TensorFlow.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from activity_cli.errors import BundleError, ConfigError
from activity_cli.files import sha256_of, write_text
from activity_cli.settings import NetworkSettings, Sampling, build, leaves
from activity_cli.settings.encoders import ENCODER_SPECS

__all__ = [
    "BUNDLE_SCHEMA",
    "ENCODER_FILE",
    "OUT_OF_FOLD_FILE",
    "TRAINED_ON_DIGITS",
    "WEIGHTS_FILE",
    "Bundle",
    "Data",
    "Document",
    "HeadEntry",
    "HeadNumbers",
    "head_file",
    "read_bundle",
    "write_bundle",
]

BUNDLE_SCHEMA = "activity.bundle/4"
# The encoder and the head of the appearance stream, for `export` to other formats; only if the model has this stream.
WEIGHTS_FILE = "model.keras"
# Frames to features, for `predict` and `evaluate`; likewise.
ENCODER_FILE = "encoder.tflite"
# Answers for the training clips by networks that were not trained on them: arrays ``clips`` (names, ``[N]``), ``truth``
# (numbers of labels, ``[N]``) and ``log_probabilities`` (``[N, classes]``).
OUT_OF_FOLD_FILE = "out_of_fold.npz"
# Digits of a video's SHA-256 that the list of training videos keeps.
TRAINED_ON_DIGITS = 20

_DOCUMENT = "bundle.json"
_TRAIN_AGAIN = "Copy the whole folder again, or train the model again."

Label = Annotated[str, msgspec.Meta(min_length=1)]
Size = Annotated[int, msgspec.Meta(ge=1, le=100_000_000)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class HeadEntry(msgspec.Struct, frozen=True):
    """The head of a stream.

    Attributes:
        stream: ``appearance``, ``motion`` or ``pose``.
        reads: The streams whose rows it reads: its own, and for the pose perhaps ``hands``.
        kind: ``recurrent`` or ``linear``.
        file: Its LiteRT file.
        weight: What its log probabilities are multiplied with before they are added to those of the other heads.
        accuracy: Of this head alone, on clips that it was not trained on; None: not measured.
    """

    stream: Literal["appearance", "motion", "pose"]
    reads: list[Literal["appearance", "motion", "pose", "hands"]]
    kind: Literal["recurrent", "linear"]
    file: str
    weight: Annotated[float, msgspec.Meta(gt=0, le=100)]
    accuracy: float | None = None


class HeadNumbers(msgspec.Struct, frozen=True):
    """The numbers of :class:`activity_cli.model.heads.HeadShape` of the appearance stream's head."""

    kind: Literal["recurrent", "linear"]
    num_frames: Size
    num_features: Size
    num_classes: Size
    units: Size
    dropout: Annotated[float, msgspec.Meta(ge=0, lt=1)]
    num_read: Annotated[int, msgspec.Meta(ge=0)]
    components: Annotated[int, msgspec.Meta(ge=0)]
    subtract_mean: bool
    standardized: bool


class Data(msgspec.Struct, frozen=True):
    """What a model was trained on.

    Attributes:
        prepared: Path of the prepared folder, relative to the bundle.
        fingerprint: Of the prepared folder.
        trained_on: The first :data:`TRAINED_ON_DIGITS` digits of the SHA-256 of each video.
        splits: The splits that these videos are from.
        clips: Number of clips in each split.
        longest_seconds: Duration of the longest part of a video that a clip stands for; 0: not known.
        median_seconds: The median of these durations; 0: not known.
        shortest_seconds: For each label, the duration that a tenth of its clips do not reach.
    """

    prepared: str
    fingerprint: str
    trained_on: list[str]
    splits: list[str]
    clips: dict[str, int]
    longest_seconds: Seconds
    median_seconds: Seconds
    shortest_seconds: dict[str, Seconds]


class FileEntry(msgspec.Struct, frozen=True):
    """SHA-256 (hexadecimal) and size of a file."""

    sha256: str
    bytes: int


class Document(msgspec.Struct, frozen=True):
    """``bundle.json`` without its schema, files and hash.

    Attributes:
        name: Name of the folder that the model was trained into.
        labels: The activities, in the order of the network's outputs.
        settings: The settings as the user gave them, by command; None: the command chose.
        network: The settings of the network with every choice made.
        appearance: The head of the appearance stream; None: the model does not read it.
        heads: One for each stream that counts, in the order of the sum.
        streams: The version of each stream that a head reads.
        least_margin: An answer whose logarithm is less than so much above that of the next label is unknown (``predict
            --reject-unknown``): 5% of the right answers for clips that the network was not trained on are below it.
            None: there are no such answers.
        background: The labels that mean that nothing happens: gaps in a timeline.
        mirrored_labels: For each label the number of the one that a mirrored clip shows, so that clips are also read
            mirrored; None: they are not, because left and right matter.
        training: The choices of the training, and how it ended.
        metrics: On the validation clips, and the best epoch; None: not measured.
        data: What the model was trained on.
        versions: Versions of the packages.
        litert: Differences between the LiteRT files and Keras.
    """

    name: str
    labels: Annotated[list[Label], msgspec.Meta(min_length=1)]
    settings: dict[str, dict[str, Any]]
    network: dict[str, Any]
    appearance: HeadNumbers | None
    heads: Annotated[list[HeadEntry], msgspec.Meta(min_length=1)]
    streams: dict[str, int]
    mirrored_labels: list[int] | None
    training: dict[str, Any]
    metrics: dict[str, float | None]
    data: Data
    versions: dict[str, str]
    litert: dict[str, float]
    background: list[Label]
    least_margin: Annotated[float, msgspec.Meta(ge=0)] | None


class _Written(Document, frozen=True, kw_only=True):
    schema: str
    files: dict[str, FileEntry]
    hash: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle with a valid ``bundle.json``. :meth:`file` checks each file when it is needed.

    Attributes:
        folder: Path of the bundle.
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
        """The path of a file of the bundle, after a check of its content.

        Raises:
            BundleError: The file is missing or cannot be read (``model.incomplete``), or its content is not what
                training wrote (``model.damaged``).
        """
        path, entry = self.folder / name, self.document.files.get(name)
        _check_link(path)
        try:
            size = path.stat().st_size
            # A link to a device or a pipe would be read without end.
            intact = entry and path.is_file() and size == entry.bytes and sha256_of(path) == entry.sha256
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise BundleError(f"{path} cannot be read: {reason}.", _TRAIN_AGAIN, code="model.incomplete") from None
        if not intact:
            raise BundleError(f"{path} is damaged, or belongs to another model.", _TRAIN_AGAIN, code="model.damaged")
        return path


def head_file(stream: str) -> str:
    """The name of the LiteRT file of a stream's head."""
    return f"{stream}.tflite"


def write_bundle(folder: Path, document: Document) -> None:
    """Writes ``bundle.json`` for the files in ``folder``.

    Raises:
        OutputError: It cannot be written.
    """
    appearance = any(head.stream == "appearance" for head in document.heads)
    names = [head.file for head in document.heads] + ([WEIGHTS_FILE, ENCODER_FILE] if appearance else [])
    names += [OUT_OF_FOLD_FILE] if (folder / OUT_OF_FOLD_FILE).is_file() else []
    files = {name: {"sha256": sha256_of(folder / name), "bytes": (folder / name).stat().st_size} for name in names}
    content = {"schema": BUNDLE_SCHEMA, **msgspec.to_builtins(document), "files": files}
    # JSON has no NaN, which is the validation loss where there are no validation clips.
    content["metrics"] = {
        name: value if math.isfinite(value or 0) else None for name, value in document.metrics.items()
    }
    content["hash"] = _hash_of(content)
    write_text(folder / _DOCUMENT, json.dumps(content, indent=2) + "\n")


def read_bundle(folder: Path) -> Bundle:
    """Reads and checks ``bundle.json``.

    Raises:
        BundleError: There is no bundle (``model.missing``), it was edited or cut (``model.damaged``), or it has another
            schema (``model.schema``).
    """
    path = folder / _DOCUMENT
    _check_link(path)
    try:
        if path.exists() and not path.is_file():
            raise _damaged(path, "it is not a file")
        content = json.loads(path.read_text(encoding="utf-8"))
        schema, written_hash = content["schema"], content["hash"]
        if schema == BUNDLE_SCHEMA and _hash_of(content) != written_hash:
            raise _damaged(path, "its content does not match its checksum")
    except (FileNotFoundError, NotADirectoryError):
        raise BundleError(
            f"No model at {str(folder)!r}.",
            "Train one with 'activity train', or name another model.",
            code="model.missing",
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BundleError(f"{path} cannot be read: {reason}.", "Check the path and its permissions.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _damaged(path, "it is not the description of a model") from None
    if schema != BUNDLE_SCHEMA:
        raise BundleError(
            f"{folder} has the schema {schema!r}, but this version of activity reads {BUNDLE_SCHEMA!r}.",
            "Train the model again, or update activity if the model is newer.",
            code="model.schema",
        )
    try:
        # The hash protects from accidents. A value of a wrong type may still be there on purpose.
        document = msgspec.convert(content, _Written)
        prepare = document.settings["prepare"]
        sampling = build(Sampling, {leaf.name: prepare[leaf.name] for leaf in leaves(Sampling)})
        network = build(NetworkSettings, document.network)
    except KeyError as error:
        raise _damaged(path, f"the setting {error} is missing") from None
    except (ValueError, ConfigError, RecursionError) as error:
        raise _damaged(path, str(error).rstrip(".")) from None
    if reason := _contradiction(document, sampling, network):
        raise _damaged(path, reason)
    return Bundle(folder, f"{document.name}@{document.hash[:8]}", sampling, network, document)


def _contradiction(document: Document, sampling: Sampling, network: NetworkSettings) -> str:
    """The first contradiction between parts of ``bundle.json``; empty: there is none."""
    labels, heads, mirrored, head = document.labels, document.heads, document.mirrored_labels, document.appearance
    names, spec = [entry.stream for entry in heads], ENCODER_SPECS[network.encoder]
    reads = {stream for entry in heads for stream in entry.reads}
    rules = {
        "a label occurs twice": len(set(labels)) == len(labels),
        "its appearance stream has no head": ("appearance" in names) == (head is not None),
        f"there are {len(labels)} labels for other outputs": head is None or head.num_classes == len(labels),
        "the network reads more frames than a clip has": head is None or head.num_frames <= sampling.num_frames,
        "a head reads more features than there are": head is None or head.num_read <= head.num_features,
        "it truncates the whole encoder": (network.truncate_blocks or 0) < len(spec.block_starts),
        "its encoder has no pyramid": spec.pretrained or (network.pyramid or 1) == 1,
        "a stream occurs twice": len(set(names)) == len(names),
        "a head reads another stream": all(
            entry.reads == [entry.stream] or entry.reads == ["pose", "hands"] == [entry.stream, "hands"]
            for entry in heads
        ),
        "a head has an unknown file": all(entry.file == head_file(entry.stream) for entry in heads),
        "its streams are not those that the heads read": {*document.streams} == reads,
        "its mirrored labels do not fit the labels": mirrored is None
        or (
            len(mirrored) == len(labels)
            and all(0 <= other < len(labels) and mirrored[other] == number for number, other in enumerate(mirrored))
        ),
    }
    return next((reason for reason, holds in rules.items() if not holds), "")


def _check_link(path: Path) -> None:
    if path.is_symlink():
        raise _damaged(path, "it is a link, but a model must contain its files")


def _damaged(path: Path, reason: str) -> BundleError:
    return BundleError(f"{path} is damaged: {reason}.", _TRAIN_AGAIN, code="model.damaged")


def _hash_of(content: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != "hash"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, allow_nan=False).encode()).hexdigest()
