"""The CSV of Kinetics (Kay et al. 2017): label,youtube_id,time_start,time_end[,split]."""

from __future__ import annotations

from pathlib import Path

from activity_cli.errors import DatasetError
from activity_cli.labels.csv_labels import unused_columns_note
from activity_cli.labels.csv_table import read_table
from activity_cli.labels.files import walk
from activity_cli.labels.listed import ListedVideos
from activity_cli.labels.segments import LabeledSegment, LabelSet, UnusedFile, parse_split
from activity_cli.labels.times import parse_seconds

__all__ = ["read_kinetics"]

_COLUMNS = {"label", "youtube_id", "time_start", "time_end"}


def read_kinetics(videos: Path, place: Path) -> LabelSet | None:
    """The videos that the CSV lists: trimmed, ``<youtube_id>_000010_000020.mp4``, or whole, ``<youtube_id>.mp4``.

    Raises:
        DatasetError: The CSV cannot be read, a row is wrong, or none of its videos is there.
    """
    if place.is_dir():
        return None
    table = read_table(place)
    names = [name.lower() for name in table.columns]
    if not set(names) >= _COLUMNS:
        return None
    by_stem = {path.stem: path for path in walk(videos)}
    segments, unused = [], []
    for line, cells in table.rows:
        row = dict(zip(names, cells, strict=True))
        where, video, label = table.where(line), row["youtube_id"], row["label"]
        start, end = (parse_seconds(row[key], where) or 0.0 for key in ("time_start", "time_end"))
        split = parse_split(row.get("split", ""), where)
        trimmed = by_stem.get(f"{video}_{int(start):06d}_{int(end):06d}")
        if (path := trimmed or by_stem.get(video)) is None:
            # Many videos of Kinetics are no longer on YouTube: the others are used without them.
            reason = f"listed, but the file is missing: there is none of that name in {str(videos.absolute())!r}"
            unused.append(UnusedFile(video, reason, label, video))
            continue
        name, part = path.relative_to(videos).as_posix(), () if trimmed else (start, end)
        segments.append(LabeledSegment(path, name, label, video, split, *part))
    if not segments:
        raise DatasetError(
            f"{str(videos)!r} has none of the {len(unused)} videos that {place} lists.",
            "Expected names such as <youtube_id>_000010_000020.mp4 or <youtube_id>.mp4.",
        )
    others, notes = ListedVideos(videos, place).unlisted({segment.path for segment in segments})
    columns = [name for name in table.columns if name and name.lower() not in {*_COLUMNS, "split"}]
    notes = [*unused_columns_note(place, columns), *notes]
    return LabelSet(f"the CSV of Kinetics ({place.name})", segments, [*unused, *others], tuple(notes))
