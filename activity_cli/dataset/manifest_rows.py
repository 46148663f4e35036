"""Labeled segments and what decoding gave -> a row for each clip, and for each file without one."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from activity_cli.dataset.decode_cache import Decoded
from activity_cli.dataset.label_checks import goes_past_end
from activity_cli.labels.segments import LabeledSegment, LabelSet
from activity_cli.results import ClipRecord, video_notices

__all__ = ["list_records"]

# A part of a content: the same video may be found under several names.
_Part = tuple[str, float, float | None, tuple[int, int | None] | None]


def list_records(labels: LabelSet, results: Mapping[str, Decoded]) -> list[ClipRecord]:
    """Every file that was found, each with its clips or with the reason why it has none, sorted by name.

    The split is the given one, or still empty. Of segments with the same content the first is kept; where their labels
    differ, all are rejected. ``results`` has what decoding gave, by the name of the file, its segments in the order of
    ``labels``.
    """
    labels_of: dict[_Part, dict[str, str]] = defaultdict(dict)
    for file in labels.segments:
        if (decoded := results.get(file.name)) is not None and decoded.clip_names:
            labels_of[_part(file, decoded)].setdefault(file.label, file.name)
    first_of: dict[_Part, str] = {}
    records = [ClipRecord(file.name, file.label, file.group, "", "ignored", file.reason) for file in labels.unused]
    segments: Counter[str] = Counter()
    for file in labels.segments:
        decoded, number = results.get(file.name, Decoded()), segments[file.name]
        segments[file.name] += 1
        clips = decoded.clips[number] if decoded.clips else ()
        part = _part(file, decoded)
        others = [name for label, name in labels_of[part].items() if label != file.label]
        if file.problem:
            records.append(_record(file, decoded, "rejected", file.problem))
        elif not clips:
            records.append(_record(file, decoded, "rejected", _why_none(file, decoded)))
        elif others:
            reason = f"[dataset.two_labels] the same video as {others[0]}, which has another label"
            records.append(_record(file, decoded, "rejected", reason))
        elif (first := first_of.setdefault(part, file.name)) != file.name:
            records.append(_record(file, decoded, "duplicate", f"the same video as {first}"))
        else:
            notice = "; ".join(filter(None, (_notice(decoded), goes_past_end(file, decoded.video))))
            records += [_record(file, decoded, "ok", notice, **vars(clip)) for clip in clips]
    return sorted(records, key=lambda record: os.fsencode(record.path))


def _part(file: LabeledSegment, decoded: Decoded) -> _Part:
    return decoded.video.content_hash, file.start_seconds, file.end_seconds, file.frames


def _why_none(file: LabeledSegment, decoded: Decoded) -> str:
    if decoded.error_code:
        return f"[{decoded.error_code}] {decoded.error_message}"
    if file.frames:
        until = "the end" if file.frames[1] is None else f"frame {file.frames[1]}"
        return (
            f"[video.segment] no frames from frame {file.frames[0]} to {until}: "
            f"the video has {decoded.video.num_frames} frames, counted from 0"
        )
    if file.start_seconds or file.end_seconds is not None:
        until = "the end" if file.end_seconds is None else f"{file.end_seconds:g} s"
        return (
            f"[video.segment] no frames from {file.start_seconds:g} s to {until}: "
            f"the video is {decoded.video.duration_seconds:.1f} s long"
        )
    return f"[video.short] the video has only {decoded.video.num_frames} frames, fewer than a clip needs"


def _notice(decoded: Decoded) -> str:
    video = decoded.video
    if notices := video_notices(video):
        return "; ".join(notice.message for notice in notices)
    if not video.header_frames or video.header_frames == video.num_frames:
        return ""
    return f"the file header says {video.header_frames} frames, but {video.num_frames} can be decoded"


def _record(file: LabeledSegment, decoded: Decoded, status: str, reason: str, **clip: Any) -> ClipRecord:
    """A row; without a clip it names the labeled segment."""
    clip = clip or {"start_seconds": round(file.start_seconds, 6), "end_seconds": round(file.end_seconds or 0.0, 6)}
    return ClipRecord(file.name, file.label, file.group, file.split, status, reason, **vars(decoded.video), **clip)
