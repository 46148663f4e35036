"""summarize: segments -> how long, how often and how soon each activity happens."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from activity_cli.dataset.segment_files import read_segments
from activity_cli.errors import DatasetError, UsageError
from activity_cli.files import write_text
from activity_cli.labels.groups_csv import read_groups
from activity_cli.results import SummarizeResult, SummaryRow, TimelineSegment
from activity_cli.settings import SummarizeSettings
from activity_cli.writers.csv import summary_csv
from activity_cli.writers.xlsx import write_summary_xlsx

__all__ = ["summarize"]

# Segments of a label that are nearer than this are one bout: times are rounded to milliseconds.
_SAME_SECONDS = 0.0015


def summarize(settings: SummarizeSettings) -> SummarizeResult:
    """Reads segments in any known format, and counts them: a row for each source, subject, bin and label.

    Raises:
        DatasetError: A file cannot be read, is in no known format, or needs its videos.
        OutputError: The file cannot be written.
        MissingDependencyError: The package that writes XLSX is missing.
        UsageError: The output is neither CSV nor XLSX.
    """
    out = settings.out
    if out is not None and out.suffix.lower() not in (".csv", ".xlsx"):
        raise UsageError(f"`out` cannot be {str(out)!r}.", "Allowed: .csv, .xlsx.", code="usage.output")
    segments, notes = read_segments(settings.labels, settings.videos, settings.label_options)
    if not segments:
        raise DatasetError("There are no segments.", "Label some first.", code="labels.none")
    groups = read_groups(settings.groups) if settings.groups else {}
    rows = tuple(_rows(segments, settings.bin_seconds, groups))
    if out is not None and out.suffix.lower() == ".xlsx":
        write_summary_xlsx(out, rows)
    elif out is not None:
        write_text(out, summary_csv(rows))
    return SummarizeResult(rows, notes, out)


def _rows(
    segments: Sequence[TimelineSegment], bin_seconds: float | None, groups: dict[str, str]
) -> Iterator[SummaryRow]:
    """All labels of all segments have a row for each subject of a source, also where they do not happen."""
    labels = sorted({one.label for one in segments if one.label is not None})
    found: dict[str, dict[str, list[TimelineSegment]]] = defaultdict(lambda: defaultdict(list))
    ends: dict[str, float] = defaultdict(float)
    for one in segments:
        ends[one.source] = max(ends[one.source], one.end_seconds)
        if one.label is not None:
            found[one.source][one.subject].append(one)
    for source, end_of_video in ends.items():
        group = groups.get(source, groups.get(Path(source).name, ""))
        length = bin_seconds or end_of_video
        for subject in sorted(found[source]) or [""]:
            ones = found[source][subject]
            bouts = {label: _bouts(one for one in ones if one.label == label) for label in labels}
            for number in range(math.ceil(end_of_video / length - 1e-6)):
                start, end = number * length, min((number + 1) * length, end_of_video)
                for label in labels:
                    yield _row((source, group, subject), label, bouts[label], start, end)


def _row(
    who: tuple[str, str, str], label: str, bouts: Sequence[tuple[float, float]], start: float, end: float
) -> SummaryRow:
    """The row of a bin. A bout counts in the bin in which it begins; its seconds count in each bin."""
    # Bouts do not overlap, so that both their starts and their ends rise.
    first = bisect_right(bouts, start, key=lambda bout: bout[1])
    last = bisect_left(bouts, end, key=lambda bout: bout[0])
    begun = [stop - begin for begin, stop in bouts[first:last] if begin >= start]
    shown = [(max(begin, start), min(stop, end)) for begin, stop in bouts[first:last]]
    seconds = sum((stop - begin for begin, stop in shown), 0.0)
    return SummaryRow(
        *who,
        start_seconds=start,
        end_seconds=end,
        label=label,
        total_seconds=seconds,
        share=seconds / (end - start),
        bouts=len(begun),
        mean_bout_seconds=sum(begun) / len(begun) if begun else None,
        min_bout_seconds=min(begun, default=None),
        max_bout_seconds=max(begun, default=None),
        latency_seconds=shown[0][0] - start if shown else None,
    )


def _bouts(segments: Iterable[TimelineSegment]) -> list[tuple[float, float]]:
    """Start and end of each bout: segments of a label that touch or overlap are one."""
    bouts: list[tuple[float, float]] = []
    for one in segments:  # by their starts
        if bouts and one.start_seconds <= bouts[-1][1] + _SAME_SECONDS:
            bouts[-1] = bouts[-1][0], max(bouts[-1][1], one.end_seconds)
        else:
            bouts.append((one.start_seconds, one.end_seconds))
    return bouts
