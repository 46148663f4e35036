"""CVAT for video 1.1 (XML): a track is labeled from its first frame to the one before it leaves the picture."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from activity_cli.errors import DatasetError
from activity_cli.labels.formats.label_file import Annotation, Annotations, LabelFile, number

__all__ = ["read_cvat"]


def read_cvat(file: LabelFile) -> Annotations | None:
    """The tracks of an export, in frames."""
    if "<annotations" not in file.text or file.xml is None or file.xml.tag != "annotations":
        return None
    if file.xml.find("image") is not None:
        raise DatasetError(
            f"{file.path} labels images, not parts of a video.",
            "In CVAT, export 'CVAT for video 1.1'.",
            code="labels.cvat",
        )
    sources = {task.findtext("id") or "": task.findtext("source") or "" for task in file.xml.iter("task")}
    single = file.xml.findtext("meta/source") or (next(iter(sources.values())) if len(sources) == 1 else "")
    found = Annotations("CVAT for video", [])
    for track in file.xml.iter("track"):
        source = sources.get(track.get("task_id", ""), single)
        where = file.where(f"track {track.get('id')}")
        spans = _spans(track, where)
        found.found += [Annotation(source, track.get("label", ""), frames=span, where=where) for span in spans]
    return found


def _spans(track: Element, where: str) -> list[tuple[int, int]]:
    """First and last frame of each time that a track is in the picture."""
    shapes = sorted(
        (int(number(shape.get("frame"), where)), _is_outside(shape)) for shape in track if shape.get("frame")
    )
    spans: list[tuple[int, int]] = []
    first: int | None = None
    for frame, outside in shapes:
        if outside and first is not None:
            spans.append((first, frame - 1))
            first = None
        elif not outside and first is None:
            first = frame
    if first is not None:
        spans.append((first, shapes[-1][0]))
    return spans


def _is_outside(shape: Element) -> bool:
    """Whether a shape is not in the picture. A skeleton is outside where all its points are."""
    points = shape.findall("points")
    return all(one.get("outside") == "1" for one in points or [shape])
