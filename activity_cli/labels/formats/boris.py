"""BORIS (Friard & Gamba 2016): projects (``.boris``, JSON), and tables of events in both of its forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from activity_cli.errors import DatasetError
from activity_cli.labels.formats.label_file import Annotation, Annotations, LabelFile, number
from activity_cli.labels.times import parse_seconds

__all__ = ["read_boris_project", "read_boris_table"]

_NO_SUBJECT = "No focal subject"
_TIME_OFFSET = "Time offset (s)"
# In the order of preference; each version of BORIS calls it otherwise.
_MEDIA_COLUMNS = ("Media file name", "Media file path", "Media file", "Source")
# Above the events, older exports describe the observation.
_MOST_HEAD_LINES = 200


def read_boris_project(file: LabelFile) -> Annotations | None:
    """A project. State events are paired; of several players, the first one's media are labeled."""
    project = file.json if '"observations"' in file.text else None
    if not isinstance(project, dict) or "behaviors_conf" not in project:
        return None
    kinds = project["behaviors_conf"].values()
    points = {str(one.get("code")) for one in kinds if str(one.get("type", "")).lower().startswith("point")}
    found = Annotations("a BORIS project", [])
    without_media = []
    for name, observation in project["observations"].items():
        files = observation.get("file")
        media = [str(one) for one in files.get("1", ())] if isinstance(files, dict) else []
        if not media:
            without_media.append(name)
            continue
        found.found += _observation(file, found, name, observation, media, points)
    if without_media:
        count = len(without_media)
        found.notes.append(
            f"{file.path.name}: observations without a video were left out: {count}, such as {without_media[0]!r}."
        )
    return found


def _observation(
    file: LabelFile, found: Annotations, name: str, observation: Mapping[str, Any], media: list[str], points: set[str]
) -> Iterator[Annotation]:
    lengths = observation.get("media_info", {}).get("length", {})
    if observation.get("media_creation_date_as_offset"):
        raise DatasetError(
            f"{file.where(f'observation {name!r}')} counts times from the date of its media.",
            "Switch off 'Use the media creation date/time' in BORIS.",
            code="labels.time",
        )
    time_offset = number(observation.get("time offset") or 0, file.where(f"observation {name!r}"))
    begun: dict[tuple[str, str, str], float] = {}
    events = observation.get("events", [])
    for event in sorted(events, key=lambda one: number(one[0], file.where(f"observation {name!r}"))):
        where = file.where(f"observation {name!r}, {event[0]} s")
        time, subject, code = number(event[0], where) - time_offset, str(event[1]), str(event[2])
        stated: dict[str, Any] = {"label": code, "subject": "" if subject == _NO_SUBJECT else subject, "where": where}
        key = subject, code, str(event[3]) if len(event) > 3 else ""
        if code in points:
            for source, offset, _ in _parts(media, lengths, time, time, where):
                yield from file.point(found, time - offset, source=source, **stated)
        elif key not in begun:
            begun[key] = time
        else:
            start = begun.pop(key)
            for source, offset, end in _parts(media, lengths, start, time, where):
                begin = max(0.0, start - offset)
                yield Annotation(source=source, start_seconds=begin, end_seconds=end - offset, **stated)
    if begun:
        (_, code, _), start = next(iter(begun.items()))
        raise DatasetError(
            f"{file.where(f'observation {name!r}')}: {code!r} starts at {start:g} s but does not stop.",
            "Add its stop in BORIS, or fix the observation there.",
            code="labels.unpaired",
        )


def _parts(
    media: list[str], lengths: Mapping[str, Any], start: float, end: float, where: str
) -> Iterator[tuple[str, float, float]]:
    """The files that an event spans, the time at which each begins, and the time at which the event ends there."""
    offset = 0.0
    for place, source in enumerate(media):
        is_last = place == len(media) - 1
        if not is_last and source not in lengths:
            raise DatasetError(f"{where}: the project has no length of {source!r}.", "Open and save it in BORIS.")
        stop = end if is_last else offset + number(lengths[source], where)
        if start < stop or is_last:
            yield source, offset, min(end, stop)
        if end <= stop:
            return
        offset = stop


