"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from activity_cli.reports.canvas import FAINT, GRID, INK, MUTED, WHITE, Canvas, Color
from activity_cli.reports.text import percent

__all__ = ["confusion_picture"]

# From few to all clips of a row: light to dark. Right answers are blue, mistakes orange; a mistake that
# never happened has no color, so that a single one is seen.
_RIGHT: tuple[Color, ...] = ((232, 241, 253), (147, 190, 240), (44, 116, 214), (14, 58, 134))
_WRONG: tuple[Color, ...] = ((254, 235, 214), (253, 200, 148), (234, 119, 38), (143, 52, 4))

_MARGIN = 40
_HEAD = 110  # the title
_MAX_LABEL = 220
_GRID_SIZE = 1000  # of all cells together, where the limits of a cell allow it
_TEXT_CELL = 24  # a smaller cell has no room for its count
_PERCENT_CELL = 72  # a smaller cell has no room for its share
_TOTAL_WIDTH = 110  # the clips of each row


def confusion_picture(labels: Sequence[str], confusion: Sequence[Sequence[int]], path: Path) -> None:
    """Draws the confusion matrix, each row shaded by the shares of its clips, with the counts.

    Args:
        labels: The activities.
        confusion: Counts of clips in the order of ``labels``; rows are the truth, columns the answer.
        path: PNG to write or replace.

    Raises:
        OutputError: The picture cannot be written.
    """
    count = len(labels)
    cell = _cell_size(count)
    size = max(min(15, round(0.62 * cell)), 6)
    measure = Canvas(1, 1)
    widest = max((measure.text_width(label, size) for label in labels), default=0)
    room = min(widest, _MAX_LABEL)
    upright = widest > cell - 8
    left = _MARGIN + max(room, 36) + 14
    top = _HEAD + (room if upright else size) + 14
    width = max(left + count * cell + _TOTAL_WIDTH, 760)
    canvas = Canvas(width, top + count * cell + 96)
    canvas.text(_MARGIN, 56, "Confusion of activities", size=24, weight=600)
    canvas.text(left, 92, "answer of the model", size=14, color=MUTED)
    canvas.text(left - 14, top - 14, "truth", size=14, color=MUTED, align="right")
    for index, label in enumerate(labels):
        middle = (index + 0.5) * cell
        canvas.text(left - 14, top + middle + 0.36 * size, label, size=size, align="right", max_width=room)
        if upright:
            canvas.vertical_text(left + middle + 0.36 * size, top - 12, label, size=size, max_width=room + 2)
        else:
            canvas.text(left + middle, top - 14, label, size=size, align="center")
    for index, row in enumerate(confusion):
        _draw_row(canvas, left, top + index * cell, cell, row, index)
    _draw_scale(canvas, left, top + count * cell + 40)
    canvas.save(path)


def _cell_size(count: int) -> int:
    smallest = _TEXT_CELL if count <= 100 else 12
    return min(96, max(smallest, _GRID_SIZE // max(count, 1)))


def _draw_row(canvas: Canvas, left: int, y: int, cell: int, row: Sequence[int], right_answer: int) -> None:
    total = sum(row)
    size = max(min(19, round(0.46 * cell)), 8)
    for column, count in enumerate(row):
        share = count / total if total else 0.0
        right = column == right_answer
        fill = _shade(_RIGHT if right else _WRONG, share) if count or right else FAINT
        canvas.rectangle(left + column * cell + 1, y + 1, cell - 1, cell - 1, fill)
        if not (count or right) or cell < _TEXT_CELL:
            continue
        middle = left + (column + 0.5) * cell
        with_share = cell >= _PERCENT_CELL
        baseline = y + cell / 2 + 0.36 * size - (9 if with_share else 0)
        color = _readable_on(fill)
        canvas.text(middle, baseline, str(count), size=size, color=color, weight=600, align="center")
        if with_share:
            canvas.text(middle, baseline + 20, percent(share), size=13, color=color, align="center")
    if cell >= _TEXT_CELL:
        text = f"{total} clip{'' if total == 1 else 's'}"
        end = left + len(row) * cell + 12
        canvas.text(end, y + cell / 2 + 5, text, size=13, color=MUTED, max_width=_TOTAL_WIDTH - 20)


def _draw_scale(canvas: Canvas, x: int, y: int) -> None:
    for name, shades in (("right", _RIGHT), ("mistaken", _WRONG)):
        x += canvas.text(x, y + 12, name, size=14, color=INK) + 12
        for step in range(120):
            canvas.rectangle(x + step, y, 1, 14, _shade(shades, step / 119))
        canvas.text(x, y + 32, "0%", size=12, color=MUTED)
        canvas.text(x + 120, y + 32, "100%", size=12, color=MUTED, align="right")
        x += 120 + 40
    canvas.text(x, y + 12, "share of the clips of a row", size=14, color=MUTED)
    canvas.rectangle(_MARGIN, y - 20, canvas.width - 2 * _MARGIN, 1, GRID)


def _shade(stops: Sequence[Color], share: float) -> Color:
    place = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    index = min(int(place), len(stops) - 2)
    low, high, part = stops[index], stops[index + 1], place - index
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(low, high, strict=True))
    return red, green, blue


def _readable_on(fill: Color) -> Color:
    red, green, blue = fill
    # How bright a color seems (Rec. 601).
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else WHITE
