"""The formats of segments: one writer for each, with its name and the suffixes of its files.

A new format is one module and one line in ``SEGMENT_WRITERS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PureWindowsPath

from activity_cli.errors import UsageError
from activity_cli.results import TimelineSegment
from activity_cli.writers.boris import BORIS_HEADER, boris_rows
from activity_cli.writers.csv import SEGMENT_HEADER, segment_rows
from activity_cli.writers.eaf import eaf_document
from activity_cli.writers.json import segment_lines
from activity_cli.writers.subtitles import srt_text, vtt_text
from activity_cli.writers.textgrid import textgrid_text

__all__ = ["SEGMENT_WRITERS", "SegmentWriter", "choose_writer", "file_for"]


@dataclass(frozen=True, slots=True)
class SegmentWriter:
    """How segments are written.

    Attributes:
        name: What ``--format`` calls it.
        suffixes: Of its files, in lower case; the usual one first.
        text: From segments to text. Where one file holds one source, these are all segments of that source.
        many_sources: Whether one file holds the segments of several sources, one text after the other.
        header: What a file begins with, before the first text.
    """

    name: str
    suffixes: tuple[str, ...]
    text: Callable[[Sequence[TimelineSegment]], str]
    many_sources: bool = False
    header: str = ""


SEGMENT_WRITERS = {
    writer.name: writer
    for writer in (
        SegmentWriter("json", (".jsonl", ".json"), segment_lines, many_sources=True),
        SegmentWriter("csv", (".csv",), segment_rows, many_sources=True, header=SEGMENT_HEADER),
        SegmentWriter("boris", (".tsv",), boris_rows, many_sources=True, header=BORIS_HEADER),
        SegmentWriter("srt", (".srt",), srt_text),
        SegmentWriter("vtt", (".vtt",), vtt_text),
        SegmentWriter("eaf", (".eaf",), eaf_document),
        SegmentWriter("textgrid", (".TextGrid",), textgrid_text),
    )
}


def file_for(source: str, folder: Path, suffix: str) -> Path:
    """The file of one source in a folder: its path, relative, with another suffix. It never leads out of the folder."""
    path: PurePath = PureWindowsPath(source)  # labels may come from another computer
    if not (path.drive.endswith(":") and path.root):
        path = PurePath(source)
    parts = [part for part in path.parts if part not in ("..", path.anchor)]
    name = PurePath(*(parts or ["frames"]))
    return folder / name.with_name(name.stem + suffix)


def choose_writer(name: str | None, path: Path | None = None) -> SegmentWriter:
    """The writer of a format that was named, else of the suffix of a file.

    Raises:
        UsageError: There is no such format, or no format has such files.
    """
    if name is not None:
        if name not in SEGMENT_WRITERS:
            hint = f"Allowed: {', '.join(SEGMENT_WRITERS)}."
            raise UsageError(f"`format` cannot be {name!r}.", hint, code="usage.format")
        return SEGMENT_WRITERS[name]
    suffix = path.suffix.lower() if path else ""
    for writer in SEGMENT_WRITERS.values():
        if suffix and suffix in map(str.lower, writer.suffixes):
            return writer
    known = " ".join(suffix for writer in SEGMENT_WRITERS.values() for suffix in writer.suffixes)
    raise UsageError(
        f"The format of {str(path)!r} is not known by its suffix.",
        f"Choose one with `format`, or one of these suffixes: {known}.",
        code="usage.format",
    )
