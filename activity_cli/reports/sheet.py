"""Sheets of clips, a strip of frames for each, so that people can check what the network receives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from activity_cli.reports.canvas import GRID, INK, MUTED, Canvas, Color, Pixels, fit_into
from activity_cli.reports.text import counted

__all__ = ["ClipStrip", "Strip", "contact_sheet", "draw_sheet"]

ClipStrip = tuple[str, str, Pixels]
"""A label, a caption, and the frames of the clip: uint8 [T, H, W, 3], RGB."""


class Strip(NamedTuple):
    """The pictures of one clip.

    Attributes:
        label, caption: What stands beside it.
        length: Number of pictures.
        aspect: Height of a picture over its width.
        picture: From the index of a picture to ``uint8 [H, W, 3]``, RGB; called only for those that are drawn.
    """

    label: str
    caption: str
    length: int
    aspect: float
    picture: Callable[[int], Pixels]


_MAX_ROWS = 40
_MAX_SLOTS = 8
_WIDTH = 1400
_MARGIN = 40
_TEXT_WIDTH = 230
_GAP = 6  # between frames, and twice that between clips
_HEAD = 118  # above the first clip
_MAX_SLOT = 160  # of a frame's longer side
_CAPTION_LINES = 3
_MIN_STRIP = 24 + 18 * _CAPTION_LINES  # room for the label and the caption


def contact_sheet(rows: Sequence[ClipStrip], path: Path, num_frames: int | None = None) -> None:
    """Draws a strip of frames for each clip.

    Each column is one position in the clip. Shorter clips have a light gray field there: padding, which the network
    masks.

    Args:
        rows: Label, caption and frames of each clip, sorted by label. Of more than 40, 40 evenly spaced ones are
            drawn.
        path: PNG to write or replace.
        num_frames: Length that clips are padded to; None: the length of the longest clip.

    Raises:
        OutputError: The picture cannot be written.
    """
    strips = []
    for label, caption, frames in rows:
        aspect = frames.shape[1] / frames.shape[2] if frames.size else 1.0
        strips.append(Strip(label, caption, len(frames), aspect, frames.__getitem__))
    draw_sheet(strips, path, "as the network receives them", num_frames)


def draw_sheet(
    strips: Sequence[Strip],
    path: Path,
    title: str,
    num_frames: int | None = None,
    legend: Sequence[tuple[str, Color]] = (),
) -> None:
    """Draws strips below a heading: how many clips, and the ``title``.

    Args:
        strips, num_frames: As in :func:`contact_sheet`.
        path: PNG to write or replace.
        title: What is drawn.
        legend: What further colors mean.

    Raises:
        OutputError: The picture cannot be written.
    """
    longest = max((strip.length for strip in strips), default=1)
    places = _evenly_spaced(max(num_frames or longest, 1), _MAX_SLOTS)
    drawn = [strips[index] for index in _evenly_spaced(len(strips), _MAX_ROWS)]
    across = (_WIDTH - 2 * _MARGIN - _TEXT_WIDTH + _GAP) / len(places) - _GAP
    slot = int(min(across, _MAX_SLOT))
    heights = [max(round(slot * min(1.0, strip.aspect)), _MIN_STRIP) for strip in drawn]
    starts_group = [index == 0 or strip.label != drawn[index - 1].label for index, strip in enumerate(drawn)]
    total = sum(heights) + 2 * _GAP * len(drawn) + 2 * _GAP * sum(starts_group)
    canvas = Canvas(_WIDTH, _HEAD + total + _MARGIN - 4 * _GAP)
    some = f"{len(drawn)} of " if len(drawn) < len(strips) else ""
    canvas.text(_MARGIN, 56, f"{some}{counted(len(strips), 'clip')}, {title}", size=24, weight=600)
    _draw_legend(canvas, [*legend, ("no frame (padding)", GRID)])
    for column, place in enumerate(places):
        canvas.text(_slot_x(column, slot), 92, f"frame {place + 1}", size=13, color=MUTED, max_width=slot)
    y = _HEAD - 2 * _GAP
    for strip, height, starts in zip(drawn, heights, starts_group, strict=True):
        if starts:
            canvas.rectangle(_MARGIN, y, _WIDTH - 2 * _MARGIN, 1, GRID)
            y += 2 * _GAP
        _draw_names(canvas, y, strip.label if starts else "", strip.caption)
        _draw_strip(canvas, y, height, slot, places, strip)
        y += height + 2 * _GAP
    canvas.save(path)


def _evenly_spaced(total: int, count: int) -> tuple[int, ...]:
    """Picks at most ``count`` of the indices 0 to total - 1, the first and the last among them."""
    if total <= count:
        return tuple(range(total))
    return tuple((index * (total - 1) + (count - 1) // 2) // (count - 1) for index in range(count))


def _draw_legend(canvas: Canvas, legend: Sequence[tuple[str, Color]]) -> None:
    """From the right, the last entry first."""
    x = canvas.width - _MARGIN
    for text, color in reversed(legend):
        x -= canvas.text_width(text, 14)
        canvas.text(x, 55, text, color=MUTED)
        canvas.rectangle(x - 24, 43, 15, 15, color)
        x -= 24 + 20


def _slot_x(column: int, slot: int) -> int:
    return _MARGIN + _TEXT_WIDTH + column * (slot + _GAP)


def _draw_names(canvas: Canvas, y: int, label: str, caption: str) -> None:
    room = _TEXT_WIDTH - 20
    if label:
        canvas.text(_MARGIN, y + 16, label, size=18, weight=600, color=INK, max_width=room)
        y += 24
    for line in canvas.wrap(caption, 13, room, lines=_CAPTION_LINES):
        canvas.text(_MARGIN, y + 14, line, size=13, color=MUTED, max_width=room)
        y += 18


def _draw_strip(canvas: Canvas, y: int, height: int, slot: int, places: Sequence[int], strip: Strip) -> None:
    for column, place in enumerate(places):
        x = _slot_x(column, slot)
        if place >= strip.length:
            canvas.rectangle(x, y, slot, height, GRID)
            continue
        fitted = fit_into(strip.picture(place), slot, height)
        canvas.paste(x + (slot - fitted.shape[1]) // 2, y + (height - fitted.shape[0]) // 2, fitted)
