"""Times and frames as people write them in a table: ``12.5``, ``12,5``, ``1500 ms``, ``0:02``, ``00:00:02.5``."""

from __future__ import annotations

import re

from activity_cli.errors import DatasetError

__all__ = [
    "UNITS",
    "is_plain_number",
    "is_thousands",
    "is_time",
    "is_time_code",
    "is_time_range",
    "parse_frame",
    "parse_seconds",
]

UNITS = {
    **dict.fromkeys(("s", "ss", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "\u03bcs", "usec", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
}
"""Words for units of time, in lower case, and the seconds in each."""

_LONGEST_SECONDS = 1e7
_NUMBER = re.compile(r"(\d+(?:[.,]\d*)?(?:e[+-]?\d+)?|[.,]\d+) ?([a-z\u03bc]*)", re.IGNORECASE | re.ASCII)
# Create ML writes 1:59:7 and 8:3.2, but 3:1 is a score.
_TIME_CODE = re.compile(r"(?:(\d+):)?(\d+):(\d\d?[.,]\d+|\d\d|(?<=:\d:)\d|(?<=:\d\d:)\d)", re.ASCII)


def parse_seconds(value: str, where: str, unit_seconds: float = 1.0) -> float | None:
    """Seconds from a cell, None where it is empty.

    Args:
        value: A number or a time code. A unit in the cell wins over that of the column.
        where: Names the row in errors.
        unit_seconds: Seconds in the unit of the column.

    Raises:
        DatasetError: It is no time, or negative.
    """
    if not value:
        return None
    seconds = _seconds(value, unit_seconds)
    if seconds is None or seconds >= _LONGEST_SECONDS:
        raise DatasetError(
            f"{where}: {value!r} is not a number of seconds or a time code.",
            "Write seconds, such as 12.5, or minutes and seconds, such as 0:12.5 or 00:00:12.5.",
            code="labels.time",
        )
    return seconds


def parse_frame(value: str, where: str) -> int | None:
    """The number of a frame from a cell, None where it is empty.

    Raises:
        DatasetError: It is no whole number.
    """
    if not value:
        return None
    # Some programs write 12.0; but 12.000 may be twelve thousand.
    if not re.fullmatch(r"\d{1,9}(?:[.,]0+)?", value, re.ASCII) or is_thousands(value):
        raise DatasetError(
            f"{where}: {value!r} is not the number of a frame.", "Write a whole number from 0.", code="labels.time"
        )
    return int(re.split("[.,]", value)[0])


def is_thousands(value: str) -> bool:
    """Whether a point or a comma may separate thousands: ``1.500`` or ``1,500``, but not ``0.500``."""
    return re.fullmatch(r"[1-9]\d{0,2}(?:(?:\.\d{3})+|(?:,\d{3})+)", value, re.ASCII) is not None


def is_time(value: str) -> bool:
    """Whether a cell holds a number, with or without a unit, or a time code."""
    return _seconds(value, 1.0) is not None


def is_time_code(value: str) -> bool:
    """Whether a cell holds a time such as ``0:02``; ``3:1`` is a score."""
    return ":" in value and is_time(value)


def is_time_range(value: str) -> bool:
    """Whether a cell holds two times, such as ``0:02-0:05`` or ``[1.5, 3]``."""
    parts = re.split(r"\s*(?:-+>?|\u2013|\u2014|\.\.+|to|[,;|])\s*", value.strip("[]() "))
    return len(parts) == 2 and all(map(is_time, parts))


def is_plain_number(value: str) -> bool:
    """Whether a cell holds a number without a unit, other than 0."""
    match = _NUMBER.fullmatch(value)
    return match is not None and not match[2] and bool(_seconds(value, 1.0))


def _seconds(value: str, unit_seconds: float) -> float | None:
    if match := _TIME_CODE.fullmatch(value):
        hours, minutes, seconds = int(match[1] or 0), int(match[2]), float(match[3].replace(",", "."))
        # 75:00 is an hour and a quarter, but in 1:75:00 and in 0:75 a digit is wrong.
        return None if seconds >= 60 or (match[1] and minutes >= 60) else hours * 3600 + minutes * 60 + seconds
    match = _NUMBER.fullmatch(value)
    if match is None or (match[2] and match[2].lower() not in UNITS):
        return None
    number = match[1].replace(",", ".")  # some spreadsheets write a decimal comma
    return float(number) * (UNITS[match[2].lower()] if match[2] else unit_seconds)
