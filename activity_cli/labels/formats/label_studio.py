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
    tasks = file.json if any(f'"{key}"' in file.text for key in (*_LABEL_KEYS, "annotation_id")) else None
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        return None
    full = [task for task in tasks if isinstance(task.get("data"), dict) and isinstance(task.get("annotations"), list)]
    found, num_left_out = Annotations("Label Studio (JSON)", []), 0
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
        else:
            source, values = _source(task), _values_of_min(task)
        for value in values:
            if isinstance(value, dict):
                segments = list(_segments(value, source, where))
                found.found += segments
                num_left_out += bool(value.get("labels")) and not segments
    if num_left_out:
        found.notes.append(f"{file.path.name}: labels without a start and an end that were left out: {num_left_out}.")
    return found if full or found.found else None


def _values_of_min(task: Mapping[str, Any]) -> list[Any]:
    """What a task of JSON-MIN states, beside its data. A single choice is a text between the keys id and annotator."""
    names = list(task)
    start, end = (names.index(name) if name in names else 0 for name in ("id", "annotator"))
    texts = [task[name] for name in names[start + 1 : end] if isinstance(task[name], str)]
    parts = [part if isinstance(part, list) else [part] for part in task.values()]
    return [{"choices": texts}, *(one for part in parts for one in part)]


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
