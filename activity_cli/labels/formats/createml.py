"""Annotation files of Create ML's action classifier: a JSON list of videos, labels and times."""

from __future__ import annotations

from activity_cli.labels.formats.label_file import Annotation, Annotations, LabelFile
from activity_cli.labels.times import parse_seconds

__all__ = ["read_createml"]

# Create ML lets users choose the names of the keys.
_VIDEO = ("video", "videoPath", "video_path", "file_name", "filename", "file", "path", "url")
_START = ("start", "startTime", "start_time", "start_seconds")
_END = ("end", "endTime", "end_time", "end_seconds")


def read_createml(file: LabelFile) -> Annotations | None:
    """The entries of a list; without times, the whole video has the label."""
    rows = file.json if '"label"' in file.text else None
    if (
        not isinstance(rows, list)
        or not rows
        or not isinstance(rows[0], dict)
        or not isinstance(rows[0].get("label"), str)
    ):
        return None
    names = [next((name for name in known if name in rows[0]), "") for known in (_VIDEO, _START, _END)]
    if not names[0]:
        return None
    found = Annotations("Create ML (JSON)", [])
    for place, row in enumerate(rows, 1):
        where = file.where(f"entry {place}")
        source = str(row.get(names[0], ""))
        start, end = (None if row.get(name) is None else parse_seconds(str(row[name]), where) for name in names[1:])
        found.found.append(Annotation(source, str(row.get("label", "")), start or 0.0, end, where=where))
    return found
