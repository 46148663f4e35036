"""The curves of a training: loss and accuracy, of the training and the validation clips."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from activity_cli.reports.canvas import BLUE, FAINT, GRID, INK, MUTED, ORANGE, Canvas, Color
from activity_cli.results import EpochRecord

__all__ = ["history_picture"]

_WIDTH, _HEIGHT = 1400, 560
_TOP, _BOTTOM = 130, 70  # around the panels
_PANEL_WIDTH = 570
_PANEL_X = (90, 90 + _PANEL_WIDTH + 120)


@dataclass(frozen=True, slots=True)
class _Panel:
    """A plot area and the values at its edges; ``epochs`` are the first and the last that exist.

    The last of those in which the sequence part learned alone stands at 0.
    """

    x: int
    first: float
    last: float
    highest: float
    epochs: tuple[int, int]

    def place(self, epoch: float, value: float) -> tuple[float, float]:
        across = (epoch - self.first) / (self.last - self.first)
        up = min(max(value / self.highest, 0.0), 1.0)
        return self.x + across * _PANEL_WIDTH, _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)


def history_picture(
    history: Sequence[EpochRecord],
    best_epoch: int,
    path: Path,
    head_history: Sequence[EpochRecord] = (),
    training_of: str = "",
) -> None:
    """Draws loss and accuracy over the epochs, side by side.

    Args:
        history: One record an epoch. Values that are not finite leave a gap.
        best_epoch: The epoch whose weights were kept; marked where the history has it.
        path: PNG to write or replace.
        head_history: The epochs before, in which the sequence part learned alone: drawn to the left.
        training_of: What the training curves are of, where it is not the whole network.

    Raises:
        OutputError: The picture cannot be written.
    """
    canvas = Canvas(_WIDTH, _HEIGHT)
    numbers = [record.epoch for record in history] or [1]
    epochs = (min(numbers), max(numbers))
    # One epoch stands in the middle of its axis.
    before = [replace(record, epoch=number) for number, record in enumerate(head_history, start=1 - len(head_history))]
    first, last = before[0].epoch if before else epochs[0], epochs[1]
    if first == last:
        first, last = first - 1, last + 1
    drawn = [*before, *history]
    losses = [value for record in drawn for value in (record.loss, record.val_loss) if math.isfinite(value)]
    highest_loss = max([value for value in losses if value > 0], default=1.0)
    step = _nice_step(highest_loss, 5)
    panels = (
        (
            "Loss",
            _Panel(_PANEL_X[0], first, last, step * math.ceil(highest_loss / step), epochs),
            step,
            _plain,
        ),
        ("Accuracy", _Panel(_PANEL_X[1], first, last, 1.0, epochs), 0.2, _in_percent),
    )
    for title, panel, tick, label in panels:
        if before:
            _draw_shade(canvas, panel)
        _draw_axes(canvas, panel, title, tick, label)
        if any(record.epoch == best_epoch for record in history):
            _draw_best(canvas, panel, best_epoch)
    for panel, names in ((panels[0][1], ("loss", "val_loss")), (panels[1][1], ("accuracy", "val_accuracy"))):
        for name, color in zip(names, (BLUE, ORANGE), strict=True):
            values = [(record.epoch, float(getattr(record, name))) for record in drawn]
            _draw_curve(canvas, panel, values, color)
            if color is ORANGE:
                _draw_dot(canvas, panel, values, best_epoch)
    _draw_legend(canvas, training_of, with_head=bool(before))
    canvas.save(path)


def _nice_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that divides a span in at most ``most``."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if span / (factor * power) <= most)


def _epoch_ticks(first: int, last: int, most: int) -> list[int]:
    """The first epoch, and round numbers up to the last."""
    step = math.ceil(_nice_step(max(last - first, 1), most))
    rounds = range((first // step + 1) * step, last + 1, step)
    return [first, *(epoch for epoch in rounds if epoch - first > step / 2)]


def _plain(value: float) -> str:
    return f"{value:.10g}"


def _in_percent(value: float) -> str:
    return f"{100 * value:.0f}%"


def _draw_axes(canvas: Canvas, panel: _Panel, title: str, step: float, label: Callable[[float], str]) -> None:
    canvas.text(panel.x, _TOP - 26, title, size=17, weight=600)
    for index in range(round(panel.highest / step) + 1):
        value = index * step
        _, y = panel.place(panel.first, value)
        canvas.rectangle(panel.x, y, _PANEL_WIDTH, 1, MUTED if index == 0 else GRID)
        canvas.text(panel.x - 12, y + 5, label(value), size=14, color=MUTED, align="right")
    share = (panel.epochs[1] - panel.epochs[0]) / (panel.last - panel.first)
    for epoch in _epoch_ticks(*panel.epochs, max(1, round(8 * share))):
        x, y = panel.place(epoch, 0)
        canvas.rectangle(x, y, 1, 6, MUTED)
        canvas.text(x, y + 24, str(epoch), size=14, color=MUTED, align="center")
    canvas.text(panel.x + _PANEL_WIDTH / 2, _HEIGHT - 20, "epoch", size=14, color=MUTED, align="center")


def _draw_best(canvas: Canvas, panel: _Panel, epoch: int) -> None:
    x, bottom = panel.place(epoch, 0)
    for y in range(_TOP, round(bottom), 10):
        canvas.rectangle(x, y, 1, 5, MUTED)
    # Inside the panel on both ends: the words turn to the side that has room.
    right = x < panel.x + _PANEL_WIDTH / 2
    canvas.text(
        x + (8 if right else -8),
        _TOP - 4,
        f"best epoch: {epoch}",
        size=13,
        color=INK,
        align="left" if right else "right",
    )


def _draw_shade(canvas: Canvas, panel: _Panel) -> None:
    """Behind the epochs in which the sequence part learned alone."""
    right, _ = panel.place(0.5, 0)
    canvas.rectangle(panel.x, _TOP, round(right) - panel.x, _HEIGHT - _BOTTOM - _TOP, FAINT)


def _draw_curve(canvas: Canvas, panel: _Panel, values: Sequence[tuple[int, float]], color: Color) -> None:
    runs: list[list[tuple[float, float]]] = [[]]
    for epoch, value in values:
        if math.isfinite(value):
            runs[-1].append(panel.place(epoch, value))
        elif runs[-1]:
            runs.append([])
    for run in runs:
        if len(run) == 1:  # a line of one point would not be seen
            canvas.dot(*run[0], 4, color)
        elif run:
            canvas.line(run, color, 2)


def _draw_dot(canvas: Canvas, panel: _Panel, values: Sequence[tuple[int, float]], best_epoch: int) -> None:
    for epoch, value in values:
        if epoch == best_epoch and math.isfinite(value):
            canvas.dot(*panel.place(epoch, value), 6, ORANGE)


def _draw_legend(canvas: Canvas, training_of: str, *, with_head: bool) -> None:
    x = canvas.text(_PANEL_X[0], 52, "Training history", size=24, weight=600) + _PANEL_X[0] + 40
    training = f"training ({training_of} alone)" if training_of else "training"
    for name, color in ((training, BLUE), ("validation", ORANGE)):
        canvas.rectangle(x, 42, 28, 4, color)
        x += 38
        x += canvas.text(x, 50, name, size=15, color=INK) + 32
    if with_head:
        canvas.rectangle(x, 35, 28, 18, FAINT)
        canvas.text(x + 38, 50, "the sequence part alone, before the encoder learns too", size=15, color=INK)
