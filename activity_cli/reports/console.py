"""Results as tables on a terminal.

Every function prints to the console it is given, which knows the width, the colors and the encoding.
Names come from users and files: they are printed as ``Text``, never as markup, so that ``[red]`` stays
what it is, and with their control characters visible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from activity_cli.reports.leaks import leak_lines
from activity_cli.reports.summaries import (
    Comparison,
    Mistake,
    Spread,
    compare,
    left_out,
    mistakes,
    num_right,
    parameter_totals,
    summarize_labels,
)
from activity_cli.reports.terminal import name_text, new_table, print_error, say_path, show
from activity_cli.reports.text import duration, percent, points
from activity_cli.results import (
    ClipRecord,
    EncoderRow,
    EvaluationResult,
    LayerRow,
    Prediction,
    PrepareResult,
    TrainResult,
)

__all__ = [
    "print_encoders",
    "print_evaluation",
    "print_layers",
    "print_predictions",
    "print_preparation",
    "print_training",
]

_MAX_LEFT_OUT = 10
_MAX_MISTAKES = 10
_BAR_WIDTH = 10
# Narrower consoles show the confidence without its bar.
_MIN_WIDTH_FOR_BAR = 80


def print_preparation(console: Console, result: PrepareResult) -> None:
    """Prints what was found for each label, what was left out and why, and the warnings."""
    table = new_table("label", "train", "val", "test", "groups", "frames", "seconds")
    totals = [0, 0, 0]
    for summary in summarize_labels(result.labels, result.records):
        totals = [total + count for total, count in zip(totals, summary.splits, strict=True)]
        table.add_row(
            name_text(console, summary.label),
            *map(str, summary.splits),
            str(summary.num_groups),
            _spread(summary.frames, ".0f"),
            _spread(summary.seconds, ".1f"),
        )
    table.add_section()
    table.add_row(Text("all"), *map(str, totals), "", "", "", style="bold")
    print_error(console, f"{sum(totals)} clips of {len(result.labels)} activities, found as {result.format}", "bold")
    show(console, table)
    print_error(console, "Frames and seconds of the videos: smallest/median/largest.", "dim")
    _print_left_out(console, left_out(result.records))
    _print_warnings(console, result.warnings)
    for line in leak_lines(result.leaks):
        print_error(console, line)
    print_error(console, f"Decoded now: {result.decoded}, kept from an earlier run: {result.reused}.")
    say_path(console, "Contact sheet:", str(result.contact_sheet))
    say_path(console, "What belongs together:", str(result.leak_picture or result.leak_report))
    say_path(console, "Prepared:", str(result.folder))


def _print_left_out(console: Console, records: Sequence[ClipRecord]) -> None:
    if not records:
        return
    counts = [(s, sum(r.status == s for r in records)) for s in ("rejected", "duplicate", "ignored")]
    # What is no video by its name nobody meant to be one: counted, and listed in the manifest only.
    records = [record for record in records if record.status != "ignored"]
    print_error(console, "Not used: " + ", ".join(f"{count} {status}" for status, count in counts if count), "bold")
    for record in records[:_MAX_LEFT_OUT]:
        style = "red" if record.status == "rejected" else "yellow"
        line = Text(f"  {record.status:<9} ", style=style)
        reason = f": {record.reason}" if record.reason else ""
        console.print(line + name_text(console, record.path + reason), soft_wrap=True)
    if len(records) > _MAX_LEFT_OUT:
        print_error(console, f"  and {len(records) - _MAX_LEFT_OUT} more in manifest.csv", "dim")


def print_encoders(console: Console, rows: Sequence[EncoderRow]) -> None:
    """Prints which encoders there are, and when to use each."""
    table = new_table("encoder", "weights", "features", "parameters", "frames", text_columns=2)
    for row in rows:
        name = name_text(console, row.name, "bold").append("\n").append_text(name_text(console, row.summary, "dim"))
        numbers = (str(row.features), f"{row.parameters:,}", f"{row.frame_size} (from {row.min_frame_size})")
        table.add_row(name, name_text(console, row.weights), *numbers)
    show(console, table)
    print_error(
        console, "Weights: those of ImageNet. Frames: the size in pixels that it is made for, and the smallest.", "dim"
    )


def print_layers(console: Console, rows: Sequence[LayerRow]) -> None:
    """Prints the layers of the network as a tree, and how many parameters learn.

    Args:
        console: Where to.
        rows: The layers; one that contains others stands directly before them, and is not counted twice.
    """
    table = new_table("layer", "kind", "output shape", "parameters", "", text_columns=3)
    for row in rows:
        table.add_row(
            name_text(console, "  " * row.depth + row.name),
            name_text(console, row.kind),
            name_text(console, row.output_shape),
            f"{row.parameters:,}",
            "frozen" if row.parameters and not row.trainable else "",
            style="" if row.trainable or not row.parameters else "dim",
        )
    show(console, table)
    trainable, frozen = parameter_totals(rows)
    print_error(console, f"{trainable + frozen:,} parameters: {trainable:,} trainable, {frozen:,} frozen.", "bold")


def print_training(console: Console, result: TrainResult) -> None:
    """Prints how the training went and what it left behind."""
    seconds = sum(record.seconds for record in result.history)
    print_error(console, f"Trained {result.name} on {len(result.labels)} activities", "bold")
    ended = ", then stopped by hand" if result.interrupted and not result.stopped_again else ""
    head = f", after {len(result.head_history)} of the sequence part alone" if result.head_history else ""
    count = len(result.history)
    print_error(console, f"{count} {'epoch' if count == 1 else 'epochs'} in {duration(seconds)}{head}{ended}.")
    best = next((record for record in result.history if record.epoch == result.best_epoch), None)
    if best is not None:
        table = new_table(f"best epoch: {best.epoch}", "loss", "accuracy")
        alone = f" ({result.training_of} alone)" if result.training_of else ""
        table.add_row(f"training{alone}", f"{best.loss:.4f}", percent(best.accuracy))
        if math.isfinite(best.val_loss):  # else there are no validation clips
            table.add_row("validation", f"{best.val_loss:.4f}", percent(best.val_accuracy))
        show(console, table)
    if result.stopped_again:
        print_error(
            console, "The second training, on all clips, was stopped by hand: what the first has learned was saved."
        )
    if result.refitted:
        print_error(
            console, "Then trained again, for all epochs, on training and validation clips together: that was saved."
        )
    print_error(console, f"LiteRT answers differ from Keras by at most {result.litert_max_abs_difference:.1e}.")
    say_path(console, "Curves:", str(result.history_picture))
    say_path(console, "Model:", str(result.model))


def print_evaluation(console: Console, result: EvaluationResult) -> None:
    """Prints the accuracy, what the model adds to simpler judges, and where it errs."""
    print_error(console, f"{result.model} on the {result.split} clips of {result.prepared}")
    headline = f"Accuracy {percent(result.accuracy)}, macro F1 {percent(result.macro_f1)}"
    print_error(console, f"{headline} ({num_right(result)} of {result.num_clips} clips right)", "bold green")
    _print_warnings(console, result.warnings)
    if result.baselines:
        _print_comparison(console, result, compare(result))
    print_error(console, "By activity", "bold")
    table = new_table("activity", "precision", "recall", "F1", "clips")
    for score in result.classes:
        shares = (percent(score.precision), percent(score.recall), percent(score.f1))
        table.add_row(name_text(console, score.label), *shares, str(score.support))
    show(console, table)
    _print_confusion(console, result)


def _print_comparison(console: Console, result: EvaluationResult, rows: Sequence[Comparison]) -> None:
    print_error(console, "Beside simpler judges of the same clips", "bold")
    table = new_table("judge", "accuracy", "macro F1", "model ahead by")
    for row in rows:
        judge = name_text(console, row.name)
        if row.reason or row.description:
            judge.append_text(Text("\n")).append_text(name_text(console, row.reason or row.description, "dim"))
        ahead = "-" if row.ahead is None else f"{points(row.ahead)} points"
        table.add_row(judge, _share(row.accuracy), _share(row.macro_f1), ahead)
    table.add_section()
    table.add_row("this model", percent(result.accuracy), percent(result.macro_f1), "", style="bold")
    show(console, table)


def _print_confusion(console: Console, result: EvaluationResult) -> None:
    # Measured as if there were room, since a measure within the console never exceeds its width.
    room = console.options.update(width=100_000)
    for numbered in (False, True):
        table = _confusion_table(console, result, numbered=numbered)
        if console.measure(table, options=room).maximum <= console.width:
            print_error(console, "Confusion: rows are the truth, columns the answer.", "bold")
            show(console, table)
            return
    _print_mistakes(console, mistakes(result.labels, result.confusion))


def _confusion_table(console: Console, result: EvaluationResult, *, numbered: bool) -> Table:
    """Draws the matrix with the labels over its columns, or with their numbers, which are narrower."""
    padding = (0, 0) if numbered else (0, 1, 0, 0)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=padding)
    table.add_column("", no_wrap=True, overflow="fold")
    for index, label in enumerate(result.labels):
        head = Text(str(index + 1)) if numbered else name_text(console, label)
        table.add_column(head, justify="right", no_wrap=True, overflow="fold")
    nothing = Text("." if console.options.ascii_only else "·", style="dim")
    for index, (label, row) in enumerate(zip(result.labels, result.confusion, strict=True)):
        cells = [Text(str(count)) if count else nothing for count in row]
        cells[index] = Text(str(row[index]), style="bold green")
        number = f"{index + 1:>{len(str(len(result.labels)))}} " if numbered else ""
        table.add_row(name_text(console, number + label), *cells)
    return table


def _print_mistakes(console: Console, found: Sequence[Mistake]) -> None:
    if not found:
        print_error(console, "No clip was mistaken.")
        return
    print_error(console, "Most frequent mistakes", "bold")
    table = new_table("truth", "answer", "clips", "of its clips", text_columns=2)
    for mistake in found[:_MAX_MISTAKES]:
        names = (name_text(console, mistake.truth), name_text(console, mistake.answer))
        table.add_row(*names, str(mistake.count), percent(mistake.share))
    show(console, table)
    print_error(console, "The whole confusion matrix is too wide for here: see --format json or --html FILE.", "dim")


def print_predictions(console: Console, predictions: Sequence[Prediction]) -> None:
    """Prints a row for each answer, then why the other inputs have none."""
    answers = [prediction for prediction in predictions if prediction.status == "ok"]
    table = new_table("source", "activity", "confidence", "second best", "seconds", text_columns=4)
    table.columns[2].no_wrap = True
    for prediction in answers:
        second = sorted((prediction.scores or {}).items(), key=lambda item: -item[1])[1:2]
        table.add_row(
            name_text(console, prediction.source),
            name_text(console, prediction.label, "bold"),
            _bar(console, prediction.confidence),
            name_text(console, f"{second[0][0]} {percent(second[0][1])}" if second else "-", "dim"),
            f"{prediction.duration_seconds:.1f}",
        )
    if answers:
        show(console, table)
    for prediction in predictions:
        if prediction.status != "ok":
            line = name_text(console, prediction.source, "bold") + Text(": ")
            line += name_text(console, f"{prediction.error_message} ({prediction.error_code})", "red")
            console.print(line, soft_wrap=True)
            if prediction.error_hint:
                console.print(Text("  ") + name_text(console, prediction.error_hint), soft_wrap=True)


def _bar(console: Console, share: float) -> Text:
    if console.width < _MIN_WIDTH_FOR_BAR:
        return Text(f"{percent(share):>6}")
    full, empty = ("#", ".") if console.options.ascii_only else ("█", "░")
    filled = round(_BAR_WIDTH * min(max(share, 0.0), 1.0))
    bar = Text(full * filled, style="green").append(empty * (_BAR_WIDTH - filled), style="dim")
    return bar.append(f" {percent(share):>6}", style="default")


def _print_warnings(console: Console, warnings: Sequence[str]) -> None:
    for warning in warnings:
        console.print(Text("Warning: ", style="bold yellow") + name_text(console, warning))


def _spread(spread: Spread | None, form: str) -> str:
    if spread is None:
        return "-"
    return f"{spread.low:{form}}/{spread.middle:{form}}/{spread.high:{form}}"


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)
