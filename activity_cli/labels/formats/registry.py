"""A file or a folder of labels, in any of the formats -> what it states, checked."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from activity_cli.errors import DatasetError
from activity_cli.labels.csv_table import SAVE_AGAIN
from activity_cli.labels.files import is_video, walk
from activity_cli.labels.formats.activitynet import read_activitynet
from activity_cli.labels.formats.boris import read_boris_project, read_boris_table
from activity_cli.labels.formats.createml import read_createml
from activity_cli.labels.formats.cvat import read_cvat
from activity_cli.labels.formats.elan import read_elan
from activity_cli.labels.formats.label_file import Annotation, Annotations, LabelFile
from activity_cli.labels.formats.label_studio import read_label_studio
from activity_cli.labels.formats.own import read_segment_csv, read_segment_lines
from activity_cli.labels.formats.praat import read_textgrid
from activity_cli.labels.formats.simba import read_simba
from activity_cli.labels.formats.subtitles import read_subtitles
from activity_cli.labels.formats.timecodes import read_timecodes
from activity_cli.labels.formats.via import read_via
from activity_cli.labels.spelling import clean_text, is_broken
from activity_cli.settings import LabelOptions

__all__ = ["ANNOTATION_FORMATS", "fill_gaps", "find_overlaps", "read_annotations"]

ANNOTATION_FORMATS: tuple[Callable[[LabelFile], Annotations | None], ...] = (
    *(read_segment_lines, read_segment_csv, read_boris_project, read_via, read_activitynet, read_label_studio),
    *(read_createml, read_elan, read_cvat, read_textgrid, read_subtitles, read_boris_table, read_timecodes, read_simba),
)
"""One function for each format, special ones before general ones."""

# A shorter gap is where somebody was not exact.
_LEAST_GAP_SECONDS = 0.2
_LEAST_GAP_FRAMES = 5
# What may be a file of labels in a folder.
_SUFFIXES = frozenset(
    (".eaf", ".textgrid", ".srt", ".vtt", ".txt", ".json", ".jsonl", ".xml", ".csv", ".tsv", ".boris")
)


def read_annotations(place: Path, options: LabelOptions) -> Annotations | None:
    """What a file states, or all files of labels in a folder; None: they are in no known format.

    Raises:
        DatasetError: A file cannot be read or is damaged, or a time or a label is wrong.
    """
    if not place.is_dir():
        return _read_file(place, options, place.parent)
    paths = [path for path in sorted(walk(place)) if path.suffix.lower() in _SUFFIXES and not is_video(path)]
    read = [(path, _read_file(path, options, place)) for path in paths]
    results = [found for _, found in read if found]
    if not results:
        return None
    unknown = [path.name for path, found in read if not found]
    forms = Counter(found.format for found in results)
    words = ", ".join(f"{form} ({count} files)" if count > 1 else form for form, count in forms.items())
    found = Annotations(words, [one for result in results for one in result.found])
    found.notes = [note for result in results for note in result.notes]
    if unknown:
        found.notes.append(f"Files of {place.name} in no known format: {len(unknown)}, such as {unknown[0]!r}.")
    return found


def _read_file(path: Path, options: LabelOptions, root: Path) -> Annotations | None:
    file = LabelFile(path, options)
    try:
        found = next((found for read in ANNOTATION_FORMATS if (found := read(file)) is not None), None)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # No program writes such a file; what is wrong in it may be anywhere.
        problem = f"{path} is not as the program that it seems to be from writes it ({type(error).__name__}: {error})."
        raise DatasetError(problem, "Export the labels again.", code="labels.damaged") from error
    if found is None:
        return None
    if found.num_points:
        what = f"{path.name}: events without a length: {found.num_points}."
        if not found.found:
            raise DatasetError(
                what, "Give them a length with `event_seconds`, or with `until_next`.", code="labels.points"
            )
        found.notes.append(f"{what} They were left out; `event_seconds` gives them a length.")
    kept = [_checked(one) for one in found.found if one.label is None or clean_text(one.label)]
    if len(kept) < len(found.found):
        found.notes.append(
            f"{path.name}: annotations without a text that were left out: {len(found.found) - len(kept)}."
        )
    if not all(one.source for one in kept):
        source = _video_of(path, root)
        kept = [one if one.source else replace(one, source=source) for one in kept]
    found.found = kept
    return found


def _video_of(path: Path, root: Path) -> str:
    """The video of a file that names none: the one of its name beside it, else its name without the suffix."""
    beside = (other.name for other in path.parent.iterdir() if other.stem == path.stem and is_video(other))
    return (path.parent.relative_to(root) / next(beside, path.stem)).as_posix()


def _checked(one: Annotation) -> Annotation:
    for text in (one.label or "", one.subject):
        if is_broken(text):
            shown = text.encode("ascii", "backslashreplace").decode()
            raise DatasetError(f"{one.where}: '{shown}' is not UTF-8.", SAVE_AGAIN, code="labels.encoding")
    label = None if one.label is None else clean_text(one.label)
    if one.frames is not None:
        first, last = one.frames
        start, end, unit = float(first), math.inf if last is None else last + 1.0, "frame "
    else:
        start, end, unit = one.start_seconds, math.inf if one.end_seconds is None else one.end_seconds, ""
    if start < 0 or end <= start:
        seconds = "" if unit else " s"
        raise DatasetError(
            f"{one.where}: {label!r} starts at {unit}{start:g}{seconds} but ends at {unit}{end:g}{seconds}.",
            "The start must be 0 or later, and the end after it.",
            code="labels.time",
        )
    return replace(one, label=label, subject=clean_text(one.subject))


def find_overlaps(found: Sequence[Annotation]) -> list[tuple[Annotation, Annotation]]:
    """Pairs of annotations of one video and subject that overlap and have different labels."""
    overlaps: list[tuple[Annotation, Annotation]] = []
    latest: dict[tuple[object, ...], Annotation] = {}
    for one in sorted((one for one in found if one.label), key=lambda one: (one.source, one.subject, _span(one))):
        key = one.source, one.subject, one.frames is None
        before = latest.get(key)
        if before and _span(before)[1] > _span(one)[0] + 1e-3 and before.label != one.label:
            overlaps.append((before, one))
        if before is None or _span(one)[1] > _span(before)[1]:
            latest[key] = one
    return overlaps


def _span(one: Annotation) -> tuple[float, float]:
    """Start and end, in seconds or in frames."""
    if one.frames is not None:
        first, last = one.frames
        return float(first), math.inf if last is None else last + 1.0
    return one.start_seconds, math.inf if one.end_seconds is None else one.end_seconds


def fill_gaps(found: Sequence[Annotation], label: str) -> Iterator[Annotation]:
    """The gaps between the labels of each video, as annotations; not what is before the first and after the last."""
    labeled = sorted((one for one in found if one.label), key=lambda one: (one.source, one.frames is None, _span(one)))
    for (source, in_seconds), group in itertools.groupby(labeled, key=lambda one: (one.source, one.frames is None)):
        ones = list(group)
        stated: dict[str, Any] = {"source": source, "label": label, "where": ones[0].where}
        until = _span(ones[0])[1]
        for one in ones[1:]:
            start, end = _span(one)
            if start - until > (_LEAST_GAP_SECONDS if in_seconds else _LEAST_GAP_FRAMES):
                if in_seconds:
                    yield Annotation(start_seconds=until, end_seconds=start, **stated)
                else:
                    yield Annotation(frames=(int(until), int(start) - 1), **stated)
            until = max(until, end)
