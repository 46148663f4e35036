"""The prepared folder, written and read back.

``manifest.csv`` has a row for every clip, and for every file without one; ``config.json`` is written last, so a folder
without it is unfinished.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from activity_cli._version import __version__
from activity_cli.dataset.clips import ClipStore
from activity_cli.dataset.stream_store import StreamStore
from activity_cli.errors import ActivityError, DatasetError
from activity_cli.files import atomic_write, find_link, write_text
from activity_cli.results import ClipRecord, impossible_values
from activity_cli.settings import STREAM_NAMES, PrepareSettings, Sampling, Split, StreamName, build, plain_values
from activity_cli.streams.registry import STREAMS

__all__ = [
    "DECODE_CACHE",
    "PREPARED_SCHEMA",
    "PreparedConfig",
    "PreparedFolder",
    "check_links",
    "config_of",
    "is_prepared_folder",
    "read_config",
    "read_prepared",
    "write_prepared",
]

PREPARED_SCHEMA = "activity.prepared/5"
# The first file that prepare writes; it stays.
DECODE_CACHE = "decoded.jsonl"

# The clip comes first in a row, then the video.
_COLUMNS = sorted(
    (column.name for column in fields(ClipRecord)), key=lambda name: name not in ClipRecord.__annotations__
)


class PreparedConfig(msgspec.Struct, frozen=True):
    """``config.json``: how a folder was prepared.

    Attributes:
        labels, fingerprint: As in :class:`PreparedFolder`.
        streams: Versions of the streams that the folder has.
        videos, labels_file: Absolute paths of the inputs.
        settings: Flat names and values.
        versions: Of the programs that made the folder.
    """

    schema: str
    labels: tuple[str, ...]
    fingerprint: str
    streams: dict[str, int]
    videos: str
    labels_file: str | None
    settings: dict[str, Any]
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class PreparedFolder:
    """A finished prepared folder.

    Attributes:
        labels: The activities, sorted; the index of a label is its class in the network.
        records: A row for every clip, and for every file without one.
        fingerprint: SHA-256 of all clips, streams, labels and splits: training on two folders with the same one is the
            same.
        stream_names: The streams that a network can read: appearance, which is computed from the clips, and those whose
            rows ``prepare`` stored.
    """

    folder: Path
    labels: tuple[str, ...]
    records: tuple[ClipRecord, ...]
    settings: PrepareSettings
    fingerprint: str
    stream_names: tuple[StreamName, ...]

    @property
    def sampling(self) -> Sampling:
        return self.settings.sampling

    @property
    def split(self) -> Split:
        return self.settings.split

    @property
    def clips(self) -> ClipStore:
        return ClipStore(self.folder / "clips", self.sampling.frame_size)

    @property
    def streams(self) -> StreamStore:
        return StreamStore(self.folder)

    def in_split(self, split: str) -> tuple[ClipRecord, ...]:
        """The clips of train, val or test, or (``all``) every clip."""
        kept = (record for record in self.records if record.status == "ok")
        return tuple(record for record in kept if split in ("all", record.split))

    def check_frames(self, records: Iterable[ClipRecord], *, pictures: bool) -> None:
        """Rejects clips that have another number of frames than the manifest says: they were exchanged or damaged.

        Args:
            records: The clips.
            pictures: Whether their pictures are read, too, not only what the streams say of them.

        Raises:
            DatasetError: There is one, or a file is missing or damaged.
        """
        clips, streams = self.clips, self.streams
        for record in records:
            lengths = {streams.times_path(record.clip): len(streams.times(record.clip))}
            if pictures:
                lengths[clips.folder / record.clip] = len(clips.read(record.clip))
            for path, length in lengths.items():
                if length != record.clip_frames:
                    said = f"manifest.csv says {record.clip_frames}"
                    raise DatasetError(f"{path} is damaged: it has {length} frames, but {said}.", _AGAIN)


def is_prepared_folder(folder: Path) -> bool:
    """Whether ``prepare`` made a folder, finished or not, and may write over it."""
    # A config.json alone may be of another program.
    if (folder / DECODE_CACHE).is_file():
        return True
    try:
        return read_config(folder) is not None
    except DatasetError as error:
        return error.code == "dataset.schema"


def check_links(folder: Path) -> None:
    """Rejects a prepared folder with a link in it: writing there would change files outside of it.

    Raises:
        DatasetError: There is one (``dataset.link``).
    """
    if (link := find_link(folder)) is not None:
        raise DatasetError(
            f"{link} is a link. A prepared folder must not contain links.",
            "Remove the link, or prepare the videos into another folder.",
            code="dataset.link",
        )


def config_of(
    settings: PrepareSettings, records: Sequence[ClipRecord] = (), streams: Iterable[str] = ()
) -> PreparedConfig:
    """What ``config.json`` says of a folder that is prepared with these settings."""
    versions: dict[str, int] = {}
    for name in STREAM_NAMES:
        if name == "appearance" or name in streams:
            versions[name] = STREAMS[name].version
    return PreparedConfig(
        schema=PREPARED_SCHEMA,
        labels=tuple(sorted({record.label for record in records if record.status == "ok"})),
        fingerprint=_fingerprint(records, versions),
        streams=versions,
        videos=os.path.abspath(settings.videos),
        labels_file=os.path.abspath(settings.labels) if settings.labels else None,
        settings=plain_values(settings, stored_only=True),
        versions={"activity": __version__},
    )


def write_prepared(
    folder: Path, records: Sequence[ClipRecord], settings: PrepareSettings, streams: Iterable[str] = ()
) -> PreparedFolder:
    """Writes the manifest, with a row for each record, and last the config that makes the folder complete.

    Args:
        folder, records, settings: The prepared folder, its clips and files, and how it was prepared.
        streams: Those whose rows were stored for every clip.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    config = config_of(settings, records, streams)
    with atomic_write(folder / "manifest.csv") as aside:
        _write_csv(records, aside)
    write_text(folder / "config.json", json.dumps(msgspec.to_builtins(config), indent=2) + "\n")
    return _prepared(folder, config, records)


