"""ActivityNet (Caba Heilbron et al. 2015), and the data sets that took over its JSON, such as THUMOS and HACS."""

from __future__ import annotations

from activity_cli.labels.formats.label_file import Annotation, Annotations, LabelFile, number

__all__ = ["read_activitynet"]


def read_activitynet(file: LabelFile) -> Annotations | None:
    """The segments of all videos in the database; a video is named without the suffix of its file."""
    document = file.json if '"database"' in file.text else None
    if not isinstance(document, dict) or not isinstance(document.get("database"), dict):
        return None
    found = Annotations("ActivityNet (JSON)", [])
    for name, video in document["database"].items():
        where = file.where(f"video {name!r}")
        for one in video.get("annotations", []):
            start, end = (number(time, where) for time in one["segment"])
            split = str(video.get("subset", ""))
            found.found.append(Annotation(name, str(one.get("label", "")), start, end, where=where, split=split))
    return found
