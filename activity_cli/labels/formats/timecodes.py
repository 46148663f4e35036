"""Plain lists of times and labels, such as ``00:01:02.5 wave``, and the label tracks of Audacity."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from activity_cli.errors import DatasetError
from activity_cli.labels.formats.label_file import Annotation, Annotations, LabelFile
from activity_cli.labels.times import parse_seconds

__all__ = ["read_timecodes"]

_CODE = r"(?:\d+:)?\d+:\d\d(?:[.,]\d+)?"
_LINE = re.compile(rf"({_CODE})(?:(?: ?(?:-+>?|–|—|to|[,;]) ?| )({_CODE}))?[ ,;|–—-]+(\S.*)")
_AUDACITY = re.compile(r"(\d+(?:\.\d+)?)\t(\d+(?:\.\d+)?)\t(\S.*)")


def read_timecodes(file: LabelFile) -> Annotations | None:
    """The lines of a list. A line without an end lasts to the next one with ``until_next``, else it is an event."""
    lines = [(line, text.strip()) for line, text in enumerate(file.text.splitlines(), 1)]
    lines = [(line, text) for line, text in lines if text and not text.startswith(("#", "\\"))]
    if not lines:
        return None
    pattern = _AUDACITY if _AUDACITY.fullmatch(lines[0][1]) else _LINE
    if pattern is _LINE:
        lines = [(line, " ".join(text.split())) for line, text in lines]
    if not pattern.fullmatch(lines[0][1]):
        return None
    found = Annotations("a list of times", [])
    for line, text in lines:
        where, match = file.where(f"line {line}"), pattern.fullmatch(text)
        if match is None:
            raise DatasetError(
                f"{where}: {text[:60]!r} is not a time and a label.", "Write lines such as 00:01:02.5 wave."
            )
        start, end = (parse_seconds(time or "", where) for time in match.groups()[:2])
        assert start is not None
        if file.options.until_next and found.found and found.found[-1].end_seconds is None:
            found.found[-1] = replace(found.found[-1], end_seconds=start)
        stated: dict[str, Any] = {"source": "", "label": match[3], "where": where}
        if end == start or (end is None and not file.options.until_next):
            found.found += file.point(found, start, **stated)
        else:
            found.found.append(Annotation(start_seconds=start, end_seconds=end, **stated))
    return found
