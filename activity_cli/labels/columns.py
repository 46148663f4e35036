"""Which column of a table means what.

A column that is not understood is named. One that looks like a time, a frame or a split is an error instead: without
it, a segment would become a whole video, or a test clip a training clip.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from activity_cli.errors import DatasetError
from activity_cli.labels.csv_table import Table
from activity_cli.labels.segments import SPLIT_NAMES
from activity_cli.labels.times import UNITS, is_plain_number, is_time, is_time_code, is_time_range

__all__ = ["Columns", "TimeColumn", "find_columns"]

# Names that people give the columns, as words; the first that is there counts.
_PATH = (
    *("path", "video", "file", "filename", "clip", "video path", "file path", "filepath", "relative path", "clip path"),
    *("video file", "video name", "file name", "clip name", "video filename", "media", "media file", "media file name"),
)
_LABEL = (
    *("label", "class", "activity", "action", "behavior", "behaviour"),
    *("label name", "class name", "activity name", "action name"),
)
_GROUP = ("group", "person", "subject", "participant", "player", "athlete", "actor", "performer", "source")
_SPLIT = ("split", "subset", "partition", "data split", "dataset split")
# These name a split only if all their values do: tennis players count sets, too.
_MAYBE_SPLIT = ("set", "dataset", "data set", "usage", "phase")

_START = frozenset({"start", "starts", "begin", "begins", "beginning", "onset", "from", "in", "first", "tmin"})
_END = frozenset(
    ("end", "ends", "ending", "stop", "stops", "finish", "offset", "to", "until", "till", "out", "last", "tmax")
)
_DURATION = frozenset({"duration", "dur", "length"})
_ROLES = (_START, _END, _DURATION)
# Words with other meanings, too: they count only in a pair of a start and an end that hold times.
_WEAK = frozenset({"from", "in", "to", "until", "till", "out", "offset", "length", "finish", "first", "last"})
_FRAME = frozenset({"frame", "frames", "frm", "image"})
_TIME_CODE = frozenset({"hh", "mm", "ss", "hms", "timecode", "tc"})
_FILLERS = frozenset(
    (
        *("time", "times", "timestamp", "stamp", "t", "at", "the", "of", "segment", "clip", "event"),
        *("action", "activity", "annotation", "label", "video", "position", "pos", "point"),
    )
)
_NUMBERED = frozenset({"index", "idx", "number", "num", "no", "nr"})  # frames are; times are not
_TIME_LIKE = frozenset(
    (
        *("t", "start", "begin", "onset", "offset", "end", "stop", "time", "times", "timestamp", "timecode"),
        *("tc", "duration", "frame", "frames", "interval", "range", "span", "timespan", "beginn", "anfang"),
        *("ende", "dauer", "zeit", "debut", "fin", "duree", "temps", "inicio", "duracion", "tiempo"),
        *("inizio", "fine", "durata", "tempo"),
    )
) | (UNITS.keys() - {"h", "min", "us"})
_SPLIT_LIKE = frozenset({"split", "splits", "subset", "partition", "fold", "folds", "kfold", "holdout"})
_SPLIT_FLAG = frozenset({"is", "in", "set", "train", "test", "val", "valid", "validation", "eval"})
_SETS = frozenset(" ".join(_MAYBE_SPLIT).split())
_PARTS = frozenset({"segment", "segments", "part", "section", "window", "bounds"})
_FREE_TEXT = frozenset({"note", "notes", "comment", "comments", "remark", "remarks", "description"})
# What describes a file: frames per second, number of frames, duration of the video.
_FILE_WORDS = frozenset({"fps", "rate", "count", "total", "size", "width", "height", "resolution"})
_WHOLE_FILE = frozenset({"video", "file", "media", "movie", "observation", "recording", "total"})
_COUNT_WORDS = frozenset({"num", "nb", "n", "number", "no", "nr"})  # with frames, in the plural
_GLUED = re.compile("(start|begin|end|stop)(?=time|frame|sec|ms)|(time|frame)(?=start|begin|end|stop)")
_NOTHING = re.compile("[0:., ]*")
_DATE = re.compile(r".*\d{4}-\d\d?-\d\d?|.*\d\d?[./]\d\d?[./]\d\d", re.ASCII)


class TimeColumn(NamedTuple):
    """A column of times or frames.

    Attributes:
        number: Which column.
        unit_seconds: Seconds in its unit; None: its name has no unit.
        in_frames: Whether it holds numbers of frames.
    """

    number: int
    unit_seconds: float | None
    in_frames: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """The number of the column with each meaning; None: there is none.

    Attributes:
        start, end, duration: All three are times, or all are frames.
        same_start, same_end: Further columns of times. They must say the same as ``start`` and ``end``.
        unused: Names of the columns without a meaning.
        without_unit: Names of the columns of times with numbers, but without a unit.
    """

    path: int | None
    label: int | None
    group: int | None
    split: int | None
    start: TimeColumn | None
    end: TimeColumn | None
    duration: TimeColumn | None
    same_start: tuple[TimeColumn, ...]
    same_end: tuple[TimeColumn, ...]
    unused: tuple[str, ...]
    without_unit: tuple[str, ...]


def find_columns(table: Table) -> Columns:
    """Finds the meaning of each column.

    Raises:
        DatasetError: A column looks like a time, a frame or a split, but is not understood.
    """
    words = [_words(name) for name in table.columns]
    phrases = [" ".join(one) for one in words]
    persons = [" ".join(word for word in one if word not in ("id", "name", "no", "nr", "number")) for one in words]
    path, label, group = _first(phrases, _PATH), _first(phrases, _LABEL), _first(persons, _GROUP)
    split = _first(phrases, _SPLIT)
    if split is None:
        maybe = (number for number, phrase in enumerate(phrases) if phrase in _MAYBE_SPLIT)
        split = next((number for number in maybe if _holds_splits(table.cells(number))), None)
    named = {path, label, group, split}
    others = [number for number in range(len(words)) if number not in named]
    starts, ends, durations = _time_columns(table, words, others)
    start, end, duration = _choose(starts, ends, durations)
    chosen = [column for column in (start, end, duration) if column]
    timed = {column.number for column in (*starts, *ends, *durations)}
    used = {column.number for column in chosen}
    # Beside a whole segment, times in other units, or a duration that follows from it, say nothing new.
    is_whole = bool(start and (end or duration))
    for number in sorted(set(others) - (timed if is_whole else used)):
        name = frozenset(words[number])
        if what := _unclear(table.cells(number), name, beside_start=start is not None and not is_whole):
            raise _refusal(table, number, what)
    unused = [number for number in others if number not in used and table.cells(number)]
    without_unit = (column for column in chosen if column.unit_seconds is None and not column.in_frames)
    return Columns(
        *(path, label, group, split, start, end, duration),
        same_start=tuple(one for one in starts if start and one != start and not (one.in_frames or start.in_frames)),
        same_end=tuple(one for one in ends if end and one != end and not (one.in_frames or end.in_frames)),
        unused=tuple(table.columns[number] or f"column {number + 1}" for number in unused),
        without_unit=tuple(
            table.columns[column.number]
            for column in without_unit
            if any(map(is_plain_number, table.cells(column.number)))
        ),
    )


def _words(name: str) -> list[str]:
    """A name as words in lower case, without accents: ``startTime``, ``Start_time`` and ``STARTTIME`` are the same."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKD", name))
    plain = "".join(sign for sign in spaced if not unicodedata.combining(sign)).casefold()
    return re.findall(r"[^\W\d_]+|\d+", _GLUED.sub(r"\g<0> ", plain))


