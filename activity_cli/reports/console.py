"""Results as tables on a terminal.

Every function prints to a given console, which knows its width, colors and encoding. Names come from users and files:
they are printed as ``Text``, never as markup, so that ``[red]`` stays as it is, and their control characters become
escapes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from activity_cli.reports.leaks import leak_lines
from activity_cli.reports.summaries import (
    Spread,
    clip_name,
    mistakes,
    num_correct,
    parameter_totals,
    summarize_labels,
    unused_files,
    wrong_clips,
)
from activity_cli.reports.text import clock_time, counted, duration, escape_control, percent, points
from activity_cli.results import (
    ClipAnswer,
    ClipRecord,
    EvaluationResult,
    HeadScore,
    LayerRow,
    Prediction,
    PrepareResult,
    TimelineEvaluation,
    TimelineSegment,
    TimelineWindow,
    TrainResult,
)
from activity_cli.settings.encoders import EncoderSpec

__all__ = [
    "print_encoders",
    "print_evaluation",
    "print_layers",
    "print_predictions",
    "print_preparation",
    "print_training",
]

_MAX_UNUSED = 10
_MAX_MISTAKES = 10
_MAX_WRONG_CLIPS = 20
_BAR_WIDTH = 10
_MIN_WIDTH_FOR_BAR = 80  # narrower consoles show the confidence without its bar
_MIN_TEXT_WIDTH = 8  # of a column of names, however many numbers stand beside it


def print_preparation(console: Console, result: PrepareResult) -> None:
    """Prints the clips of each activity, the files that are not used and why, the warnings, and the leak report."""
    table = _table("activity", "train", "val", "test", "groups", "frames", "seconds")
    summaries = summarize_labels(result.labels, result.records)
    for summary in summaries:
        counts = (*map(str, summary.splits), str(summary.num_groups))
        spreads = (_spread(summary.frames, ".0f"), _spread(summary.seconds, ".1f"))
        table.add_row(_name(console, summary.label), *counts, *spreads)
    totals = [sum(counts) for counts in zip(*(summary.splits for summary in summaries), strict=True)]
    table.add_section()
    table.add_row("all", *map(str, totals), style="bold")
    used = f"{counted(sum(totals), 'clip')} of {len(result.labels)} activities"
    _print(console, f"{used} (labels: {result.format})", "bold")
    _print_table(console, table)
    has_parts = any(one.part_seconds < one.duration_seconds for one in result.records if one.status == "ok")
    of = "of the parts of the videos that become clips" if has_parts else "per video"
    _print(console, f"Frames and seconds {of}: minimum/median/maximum.", "dim")
    _print_unused(console, unused_files(result.records))
    _print_warnings(console, result.warnings)
    for line in leak_lines(result.leaks):
        _print(console, line)
    reused = f"Reused the clips of {counted(result.reused, 'video')} from an earlier run."
    _print(console, f"Decoded {counted(result.decoded, 'video')}. {reused}")
    for note in result.notes:
        _print(console, note)
    _print_path(console, "Contact sheet:", result.contact_sheet)
    if result.pose_sheet:
        _print_path(console, "Pose sheet:", result.pose_sheet)
    _print_path(console, "Leak report:", result.leak_picture or result.leak_report)
    _print_path(console, "Prepared folder:", result.folder)


def _print_unused(console: Console, records: Sequence[ClipRecord]) -> None:
    if not records:
        return
    counts = Counter(record.status for record in records)
    _print(console, "Not used: " + ", ".join(f"{count} {status}" for status, count in counts.items()), "bold")
    # Nobody meant files without a video's name to be used: the manifest lists them.
    suffixes = Counter(Path(record.path).suffix.lower() for record in records if record.status == "ignored")
    if suffixes:
        named = (f"{count} {suffix or 'without an extension'}" for suffix, count in suffixes.most_common())
        _print(console, f"  ignored   {', '.join(named)}")
    records = [record for record in records if record.status != "ignored"]
    for record in records[:_MAX_UNUSED]:
        line = Text(f"  {record.status:<9} ", style="red" if record.status == "rejected" else "yellow")
        reason = f": {record.reason}" if record.reason else ""
        console.print(line + _name(console, record.path + reason), soft_wrap=True)
    if len(records) > _MAX_UNUSED:
        _print(console, f"  and {len(records) - _MAX_UNUSED} more in manifest.csv", "dim")


def print_encoders(console: Console, encoders: Iterable[EncoderSpec]) -> None:
    """Prints the encoders, and when to use each."""
    table = _table("encoder", "weights", "features", "parameters", "frame size", text_columns=2)
    for spec in encoders:
        name = _name(console, spec.name, "bold").append("\n").append_text(_name(console, spec.summary, "dim"))
        numbers = (str(spec.features), f"{spec.parameters:,}", f"{spec.frame_size} (from {spec.min_frame_size})")
        table.add_row(name, _name(console, spec.weights_source), *numbers)
    _print_table(console, table)
    explained = "Weights: where the ImageNet weights come from. Frame size: recommended (and smallest), in pixels."
    _print(console, explained, "dim")


def print_layers(console: Console, rows: Sequence[LayerRow]) -> None:
    """Prints the layers of the network as a tree (each before the layers in it), and counts the parameters."""
    table = _table("layer", "kind", "output shape", "parameters", "", text_columns=3)
    for row in rows:
        frozen = bool(row.parameters) and not row.trainable
        names = (_name(console, text) for text in ("  " * row.depth + row.name, row.kind, row.output_shape))
        table.add_row(*names, f"{row.parameters:,}", "frozen" if frozen else "", style="dim" if frozen else "")
    _print_table(console, table)
    trainable, fixed = parameter_totals(rows)
    _print(console, f"{trainable + fixed:,} parameters: {trainable:,} trainable, {fixed:,} frozen.", "bold")


def print_training(console: Console, result: TrainResult, seconds: float) -> None:
    """Prints how the training went, where the model is, and how many seconds the command took."""
    _print(console, f"Trained {result.name} on {len(result.labels)} activities in {duration(seconds)}", "bold")
    stages = Counter(record.stage for record in result.history)
    counts = ", ".join(f"{count} {stage}" for stage, count in stages.items())
    epochs = counted(len(result.history), "epoch") + (f" ({counts})" if len(stages) > 1 else "")
    ended = ", then interrupted" if result.interrupted else ""
    if result.history or result.interrupted:
        _print(console, f"{epochs}{ended}.")
    main = (record for record in result.history if record.stage == "main")
    best = next((record for record in main if record.epoch == result.best_epoch), None)
    table = _table("", "loss", "accuracy")
    if best:
        table.add_row(f"training, epoch {result.best_epoch}", f"{best.loss:.4f}", percent(best.accuracy))
    if result.val_loss is not None and result.val_accuracy is not None:
        table.add_row("clips that it was not trained on", f"{result.val_loss:.4f}", percent(result.val_accuracy))
    if table.row_count:
        _print_table(console, table)
    if result.heads:
        _print_heads(console, result.heads)
    if result.dropped:
        _print(console, f"Streams that did not help, which the model does not read: {', '.join(result.dropped)}.")
    if result.refitted:
        _print(console, "The model was trained again (refit) on the training and validation clips together.")
    elif best:
        _print(console, f"The model has the weights of epoch {result.best_epoch}.")
    difference = f"{result.litert_max_abs_difference:.1e}"
    _print(console, f"predict uses LiteRT: its probabilities differ from those of Keras by at most {difference}.")
    if result.history_picture:
        _print_path(console, "Curves:", result.history_picture)
    _print_path(console, "Model:", result.model)


def _print_heads(console: Console, heads: Sequence[HeadScore]) -> None:
    table = _table("stream", "head", "weight", "accuracy alone", text_columns=2)
    for head in heads:
        table.add_row(
            _name(console, head.stream), _name(console, head.kind), f"{head.weight:.2f}", _share(head.accuracy)
        )
    _print_table(console, table)
    if len(heads) > 1:
        explained = (
            "Each head classifies the clip. The model adds their log probabilities, multiplied by these weights."
        )
        _print(console, explained, "dim")


def print_evaluation(console: Console, result: EvaluationResult) -> None:
    """Prints the scores, the baselines, the confusion matrix or the most frequent mistakes, and the wrong clips."""
    which = "all" if result.split == "all" else f"the {result.split}"
    _print(console, f"{result.model} on {which} clips of {result.prepared}")
    scores = f"Accuracy {percent(result.accuracy)}, macro F1 {percent(result.macro_f1)}"
    _print(console, f"{scores} ({num_correct(result)} of {counted(result.num_clips, 'clip')} correct)", "bold green")
    _print_warnings(console, result.warnings)
    if result.heads:
        _print_heads(console, result.heads)
    if result.baselines:
        _print_baselines(console, result)
    _print(console, "Scores by activity", "bold")
    table = _table("activity", "precision", "recall", "F1", "clips")
    for score in result.classes:
        shares = (_share(score.precision), _share(score.recall), _share(score.f1))
        table.add_row(_name(console, score.label), *shares, str(score.support))
    _print_table(console, table)
    _print_confusion(console, result)
    if wrong := wrong_clips(result.clips):
        _print_wrong_clips(console, wrong)


def print_timeline_evaluation(console: Console, result: TimelineEvaluation) -> None:
    """Prints the scores of timelines, over all labels and for each."""
    scores = result.scores
    _print(console, f"{result.model} on {counted(len(result.answers), 'video')} of {duration(scores.seconds)}")
    f1 = ", ".join(f"{percent(value)} at {overlap:.0%} overlap" for overlap, value in scores.f1.items())
    _print(console, f"Right label {percent(scores.accuracy)} of the time. F1 of segments: {f1}", "bold green")
    errors = [one for one in (scores.start_error_seconds, scores.end_error_seconds) if one is not None]
    if len(errors) == 2:
        near = percent(scores.borders_within_half_second or 0.0)
        text = f"Starts are {errors[0]:.2f} s off, ends {errors[1]:.2f} s; {near} of them at most 0.5 s."
        _print(console, text)
    _print(console, f"Edit score {percent(scores.edit)}. False alarms: {scores.false_alarms_per_hour:.1f} an hour.")
    overlaps = list(scores.f1)
    table = _table("activity", *(f"F1 at {one:.0%}" for one in overlaps), "labeled", "found", "alarms/hour")
    for one in scores.labels:
        shares = [percent(one.f1[overlap]) for overlap in overlaps]
        table.add_row(
            _name(console, one.label), *shares, str(one.true), str(one.predicted), f"{one.false_alarms_per_hour:.1f}"
        )
    _print_table(console, table)


def _print_wrong_clips(console: Console, wrong: Sequence[ClipAnswer]) -> None:
    _print(console, "Clips with a wrong prediction, most confident first", "bold")
    table = _table("clip", "true activity", "predicted", "confidence", text_columns=3)
    for clip in wrong[:_MAX_WRONG_CLIPS]:
        names = (_name(console, text) for text in (clip_name(clip), clip.truth, clip.answer))
        table.add_row(*names, percent(clip.confidence))
    _print_table(console, table)
    if len(wrong) > _MAX_WRONG_CLIPS:
        more = f"and {len(wrong) - _MAX_WRONG_CLIPS} more. Use --html FILE or --format json for all of them."
        _print(console, more, "dim")


def _print_baselines(console: Console, result: EvaluationResult) -> None:
    _print(console, "Baselines: simpler classifiers on the same clips", "bold")
    table = _table("baseline", "accuracy", "macro F1", "model minus baseline")
    for row in result.baselines:
        name = _name(console, row.name.replace("_", " "))
        if remark := row.reason or row.description:
            name.append("\n").append_text(_name(console, remark, "dim"))
        better = "-" if row.accuracy is None else f"{points(result.accuracy - row.accuracy)} points"
        table.add_row(name, _share(row.accuracy), _share(row.macro_f1), better)
    table.add_section()
    table.add_row("this model", percent(result.accuracy), percent(result.macro_f1), "", style="bold")
    _print_table(console, table)


def _print_confusion(console: Console, result: EvaluationResult) -> None:
    # A measure within the console never exceeds its width: measure as if it were wider.
    wide = console.options.update(width=100_000)
    for numbered in (False, True):
        table = _confusion_table(console, result, numbered=numbered)
        if console.measure(table, options=wide).maximum <= console.width:
            _print(console, "Confusion matrix: rows are the true activities, columns the predicted ones.", "bold")
            _print_table(console, table)
            return
    found = mistakes(result.labels, result.confusion)
    if not found:
        _print(console, "The model made no mistake.")
        return
    _print(console, "Most frequent mistakes", "bold")
    table = _table("true activity", "predicted", "clips", "share of its clips", text_columns=2)
    for mistake in found[:_MAX_MISTAKES]:
        names = (_name(console, mistake.truth), _name(console, mistake.answer))
        table.add_row(*names, str(mistake.count), percent(mistake.share))
    _print_table(console, table)
    hint = "The terminal is too narrow for the confusion matrix. Use --html FILE, --picture FILE or --format json."
    _print(console, hint, "dim")


def _confusion_table(console: Console, result: EvaluationResult, *, numbered: bool) -> Table:
    """The matrix with the labels above its columns, or with their numbers, which are narrower."""
    padding = (0, 0) if numbered else (0, 1, 0, 0)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=padding)
    table.add_column("", no_wrap=True, overflow="fold")
    for index, label in enumerate(result.labels):
        head = Text(str(index + 1)) if numbered else _name(console, label)
        table.add_column(head, justify="right", no_wrap=True, overflow="fold")
    zero = Text("." if console.options.ascii_only else "·", style="dim")
    for index, (label, row) in enumerate(zip(result.labels, result.confusion, strict=True)):
        cells = [Text(str(count)) if count else zero for count in row]
        cells[index] = Text(str(row[index]), style="bold green")
        number = f"{index + 1:>{len(str(len(result.labels)))}} " if numbered else ""
        table.add_row(_name(console, number + label), *cells)
    return table


def print_predictions(console: Console, predictions: Sequence[Prediction]) -> None:
    """Prints a row for each answer, then the errors."""
    table = _table("source", "activity", "confidence", "second best", "seconds", text_columns=4)
    table.columns[2].no_wrap = True
    for answer in (prediction for prediction in predictions if prediction.status == "ok"):
        second = sorted((answer.scores or {}).items(), key=lambda item: -item[1])[1:2]
        table.add_row(
            _name(console, answer.source),
            _name(console, answer.label, "bold") if answer.label is not None else _name(console, answer.reason, "dim"),
            _bar(console, answer.confidence),
            _name(console, f"{second[0][0]} {percent(second[0][1])}" if second else "-", "dim"),
            f"{answer.duration_seconds:.1f}",
        )
    if table.row_count:
        _print_table(console, table)
    _print_notices(console, predictions)


def print_timelines(console: Console, found: Sequence[TimelineSegment | TimelineWindow | Prediction]) -> None:
    """Prints a row for each segment, then the errors. Windows are left out."""
    table = _table("source", "from", "to", "seconds", "activity", "confidence", text_columns=1)
    segments = [one for one in found if isinstance(one, TimelineSegment)]
    for one in segments:
        table.add_row(
            _name(console, one.source),
            clock_time(one.start_seconds),
            clock_time(one.end_seconds),
            f"{one.end_seconds - one.start_seconds:.1f}",
            _name(console, one.label, "bold") if one.label is not None else _name(console, one.reason, "dim"),
            _bar(console, one.confidence) if one.confidence is not None else "-",
        )
    table.columns[4].justify = "left"
    if segments:
        _print_table(console, table)
    _print_notices(console, [one for one in found if isinstance(one, Prediction)])


def _print_notices(console: Console, predictions: Sequence[Prediction]) -> None:
    for prediction in predictions:
        for warning in prediction.warnings:
            line = _name(console, prediction.source, "bold") + Text(": ")
            console.print(line + _name(console, f"{warning.message} ({warning.code})", "yellow"), soft_wrap=True)
        if prediction.status != "ok":
            line = _name(console, prediction.source, "bold") + Text(": ")
            line += _name(console, f"{prediction.error_message} ({prediction.error_code})", "red")
            console.print(line, soft_wrap=True)
            if prediction.error_hint:
                console.print(_name(console, f"  {prediction.error_hint}"), soft_wrap=True)


def _bar(console: Console, share: float) -> Text:
    if console.width < _MIN_WIDTH_FOR_BAR:
        return Text(f"{percent(share):>6}")
    full, empty = ("#", ".") if console.options.ascii_only else ("█", "░")
    filled = round(_BAR_WIDTH * min(max(share, 0.0), 1.0))
    bar = Text(full * filled, style="green").append(empty * (_BAR_WIDTH - filled), style="dim")
    return bar.append(f" {percent(share):>6}", style="default")


def _spread(spread: Spread | None, form: str) -> str:
    return "/".join(f"{value:{form}}" for value in spread) if spread else "-"


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)


def _table(*headers: str, text_columns: int = 1) -> Table:
    """A table; its first columns hold text on the left, the others numbers on the right."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for header in headers[:text_columns]:
        table.add_column(header, overflow="fold", min_width=_MIN_TEXT_WIDTH)
    for header in headers[text_columns:]:
        table.add_column(header, justify="right", overflow="fold", no_wrap=True)
    return table


def _name(console: Console, text: str, style: str = "") -> Text:
    """Text that may contain anything; on a console without Unicode in ASCII."""
    shown = escape_control(text)
    if console.options.ascii_only:
        shown = shown.encode("ascii", "backslashreplace").decode("ascii")
    return Text(shown, style=style)


def _print(console: Console, text: str, style: str = "") -> None:
    console.print(_name(console, text, style))


def _print_table(console: Console, table: Table) -> None:
    console.print("", table, "", sep="\n")


def _print_path(console: Console, what: str, path: Path) -> None:
    # Not wrapped: a path with a line break in it cannot be copied.
    console.print(Text(f"{what} ") + _name(console, str(path), "bold"), soft_wrap=True)


def _print_warnings(console: Console, warnings: Sequence[str]) -> None:
    for warning in warnings:
        console.print(Text("Warning: ", style="bold yellow") + _name(console, warning))
