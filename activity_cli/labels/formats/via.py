"""VIA 3, the VGG Image Annotator (Dutta & Zisserman 2019): projects as JSON."""

from __future__ import annotations

from activity_cli.errors import DatasetError
from activity_cli.labels.formats.label_file import Annotation, Annotations, LabelFile, number

__all__ = ["read_via"]

# An attribute of a temporal segment of one file.
_SEGMENT_ANCHOR = "FILE1_Z2_XY0"
_FILLED_IN = ("default", "_DEFAULT")


def read_via(file: LabelFile) -> Annotations | None:
    """The temporal segments of a project. Its first attribute of segments is the label."""
    if file.text.startswith("# Exported using VGG Image Annotator"):
        raise DatasetError(f"{file.path} is a table of VIA.", "Save the project in VIA, as JSON.", code="labels.via")
    project = file.json if '"attribute"' in file.text and '"metadata"' in file.text else None
    if not isinstance(project, dict) or not {"attribute", "file", "metadata", "view"} <= project.keys():
        return None
    attributes, files, metadata, views = (project[name] for name in ("attribute", "file", "metadata", "view"))
    names = [key for key, one in attributes.items() if one.get("anchor_id") == _SEGMENT_ANCHOR]
    found = Annotations("a VIA 3 project", [])
    for key, one in metadata.items():
        times = one.get("z") or []
        if len(times) != 2:
            continue
        where, values = file.where(f"metadata {key}"), one.get("av") or {}
        start, end = (number(time, where) for time in times)
        videos = views.get(str(one.get("vid")), {}).get("fid_list", [])
        source = str(files.get(str(videos[0]), {}).get("fname", "")) if videos else ""
        # VIA fills the first attribute in where a user chose only another one.
        named = [name for name in names if values.get(name)]
        name = next((name for name in named if values[name] not in _FILLED_IN), next(iter(named), None))
        if name is None:
            continue
        # Checkboxes give several options, separated by commas.
        options = attributes[name].get("options") or {}
        chosen = [str(values[name])] if attributes[name].get("type") == 1 else str(values[name]).split(",")
        found.found += [Annotation(source, str(options.get(it, it)), start, end, where=where) for it in chosen if it]
    if len(names) > 1:
        others = ", ".join(repr(attributes[name].get("aname")) for name in names[1:])
        found.notes.append(f"{file.path.name}: labels are {attributes[names[0]].get('aname')!r}, else {others}.")
    return found
