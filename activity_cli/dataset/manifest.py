"""The prepared folder: who is in it, how it was made, and how it is read back.

``manifest.csv`` has a row for every file that was found; ``config.json`` is written last, so a folder
without it is unfinished.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from activity_cli.dataset.clips import ClipStore
from activity_cli.errors import ActivityError, DatasetError
from activity_cli.files import atomic_write, write_text
from activity_cli.results import ClipRecord
from activity_cli.settings import Sampling, Split

__all__ = [
    "PREPARED_SCHEMA",
    "PreparedFolder",
    "is_prepared_folder",
    "read_config",
    "read_prepared",
    "write_prepared",
]

PREPARED_SCHEMA = "activity.prepared/2"


def _truth(word: str) -> bool:
    return {"True": True, "False": False}[word]


_KINDS: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "str": str, "bool": _truth}
_READERS = {field.name: _KINDS[str(field.type)] for field in fields(ClipRecord)}


@dataclass(frozen=True, slots=True)
class PreparedFolder:
    """A finished prepared folder.

    Attributes:
        folder: Where it is.
        labels: The activities, sorted; a label's place is its number for the network.
        records: Every file that was found.
        sampling: How clips were made.
        split: How they were divided.
        fingerprint: Hash of all clips, labels and splits: two folders with the same one teach the same.
    """

    folder: Path
    labels: tuple[str, ...]
    records: tuple[ClipRecord, ...]
    sampling: Sampling
    split: Split
    fingerprint: str

    @property
    def clips(self) -> ClipStore:
        """The frames of the clips."""
        return ClipStore(self.folder / "clips")

    def in_split(self, split: str) -> tuple[ClipRecord, ...]:
        """The clips of train, val or test, or (``all``) every clip."""
        kept = (record for record in self.records if record.status == "ok")
        return tuple(record for record in kept if split in ("all", record.split))


def is_prepared_folder(folder: Path) -> bool:
    """Whether a folder was made by ``prepare``, finished or not (and so may be written over)."""
    # The journal is the first file that prepare writes, and stays. A config.json alone may be anybody's.
    if (folder / "decoded.jsonl").is_file():
        return True
    try:
        return read_config(folder) is not None
    except DatasetError as error:
        return error.code == "dataset.schema"


def write_prepared(
    folder: Path,
    records: Sequence[ClipRecord],
    sampling: Sampling,
    split: Split,
    origin: Mapping[str, Any],
) -> PreparedFolder:
    """Writes the manifest, and last the config that makes the folder whole.

    Args:
        folder: The prepared folder.
        records: A row for every file found.
        sampling, split: How the clips were made and divided.
        origin: What else is worth remembering: where the videos came from, versions.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    labels = tuple(sorted({record.label for record in records if record.status == "ok"}))
    fingerprint = _fingerprint(records)
    with atomic_write(folder / "manifest.csv") as aside:
        _write_csv(records, aside)
    config = {
        "schema": PREPARED_SCHEMA,
        "labels": labels,
        "sampling": asdict(sampling),
        "split": asdict(split),
        "fingerprint": fingerprint,
        **origin,
    }
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
    return PreparedFolder(folder, labels, tuple(records), sampling, split, fingerprint)


def read_config(folder: Path) -> dict[str, Any] | None:
    """``config.json`` of a prepared folder; None where the folder is not finished.

    Raises:
        DatasetError: It is damaged, or was written by a newer version.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        schema = str(config["schema"]) if "schema" in config else ""
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} is damaged: {error!r}.", _AGAIN) from None
    if not schema.startswith(PREPARED_SCHEMA.partition("/")[0]):
        raise DatasetError(f"{folder} was not made by 'activity prepare'.", "Run 'activity prepare VIDEOS' first.")
    if schema != PREPARED_SCHEMA:
        raise DatasetError(
            f"{folder} has the schema {schema!r}, this version of activity reads {PREPARED_SCHEMA!r}.",
            "If it is newer, update activity; if it is older, run 'activity prepare --overwrite'.",
            code="dataset.schema",
        )
    return dict(config)


def read_prepared(folder: Path) -> PreparedFolder:
    """Reads a prepared folder back.

    Raises:
        DatasetError: It does not exist, is unfinished, damaged, or from a newer version.
    """
    config = read_config(folder)
    if config is None:
        if is_prepared_folder(folder):
            raise DatasetError(f"{folder} is not finished.", _AGAIN, code="dataset.unfinished")
        raise DatasetError(f"No prepared folder at {str(folder)!r}.", "Run 'activity prepare VIDEOS' first.")
    try:
        with (folder / "manifest.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            records = tuple(_record_of(row) for row in csv.DictReader(file))
        prepared = PreparedFolder(
            folder,
            tuple(config["labels"]),
            records,
            Sampling(**config["sampling"]),
            Split(**config["split"]),
            config["fingerprint"],
        )
    except (OSError, ValueError, KeyError, TypeError, csv.Error, ActivityError) as error:
        raise DatasetError(f"{folder} is damaged: {error!r}.", _AGAIN) from None
    if _fingerprint(records) != prepared.fingerprint:
        raise DatasetError(
            f"{folder / 'manifest.csv'} and config.json do not belong together.", _AGAIN, code="dataset.edited"
        )
    return prepared


def _record_of(row: Mapping[str, str]) -> ClipRecord:
    return ClipRecord(**{name: reader(row[name]) for name, reader in _READERS.items()})


def _write_csv(records: Iterable[ClipRecord], path: Path) -> None:
    # File names that are not valid UTF-8 survive.
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        # Python below 3.13 leaves a carriage return unquoted where it does not end lines itself.
        quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(_READERS)
        values = attrgetter(*_READERS)
        for row in map(values, records):
            (quoting if any("\r" in value for value in row if isinstance(value, str)) else writer).writerow(row)


def _fingerprint(records: Iterable[ClipRecord]) -> str:
    rows = sorted(
        [r.path, r.label, r.group, r.split, r.clip, r.start_seconds, r.variant] for r in records if r.status == "ok"
    )
    # The hash of all of it as one list, without ever writing that list out.
    digest = hashlib.sha256(b"[")
    for number, row in enumerate(rows):
        digest.update(f"{', ' if number else ''}{json.dumps(row)}".encode())
    digest.update(b"]")
    return digest.hexdigest()


_AGAIN = "Run 'activity prepare' again: it redoes only what is missing."
