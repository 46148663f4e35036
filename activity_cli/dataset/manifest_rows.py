"""What was found and what decoding gave -> a row for each clip, and for each file without one."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace

from activity_cli.dataset.decoding import CutClip, Decoded
from activity_cli.labels.segments import LabeledSegment, LabelSet
from activity_cli.results import ClipRecord

__all__ = ["list_records"]

# A place in a content: the same video may be found under several names.
_Place = tuple[str, float, float | None]


def list_records(labels: LabelSet, results: Mapping[str, Decoded]) -> list[ClipRecord]:
    """Every file that was found, each with its clips or with the reason why it has none, sorted by name.

    The split is still the given one, or empty. Segments with the same content are kept once, or not at all if their
    labels differ.

    Args:
        labels: The labeled segments, sorted by name, and the files that are not used.
        results: The result of decoding, by the name of the file; its cuts carry the number of the segment, counted in
            the order of ``labels``.
    """
    labels_of: dict[_Place, dict[str, str]] = defaultdict(dict)
    for file in labels.segments:
        if (decoded := results.get(file.name)) is not None and decoded.clips:
            labels_of[_place(file, decoded)].setdefault(file.label, file.name)
    first_of: dict[_Place, str] = {}
    records = [
        ClipRecord(file.name, file.label, file.group, "", status="ignored", reason=file.reason)
        for file in labels.unused
    ]
    segments: Counter[str] = Counter()
    for file in labels.segments:
        decoded = results.get(file.name, Decoded())
        number = segments[file.name]
        segments[file.name] += 1
        cuts = [cut for cut in decoded.clips if cut.segment == number]
        if not cuts:
            records.append(_left_out(file, decoded))
            continue
        place = _place(file, decoded)
        others = [name for label, name in labels_of[place].items() if label != file.label]
        first = first_of.setdefault(place, file.name)
        if others:
            reason = f"[dataset.two_labels] the same video as {others[0]}, which has another label"
            records.append(replace(_record(file, decoded), status="rejected", reason=reason))
        elif first != file.name:
            records.append(replace(_record(file, decoded), status="duplicate", reason=f"the same video as {first}"))
        else:
            records += [_record(file, decoded, cut) for cut in cuts]
    return sorted(records, key=lambda record: os.fsencode(record.path))


def _place(file: LabeledSegment, decoded: Decoded) -> _Place:
    return decoded.content_hash, file.start_seconds, file.end_seconds


def _left_out(file: LabeledSegment, decoded: Decoded) -> ClipRecord:
    if decoded.error_code:
        reason = f"[{decoded.error_code}] {decoded.error_message}"
    elif file.start_seconds or file.end_seconds is not None:
        until = "the end" if file.end_seconds is None else f"{file.end_seconds:g} s"
        reason = (
            f"[video.segment] no clip from {file.start_seconds:g} s to {until}: "
            f"the video has {decoded.duration_seconds:.1f} s"
        )
    else:
        reason = f"[video.short] {decoded.num_frames} frames, fewer than a clip has"
    return replace(_record(file, decoded), status="rejected", reason=reason)


def _record(file: LabeledSegment, decoded: Decoded, cut: CutClip | None = None) -> ClipRecord:
    differs = decoded.header_frames and decoded.num_frames and decoded.header_frames != decoded.num_frames
    told = f"the header promises {decoded.header_frames} frames, {decoded.num_frames} can be decoded"
    return ClipRecord(
        path=file.name,
        label=file.label,
        group=file.group,
        split=file.split,
        status="ok",
        reason=told if differs else "",
        num_frames=decoded.num_frames,
        header_frames=decoded.header_frames,
        counted_by=decoded.counted_by if decoded.num_frames else "",
        frames_per_second=decoded.frames_per_second,
        variable_frame_rate=decoded.variable_frame_rate,
        duration_seconds=round(decoded.duration_seconds, 6),
        width=decoded.width,
        height=decoded.height,
        rotation_degrees=decoded.rotation_degrees,
        sample_aspect_ratio=round(decoded.sample_aspect_ratio, 6),
        start_seconds=round(cut.start_seconds if cut else file.start_seconds, 6),
        end_seconds=round(cut.end_seconds if cut else file.end_seconds or 0.0, 6),
        variant=cut.variant if cut else 0,
        content_hash=decoded.content_hash,
        clip=cut.clip if cut else "",
        clip_frames=cut.clip_frames if cut else 0,
    )
