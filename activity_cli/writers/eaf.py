"""Segments as an ELAN document (EAF 3.0): the tier ``activity``, or one for each subject."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Sequence
from pathlib import PurePath
from urllib.parse import quote
from xml.etree import ElementTree

from activity_cli.results import TimelineSegment
from activity_cli.writers.text import by_subject, milliseconds, without_control

__all__ = ["eaf_document"]

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_ROOT = {
    "AUTHOR": "activity",
    "DATE": "1970-01-01T00:00:00+00:00",  # required; fixed, so that the same segments give the same bytes
    "FORMAT": "3.0",
    "VERSION": "3.0",
    f"{{{_XSI}}}noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
}
_TYPE = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true"}


def eaf_document(segments: Sequence[TimelineSegment]) -> str:
    """The segments of a video. Gaps have no annotation.

    Raises:
        OutputError: Segments overlap.
    """
    tiers = by_subject(segments, "eaf")
    ElementTree.register_namespace("xsi", _XSI)
    root = ElementTree.Element("ANNOTATION_DOCUMENT", _ROOT)
    header = ElementTree.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    if segments:
        ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", _media(segments[0].source))
    order = ElementTree.SubElement(root, "TIME_ORDER")
    times: list[tuple[int, str]] = []
    number = 0
    for subject, found in tiers.items():
        name = without_control(subject)
        attributes = {"LINGUISTIC_TYPE_REF": "default-lt", "TIER_ID": f"activity@{name}" if name else "activity"}
        tier = ElementTree.SubElement(root, "TIER", attributes | ({"PARTICIPANT": name} if name else {}))
        for one in found:
            number += 1
            slots = [f"ts{2 * number - 1}", f"ts{2 * number}"]
            times += zip(map(milliseconds, (one.start_seconds, one.end_seconds)), slots, strict=True)
            place = {"ANNOTATION_ID": f"a{number}", "TIME_SLOT_REF1": slots[0], "TIME_SLOT_REF2": slots[1]}
            annotation = ElementTree.SubElement(tier, "ANNOTATION")
            aligned = ElementTree.SubElement(annotation, "ALIGNABLE_ANNOTATION", place)
            ElementTree.SubElement(aligned, "ANNOTATION_VALUE").text = without_control(one.label or "")
    for time, name in sorted(times):
        ElementTree.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": name, "TIME_VALUE": str(time)})
    ElementTree.SubElement(header, "PROPERTY", {"NAME": "lastUsedAnnotationId"}).text = str(number)
    ElementTree.SubElement(root, "LINGUISTIC_TYPE", _TYPE)
    ElementTree.indent(root, " ")
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _media(source: str) -> dict[str, str]:
    """Where the video is: a path becomes an address, since ELAN reads no other form."""
    path = PurePath(source)
    address = quote(os.fsencode(path.as_posix()))
    kind = mimetypes.guess_type(path.name)[0] or "video/*"
    if path.is_absolute():
        return {"MEDIA_URL": f"file://{address}", "MIME_TYPE": kind}
    relative = f"./{address}"
    return {"MEDIA_URL": relative, "MIME_TYPE": kind, "RELATIVE_MEDIA_URL": relative}
