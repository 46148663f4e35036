"""What the text formats of segments have in common."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from activity_cli.errors import OutputError
from activity_cli.results import TimelineSegment

__all__ = ["by_subject", "labeled", "milliseconds", "one_line", "without_control"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# XML cannot hold these, not even escaped.
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


def labeled(segments: Iterable[TimelineSegment]) -> list[TimelineSegment]:
    """The segments with a label, by their starts: most formats have no gaps."""
    return sorted((one for one in segments if one.label is not None), key=lambda one: one.start_seconds)


def milliseconds(seconds: float) -> int:
    """Whole milliseconds."""
    return round(seconds * 1000)


def one_line(text: str) -> str:
    """A label where a format has one line for it: control characters, such as line breaks, become a space."""
    return _CONTROL.sub(" ", text)


def without_control(text: str) -> str:
    """A text without the characters that XML cannot hold; each becomes a replacement character."""
    return _NOT_XML.sub("\ufffd", text)


def by_subject(segments: Sequence[TimelineSegment], format_name: str) -> dict[str, list[TimelineSegment]]:
    """The labeled segments of each subject, by their starts; a tier of annotations holds one subject.

    Raises:
        OutputError: Two segments of a subject overlap, which a tier cannot hold.
    """
    subjects: dict[str, list[TimelineSegment]] = {"": []} if not any(one.subject for one in segments) else {}
    for one in labeled(segments):
        subjects.setdefault(one.subject, []).append(one)
    for one, after in itertools.chain.from_iterable(map(itertools.pairwise, subjects.values())):
        if milliseconds(after.start_seconds) < milliseconds(one.end_seconds):
            name = PurePath(one.source).name
            raise OutputError(
                f"{name!r}: {one.label!r} ({one.start_seconds:.3f} to {one.end_seconds:.3f} s) and {after.label!r} "
                f"(from {after.start_seconds:.3f} s) overlap, which {format_name} cannot hold.",
                "Choose json, csv, boris, srt or vtt.",
                code="output.overlap",
            )
    return subjects
