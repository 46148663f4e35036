"""Labels in a CSV file: our own columns, and those of Kinetics (Kay et al. 2017)."""

from __future__ import annotations

import codecs
import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from activity_cli.errors import DatasetError
from activity_cli.labels.files import Discovered, DiscoveredFile, walk
from activity_cli.settings import SPLITS

__all__ = ["files_of_table"]

# What people call the columns, in the order of preference.
_NAMES = {
    "path": ("path", "video", "file", "filename", "clip"),
    "label": ("label", "class", "activity", "action"),
    "group": ("group", "person", "subject", "source"),
    "split": ("split", "subset"),
    "start_seconds": ("start_seconds", "start", "start_time", "time_start"),
    "end_seconds": ("end_seconds", "end", "end_time", "time_end"),
}
_KINETICS = {"label", "youtube_id", "time_start", "time_end"}
_SPLIT_NAMES = {"training": "train", "valid": "val", "validate": "val", "validation": "val", "testing": "test"}


def files_of_table(videos: Path, labels: Path) -> Discovered:
    """The files that a CSV names.

    Separated by comma, semicolon or tab; UTF-8, or UTF-16 with its mark.

    Raises:
        DatasetError: The file cannot be read, or a row is wrong; the line is named.
    """
    columns, rows = _read_rows(labels)
    if set(columns) >= _KINETICS:
        return Discovered(_of_kinetics(videos, labels, rows), f"the CSV of Kinetics ({labels.name})")
    chosen = {meant: next((name for name in names if name in columns), "") for meant, names in _NAMES.items()}
    missing = [name for name in ("label", "path") if not chosen[name]]
    if missing:
        raise DatasetError(
            f"{labels} has no column {' and '.join(missing)}; it has: {', '.join(columns) or 'none'}.",
            "The first line names the columns: path,label[,group][,split][,start_seconds][,end_seconds]",
        )
    found: dict[tuple[str, float, float | None], DiscoveredFile] = {}
    for line, row in rows:
        where = f"{labels}, line {line}"
        value = {meant: row.get(name, "") for meant, name in chosen.items()}
        if not value["path"] or not value["label"]:
            raise DatasetError(f"{where}: path or label is empty.", "Every row needs both.")
        file = _file(videos, value, where)
        if found.setdefault((file.name, file.start_seconds, file.end_seconds), file) != file:
            raise DatasetError(f"{where}: {file.name!r} is listed twice with different values.", "Keep one row.")
    if not found:
        raise DatasetError(f"{labels} lists no videos.", "Expected a row for each: path,label")
    files = list(found.values())
    segments = any(file.end_seconds is not None or file.start_seconds for file in files)
    return Discovered(files, f"a CSV ({labels.name}) of {'labeled segments' if segments else 'labeled videos'}")


def _file(videos: Path, value: Mapping[str, str], where: str) -> DiscoveredFile:
    if "\0" in value["path"]:
        raise DatasetError(f"{where}: {value['path']!r} cannot be the name of a file.", "Save the CSV as plain UTF-8.")
    split = _split(value["split"], where)
    start = _seconds(value["start_seconds"], where)
    end = _seconds(value["end_seconds"], where)
    if end is not None and end <= (start or 0.0):
        raise DatasetError(f"{where}: the segment ends at {end:g} s and begins at {start or 0:g} s.", "Swap them.")
    name = Path(value["path"]).as_posix()
    return DiscoveredFile(videos / name, name, value["label"], value["group"], split, "", start or 0.0, end)


def _split(value: str, where: str) -> str:
    split = _SPLIT_NAMES.get(value.lower(), value.lower())
    if split and split not in SPLITS:
        raise DatasetError(f"{where}: split is {value!r}.", f"Allowed: {', '.join(SPLITS)}, or empty.")
    return split


def _seconds(value: str, where: str) -> float | None:
    if not value:
        return None
    try:
        seconds = float(value.replace(",", "."))  # a decimal comma, as some spreadsheets write it
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < 1e7:
        raise DatasetError(f"{where}: {value!r} is not a number of seconds.", "Write seconds, such as 12.5.")
    return seconds


def _of_kinetics(videos: Path, labels: Path, rows: Sequence[tuple[int, Mapping[str, str]]]) -> list[DiscoveredFile]:
    by_stem = {path.stem: path for path in walk(videos)}
    files = []
    for line, row in rows:
        where, name = f"{labels}, line {line}", row["youtube_id"]
        start, end = (_seconds(row[key], where) or 0.0 for key in ("time_start", "time_end"))
        split = _split(row.get("split", ""), where)
        trimmed, whole = by_stem.get(f"{name}_{int(start):06d}_{int(end):06d}"), by_stem.get(name)
        if trimmed is not None:
            relative = trimmed.relative_to(videos).as_posix()
            files.append(DiscoveredFile(trimmed, relative, row["label"], name, split))
        elif whole is not None:
            relative = whole.relative_to(videos).as_posix()
            files.append(DiscoveredFile(whole, relative, row["label"], name, split, "", start, end))
        else:
            # Many of its videos are gone from where they were; that is no fault of the others.
            files.append(
                DiscoveredFile(videos / name, name, row["label"], name, ignored="listed, but no such file is there")
            )
    if all(file.ignored for file in files):
        raise DatasetError(
            f"None of the {len(files)} videos of {labels} is in {str(videos)!r}.",
            "Expected names such as <youtube_id>_000010_000020.mp4 or <youtube_id>.mp4.",
        )
    return files


def _read_rows(labels: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    try:
        raw = labels.read_bytes()
        utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = raw.decode("utf-16" if utf16 else "utf-8-sig", errors="strict" if utf16 else "surrogateescape")
        first = text.partition("\n")[0]
        separator = max(",;\t", key=first.count)
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
        columns = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        return columns, list(_stripped(reader))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DatasetError(f"The labels {str(labels)!r} cannot be read: {reason}.", "Check --labels.") from None
    except (csv.Error, UnicodeError) as error:
        raise DatasetError(f"{labels} is not a CSV file: {error}.", "Expected columns: path,label") from None


def _stripped(reader: csv.DictReader[str]) -> Iterator[tuple[int, dict[str, str]]]:
    for row in reader:
        # Cells beyond the columns come under None, as a list; missing ones are None.
        values = {name: (cell or "").strip() for name, cell in row.items() if isinstance(name, str)}
        if any(values.values()):
            yield reader.line_num, values
