"""ELAN documents (``.eaf``): all tiers with times; the participant of a tier is the subject."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from activity_cli.errors import DatasetError
from activity_cli.labels.formats.label_file import Annotation, Annotations, LabelFile, number

__all__ = ["read_elan"]


def read_elan(file: LabelFile) -> Annotations | None:
    """The annotations of a document. Those without times of their own are left out."""
    if "<ANNOTATION_DOCUMENT" not in file.text or file.xml is None or file.xml.tag != "ANNOTATION_DOCUMENT":
        return None
    root, source, origin = file.xml, "", 0.0
    header = root.find("HEADER")
    units = header.get("TIME_UNITS", "milliseconds") if header is not None else "milliseconds"
    if units != "milliseconds":
        raise DatasetError(f"{file.path} counts times in {units!r}.", "Save it with milliseconds in ELAN.")
    linked = root.findall("HEADER/MEDIA_DESCRIPTOR")
    videos = [one for one in linked if one.get("MIME_TYPE", "").startswith("video/")]
    media = next(iter(videos or linked), None)
    if media is not None:
        source = _path_of(media.get("MEDIA_URL", "") or media.get("RELATIVE_MEDIA_URL", ""))
        origin = number(media.get("TIME_ORIGIN", 0), file.where("MEDIA_DESCRIPTOR")) / 1000
    slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    found, untimed = Annotations("an ELAN document", []), 0
    if len(videos) > 1:
        found.notes.append(f"{file.path.name}: links {len(videos)} videos. Its labels are those of {source!r}.")
    for tier in root.iter("TIER"):
        subject, before = tier.get("PARTICIPANT", ""), len(found.found)
        untimed += sum(1 for _ in tier.iter("REF_ANNOTATION"))
        for one in tier.iter("ALIGNABLE_ANNOTATION"):
            where = file.where(f"annotation {one.get('ANNOTATION_ID')}")
            times = [slots.get(one.get(name)) for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")]
            if None in times:
                untimed += 1
                continue
            start, end = (number(time, where) / 1000 + origin for time in times)
            label = one.findtext("ANNOTATION_VALUE") or ""
            found.found.append(Annotation(source, label, start, end, subject=subject, where=where))
        if (count := len(found.found) - before) and tier.get("TIER_ID", "").partition("@")[0] != "activity":
            found.notes.append(f"{file.path.name}: annotations of the tier {tier.get('TIER_ID')!r}: {count}.")
    if untimed:
        found.notes.append(f"{file.path.name}: annotations without times that were left out: {untimed}.")
    return found


def _path_of(address: str) -> str:
    parts = urlsplit(address)
    path = unquote(parts.path if parts.scheme == "file" else address, errors="surrogateescape")
    return str(PurePosixPath(path)) if path else ""
