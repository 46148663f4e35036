"""Labels of parts of videos in the files of other programs -> labeled segments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from activity_cli.errors import DatasetError
from activity_cli.labels.formats.registry import fill_gaps, find_overlaps, read_annotations
from activity_cli.labels.listed import ListedVideos
from activity_cli.labels.segments import SPLIT_NAMES, LabeledSegment, LabelSet
from activity_cli.settings import LabelOptions

__all__ = ["read_annotated"]


def read_annotated(videos: Path, place: Path, options: LabelOptions) -> LabelSet | None:
    """The labeled segments of a file, or of a folder of files; None: they are in no known format.

    Raises:
        DatasetError: A file cannot be read or is damaged, a time or a label is wrong, or nothing is labeled.
    """
    stated = read_annotations(place, options)
    if stated is None:
        return None
    annotations = list(dict.fromkeys(one for one in stated.found if one.label))
    warnings = []
    if overlaps := find_overlaps(annotations):
        first, second = overlaps[0]
        warnings.append(
            f"Segments with different labels overlap: {len(overlaps)}, such as {first.label!r} and {second.label!r} "
            f"({second.where}). Their clips show both."
        )
    if options.gaps_are:
        annotations += fill_gaps(annotations, options.gaps_are)
    if not annotations:
        raise DatasetError(f"{place} labels nothing.", "Label some segments first.", code="labels.none")
    listed = ListedVideos(videos, place)
    segments = []
    for one in annotations:
        path, name, problem = listed.find_stated(one.source, one.where)
        split = SPLIT_NAMES.get(one.split.lower(), "")
        times = one.start_seconds, one.end_seconds, one.frames
        segments.append(LabeledSegment(path, name, one.label or "", one.subject, split, *times, problem=problem))
    segments = _grouped(segments)
    unused, notes = listed.unlisted({one.path for one in segments})
    form = f"{stated.format} ({place.name})"
    return LabelSet(form, segments, unused, (*stated.notes, *notes), warnings=tuple(warnings))


def _grouped(segments: list[LabeledSegment]) -> list[LabeledSegment]:
    """The same with groups: subjects that appear in one video are one group, whose clips a split must not separate."""
    together: dict[str, set[str]] = {}  # all subjects of a group share one set
    video_subjects: dict[str, set[str]] = {}
    for one in segments:
        video_subjects.setdefault(one.name, set()).update([one.group] if one.group else [])
    for subjects in video_subjects.values():
        joined = subjects.union(*(together.get(subject, set()) for subject in subjects))
        together |= dict.fromkeys(joined, joined)
    groups = {
        name: "+".join(sorted(together[min(subjects)])) if subjects else "" for name, subjects in video_subjects.items()
    }
    return [replace(one, group=groups[one.name]) for one in segments]