def _first(phrases: Sequence[str], names: Iterable[str]) -> int | None:
    return next((phrases.index(name) for name in names if name in phrases), None)


def _holds_splits(cells: Sequence[str]) -> bool:
    return bool(cells) and all(cell.lower() in SPLIT_NAMES for cell in cells)


def _time_columns(
    table: Table, words: Sequence[Sequence[str]], numbers: Iterable[int]
) -> tuple[list[TimeColumn], list[TimeColumn], list[TimeColumn]]:
    """The columns of starts, ends and durations; those whose names have a unit come first."""
    found: tuple[list[TimeColumn], ...] = ([], [], [])
    weak: set[int] = set()
    all_words = {word for one in words for word in one}
    for number in numbers:
        name = frozenset(words[number])
        strong = [place for place, role in enumerate(_ROLES) if role - _WEAK & name]
        roles = strong or [place for place, role in enumerate(_ROLES) if role & name]
        column = _time_column(number, name) if len(roles) == 1 else None
        if column is None or (not strong and not all(map(is_time, table.cells(number)))):
            continue
        if "offset" in name and not strong and "onset" not in all_words:
            continue  # of two clocks, perhaps
        found[roles[0]].append(column)
        if not strong:
            weak.add(number)
    starts, ends, durations = found
    if not starts or not (ends or durations):
        starts, ends, durations = ([one for one in columns if one.number not in weak] for columns in found)
    for columns in (starts, ends, durations):
        columns.sort(key=lambda column: column.unit_seconds is None)
    return starts, ends, durations


