"""Subtitles whose texts are labels: SubRip (``.srt``) and WebVTT (``.vtt``)."""

from __future__ import annotations

import html
import re

from activity_cli.labels.formats.label_file import Annotation, Annotations, LabelFile
from activity_cli.labels.times import parse_seconds

__all__ = ["read_subtitles"]

_TIME = r"(?:\d+:)?\d\d?:\d\d[.,]\d{1,3}"
_SPAN = re.compile(rf"({_TIME})[ \t]+-->[ \t]+({_TIME})(?:[ \t].*)?")


def read_subtitles(file: LabelFile) -> Annotations | None:
    """The cues of a file; the voice of a WebVTT cue is the subject."""
    is_vtt = file.text.startswith("WEBVTT")
    lines = file.text.splitlines()
    if not is_vtt and not any(map(_SPAN.fullmatch, [line.strip() for line in lines if line.strip()][:2])):
        return None
    found = Annotations(f"subtitles ({'WebVTT' if is_vtt else 'SubRip'})", [])
    place = 0
    while place < len(lines):
        span = _SPAN.fullmatch(lines[place].strip())
        place += 1
        if not span:
            continue
        where, texts = file.where(f"line {place}"), []
        while place < len(lines) and lines[place].strip():
            texts.append(lines[place])
            place += 1
        label, subject = "\n".join(texts), ""
        if is_vtt:
            voice = re.search(r"<v(?:\.\S*)?[ \t]+([^<>]*)>", label)
            subject = html.unescape(voice[1]) if voice else ""
            label = html.unescape(re.sub(r"<[^<>]*>", "", label))
        start, end = (parse_seconds(time, where) for time in span.groups())
        found.found.append(Annotation("", label, start or 0.0, end, subject=subject, where=where))
    return found
