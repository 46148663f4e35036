"""Results as tables: what stands in them, for every width, color and name."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from activity_cli.reports.console import (
    print_encoders,
    print_evaluation,
    print_layers,
    print_predictions,
    print_preparation,
    print_training,
)
from activity_cli.reports.summaries import mistakes, parameter_totals, summarize_labels
from activity_cli.reports.text import duration, percent, points
from activity_cli.results import (
    Baseline,
    ClassScore,
    ClipAnswer,
    ClipRecord,
    EpochRecord,
    EvaluationResult,
    HeadScore,
    LayerRow,
    LeakReport,
    MetadataShortcut,
    Prediction,
    PrepareResult,
    RelatedPair,
    TrainResult,
)
from activity_cli.settings.encoders import EncoderSpec

HOSTILE = "[red]evil[/red]:smile:\n\x1b[2J\udcff"
SHOWN = r"[red]evil[/red]:smile:\n\x1b[2J\udcff"
ESCAPE = "\x1b"


def console(width: int = 120, *, color: bool = False, encoding: str = "utf-8") -> Console:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    return Console(file=file, width=width, force_terminal=color, no_color=not color, legacy_windows=False)


def printed(to: Console) -> str:
    file = to.file
    assert isinstance(file, io.TextIOWrapper)
    file.flush()
    assert isinstance(file.buffer, io.BytesIO)
    return file.buffer.getvalue().decode(file.encoding)


def row_with(text: str, first: str) -> list[str]:
    """The cells of the one line that begins with a name."""
    (line,) = [line for line in text.splitlines() if re.match(rf"\s*{re.escape(first)}(\s|$)", line)]
    return line.split()


def kept(label: str, index: int, split: str, frames: int, seconds: float = 2.0) -> ClipRecord:
    return ClipRecord(
        f"{label}/{index}.mp4",
        label,
        f"person{index % 2}",
        split,
        "ok",
        "",
        num_frames=frames,
        duration_seconds=seconds,
    )


def test_the_lengths_of_segments_are_not_those_of_their_videos() -> None:
    records = [
        replace(kept("wave", 0, "train", 300, 10.0), start_seconds=start, end_seconds=start + 2) for start in (1, 5)
    ]
    [summary] = summarize_labels(["wave"], records)
    assert (summary.frames, summary.seconds) == ((60, 60, 60), (2, 2, 2))


def preparation(num_rejected: int = 1) -> PrepareResult:
    records = [
        kept("wave", 0, "train", 40),
        kept("wave", 1, "train", 60, 4.5),
        kept("wave", 2, "test", 50),
        kept(HOSTILE, 3, "val", 9, 0.0),
        ClipRecord("notes.txt", "", "", "", "ignored", "not a video"),
        ClipRecord("wave/copy.mp4", "wave", "", "", "duplicate", "same as wave/0.mp4"),
    ]
    records += [
        ClipRecord(f"wave/bad{index:02d}.mp4", "wave", "", "", "rejected", f"[video.empty] {HOSTILE}")
        for index in range(num_rejected)
    ]
    return PrepareResult(
        Path("prepared"),
        "a folder each",
        ("wave", HOSTILE),
        tuple(records),
        ("appearance", "pose"),
        (f"few {HOSTILE}",),
        ("Nobody was found in a sample of 2 videos, so the hands stream is left out.",),
        Path("sheet.png"),
        Path("pose_sheet.png"),
        leaks(records[:3]),
        Path("leaks.json"),
        Path("leaks.png"),
        3,
        1,
    )


def leaks(clips: Sequence[ClipRecord]) -> LeakReport:
    shortcuts = (MetadataShortcut("length", 0.25, 0.5, False), MetadataShortcut("all together", 0.5, 0.5, False))
    pairs = (RelatedPair("near_duplicate", clips[0], clips[1]), RelatedPair("same_source", clips[0], clips[2]))
    return LeakReport("similarity", True, 4, 3, 0.5, 1, 0, 0.0, 0.36, 0.0, shortcuts, pairs)


LAYERS = (
    LayerRow("frames", "FrameEncoder", 0, "(16, 1280)", 1_000_100, False),
    LayerRow("mobile", "Functional", 1, "(1280,)", 1_000_100, False),
    LayerRow("conv", "Conv2D", 2, "(48, 48, 32)", 1_000_000, False),
    LayerRow("norm", "BatchNormalization", 2, "(48, 48, 32)", 100, False),
    LayerRow("lstm", "LSTM", 0, "(128,)", 721_408, True),
    LayerRow("classes", "Dense", 0, "(2,)", 258, True),
)


def training() -> TrainResult:
    history = tuple(EpochRecord(n, "main", 1 / n, 0.5 + n / 10, 2 / n, 0.4 + n / 10, 31.0) for n in (1, 2, 3))
    return TrainResult(
        model=Path("models/activity"),
        name="activity@3fa9",
        labels=("a", "b"),
        history=history,
        best_epoch=2,
        interrupted=False,
        litert_max_abs_difference=3.2e-7,
        history_picture=Path("h.png"),
        heads=(HeadScore("pose", "recurrent", 0.5, 0.55), HeadScore(HOSTILE, "linear", 1.0, None)),
        dropped=("motion", "hands"),
        val_accuracy=0.6,
        val_loss=1.0,
    )


def evaluation(labels: tuple[str, ...], confusion: tuple[tuple[int, ...], ...]) -> EvaluationResult:
    clips = sum(map(sum, confusion))
    accuracy = sum(row[index] for index, row in enumerate(confusion)) / clips
    return EvaluationResult(
        "activity@3fa9",
        Path("prepared"),
        "test",
        clips,
        labels,
        accuracy,
        0.7,
        tuple(ClassScore(label, 0.25, 0.5, 0.333, 7) for label in labels),
        confusion,
        (
            Baseline("frame_average", "single frames, averaged", 0.5, 0.4),
            Baseline("middle_frame", "one frame", None, None, "no frame classifier"),
        ),
        (HeadScore("pose", "recurrent", 0.75, 0.8125), HeadScore(HOSTILE, "linear", 0.25, None)),
        ("Only few clips.",),
        (ClipAnswer("wave/1.mp4", None, None, "wave", "wave", 0.9),),
    )


SMALL = evaluation(("wave", HOSTILE), ((6, 2), (0, 8)))
WIDE = evaluation(
    tuple(f"activity_{index:02d}" for index in range(30)),
    tuple(tuple(9 if i == j else 4 if (i, j) == (3, 7) else 0 for j in range(30)) for i in range(30)),
)
PREDICTIONS = (
    Prediction("wave.mp4", "ok", "wave", 0.934, {"wave": 0.934, HOSTILE: 0.04}, 2.44, 16, "m"),
    Prediction(HOSTILE, "ok", "bend", 0.5, {"bend": 0.5}, 1.0, 16, "m"),
    Prediction("bad.mp4", "error", error_code="video.empty", error_message=HOSTILE, error_hint="Convert it."),
)


ENCODERS = [
    EncoderSpec(
        "tiny", "For more words than fit into one line of a table. " * 3, 64, (), 1_234_567, 96, pretrained=False
    ),
    EncoderSpec(HOSTILE, "For nobody.", 2048, (), 23_587_712),
]


def print_everything(to: Console) -> None:
    print_encoders(to, ENCODERS)
    print_preparation(to, preparation(14))
    print_layers(to, LAYERS)
    print_training(to, training(), 93.0)
    print_evaluation(to, SMALL)
    print_evaluation(to, WIDE)
    print_predictions(to, PREDICTIONS)


def test_preparation_counts_by_label() -> None:
    to = console()
    print_preparation(to, preparation())
    text = printed(to)
    assert row_with(text, "wave") == ["wave", "2", "0", "1", "2", "40/50/60", "2.0/2.0/4.5"]
    assert row_with(text, SHOWN) == [SHOWN, "0", "1", "0", "1", "9/9/9", "-"]
    assert row_with(text, "all") == ["all", "2", "1", "1"]
    assert "1 rejected, 1 duplicate, 1 ignored" in text
    assert "notes.txt" not in text, "counted, and listed in the manifest only"
    assert f"Warning: few {SHOWN}" in text
    assert "more in manifest.csv" not in text


def test_preparation_lists_ten_files_and_counts_the_others() -> None:
    to = console()
    print_preparation(to, preparation(14))
    text = printed(to)
    assert len(re.findall(r"^  rejected ", text, re.MULTILINE)) == 10
    assert "and 5 more in manifest.csv" in text


def test_layers_count_a_container_once() -> None:
    to = console()
    print_layers(to, LAYERS)
    text = printed(to)
    assert "1,721,766 parameters: 721,666 trainable, 1,000,100 frozen." in text
    assert "    conv" in text, "two levels deep"
    assert row_with(text, "conv")[-2:] == ["1,000,000", "frozen"]


def test_a_container_without_its_layers_counts_itself() -> None:
    assert parameter_totals(LAYERS[:1]) == (0, 1_000_100)


def test_encoders_show_their_size_and_when_to_use_them() -> None:
    to = console()
    print_encoders(to, ENCODERS)
    text = printed(to)
    assert row_with(text, "tiny") == ["tiny", "none", "64", "1,234,567", "96", "(from", "32)"]
    assert row_with(text, SHOWN)[1:5] == ["download,", "94", "MB", "2048"]
    assert "For nobody." in text


def test_training_shows_the_best_epoch_and_the_heads() -> None:
    to = console()
    print_training(to, training(), 93.0)
    text = printed(to)
    assert "Trained activity@3fa9 on 2 activities in 1 min 33 s" in text
    assert "3 epochs." in text
    assert row_with(text, "training, epoch 2")[-2:] == ["0.5000", "70.0%"]
    assert row_with(text, "clips that it was not trained on")[-2:] == ["1.0000", "60.0%"]
    assert row_with(text, "pose") == ["pose", "recurrent", "0.50", "55.0%"]
    assert row_with(text, SHOWN) == [SHOWN, "linear", "1.00", "-"]
    assert "did not help, which the model does not read: motion, hands." in text
    assert "The model has the weights of epoch 2" in text
    assert "3.2e-07" in text


def test_training_without_validation_clips_shows_no_validation() -> None:
    to = console()
    print_training(to, replace(training(), val_loss=None, val_accuracy=None, dropped=()), 93.0)
    text = printed(to)
    assert "not trained on" not in text
    assert "did not help" not in text


def test_heads_that_were_solved_for_took_no_epochs() -> None:
    to = console()
    print_training(to, replace(training(), history=(), best_epoch=0, history_picture=None), 93.0)
    text = printed(to)
    assert "epoch" not in text
    assert row_with(text, "pose") == ["pose", "recurrent", "0.50", "55.0%"]


def test_training_counts_the_epochs_of_each_stage() -> None:
    history = training().history
    stages = [replace(record, stage=stage) for stage in ("warm-up", "main", "refit") for record in history]
    to = console()
    print_training(to, replace(training(), history=(*stages[:5], *stages[6:]), refitted=True), 93.0)
    text = printed(to)
    assert "8 epochs (3 warm-up, 2 main, 3 refit)." in text
    assert row_with(text, "training, epoch 2")[-2:] == ["0.5000", "70.0%"]
    assert "trained again (refit) on the training and validation clips together." in text


def test_an_interrupted_refit_leaves_the_weights_of_the_best_epoch() -> None:
    to = console()
    record = EpochRecord(1, "refit", 9.0, 0.1, float("nan"), float("nan"), 1.0)
    print_training(to, replace(training(), history=(*training().history, record), interrupted=True), 93.0)
    text = printed(to)
    assert "4 epochs (3 main, 1 refit), then interrupted." in text
    assert "The model has the weights of epoch 2" in text


def test_evaluation_compares_the_model_with_the_baselines() -> None:
    to = console()
    print_evaluation(to, SMALL)
    text = printed(to)
    assert "Accuracy 87.5%, macro F1 70.0% (14 of 16 clips correct)" in text
    assert row_with(text, "frame average") == ["frame", "average", "50.0%", "40.0%", "+37.5", "points"]
    assert row_with(text, "middle frame") == ["middle", "frame", "-", "-", "-"]
    assert row_with(text, "pose") == ["pose", "recurrent", "0.75", "81.2%"]
    assert [SHOWN, "linear", "0.25", "-"] in [line.split() for line in text.splitlines()]
    assert "no frame classifier" in text
    assert "Warning: Only few clips." in text


def test_evaluation_lists_twenty_wrong_clips_most_confident_first() -> None:
    wrong = [ClipAnswer(f"wave/{number:02d}.mp4", None, None, "wave", HOSTILE, number / 25) for number in range(22)]
    part = ClipAnswer("match.mp4", 3.0, 5.5, HOSTILE, "wave", 0.9)
    to = console()
    print_evaluation(to, replace(SMALL, clips=(*SMALL.clips, *wrong, part)))
    text = printed(to).split("Clips with a wrong prediction, most confident first")[1]
    rows = [line.split() for line in text.splitlines() if ".mp4" in line]
    assert rows[0] == ["match.mp4,", "3.0", "to", "5.5", "s", SHOWN, "wave", "90.0%"]
    assert rows[1] == ["wave/21.mp4", "wave", SHOWN, "84.0%"]
    assert rows[-1][0] == "wave/03.mp4" and len(rows) == 20
    assert "and 3 more." in text
    to = console()
    print_evaluation(to, SMALL)
    assert "wrong prediction" not in printed(to)


def test_a_label_without_clips_has_dashes() -> None:
    to = console()
    print_evaluation(to, replace(SMALL, classes=(ClassScore("idle", None, None, None, 0), *SMALL.classes)))
    assert row_with(printed(to), "idle") == ["idle", "-", "-", "-", "0"]


def test_confusion_marks_the_diagonal_and_dots_the_zeros() -> None:
    to = console(color=True)
    print_evaluation(to, SMALL)
    matrix = printed(to).split("Confusion matrix", 1)[1]
    assert re.findall(r"\x1b\[1;32m *(\d+)\x1b\[0m", matrix) == ["6", "8"]
    assert re.findall(r"\x1b\[2m *(\S)\x1b\[0m", matrix) == ["·"]


def test_a_wide_matrix_gets_numbers_and_then_becomes_a_list() -> None:
    wide, narrow = console(140), console(80)
    print_evaluation(wide, WIDE)
    print_evaluation(narrow, WIDE)
    assert row_with(printed(wide), "4 activity_03").count("·") == 28
    assert "Most frequent mistakes" not in printed(wide)
    assert "Most frequent mistakes" in printed(narrow)
    mistaken = printed(narrow).split("Most frequent mistakes")[1]
    assert row_with(mistaken, "activity_03") == ["activity_03", "activity_07", "4", "30.8%"]


def test_predictions_show_second_best_and_failures() -> None:
    to = console()
    print_predictions(to, PREDICTIONS)
    text = printed(to)
    assert "█████████░  93.4%" in text
    assert f"{SHOWN} 4.0%" in text
    assert f"bad.mp4: {SHOWN} (video.empty)" in text
    assert "Convert it." in text


def test_no_predictions_print_nothing() -> None:
    to = console()
    print_predictions(to, ())
    assert printed(to) == ""


def test_no_color_means_no_escape_codes_even_from_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    to = Console(file=io.StringIO(), width=100)
    print_everything(to)
    assert isinstance(to.file, io.StringIO)
    assert "Accuracy" in to.file.getvalue()
    assert ESCAPE not in to.file.getvalue()


def test_names_cannot_add_control_codes_to_a_colored_terminal() -> None:
    to = console(200, color=True)
    print_everything(to)
    without_colors = re.sub(r"\x1b\[[0-9;]*m", "", printed(to))
    assert ESCAPE not in without_colors
    assert SHOWN in without_colors


@pytest.mark.parametrize("width", [20, 60, 80])
def test_tables_fit_narrow_consoles(width: int) -> None:
    to = console(width)
    print_evaluation(to, SMALL)
    print_layers(to, LAYERS)
    assert max(map(len, printed(to).splitlines())) <= width
    print_everything(to)


def test_numbers_are_whole_at_60_columns() -> None:
    to = console(60)
    print_preparation(to, preparation())
    assert "40/50/60  2.0/2.0/4.5" in printed(to)


@pytest.mark.parametrize("width", [30, 100])
def test_an_ascii_console_gets_ascii(width: int) -> None:
    to = console(width, encoding="ascii")
    print_everything(to)
    print_predictions(to, [Prediction("Prüfung.mp4", "ok", "手", 0.5, {"手": 0.5}, 1.0, 2, "m")])
    assert printed(to).isascii()


def test_summaries_keep_labels_without_clips() -> None:
    (summary,) = summarize_labels(["idle"], [])
    assert (summary.splits, summary.frames, summary.seconds) == ((0, 0, 0), None, None)


def test_mistakes_come_with_the_most_clips_first() -> None:
    found = mistakes(["a", "b", "c"], [[5, 1, 0], [3, 1, 0], [0, 1, 0]])
    assert [(m.truth, m.answer, m.count, m.share) for m in found] == [
        ("b", "a", 3, 0.75),
        ("c", "b", 1, 1.0),
        ("a", "b", 1, 1 / 6),
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (125, "2 min 05 s"), (3725, "1 h 02 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_percent_and_points() -> None:
    assert (percent(0.8333), points(0.125), points(-0.031), points(-0.0001)) == (
        "83.3%",
        "+12.5",
        "-3.1",
        "0.0",
    )
