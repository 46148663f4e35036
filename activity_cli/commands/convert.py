"""convert: labels or segments in one format -> segments in another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from activity_cli.dataset.segment_files import read_segments
from activity_cli.errors import DatasetError, UsageError
from activity_cli.files import translate_os_error, write_text
from activity_cli.results import ConvertResult, TimelineSegment
from activity_cli.settings import ConvertSettings
from activity_cli.writers.segments import SegmentWriter, choose_writer, file_for

__all__ = ["convert", "converted_text"]


def convert(settings: ConvertSettings) -> ConvertResult:
    """Reads labels or segments in any known format, and writes them in another.

    Where a format has one file for each video, and there are several videos, ``out`` is a folder. A file is written
    whole or not at all. With ``out`` as ``-``, nothing is written: :func:`converted_text` has the text.

    Raises:
        DatasetError: The input cannot be read, is in no known format, or needs its videos.
        OutputError: A file cannot be written, or the format cannot hold these segments.
        UsageError: The format is not known.
    """
    out = settings.out
    is_stdout = str(out) == "-"
    if is_stdout and settings.format is None:
        raise UsageError("The format of stdout is not known.", "Choose one with `format`.", code="usage.format")
    writer = choose_writer(settings.format, out)
    segments, notes = read_segments([settings.labels], settings.videos, settings.label_options)
    if not segments:
        raise DatasetError(f"{settings.labels} has no segments.", "Label some first.", code="labels.none")
    result = ConvertResult(writer.name, tuple(segments), notes)
    num_sources = len({one.source for one in segments})
    is_one_file = writer.many_sources or (num_sources == 1 and not out.is_dir())
    if is_one_file and is_stdout:
        return result
    if is_one_file:
        write_text(out, converted_text(result))
        return result.with_files([out])
    if is_stdout or (out.suffix and not out.is_dir()):
        raise UsageError(
            f"{writer.name} has one file for each video, but {settings.labels} has {num_sources} videos.",
            f"Name a folder instead of {str(out)!r}, and choose the format with `format`.",
            code="usage.output",
        )
    return result.with_files(_write_each(writer, segments, out))


def converted_text(result: ConvertResult) -> str:
    """All segments as one text."""
    writer = choose_writer(result.format)
    groups = groupby(result.segments, key=lambda one: one.source)
    return writer.header + "".join(writer.text(list(group)) for _, group in groups)


def _write_each(writer: SegmentWriter, segments: Sequence[TimelineSegment], out: Path) -> list[Path]:
    """Writes a file for each video, in folders as those of the videos."""
    files: dict[Path, str] = {}
    for source, group in groupby(segments, key=lambda one: one.source):
        path = file_for(source, out, writer.suffixes[0])
        if path in files:
            problem = f"Two videos have the name {str(path.relative_to(out).with_suffix(''))!r}."
            raise UsageError(problem, "Write json, csv or boris.", code="usage.output")
        files[path] = writer.text(list(group))
    for path, text in files.items():
        with translate_os_error(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    return list(files)
