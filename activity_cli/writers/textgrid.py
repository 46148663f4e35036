"""Segments as a Praat TextGrid in its long form: an interval tier without holes for each subject."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from activity_cli.results import TimelineSegment
from activity_cli.writers.text import by_subject, milliseconds

__all__ = ["textgrid_text"]


def textgrid_text(segments: Sequence[TimelineSegment]) -> str:
    """The segments of a video; a gap is an interval with an empty text.

    Raises:
        OutputError: Segments overlap.
    """
    end = max((milliseconds(one.end_seconds) for one in segments), default=0)
    tiers = by_subject(segments, "textgrid")
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {_seconds(end)}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (subject, found) in enumerate(tiers.items(), 1):
        intervals = list(_intervals(found, end))
        name = f"activity@{subject}" if subject else "activity"
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {_quoted(name)}"]
        lines += ["        xmin = 0", f"        xmax = {_seconds(end)}", f"        intervals: size = {len(intervals)}"]
        for place, (start, stop, text) in enumerate(intervals, 1):
            lines += [f"        intervals [{place}]:", f"            xmin = {_seconds(start)}"]
            lines += [f"            xmax = {_seconds(stop)}", f"            text = {_quoted(text)}"]
    return "\n".join(lines) + "\n"


def _intervals(segments: Sequence[TimelineSegment], end: int) -> Iterator[tuple[int, int, str]]:
    """Start and end in milliseconds, and text, without holes from 0 to ``end``."""
    before = 0
    for one in segments:
        start, stop = milliseconds(one.start_seconds), milliseconds(one.end_seconds)
        if start > before:
            yield before, start, ""
        yield start, stop, one.label or ""
        before = stop
    if end > before:
        yield before, end, ""


def _seconds(number: int) -> str:
    return f"{number / 1000:.12g}"


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
