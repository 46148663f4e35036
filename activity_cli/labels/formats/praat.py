"""Praat TextGrids, in their long and short form: the intervals with a text, and points."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from activity_cli.errors import DatasetError
from activity_cli.labels.formats.label_file import Annotation, Annotations, LabelFile, number

__all__ = ["read_textgrid"]

# Praat reads texts in quotes, flags, and numbers that stand alone; all else is for people.
_TOKEN = re.compile(r'"((?:[^"]|"")*)"|(<\w+>)|(?<!\S)(-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?!\S)')


def read_textgrid(file: LabelFile) -> Annotations | None:
    """The tiers of a TextGrid; what follows the ``@`` in the name of a tier is the subject."""
    if not re.match(r'\s*(File type = )?"ooTextFile', file.text) or '"TextGrid"' not in file.text[:200]:
        return None
    tokens = _tokens(file)
    found = Annotations("a Praat TextGrid", [])
    try:
        _, _, _, _, exists = islice(tokens, 5)
        for tier in range(int(next(tokens)) if exists == "<exists>" else 0):
            kind, name, _, _, size = islice(tokens, 5)
            subject = name.partition("@")[2]
            for place in range(int(size)):
                where = file.where(f"tier {tier + 1} ({name!r}), number {place + 1}")
                start = number(next(tokens), where)
                end = number(next(tokens), where) if kind == "IntervalTier" else None
                stated: dict[str, Any] = {"source": "", "label": next(tokens), "subject": subject, "where": where}
                if not stated["label"].strip():
                    continue
                if end is None:
                    found.found += file.point(found, start, **stated)
                else:
                    found.found.append(Annotation(start_seconds=start, end_seconds=end, **stated))
    except (StopIteration, ValueError):
        raise DatasetError(f"{file.path} is a damaged TextGrid.", "Save it again in Praat, as a text file.") from None
    return found


def _tokens(file: LabelFile) -> Iterator[str]:
    for match in _TOKEN.finditer(file.text):
        text, flag, digits = match.groups()
        yield text.replace('""', '"') if text is not None else flag or digits
