"""Labels in a CSV file, one row for each video or segment: path,label[,group][,split][,start_seconds][,end_seconds]."""

from __future__ import annotations

import codecs
import csv
import io
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from activity_cli.errors import DatasetError
from activity_cli.labels.files import read_error
from activity_cli.labels.segments import SPLIT_NAMES, LabeledSegment, LabelSet
from activity_cli.settings import SPLITS

__all__ = ["parse_seconds", "parse_split", "read_csv", "read_table"]

# Names that people give the columns; the first that is there counts.
_COLUMNS = {
    "path": ("path", "video", "file", "filename", "clip"),
    "label": ("label", "class", "activity", "action"),
    "group": ("group", "person", "subject", "source"),
    "split": ("split", "subset"),
    "start_seconds": ("start_seconds", "start", "start_time", "time_start"),
    "end_seconds": ("end_seconds", "end", "end_time", "time_end"),
}


def read_csv(videos: Path, place: Path) -> LabelSet | None:
    """The segments in a CSV: separated by comma, semicolon or tab, in UTF-8, or UTF-16 with its byte order mark.

    Raises:
        DatasetError: The file cannot be read, or a row is wrong; the error names the line.
    """
    if place.is_dir():
        return None
    columns, rows = read_table(place)
    column_of = {meaning: next((name for name in names if name in columns), "") for meaning, names in _COLUMNS.items()}
    missing = [name for name in ("label", "path") if not column_of[name]]
    if missing:
        raise DatasetError(
            f"{place} has no column {' and no column '.join(missing)}. Its columns: {', '.join(columns) or 'none'}.",
            "The first line must name the columns: path,label[,group][,split][,start_seconds][,end_seconds]",
        )
    found: dict[tuple[str, float, float | None], LabeledSegment] = {}
    for line, row in rows:
        where = f"{place}, line {line}"
        segment = _segment(videos, {meaning: row.get(name, "") for meaning, name in column_of.items()}, where)
        if found.setdefault((segment.name, segment.start_seconds, segment.end_seconds), segment) != segment:
            raise DatasetError(f"{where}: {segment.name!r} is listed twice with different values.", "Keep one row.")
    if not found:
        raise DatasetError(f"{place} lists no videos.", "Add a row with path,label for each video.")
    cut = any(segment.end_seconds is not None or segment.start_seconds for segment in found.values())
    form = f"a CSV ({place.name}) of {'labeled segments' if cut else 'labeled videos'}"
    return LabelSet(form, list(found.values()), [])


def read_table(path: Path) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The names of the columns, in lower case, and the rows that are not empty, each with its line number.

    Raises:
        DatasetError: The file cannot be read, or is no CSV.
    """
    with _csv_errors(path):
        raw = path.read_bytes()
        utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = raw.decode("utf-16" if utf16 else "utf-8-sig", errors="strict" if utf16 else "surrogateescape")
        header = text.partition("\n")[0]
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
        columns = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
    return columns, _rows(path, reader)


def parse_split(value: str, where: str) -> str:
    """train, val, test, or nothing, from the name that a row gives.

    Raises:
        DatasetError: It is no split's name.
    """
    if value and value.lower() not in SPLIT_NAMES:
        raise DatasetError(f"{where}: split is {value!r}.", f"Allowed: {', '.join(SPLITS)}, or empty.")
    return SPLIT_NAMES.get(value.lower(), "")


def parse_seconds(value: str, where: str) -> float | None:
    """Seconds from a cell, None where it is empty.

    Raises:
        DatasetError: It is no number, or negative.
    """
    if not value:
        return None
    try:
        seconds = float(value.replace(",", "."))  # some spreadsheets write a decimal comma
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < 1e7:
        raise DatasetError(f"{where}: {value!r} is not a number of seconds.", "Write seconds, such as 12.5.")
    return seconds


def _segment(videos: Path, values: Mapping[str, str], where: str) -> LabeledSegment:
    if not values["path"] or not values["label"]:
        raise DatasetError(f"{where}: path or label is empty.", "Every row needs both.")
    if "\0" in values["path"]:
        raise DatasetError(f"{where}: {values['path']!r} is not a valid file name.", "Save the CSV file as UTF-8.")
    split = parse_split(values["split"], where)
    start = parse_seconds(values["start_seconds"], where) or 0.0
    end = parse_seconds(values["end_seconds"], where)
    if end is not None and end <= start:
        raise DatasetError(
            f"{where}: the segment starts at {start:g} s but ends at {end:g} s.", "The end must be after the start."
        )
    name = Path(values["path"]).as_posix()
    return LabeledSegment(videos / name, name, values["label"], values["group"], split, start, end)


def _rows(path: Path, reader: csv.DictReader[str]) -> Iterator[tuple[int, dict[str, str]]]:
    with _csv_errors(path):
        for row in reader:
            # The reader puts cells beyond the columns under None, as a list, and fills missing ones with None.
            values = {name: (cell or "").strip() for name, cell in row.items() if isinstance(name, str)}
            if any(values.values()):
                yield reader.line_num, values


@contextmanager
def _csv_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise read_error("labels", path, error, "Check --labels.") from None
    except (csv.Error, UnicodeError) as error:
        raise DatasetError(f"{path} is not a CSV file: {error}.", "Expected columns: path,label") from None
