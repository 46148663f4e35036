"""Segments as BORIS exports aggregated events: a table separated by tabs, one row for each event."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from activity_cli.results import TimelineSegment
from activity_cli.writers.text import labeled

__all__ = ["BORIS_HEADER", "boris_rows"]

_COLUMNS = (
    *("Observation id", "Observation date", "Media file", "Total length", "FPS", "Subject", "Behavior"),
    *("Behavioral category", "Modifiers", "Behavior type", "Start (s)", "Stop (s)", "Duration (s)"),
    *("Comment start", "Comment stop"),
)
_NO_SUBJECT = "No focal subject"  # BORIS's own words


def boris_rows(segments: Sequence[TimelineSegment]) -> str:
    """The rows of the events; what a segment does not say is ``NA``, as BORIS writes it. Gaps have no row."""
    return "".join(_record(_cells(one)) for one in labeled(segments))


def _cells(one: TimelineSegment) -> tuple[str | None, ...]:
    start, end = round(one.start_seconds, 3), round(one.end_seconds, 3)
    times = (f"{seconds:.3f}" for seconds in (start, end, end - start))
    subject = one.subject or _NO_SUBJECT
    return (one.source, "NA", one.source, "NA", "NA", subject, one.label, "", "", "STATE", *times, "", "")


def _record(cells: Iterable[str | None]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter="\t", lineterminator="\n").writerow(cells)
    return buffer.getvalue()


BORIS_HEADER = _record(_COLUMNS)
