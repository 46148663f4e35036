"""Files of labels or segments -> the segments of a timeline: in seconds, with a start and an end each."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from activity_cli.errors import DatasetError, VideoError
from activity_cli.labels.discovery import read_labels
from activity_cli.labels.formats.label_file import Annotation
from activity_cli.labels.formats.registry import fill_gaps, read_annotations
from activity_cli.labels.listed import ListedVideos
from activity_cli.results import TimelineSegment
from activity_cli.sampling.plan import end_of
from activity_cli.settings import LabelOptions

__all__ = ["read_segments"]


def read_segments(
    places: Iterable[Path], videos: Path | None = None, options: LabelOptions | None = None
) -> tuple[list[TimelineSegment], tuple[str, ...]]:
    """The segments in files of any format, by source and start, and notes on what was left out, one line each.

    Args:
        places: Files, or folders of files.
        videos: Folder of the videos: needed where labels count frames or last to the end of a video, and for a table
            with the columns path,label. With it, sources are paths relative to it.
        options: How the files are read.

    Raises:
        DatasetError: A file cannot be read, is in no known format or is damaged, or needs its video.
    """
    options = options or LabelOptions()
    segments: list[TimelineSegment] = []
    notes: list[str] = []
    for place in places:
        stated = read_annotations(place, options)
        if stated is None:
            found, more = _read_table(place, videos)
        else:
            found, more = stated.found, stated.notes
            if options.gaps_are:
                found = [*(one for one in found if one.label is not None), *fill_gaps(found, options.gaps_are)]
        notes += more
        segments += map(_Clock(videos, place).timed, found)
    segments.sort(key=lambda one: (one.source, one.start_seconds, one.end_seconds))
    return segments, tuple(notes)


def _read_table(place: Path, videos: Path | None) -> tuple[list[Annotation], list[str]]:
    """The rows of a table with the columns path,label, whose videos are looked up."""
    if videos is None:
        raise DatasetError(
            f"{place} is in no known format of segments.",
            "If it is a CSV file with the columns path,label, name the folder of its videos with `videos`.",
            code="labels.format",
        )
    labels = read_labels(videos, place)
    found = [
        Annotation(
            one.name, one.label, one.start_seconds, one.end_seconds, one.frames, one.group, f"{place}, {one.name}"
        )
        for one in labels.segments
    ]
    return found, list(labels.notes)


class _Clock:
    """Gives annotations their times in seconds, from the videos where it is needed."""

    def __init__(self, videos: Path | None, place: Path) -> None:
        self._listed = ListedVideos(videos, place) if videos else None
        self._times: dict[str, list[float]] = {}

    def timed(self, one: Annotation) -> TimelineSegment:
        source, path = one.source, None
        if self._listed:
            file, name, problem = self._listed.find_stated(one.source, one.where)
            source, path = (source, None) if problem else (name, file)
        start, end = one.start_seconds, one.end_seconds
        if one.frames or end is None:
            if path is None:
                what = "counts frames" if one.frames else "lasts to the end of the video"
                raise DatasetError(
                    f"{one.where}: {one.label!r} {what}, and the video {one.source!r} was not found.",
                    "Name the folder of the videos with `videos`.",
                    code="labels.video",
                )
            times = self._bounds(path)
            first, last = one.frames or (0, None)
            if one.frames:
                start = times[min(first, len(times) - 1)]
            end = times[-1] if last is None else times[min(last + 1, len(times) - 1)]
            if end <= start:
                problem = f"{one.where}: {one.label!r} is after the end of {source!r}, which lasts {times[-1]:.3f} s."
                raise DatasetError(problem, "Check that it is the same video.", code="labels.time")
        stated = {name: getattr(one, name) for name in ("confidence", "reason", "model", "subject")}
        return TimelineSegment(source, one.label, start, end, **stated)

    def _bounds(self, path: Path) -> list[float]:
        """When each frame begins, in seconds from the first one, and when the last one ends."""
        if str(path) not in self._times:
            from activity_cli.video.opencv import FileSource  # here: it loads OpenCV

            times: list[float] = []
            with suppress(VideoError):
                times = list(FileSource(path, 1).list_times())
            if not times:
                raise DatasetError(
                    f"The frames of {str(path)!r} cannot be counted.", "Check the video.", code="labels.video"
                )
            begin = times[0]
            self._times[str(path)] = [time - begin for time in (*times, end_of(times))]
        return self._times[str(path)]
