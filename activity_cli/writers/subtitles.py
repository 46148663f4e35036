"""Subtitles of segments: SubRip (``.srt``) and WebVTT (``.vtt``). Players show the label; a gap has no subtitle."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from activity_cli.results import TimelineSegment
from activity_cli.writers.text import labeled, milliseconds, one_line

__all__ = ["srt_text", "vtt_text"]


def srt_text(segments: Sequence[TimelineSegment]) -> str:
    """The segments of a video as SubRip."""
    cues = (
        f"{number}\n{_span(one, ',')}\n{one_line(one.label or '')}\n" for number, one in enumerate(labeled(segments), 1)
    )
    return "\n".join(cues)


def vtt_text(segments: Sequence[TimelineSegment]) -> str:
    """The segments of a video as WebVTT; the subject is the voice of a cue."""
    cues = (f"\n{_span(one, '.')}\n{_voice(one)}{escape(one_line(one.label or ''))}\n" for one in labeled(segments))
    return "WEBVTT\n" + "".join(cues)


def _voice(one: TimelineSegment) -> str:
    return f"<v {escape(one_line(one.subject))}>" if one.subject else ""


def _span(one: TimelineSegment, point: str) -> str:
    return f"{_time(one.start_seconds, point)} --> {_time(one.end_seconds, point)}"


def _time(seconds: float, point: str) -> str:
    whole, fraction = divmod(milliseconds(seconds), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{fraction:03d}"
