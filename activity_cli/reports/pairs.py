"""Near-duplicates and clips of the same source, side by side, so that people can check them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from activity_cli.reports.canvas import GRID, INK, MUTED, ORANGE, Canvas, Pixels, fit_into
from activity_cli.reports.text import counted
from activity_cli.results import ClipRecord, RelatedPair

__all__ = ["MOST_PAIRS", "Pair", "draw_pairs"]

Pair = tuple[RelatedPair, Pixels, Pixels]
"""The pair, and the frames of both clips: uint8 [T, H, W, 3], RGB."""

MOST_PAIRS = 12
_FRAMES = 3  # of each clip: the first, the middle and the last
_SLOT = 190
_GAP = 6
_MARGIN = 40
_BETWEEN = 40  # the two clips of a pair
_HEAD = 92
_ROW = 54 + _SLOT + 22
_TITLES = {
    "near_duplicate": "Near-duplicates: probably the same recording",
    "same_source": "Probably the same place",
}
_STRIP = _FRAMES * (_SLOT + _GAP) - _GAP
_WIDTH = 2 * _MARGIN + 2 * _STRIP + _BETWEEN


def draw_pairs(pairs: Sequence[Pair], path: Path, total: int | None = None) -> None:
    """Draws three frames of each clip of a pair beside those of the other.

    Args:
        pairs: The first 12 are drawn.
        path: PNG to write or replace.
        total: Number of pairs that were found; None: as many as in ``pairs``.

    Raises:
        OutputError: The picture cannot be written.
    """
    drawn = pairs[:MOST_PAIRS]
    canvas = Canvas(_WIDTH, _HEAD + _ROW * len(drawn))
    total = total or len(pairs)
    some = f"{len(drawn)} of " if len(drawn) < total else ""
    title = f"{some}{counted(total, 'pair')} of clips from one recording or place"
    canvas.text(_MARGIN, 56, title, size=24, weight=600)
    y = _HEAD
    for pair, first, second in drawn:
        canvas.rectangle(_MARGIN, y - 6, _WIDTH - 2 * _MARGIN, 1, GRID)
        _draw_title(canvas, y, pair)
        for clip, frames, x in ((pair.first, first, _MARGIN), (pair.second, second, _MARGIN + _STRIP + _BETWEEN)):
            _draw_clip(canvas, x, y + 24, clip, frames)
        y += _ROW
    canvas.save(path)


def _draw_title(canvas: Canvas, y: int, pair: RelatedPair) -> None:
    used = canvas.text(_MARGIN, y + 16, _TITLES[pair.kind], size=15, weight=600, color=INK)
    if pair.kind == "near_duplicate" and pair.first.label != pair.second.label:
        canvas.text(_MARGIN + used + 14, y + 16, "different labels: one of them may be wrong", size=15, color=ORANGE)


def _draw_clip(canvas: Canvas, x: int, y: int, clip: ClipRecord, frames: Pixels) -> None:
    seconds = f" · {clip.start_seconds:.1f}-{clip.end_seconds:.1f} s" if clip.end_seconds else ""
    canvas.text(x, y + 15, f"{clip.label} · {clip.path}{seconds}", size=13, color=MUTED, max_width=_STRIP)
    for column in range(_FRAMES):
        place = column * (len(frames) - 1) // (_FRAMES - 1)
        canvas.paste(x + column * (_SLOT + _GAP), y + 24, fit_into(frames[place], _SLOT, _SLOT))