def _time_column(number: int, name: frozenset[str]) -> TimeColumn | None:
    """A column with such words in its name; None where one is not understood."""
    fillers = _FILLERS | _NUMBERED if name & _FRAME else _FILLERS
    if name - _START - _END - _DURATION - fillers - _FRAME - _TIME_CODE - UNITS.keys():
        return None
    if name & _DURATION and name & _WHOLE_FILE:
        return None
    units = name & UNITS.keys()
    if name & _FRAME:
        return None if units else TimeColumn(number, None, in_frames=True)
    if name & _TIME_CODE:
        return TimeColumn(number, 1.0)
    return TimeColumn(number, UNITS[next(iter(units))] if units else None) if len(units) < 2 else None


def _choose(
    starts: Sequence[TimeColumn], ends: Sequence[TimeColumn], durations: Sequence[TimeColumn]
) -> tuple[TimeColumn | None, TimeColumn | None, TimeColumn | None]:
    """A start, and an end or a duration: times if they are complete, else frames."""
    partial: tuple[TimeColumn | None, TimeColumn | None, TimeColumn | None] = (None, None, None)
    for in_frames in (False, True):
        start, end, duration = (
            next((one for one in columns if one.in_frames == in_frames), None) for columns in (starts, ends, durations)
        )
        if start and (end or duration):
            return start, end, None if end else duration
        if partial == (None, None, None):
            partial = start, end, None
    return partial


def _unclear(cells: Sequence[str], name: frozenset[str], *, beside_start: bool) -> str:
    """What a column that was not understood may be: a split, or a time or a frame; empty if it is neither."""
    if all(map(_NOTHING.fullmatch, cells)) or name & _FREE_TEXT:
        return ""
    is_flag = name <= _SPLIT_FLAG and name - {"is", "in", "set"}
    if name & _SPLIT_LIKE or is_flag or _may_be_splits(cells, name):
        return "a split"
    is_range = all(map(is_time_range, cells)) and (name & _PARTS or any(":" in cell for cell in cells))
    # Beside a start without an end, the number of frames may be that of the segment.
    is_length = beside_start and name & _FRAME and name & (_COUNT_WORDS | {"count", "total"})
    is_named = name & _TIME_LIKE and _may_be_times(cells) and (is_length or not _describes_file(name))
    return "a time or a frame" if is_range or is_named or all(map(is_time_code, cells)) else ""


def _refusal(table: Table, number: int, what: str) -> DatasetError:
    call = "Call the columns start_seconds and end_seconds, or start_frame and end_frame, or delete it."
    if what == "a split":
        call = "Call it 'split', with train, val or test in each row, or delete it."
    return DatasetError(
        f"{table.path}: the column {table.columns[number]!r} looks like {what}, but activity does not understand it.",
        f"{call} If it is something else, add 'note' to its name.",
        code="labels.columns",
    )


def _may_be_splits(cells: Sequence[str], name: frozenset[str]) -> bool:
    """Whether all cells name splits, or some do and the others may: ``train``, ``test``, ``unused``."""
    named = {SPLIT_NAMES.get(cell.lower(), "") for cell in cells}
    return bool(cells) and ("" not in named or {"train", "test"} <= named or (name & _SETS != set() and named != {""}))


def _may_be_times(cells: Sequence[str]) -> bool:
    return any(map(re.compile(r"\d").search, cells)) and not all(map(_DATE.match, cells))


def _describes_file(name: frozenset[str]) -> bool:
    if name & _FILE_WORDS or ("frames" in name and name & _COUNT_WORDS):
        return True
    return bool(name & _DURATION and name & _WHOLE_FILE)
