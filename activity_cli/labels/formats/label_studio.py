"""Label Studio: its JSON export, and JSON-MIN. Timelines are in frames, other segments in seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from activity_cli.labels.formats.label_file import Annotation, Annotations, LabelFile, number

__all__ = ["read_label_studio"]

_LABEL_KEYS = ("timelinelabels", "labels", "videolabels", "choices")


def read_label_studio(file: LabelFile) -> Annotations | None:
    """The segments of all tasks, and labels of whole videos (choices). Canceled annotations are left out."""
    tasks = file.json if any(f'"{key}"' in file.text for key in _LABEL_KEYS) else None
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        return None
    full = [task for task in tasks if isinstance(task.get("data"), dict) and isinstance(task.get("annotations"), list)]
    found = Annotations("Label Studio (JSON)", [])
    for place, task in enumerate(tasks):
        where = file.where(f"task {task.get('id', place + 1)}")
        if full:
            source = _source(task.get("data", {}))
            results = [
                one
                for done in task.get("annotations", [])
                if not done.get("was_cancelled")
                for one in done.get("result", [])
            ]
            values = [one.get("value", {}) for one in results]
        else:  # JSON-MIN: the values stand beside the video
            source = _source(task)
            values = [one for part in task.values() if isinstance(part, list) for one in part]
        for value in values:
            if isinstance(value, dict):
                found.found += _segments(value, source, where)
    return found if full or found.found else None


def _segments(value: Mapping[str, Any], source: str, where: str) -> Iterator[Annotation]:
    labels: list[Any] = next((value[key] for key in _LABEL_KEYS if isinstance(value.get(key), list)), [])
    for label in map(str, labels):
        if isinstance(value.get("ranges"), list):
            for one in value["ranges"]:  # frames from 1
                first, last = (max(0, int(number(one.get(name), where)) - 1) for name in ("start", "end"))
                yield Annotation(source, label, frames=(first, last), where=where)
        elif "start" in value and "end" in value:
            start, end = (number(value[name], where) for name in ("start", "end"))
            yield Annotation(source, label, start, end, where=where)
        elif "choices" in value:
            yield Annotation(source, label, where=where)


def _source(data: Mapping[str, Any]) -> str:
    """The video of a task: Label Studio puts eight signs before the name of an uploaded file."""
    addresses = (data.get(key) for key in ("video", "video_url", "url", *data))
    address = next((one for one in addresses if isinstance(one, str) and "." in one), "")
    parts = urlsplit(address)
    path = unquote(parse_qs(parts.query).get("d", [parts.path])[0])
    return re.sub(r"^[0-9a-f]{8}-", "", path.rpartition("/")[2]) if "/upload/" in path else path
