"""The contact sheet: the frames that the network receives, so that people can check them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from activity_cli.reports.canvas import GRID, INK, MUTED, Canvas, Pixels, fit_into
from activity_cli.reports.text import counted

__all__ = ["ClipStrip", "contact_sheet"]

ClipStrip = tuple[str, str, Pixels]
"""A label, a caption, and the frames of the clip: uint8 [T, H, W, 3], RGB."""

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
    longest = max((len(frames) for _, _, frames in rows), default=1)
    places = _evenly_spaced(max(num_frames or longest, 1), _MAX_SLOTS)
    drawn = [rows[index] for index in _evenly_spaced(len(rows), _MAX_ROWS)]
    across = (_WIDTH - 2 * _MARGIN - _TEXT_WIDTH + _GAP) / len(places) - _GAP
    slot = int(min(across, _MAX_SLOT))
    heights = [_strip_height(frames, slot) for _, _, frames in drawn]
    starts_group = [index == 0 or row[0] != drawn[index - 1][0] for index, row in enumerate(drawn)]
    total = sum(heights) + 2 * _GAP * len(drawn) + 2 * _GAP * sum(starts_group)
    canvas = Canvas(_WIDTH, _HEAD + total + _MARGIN - 4 * _GAP)
    _draw_head(canvas, len(drawn), len(rows), places, slot)
    y = _HEAD - 2 * _GAP
    for (label, caption, frames), height, starts in zip(drawn, heights, starts_group, strict=True):
        if starts:
            canvas.rectangle(_MARGIN, y, _WIDTH - 2 * _MARGIN, 1, GRID)
            y += 2 * _GAP
        _draw_names(canvas, y, label if starts else "", caption)
        _draw_strip(canvas, y, height, slot, places, frames)
        y += height + 2 * _GAP
    canvas.save(path)


def _evenly_spaced(total: int, count: int) -> tuple[int, ...]:
    """Picks at most ``count`` of the indices 0 to total - 1, the first and the last among them."""
    if total <= count:
        return tuple(range(total))
    return tuple((index * (total - 1) + (count - 1) // 2) // (count - 1) for index in range(count))


def _strip_height(frames: Pixels, slot: int) -> int:
    height, width = (frames.shape[1], frames.shape[2]) if frames.size else (1, 1)
    return max(round(slot * min(1.0, height / width)), _MIN_STRIP)


def _draw_head(canvas: Canvas, drawn: int, total: int, places: Sequence[int], slot: int) -> None:
    some = f"{drawn} of " if drawn < total else ""
    canvas.text(_MARGIN, 56, f"{some}{counted(total, 'clip')}, as the network receives them", size=24, weight=600)
    swatch = canvas.width - _MARGIN - canvas.text_width("no frame (padding)", 14)
    canvas.text(swatch, 55, "no frame (padding)", color=MUTED)
    canvas.rectangle(swatch - 24, 43, 15, 15, GRID)
    for column, place in enumerate(places):
        caption = f"frame {place + 1}"
        canvas.text(_slot_x(column, slot), 92, caption, size=13, color=MUTED, max_width=slot)


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


def _draw_strip(canvas: Canvas, y: int, height: int, slot: int, places: Sequence[int], frames: Pixels) -> None:
    for column, place in enumerate(places):
        x = _slot_x(column, slot)
        if place >= len(frames):
            canvas.rectangle(x, y, slot, height, GRID)
            continue
        fitted = fit_into(frames[place], slot, height)
        canvas.paste(x + (slot - fitted.shape[1]) // 2, y + (height - fitted.shape[0]) // 2, fitted)
