"""What to know of labels once their videos have been read: times that do not fit, and too few clips to learn from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from activity_cli.errors import DatasetError
from activity_cli.labels.segments import LabeledSegment, LabelSet
from activity_cli.results import ClipRecord, VideoInfo
from activity_cli.settings import Sampling

__all__ = ["check_units", "find_label_warnings", "goes_past_end", "offset_warnings", "past_end_warnings"]

# Times are often rounded up to a whole second.
_ROUNDED_SECONDS = 1.0
_PAST_END_SECONDS = 0.1
_FEW_CLIPS = 10
_IMBALANCE = 10
_LONG_GAP_SECONDS = 2.0
_NOTABLE_OFFSET_SECONDS = 0.04
_SHOWN = 5


def check_units(labels: LabelSet, durations: Mapping[str, float]) -> None:
    """Rejects times without a unit that are not seconds: they go past the end of a video.

    Args:
        labels: Only those are checked whose times have no unit.
        durations: Seconds of the videos that are known, by name.

    Raises:
        DatasetError: A segment does not fit its video.
    """
    for one in labels.segments if labels.without_unit else ():
        duration = durations.get(one.name, 0.0)
        if duration and max(one.start_seconds, (one.end_seconds or 0.0) - _ROUNDED_SECONDS) >= duration:
            last = one.end_seconds if one.end_seconds is not None else one.start_seconds
            raise DatasetError(
                f"{labels.without_unit} name no unit, and they are not seconds: a segment of {one.name!r} goes to "
                f"{last:g}, but the video is {duration:.1f} s long.",
                "Name the unit, such as start_seconds, start_ms or start_frame, or correct the times.",
                code="labels.unit",
            )


def goes_past_end(one: LabeledSegment, video: VideoInfo) -> str:
    """Where a segment ends and its video ends before, in words; empty where the segment fits."""
    if one.frames and one.frames[1] is not None and one.frames[1] >= video.num_frames:
        return f"the segment ends at frame {one.frames[1]}, but the last frame of the video is {video.num_frames - 1}"
    end = video.duration_seconds + video.start_offset_seconds * one.from_file_start
    if one.end_seconds is not None and one.end_seconds > end + _PAST_END_SECONDS:
        return f"the segment ends at {one.end_seconds:g} s, but the video at {end:.2f} s"
    return ""


def past_end_warnings(past: Sequence[tuple[str, str]]) -> list[str]:
    """A warning about segments that end past their videos: names of the videos, and what is wrong."""
    if not past:
        return []
    what = "1 labeled segment ends" if len(past) == 1 else f"{len(past)} labeled segments end"
    return [f"{what} after the end of the video: {past[0][0]!r}: {past[0][1]}. prepare uses what is there."]


def offset_warnings(records: Iterable[ClipRecord]) -> list[str]:
    """A warning about videos whose picture begins after the file does, where times count from the first frame."""
    offsets = {one.path: one.start_offset_seconds for one in records if one.start_offset_seconds}
    late = {path: offset for path, offset in offsets.items() if offset > _NOTABLE_OFFSET_SECONDS}
    if not late:
        return []
    path = max(late, key=lambda path: late[path])
    what = "the picture of 1 video begins" if len(late) == 1 else f"the pictures of {len(late)} videos begin"
    return [
        f"In the file, {what} later than second 0 ({path!r}: at {late[path]:.2f} s). Second 0 of the labels is the "
        "first frame. If your times count from the start of the file, use --set time_origin=file."
    ]


def find_label_warnings(records: Iterable[ClipRecord], sampling: Sampling) -> list[str]:
    """Warnings about labels with few clips, with one group, or much rarer than others; and about sparse frames."""
    clips = [one for one in records if one.status == "ok" and not one.variant]
    counts = Counter(one.label for one in clips)
    groups, splits = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for one in clips:
        groups[one.label].add(one.group)
        splits[one.label].add(one.split)
    warnings = []
    if few := [label for label, count in sorted(counts.items()) if count < _FEW_CLIPS]:
        named = _named([f"{label!r} ({counts[label]})" for label in few])
        warnings.append(
            f"Labels with fewer than {_FEW_CLIPS} clips: {named}. A model learns little from so few, and a score on "
            "them says little. Add clips."
        )
    # Where the only group is in one split, the split's own warning says so.
    single = [label for label in sorted(groups) if len(groups[label]) == 1 and counts[label] > 1]
    if single := [label for label in single if len(splits[label]) > 1 or {one.split for one in clips} == {"train"}]:
        warnings.append(
            f"Labels from one group (person or source) only: {_named(list(map(repr, single)))}. A model may learn the "
            "person or the place instead of the activity. Add clips of other people or sources."
        )
    most, least = max(counts, key=lambda label: counts[label]), min(counts, key=lambda label: counts[label])
    if counts[most] >= _IMBALANCE * counts[least]:
        warnings.append(
            f"The labels are out of balance: {most!r} has {counts[most]} clips, {least!r} has {counts[least]}. A model "
            "prefers frequent labels. Add clips of the rare ones."
        )
    return [*warnings, *_sparse_frames(clips, sampling)]


def _sparse_frames(clips: Sequence[ClipRecord], sampling: Sampling) -> list[str]:
    if sampling.frames_per_second is not None:
        return []
    gaps = {one.clip: (one.end_seconds - one.start_seconds) / sampling.num_frames for one in clips}
    sparse = [one for one in clips if gaps[one.clip] > _LONG_GAP_SECONDS]
    if not sparse:
        return []
    longest = max(sparse, key=lambda one: gaps[one.clip])
    what = f"{len(sparse)} of {len(clips)} clips" if len(sparse) > 1 else f"1 of {len(clips)} clips"
    seconds = longest.end_seconds - longest.start_seconds
    return [
        f"Between the frames of {what} lie more than {_LONG_GAP_SECONDS:g} seconds: {longest.path!r} has "
        f"{longest.clip_frames} frames for {seconds:.0f} s. Movements between them are lost. Cut long videos with "
        "--window-seconds, label segments of them, or raise --num-frames."
    ]


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