def read_boris_table(file: LabelFile) -> Annotations | None:
    """A table of events: aggregated, with a start and a stop in each row, or with a row for each of them."""
    head = next((place for place, (_, cells) in enumerate(file.cells[:_MOST_HEAD_LINES]) if _is_head(cells)), None)
    if head is None:
        return None
    names = file.cells[head][1]
    media = next((name for name in _MEDIA_COLUMNS if name in names), None)
    rows = [
        (file.where(f"line {line}"), dict(zip(names, cells, strict=False)))
        for line, cells in file.cells[head + 1 :]
        if any(cells)
    ]
    if media:
        _check_one_medium(rows, media)
    # Events count from the start of the media plus this offset.
    offsets = (cells[1] for _, cells in file.cells[:head] if cells[:1] == [_TIME_OFFSET] and len(cells) > 1)
    time_offset = next(offsets, "0")
    is_paired = "Start (s)" in names
    found = Annotations(f"events of BORIS{' (aggregated)' if is_paired else ''}", [])
    begun: dict[tuple[str, ...], tuple[float, str]] = {}
    for where, row in rows:
        source, subject = row.get(media, "") if media else "", row.get("Subject", "")
        stated: dict[str, Any] = {"source": source, "label": row.get("Behavior", ""), "where": where}
        stated["subject"] = "" if subject == _NO_SUBJECT else subject
        offset = number(row.get(_TIME_OFFSET) or time_offset, where)
        start = _seconds(row["Start (s)" if is_paired else "Time"], where) - offset
        status = (row.get("Status") or row.get("Behavior type") or "").upper()
        modifiers = [row[name] for name in names if name.startswith("Modifier") and name in row]
        key = (row.get("Observation id", ""), source, subject, row.get("Behavior", ""), *modifiers)
        if status == "POINT":
            found.found += file.point(found, start, **stated)
        elif is_paired:
            end = _seconds(row["Stop (s)"], where) - offset
            found.found.append(Annotation(start_seconds=start, end_seconds=end, **stated))
        elif status == "START" and key not in begun:
            begun[key] = start, where
        elif status == "STOP" and key in begun:
            found.found.append(Annotation(start_seconds=begun.pop(key)[0], end_seconds=start, **stated))
        else:
            raise DatasetError(
                f"{where}: {row.get('Behavior')!r} has the status {status!r} out of order.",
                "Each START needs its STOP.",
            )
    if begun:
        key, (start, where) = next(iter(begun.items()))
        raise DatasetError(
            f"{where}: {key[3]!r} starts at {start:g} s but does not stop.", "Each START needs its STOP."
        )
    return found


def _seconds(text: str, where: str) -> float:
    """Seconds, or a time such as ``00:00:01.800``, as the user of BORIS chose."""
    return (parse_seconds(text, where) or 0.0) if ":" in text else number(text, where)


def _is_head(cells: list[str]) -> bool:
    if "Behavior" not in cells:
        return False
    return {"Start (s)", "Stop (s)"} <= set(cells) or (
        "Time" in cells and bool({"Status", "Behavior type"} & set(cells))
    )


def _check_one_medium(rows: list[tuple[str, dict[str, str]]], media: str) -> None:
    """Rejects observations of several media: BORIS counts their times through, and a table has no lengths."""
    first: dict[str, str] = {}
    for where, row in rows:
        name = row.get("Observation id", "")
        if name and first.setdefault(name, row.get(media, "")) != row.get(media, ""):
            raise DatasetError(
                f"{where}: {name!r} has several media files, and BORIS counts its times from the first one.",
                "Use the project (.boris) instead of the table.",
                code="labels.several_media",
            )
