"""A file of labels, read once, and what a format finds in it."""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from activity_cli.errors import DatasetError
from activity_cli.labels.csv_table import decode
from activity_cli.labels.files import read_error
from activity_cli.labels.spelling import is_broken
from activity_cli.settings import LabelOptions

__all__ = ["Annotation", "Annotations", "LabelFile", "number"]

# No person labels as much: hours of frame-wise tables have some 100 MB.
_MOST_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Annotation:
    """A part of a video with a label, as a file states it.

    Attributes:
        source: The video as the file names it; empty where the file names none.
        label: The activity; None: a gap.
        start_seconds, end_seconds: The part; None: to the end of the video.
        frames: First and last frame instead, from 0.
        subject: Who is labeled; empty where it is not stated.
        where: The place in the file, for errors.
        split: As the file calls it; empty where it is not stated.
        confidence, reason, model: As in :class:`~activity_cli.results.TimelineSegment`.
    """

    source: str
    label: str | None
    start_seconds: float = 0.0
    end_seconds: float | None = None
    frames: tuple[int, int | None] | None = None
    subject: str = ""
    where: str = field(default="", compare=False)
    split: str = ""
    confidence: float | None = None
    reason: str = ""
    model: str = ""


@dataclass(slots=True)
class Annotations:
    """What a file states: its format in words, the annotations, and what was left out, one line each."""

    format: str
    found: list[Annotation]
    notes: list[str] = field(default_factory=list)
    num_points: int = 0  # events without a length that were left out


class LabelFile:
    """The content of a file in the forms that formats ask for; each is parsed once.

    Attributes:
        path: The file; ``-``: stdin.
        options: How times are read.

    Raises:
        DatasetError: The file cannot be read or is too large.
    """

    def __init__(self, path: Path, options: LabelOptions) -> None:
        self.path, self.options = path, options
        try:
            if str(path) == "-":
                self.text = decode(path, sys.stdin.buffer.read())
                return
            if path.stat().st_size > _MOST_BYTES:
                raise DatasetError(
                    f"{path} has {path.stat().st_size / 2**20:.0f} MiB, too many for a file of labels.",
                    f"The most are {_MOST_BYTES // 2**20} MiB. Check the path.",
                    code="labels.size",
                )
            self.text = decode(path, path.read_bytes())
        except OSError as error:
            raise read_error("labels", path, error, "Check `labels`.") from None

    @cached_property
    def json(self) -> Any:
        """The JSON document in the file; None: it is none."""
        if self.text.lstrip()[:1] not in ("{", "["):
            return None
        try:
            return json.loads(self.text)
        except RecursionError:
            raise DatasetError(f"{self.path} is nested too deeply.", "Export it again.", code="labels.json") from None
        except ValueError as error:
            if len(list(self.json_lines)) > 0:
                return None
            raise DatasetError(
                f"{self.path} is damaged JSON: {error}.", "Export it again.", code="labels.json"
            ) from None

    @cached_property
    def json_lines(self) -> list[tuple[int, dict[str, Any]]]:
        """The objects of a file with one in each line, with their line numbers; none where the first line has none."""
        rows: list[tuple[int, dict[str, Any]]] = []
        for line, text in enumerate(self.text.splitlines(), 1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except (ValueError, RecursionError) as error:
                if rows:
                    raise DatasetError(
                        f"{self.path}, line {line}: damaged JSON: {error}.", code="labels.json"
                    ) from None
                return []
            if not isinstance(row, dict):
                return []
            rows.append((line, row))
        return rows

    @cached_property
    def xml(self) -> ElementTree.Element | None:
        """The root of the XML document in the file; None: it is none.

        Raises:
            DatasetError: It is damaged, or declares entities, which could expand without end or name other files.
        """
        if not re.match(r"\s*<(\?xml|!--|!DOCTYPE|[A-Za-z_])", self.text):
            return None
        if "<!DOCTYPE" in self.text or "<!ENTITY" in self.text:
            raise DatasetError(
                f"{self.path} declares a document type, which no labels need.",
                "Delete its <!DOCTYPE ...>, or export it again.",
                code="labels.xml",
            )
        if is_broken(self.text):
            raise DatasetError(f"{self.path} is not UTF-8.", "Save it as UTF-8.", code="labels.encoding")
        try:
            return ElementTree.fromstring(self.text.lstrip())
        except (ElementTree.ParseError, ValueError) as error:
            raise DatasetError(f"{self.path} is damaged XML: {error}.", "Export it again.", code="labels.xml") from None

    @cached_property
    def cells(self) -> list[tuple[int, list[str]]]:
        """The rows of a table, with their line numbers; separated by the sign that its first lines have most."""
        head = self.text[:4096]
        reader = csv.reader(self.text.splitlines(keepends=True), delimiter=max(",\t;", key=head.count))
        rows: list[tuple[int, list[str]]] = []
        try:
            rows.extend((reader.line_num, [cell.strip() for cell in row]) for row in reader)
        except csv.Error:
            return []
        return rows

    def where(self, place: object) -> str:
        """What errors call a place in the file."""
        return f"{self.path}, {place}"

    def point(self, found: Annotations, moment: float, **stated: Any) -> Iterator[Annotation]:
        """An event without a length, as long as ``event_seconds``, around its moment; without it, counted only."""
        length = self.options.event_seconds
        if length is None:
            found.num_points += 1
        else:
            yield Annotation(start_seconds=max(0.0, moment - length / 2), end_seconds=moment + length / 2, **stated)


def number(value: object, where: str) -> float:
    """A number that a file has as a number or as a text.

    Raises:
        DatasetError: It is none.
    """
    try:
        found = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):  # a whole number of JSON can be too large for a float
        found = math.nan
    if not math.isfinite(found):
        raise DatasetError(
            f"{where}: {str(value)[:40]!r} is not a number.", "Export the labels again.", code="labels.time"
        )
    return found