def read_config(folder: Path) -> PreparedConfig | None:
    """``config.json`` of a prepared folder; None where the folder is not finished.

    Raises:
        DatasetError: It is damaged (``dataset.unusable``), or of another version (``dataset.schema``).
    """
    path = folder / "config.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        schema = str(document.get("schema"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise DatasetError(f"{path} is damaged: {error!r}.", _AGAIN) from None
    if not schema.startswith(PREPARED_SCHEMA.partition("/")[0]):
        raise DatasetError(f"{folder} was not made by 'activity prepare'.", "Run 'activity prepare VIDEOS' first.")
    if schema != PREPARED_SCHEMA:
        raise DatasetError(
            f"{folder} has the schema {schema!r}, this version of activity reads {PREPARED_SCHEMA!r}.",
            "If it is newer, update activity. If it is older, run 'activity prepare VIDEOS --overwrite'.",
            code="dataset.schema",
        )
    try:
        return msgspec.convert(document, PreparedConfig)
    except msgspec.ValidationError as error:
        raise DatasetError(f"{path} is damaged: {error}.", _AGAIN) from None


def read_prepared(folder: Path) -> PreparedFolder:
    """Reads a prepared folder back.

    Raises:
        DatasetError: It does not exist, is unfinished, damaged, or of another version, or contains a link.
    """
    check_links(folder)
    config = read_config(folder)
    if config is None:
        if is_prepared_folder(folder):
            raise DatasetError(f"The prepared folder {folder} is incomplete.", _AGAIN, code="dataset.unfinished")
        raise DatasetError(f"No prepared folder at {str(folder)!r}.", "Run 'activity prepare VIDEOS' first.")
    for name, version in config.streams.items():
        if name not in STREAMS or STREAMS[name].version != version:
            reason = f"its {name} stream has version {version}"
            raise DatasetError(f"{folder} was prepared by another version of activity: {reason}.", _AGAIN)
    try:
        with (folder / "manifest.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            records = [_record(row) for row in csv.DictReader(file)]
        prepared = _prepared(folder, config, records)
        _check_records(prepared)
    except (OSError, ValueError, csv.Error, KeyError, msgspec.ValidationError, ActivityError) as error:
        raise DatasetError(f"{folder} is damaged: {str(error).rstrip('.')}.", _AGAIN) from None
    if _fingerprint(records, config.streams) != config.fingerprint:
        raise DatasetError(
            f"{folder / 'manifest.csv'} was changed after 'activity prepare' wrote it.",
            _AGAIN,
            code="dataset.edited",
        )
    return prepared


def _prepared(folder: Path, config: PreparedConfig, records: Iterable[ClipRecord]) -> PreparedFolder:
    places = {"videos": config.videos, "labels": config.labels_file, "out": str(folder)}
    settings = build(PrepareSettings, places | config.settings)
    names = tuple(name for name in STREAM_NAMES if name in config.streams)
    return PreparedFolder(folder, config.labels, tuple(records), settings, config.fingerprint, names)


def _check_records(prepared: PreparedFolder) -> None:
    """Rejects what ``prepare`` does not write, though a file may say it."""
    for record in prepared.records:
        used = record.status == "ok"
        if wrong := impossible_values(record):
            raise ValueError(f"manifest.csv has an impossible {wrong[0]} for {record.path!r}")
        if record.status not in ("ok", "rejected", "duplicate", "unused", "ignored"):
            raise ValueError(f"manifest.csv has the status {record.status!r}")
        if used and not (record.clip and record.label and record.split in ("train", "val", "test")):
            raise ValueError(f"manifest.csv has no clip, label or split for {record.path!r}")
        if used and not 1 <= record.clip_frames <= prepared.sampling.num_frames:
            raise ValueError(f"manifest.csv has an impossible clip_frames for {record.path!r}")
    if prepared.labels != tuple(sorted({record.label for record in prepared.in_split("all")})):
        raise ValueError("the labels in config.json are not those of manifest.csv")


def _record(row: dict[str, str]) -> ClipRecord:
    return msgspec.convert(row | {"person_frames": row["person_frames"] or None}, ClipRecord, strict=False)


def _write_csv(records: Iterable[ClipRecord], path: Path) -> None:
    # File names that are not valid UTF-8 survive.
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        # Python below 3.13 leaves a carriage return unquoted where it does not end lines itself.
        quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(_COLUMNS)
        for row in map(attrgetter(*_COLUMNS), records):
            (quoting if any("\r" in value for value in row if isinstance(value, str)) else writer).writerow(row)


def _fingerprint(records: Iterable[ClipRecord], streams: Mapping[str, int]) -> str:
    rows = sorted(
        [r.path, r.label, r.group, r.split, r.clip, r.start_seconds, r.variant] for r in records if r.status == "ok"
    )
    return hashlib.sha256("".join(map(json.dumps, [*rows, streams])).encode()).hexdigest()


_AGAIN = "Run 'activity prepare' again: it repeats only what is missing."
