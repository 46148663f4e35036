"""What ``activity`` itself writes: JSON lines and the CSV of segments, and the JSON lines of predictions."""

from __future__ import annotations

from typing import Any

from activity_cli.errors import DatasetError
from activity_cli.labels.formats.label_file import Annotation, Annotations, LabelFile, number
from activity_cli.labels.times import parse_seconds
from activity_cli.results import PREDICTION_SCHEMA, SEGMENT_SCHEMA

__all__ = ["read_segment_csv", "read_segment_lines"]

_COLUMNS = {"source", "label", "start_seconds", "end_seconds"}


def read_segment_lines(file: LabelFile) -> Annotations | None:
    """Lines of the schemas ``activity.segment/1`` and ``activity.prediction/1``."""
    if not file.text.lstrip().startswith("{") or '"schema"' not in file.text[:4096]:
        return None
    rows = file.json_lines
    if not rows or not str(rows[0][1].get("schema", "")).startswith("activity."):
        return None
    found = Annotations("segments of activity (JSON lines)", [])
    others = 0
    for line, row in rows:
        where = file.where(f"line {line}")
        if row.get("schema") == SEGMENT_SCHEMA:
            start, end = (number(row.get(name), where) for name in ("start_seconds", "end_seconds"))
        elif row.get("schema") == PREDICTION_SCHEMA and row.get("status") == "ok":
            start, end = 0.0, number(row.get("duration_seconds"), where)
        else:
            others += 1
            continue
        source, label = row.get("source"), row.get("label")
        if not isinstance(source, str) or not (label is None or isinstance(label, str)):
            raise DatasetError(f"{where}: there is no source, or the label is no text.", "Every line needs both.")
        confidence = None if row.get("confidence") is None else number(row["confidence"], where)
        texts: dict[str, Any] = {name: str(row.get(name) or "") for name in ("subject", "reason", "model")}
        found.found.append(Annotation(source, label, start, end, where=where, confidence=confidence, **texts))
    if others:
        found.notes.append(f"{file.path.name}: {others} lines are no segments or have an error.")
    return found


def read_segment_csv(file: LabelFile) -> Annotations | None:
    """The CSV of segments."""
    if not file.text.startswith("source,label,") or not file.cells or not set(file.cells[0][1]) >= _COLUMNS:
        return None
    names = file.cells[0][1]
    found = Annotations("segments of activity (CSV)", [])
    for line, cells in file.cells[1:]:
        if not any(cells):
            continue
        row, where = dict(zip(names, cells, strict=False)), file.where(f"line {line}")
        start, end = (parse_seconds(row.get(name, ""), where) for name in ("start_seconds", "end_seconds"))
        confidence = number(row["confidence"], where) if row.get("confidence") else None
        texts: dict[str, Any] = {name: row.get(name, "") for name in ("subject", "reason", "model")}
        label = row.get("label") or None
        found.found.append(
            Annotation(row["source"], label, start or 0.0, end, where=where, confidence=confidence, **texts)
        )
    return found
