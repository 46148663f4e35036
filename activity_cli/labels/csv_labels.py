"""Labels in a CSV file, one row for each video or segment: path,label[,group][,split][,start_seconds][,end_seconds]."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from activity_cli.errors import DatasetError
from activity_cli.labels.columns import Columns, TimeColumn, find_columns
from activity_cli.labels.csv_table import COLUMNS_HINT, SAVE_AGAIN, Table, read_table
from activity_cli.labels.listed import ListedVideos
from activity_cli.labels.segments import LabeledSegment, LabelSet, parse_split
from activity_cli.labels.spelling import clean_text, is_broken
from activity_cli.labels.times import is_thousands, parse_frame, parse_seconds

__all__ = ["read_csv", "unused_columns_note"]

_SPREADSHEET_ERRORS = ("#N/A", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!")
# Times that say the same may be rounded to hundredths.
_SAME_SECONDS = 0.02


def read_csv(videos: Path, place: Path) -> LabelSet | None:
    """The videos or segments in a CSV, and the files that it does not list.

    Raises:
        DatasetError: The file cannot be read, a column is not understood, or a row is wrong; the error names the line.
    """
    if place.is_dir():
        return None
    table = read_table(place)
    columns = find_columns(table)
    missing = [name for name in ("label", "path") if getattr(columns, name) is None]
    if missing:
        raise DatasetError(
            f"{place} has no column {' and no column '.join(missing)}. "
            f"Its columns: {', '.join(filter(None, table.columns)) or 'none'}.",
            COLUMNS_HINT,
        )
    listed = ListedVideos(videos, place)
    found: dict[tuple[object, ...], LabeledSegment] = {}
    for line, row in table.rows:
        segment = _segment(table, columns, listed, line, row)
        key = segment.name, segment.start_seconds, segment.end_seconds, segment.frames
        if found.setdefault(key, segment) != segment:
            raise DatasetError(
                f"{table.where(line)}: {segment.name!r} is listed twice with different values.", "Keep one row."
            )
    if not found:
        raise DatasetError(f"{place} lists no videos.", "Add a row with path,label for each video.")
    segments = list(found.values())
    unused, notes = listed.unlisted({segment.path for segment in segments})
    form = f"a CSV ({place.name}) of {'labeled segments' if any(map(_is_cut, segments)) else 'labeled videos'}"
    names = " and ".join(map(repr, columns.without_unit))
    without_unit = f"{place}: {'columns' if len(columns.without_unit) > 1 else 'column'} {names}" if names else ""
    return LabelSet(form, segments, unused, (*unused_columns_note(place, columns.unused), *notes), without_unit)


def unused_columns_note(place: Path, names: Sequence[str]) -> list[str]:
    """Names the columns that were not used, if there are any."""
    return [f"Columns of {place.name} that were not used: {', '.join(names)}."] if names else []


def _is_cut(segment: LabeledSegment) -> bool:
    return bool(segment.start_seconds or segment.end_seconds is not None or segment.frames)


def _segment(table: Table, columns: Columns, listed: ListedVideos, line: int, row: Sequence[str]) -> LabeledSegment:
    where = table.where(line)
    path, label, group, split = (
        "" if number is None else row[number] for number in (columns.path, columns.label, columns.group, columns.split)
    )
    for what, text in (("label", label), ("group", group)):
        if is_broken(text):
            shown = text.encode("ascii", "backslashreplace").decode()
            raise DatasetError(f"{where}: the {what} '{shown}' is not UTF-8.", SAVE_AGAIN, code="labels.encoding")
    label, group = clean_text(label), clean_text(group)
    if label in _SPREADSHEET_ERRORS:
        hint = "Correct the formula in the spreadsheet, and save the table again."
        raise DatasetError(f"{where}: the label is {label!r}, an error of a spreadsheet.", hint, code="labels.label")
    if not path or not label:
        raise DatasetError(f"{where}: path or label is empty.", "Every row needs both.")
    start, end, frames = _frames(columns, row, where) if _in_frames(columns) else _times(table, columns, row, where)
    file, name, problem = listed.find(path, where)
    given = parse_split(split, where)
    return LabeledSegment(file, name, label, group, given, start, end, frames, problem=problem)


def _in_frames(columns: Columns) -> bool:
    return any(column and column.in_frames for column in (columns.start, columns.end))


def _frames(columns: Columns, row: Sequence[str], where: str) -> tuple[float, None, tuple[int, int | None] | None]:
    """The first and the last frame of a segment; none where the row names no frame."""
    first, last, number = (
        None if column is None else parse_frame(row[column.number], where)
        for column in (columns.start, columns.end, columns.duration)
    )
    if number is not None:
        last = (first or 0) + number - 1
    if first is None and last is None:
        return 0.0, None, None
    if last is not None and last < (first or 0):
        raise DatasetError(
            f"{where}: the segment starts at frame {first or 0} but ends at frame {last}.",
            "The end must not be before the start.",
        )
    return 0.0, None, (first or 0, last)


def _may_have_thousands(table: Table, column: TimeColumn, value: str) -> bool:
    """Whether 1.500 or 1,500 may be more than a thousand here."""
    if "," in value:
        return table.has_decimal_point
    # Semicolons separate the cells of tables with decimal commas. Few people write thousandths of milliseconds.
    has_commas = any("," in cell for cell in table.cells(column.number))
    return not table.has_decimal_point and (has_commas or (column.unit_seconds or 1.0) < 1.0)


def _times(table: Table, columns: Columns, row: Sequence[str], where: str) -> tuple[float, float | None, None]:
    def seconds(column: TimeColumn | None) -> float | None:
        if column is None:
            return None
        value = row[column.number]
        if is_thousands(value) and _may_have_thousands(table, column, value):
            separator = "," if "," in value else "."
            raise DatasetError(
                f"{where}: {value!r} may mean {value.replace(separator, '')} or {value.replace(separator, '.', 1)}.",
                "Write numbers without separators between thousands, and with a decimal point.",
                code="labels.time",
            )
        return parse_seconds(value, where, 1.0 if column.unit_seconds is None else column.unit_seconds)

    start, end, duration = seconds(columns.start), seconds(columns.end), seconds(columns.duration)
    for chosen, value, others in ((columns.start, start, columns.same_start), (columns.end, end, columns.same_end)):
        for other in others:
            again = seconds(other)
            if chosen and again is not None and (value is None or abs(again - value) > _SAME_SECONDS):
                both = f"{table.columns[chosen.number]!r} and {table.columns[other.number]!r}"
                raise DatasetError(
                    f"{where}: the columns {both} give different times.", "Delete one of them.", code="labels.time"
                )
    start = start or 0.0
    if duration is not None:
        end = start + duration
    if end is not None and end <= start:
        raise DatasetError(
            f"{where}: the segment starts at {start:g} s but ends at {end:g} s.", "The end must be after the start."
        )
    return start, end, None
