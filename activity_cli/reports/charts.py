"""Charts, drawn by Matplotlib as PNG or SVG: the curves of a training, the confusion matrix, and timelines.

Loading this module takes about half a second: load it where a chart is drawn. The charts have their own style,
whatever the user's matplotlibrc says, and leave Matplotlib's global state as it is.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len

from activity_cli.errors import OutputError
from activity_cli.files import write_bytes
from activity_cli.reports.text import counted, escape_control, percent
from activity_cli.results import EpochRecord, TimelineSegment

with redirect_stderr(io.StringIO()):  # on its first run Matplotlib reports that it builds a cache of fonts
    from matplotlib import colormaps, font_manager, style
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap, to_rgb
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator, PercentFormatter

__all__ = ["confusion_matrix_chart", "confusion_matrix_svg", "timeline_chart", "training_curves"]

_INK, _MUTED, _GRID, _FAINT = "#1c2028", "#6b7280", "#e2e6ec", "#f1f3f6"
# People with red-green blindness can distinguish them; in black and white their lightness differs.
_BLUE, _ORANGE = "#1d63d2", "#e26914"
# From no to all clips of a row.
_CORRECT = LinearSegmentedColormap.from_list("correct", ["#e8f1fd", "#93bef0", "#2c74d6", "#0e3a86"])
_WRONG = LinearSegmentedColormap.from_list("wrong", ["#feebd6", "#fdc894", "#ea7726", "#8f3404"])

_FONT = "DejaVu Sans"  # comes with Matplotlib
_STYLE = {
    "font.family": ["sans-serif"],
    "font.sans-serif": [_FONT, "Verdana"],  # the second, as wide as the first, is for viewers of SVG
    "font.size": 9,
    "text.color": _INK,
    "text.parse_math": False,  # a label may contain dollar signs
    "axes.axisbelow": True,
    **dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _MUTED),
    "axes.grid": True,
    "axes.grid.axis": "y",
    **dict.fromkeys(("axes.spines.left", "axes.spines.right", "axes.spines.top"), False),
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "grid.color": _GRID,
    "lines.linewidth": 2,
    "lines.markeredgecolor": "white",
    "lines.markersize": 8,
    "ytick.major.size": 0,
    "savefig.bbox": "tight",
    "savefig.dpi": 140,
    "savefig.pad_inches": 0.25,
    "svg.fonttype": "none",  # text stays text: it can be searched, and the viewer's fonts draw every script
    "svg.hashsalt": "activity",  # the same chart gives the same bytes
}

_MATRIX_INCHES = 7.2
_MAX_CELL_INCHES = 0.72
_COUNT_INCHES = 0.17  # a smaller cell has no room for its count
_SHARE_INCHES = 0.5  # a smaller cell has no room for its share
_MOST_TIMELINES = 40
_MAX_LABEL = 30  # columns of a terminal, in which a Chinese character takes two


def training_curves(history: Sequence[EpochRecord], path: Path, best_epoch: int = 0) -> None:
    """Draws loss and accuracy over the epochs of all stages, side by side.

    Args:
        history: One record for each epoch, in the order of the training. Values that are not finite leave a gap.
        path: File to write or replace, .png or .svg.
        best_epoch: Epoch of the main stage that the chart marks; 0: none.

    Raises:
        OutputError: The file cannot be written, or has another ending.
    """
    with style.context(["default", _STYLE]):
        figure = Figure(figsize=(10, 3.6))
        axes = figure.subplots(1, 2, gridspec_kw={"wspace": 0.42})
        _draw_curves(axes[0], "Loss", history, best_epoch)
        _draw_curves(axes[1], "Accuracy", history, best_epoch)
        write_bytes(path, _rendered(figure, _format_of(path)))


def confusion_matrix_chart(labels: Sequence[str], confusion: Sequence[Sequence[int]], path: Path) -> None:
    """Draws the confusion matrix: the counts, each cell shaded by its share of the clips of its row.

    Args:
        labels: The activities.
        confusion: Counts of clips in the order of ``labels``; rows are the true activities, columns the predicted.
        path: File to write or replace, .png or .svg.

    Raises:
        OutputError: The file cannot be written, or has another ending.
    """
    write_bytes(path, _confusion_matrix(labels, confusion, _format_of(path)))


def confusion_matrix_svg(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> bytes:
    """The chart of :func:`confusion_matrix_chart` as the content of an SVG file."""
    return _confusion_matrix(labels, confusion, "svg")


def timeline_chart(
    truth: Mapping[str, Sequence[TimelineSegment]], answers: Mapping[str, Sequence[TimelineSegment]], path: Path
) -> None:
    """Draws two strips for each video: what a person labeled, and below it the answer. Gaps are empty.

    Args:
        truth, answers: Segments by video; the first 40 videos are drawn.
        path: File to write or replace, .png or .svg.

    Raises:
        OutputError: The file cannot be written, or has another ending.
    """
    kind = _format_of(path)
    videos = list(answers)[:_MOST_TIMELINES]
    labels = sorted({one.label or "" for name in videos for one in (*truth[name], *answers[name])} - {""})
    families, names = _drawable([escape_control(text) for text in (*labels, *videos)], kind)
    color_of = {label: colormaps["tab20"](number % 20) for number, label in enumerate(labels)}
    with style.context(["default", _STYLE, {"font.family": families, "axes.grid": False}]):
        figure = Figure((12, 1.4 + 0.9 * len(videos)), layout="constrained")
        rows = figure.subplots(len(videos), squeeze=False)[:, 0]
        for axes, video, title in zip(rows, videos, names[len(labels) :], strict=True):
            for height, segments in ((1, truth[video]), (0, answers[video])):
                for one in (one for one in segments if one.label is not None):
                    span = one.start_seconds, one.end_seconds - one.start_seconds
                    axes.broken_barh([span], (height + 0.05, 0.9), facecolors=color_of[str(one.label)])
            axes.set(ylim=(0, 2), xlim=(0, max((one.end_seconds for one in answers[video]), default=1.0)))
            axes.set_yticks([1.5, 0.5], ["labeled", "found"])
            axes.set_title(title, loc="left", fontsize=9)
            axes.set_xlabel("seconds")
            axes.label_outer()
        handles = [Patch(color=color, label=name) for color, name in zip(color_of.values(), names, strict=False)]
        figure.legend(handles=handles, loc="outside lower center", ncols=8, fontsize=8, frameon=False)
        write_bytes(path, _rendered(figure, kind))


def _format_of(path: Path) -> str:
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise OutputError(f"{str(path)!r} does not end in .png or .svg.", "Use one of these file extensions.")
    return kind


def _rendered(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # An SVG may contain characters that only its viewer has a font for.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        # A date would make every SVG a different file.
        figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def _draw_curves(axes: Axes, title: str, history: Sequence[EpochRecord], best_epoch: int) -> None:
    names = (title.lower(), f"val_{title.lower()}")
    count = len(history)
    values = np.array([[getattr(record, name) for record in history] for name in names], float).reshape(2, count)
    values[~np.isfinite(values)] = np.nan
    highest = 1.0
    if title == "Accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    elif (values > 0).any():
        locator = MaxNLocator(5)
        highest = float(locator.tick_values(0, float(np.nanmax(values)))[-1])
        axes.yaxis.set_major_locator(locator)
    axes.set(xlim=(1, count) if count > 1 else (0, 2), ylim=(0, highest))
    axes.set_title(title, pad=24)
    _draw_stages(axes, history)
    # The refit starts from the beginning: no line leads to it.
    restart = next((index for index, record in enumerate(history) if record.stage == "refit"), 0)
    places = np.insert(np.arange(1.0, count + 1), restart, np.nan)
    for series, color in zip(np.insert(values, restart, np.nan, axis=1), (_BLUE, _ORANGE), strict=True):
        finite = np.pad(np.isfinite(series), 1)
        alone = np.flatnonzero(finite[1:-1] & ~finite[:-2] & ~finite[2:])  # a line through one point is invisible
        axes.plot(places, series, color=color, marker="o", markevery=alone.tolist(), clip_on=False, zorder=3)
    best = [i for i, record in enumerate(history) if record.stage == "main" and record.epoch == best_epoch]
    if best:
        _mark_best(axes, best[0], best_epoch, values[:, best[0]], count)
    _label_curves(axes, values, highest)


def _draw_stages(axes: Axes, history: Sequence[EpochRecord]) -> None:
    """Numbers the epochs of each stage, names the stages below, and shades all but the main one."""
    step = max(1, int(MaxNLocator(8, steps=[1, 2, 5, 10]).tick_values(0, max(len(history), 1))[1]))
    where = axes.get_xaxis_transform()
    ticks: list[int] = []
    for place, record in enumerate(history, start=1):
        if (record.epoch == 1 or record.epoch % step == 0) and (not ticks or place - ticks[-1] >= step / 2):
            ticks.append(place)
    axes.set_xticks(ticks, [str(history[place - 1].epoch) for place in ticks])
    first = 1
    for stage, records in groupby(history, key=lambda record: record.stage):
        last = first + len(list(records)) - 1
        if stage != "main":
            axes.axvspan(first - 0.5, last + 0.5, color=_FAINT, linewidth=0, zorder=0)
        name = "epoch" if stage == "main" else stage
        axes.text((first + last) / 2, -0.11, name, color=_MUTED, ha="center", va="top", transform=where)
        first = last + 1


def _mark_best(axes: Axes, index: int, epoch: int, values: npt.NDArray[np.float64], count: int) -> None:
    """A dashed line, a dot on the validation curve, and its value above."""
    place = index + 1
    value, color = (values[1], _ORANGE) if math.isfinite(values[1]) else (values[0], _BLUE)
    axes.axvline(place, color=_MUTED, linewidth=1, linestyle=(0, (4, 4)), zorder=1)
    axes.plot([place], [value], "o", color=color, clip_on=False, zorder=4)
    shown = axes.yaxis.get_major_formatter()
    text = percent(value) if isinstance(shown, PercentFormatter) else f"{value:.3g}"
    top, side = axes.get_xaxis_transform(), "left" if place <= (count + 1) / 2 else "right"
    axes.annotate(f"best epoch {epoch}: {text}", (place, 1), (0, 5), top, "offset points", ha=side)


def _label_curves(axes: Axes, values: npt.NDArray[np.float64], highest: float) -> None:
    """Writes the name of each curve at its end; names that would overlap are moved apart."""
    ends = {}
    for name, series in zip(("training", "validation"), values, strict=True):
        finite = series[np.isfinite(series)]
        if len(finite):
            ends[name] = float(np.clip(finite[-1] / highest, 0, 1))
    if len(ends) == 2 and abs(ends["training"] - ends["validation"]) < 0.07:
        middle = min(max(sum(ends.values()) / 2, 0.035), 0.965)
        up = 0.035 if ends["training"] >= ends["validation"] else -0.035
        ends = {"training": middle + up, "validation": middle - up}
    for name, height in ends.items():
        color = _BLUE if name == "training" else _ORANGE
        axes.text(1.03, height, name, color=color, va="center", transform=axes.transAxes)


def _confusion_matrix(labels: Sequence[str], confusion: Sequence[Sequence[int]], kind: str) -> bytes:
    families, names = _drawable([escape_control(label) for label in labels], kind)
    names = [_shortened(name) for name in names]
    count = len(labels)
    smallest = _COUNT_INCHES if count <= 100 else 0.12
    cell = min(_MAX_CELL_INCHES, max(smallest, _MATRIX_INCHES / max(count, 1)))
    points = cell * 72
    size = min(10.0, 0.6 * points)
    with style.context(["default", _STYLE, {"font.family": families, "axes.grid": False}]):
        figure = Figure(figsize=(count * cell, count * cell))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, count), ylim=(count, 0))
        axes.spines[:].set_visible(False)
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.tick_params(length=0, labelsize=size, labelcolor=_INK, pad=5)
        centers = np.arange(count) + 0.5
        upright = max(map(cell_len, names), default=0) * 0.65 * size > points
        axes.set_xticks(centers, names)
        if upright:
            axes.tick_params(axis="x", labelrotation=90)
        axes.set_yticks(centers, names, va="center")
        axes.set_xlabel("predicted activity", loc="left", labelpad=10)
        _annotate(axes, "true activity", (0, 1), (-6, 7), ha="right")
        axes.set_title("Confusion matrix", fontsize=14, pad=14)
        _draw_cells(axes, np.asarray(confusion, int).reshape(count, count), cell)
        legend = "Blue: correct. Orange: wrong. Darker cells have a larger share of their row's clips."
        _annotate(axes, legend, (0, 0), (0, -12), va="top")
        return _rendered(figure, kind)


def _draw_cells(axes: Axes, counts: npt.NDArray[np.int_], cell: float) -> None:
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    diagonal = np.eye(len(counts), dtype=bool)
    shown = diagonal | (counts > 0)
    colors = np.where(diagonal[..., None], _CORRECT(shares), _WRONG(shares))[..., :3]
    colors[~shown] = to_rgb(_FAINT)
    axes.pcolormesh(colors, edgecolors="white", linewidth=1 if cell > _COUNT_INCHES else 0.5)
    if cell < _COUNT_INCHES:
        return
    size = min(13.0, 0.42 * 72 * cell)
    with_share = cell >= _SHARE_INCHES
    for row, column in np.argwhere(shown):
        # How bright a color seems (Rec. 601).
        color = _INK if colors[row, column] @ (0.299, 0.587, 0.114) > 0.6 else "white"
        look: dict[str, Any] = {"color": color, "ha": "center", "va": "center"}
        share = with_share and totals[row]
        height = row + (0.4 if share else 0.5)
        axes.text(column + 0.5, height, str(counts[row, column]), size=size, weight="bold", **look)
        if share:
            axes.text(column + 0.5, row + 0.7, percent(shares[row, column]), size=8, **look)
    for row, total in enumerate(totals):
        middle = (1.0, 1 - (row + 0.5) / len(counts))
        _annotate(axes, counted(total, "clip"), middle, (8, 0), va="center", size=min(9.0, size))


def _annotate(axes: Axes, text: str, place: tuple[float, float], points: tuple[float, float], **look: Any) -> None:
    """Writes a remark at some distance from a place, which is a fraction of the axes."""
    axes.annotate(text, place, points, "axes fraction", "offset points", color=_MUTED, **look)


def _shortened(name: str) -> str:
    """Leaves out the middle of a long name: the ends of names tell them apart."""
    while cell_len(name) > _MAX_LABEL:
        middle = len(name) // 2
        name = name[: middle - 1].rstrip("…") + "…" + name[middle + 1 :].lstrip("…")
    return name


def _drawable(labels: list[str], kind: str) -> tuple[list[str], list[str]]:
    """Font families that have the characters of all labels; what no installed font has becomes an escape in PNG."""
    families, missing = ["sans-serif"], set("".join(labels))
    missing -= set(map(chr, font_manager.get_font(font_manager.findfont(_FONT)).get_charmap()))
    for entry in sorted(font_manager.fontManager.ttflist, key=lambda entry: "Sans" not in entry.name):
        # The font "Last Resort" draws a box for every character.
        if not missing or "lastresort" in entry.name.lower().replace(" ", ""):
            continue
        try:
            has = missing & set(map(chr, font_manager.get_font(entry.fname).get_charmap()))
        except (OSError, RuntimeError, ValueError):
            continue
        if has:
            families.append(entry.name)
            missing -= has
    if kind == "svg":
        return families, labels
    escapes = {ord(c): c.encode("unicode_escape").decode() for c in missing}
    return families, [label.translate(escapes) for label in labels]
