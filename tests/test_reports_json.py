"""Predictions, evaluations and training histories as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from activity_cli.reports.text import visible
from activity_cli.results import Baseline, ClassScore, EpochRecord, EvaluationResult, Prediction
from activity_cli.writers.csv_rows import (
    HISTORY_COLUMNS,
    PREDICTION_COLUMNS,
    prediction_header,
    prediction_row,
    write_history_csv,
)
from activity_cli.writers.json_lines import evaluation_document, prediction_line

HOSTILE_NAMES = (
    'quote".mp4',
    "new\nline.mp4",
    "return\rhome.mp4",
    "\x1b[31mred.mp4",
    "über-手.mp4",
    "undecodable\udcff.mp4",
    "line\u2028separator.mp4",
    "comma, semicolon; tab\t.mp4",
)


def answer(source: str = "clip.mp4") -> Prediction:
    return Prediction(
        source,
        "ok",
        label="wave",
        confidence=0.93004,
        scores={"wave": 0.93004, "bend": 0.04},
        duration_seconds=2.44004,
        frames_used=16,
        model="activity@3fa9c1d2",
    )


def failure(source: str = "broken.mp4") -> Prediction:
    return Prediction(
        source,
        "error",
        error_code="video.undecodable",
        error_message="No frame could be read.",
        error_hint="Convert it.",
    )


def evaluation() -> EvaluationResult:
    return EvaluationResult(
        model="activity@3fa9c1d2",
        prepared=Path("prepared"),
        split="test",
        num_clips=3,
        labels=("wave", "bend"),
        accuracy=2 / 3,
        macro_f1=math.nan,
        classes=(ClassScore("wave", 1.0, 0.5, 2 / 3, 2), ClassScore("bend", 0.5, 1.0, 2 / 3, 1)),
        confusion=((1, 1), (0, 1)),
        baselines=(
            Baseline("majority_class", "always the most frequent", 1 / 3, 0.25),
            Baseline("middle_frame", "one frame", None, None, "no frame classifier"),
        ),
        warnings=("Only 3 clips.",),
    )


def test_answer_has_exactly_this_shape() -> None:
    assert prediction_line(answer()) == (
        '{"schema": "activity.prediction/1", "source": "clip.mp4", "status": "ok", "label": "wave", '
        '"confidence": 0.93, "scores": {"wave": 0.93, "bend": 0.04}, "duration_seconds": 2.44, '
        '"frames_used": 16, "model": "activity@3fa9c1d2"}'
    )


def test_failure_has_exactly_this_shape() -> None:
    assert prediction_line(failure()) == (
        '{"schema": "activity.prediction/1", "source": "broken.mp4", "status": "error", '
        '"error": {"code": "video.undecodable", "message": "No frame could be read.", "hint": "Convert it."}}'
    )


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_any_name_is_one_ascii_line_and_comes_back_whole(name: str) -> None:
    for line in (prediction_line(answer(name)), prediction_line(failure(name))):
        assert line.isascii()
        assert len(line.splitlines()) == 1
        assert json.loads(line)["source"] == name


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_null(value: float) -> None:
    prediction = Prediction("a", "ok", "x", value, {"x": value}, value)
    parsed = json.loads(prediction_line(prediction), parse_constant=pytest.fail)
    assert (parsed["confidence"], parsed["scores"], parsed["duration_seconds"]) == (None, {"x": None}, None)


def test_scores_keep_their_order() -> None:
    prediction = Prediction("a", "ok", "z", 0.6, {"z": 0.6, "a": 0.3, "m": 0.1})
    assert list(json.loads(prediction_line(prediction))["scores"]) == ["z", "a", "m"]


def test_evaluation_has_every_field() -> None:
    parsed = json.loads(evaluation_document(evaluation()), parse_constant=pytest.fail)
    assert list(parsed) == [
        "schema",
        "model",
        "prepared",
        "split",
        "num_clips",
        "labels",
        "accuracy",
        "macro_f1",
        "classes",
        "confusion",
        "baselines",
        "warnings",
    ]
    assert parsed["schema"] == "activity.evaluation/1"
    assert parsed["accuracy"] == 0.666667
    assert parsed["macro_f1"] is None
    assert parsed["classes"][0] == {
        "label": "wave",
        "precision": 1.0,
        "recall": 0.5,
        "f1": 0.666667,
        "support": 2,
    }
    assert parsed["confusion"] == {"labels": ["wave", "bend"], "rows": [[1, 1], [0, 1]]}
    assert parsed["baselines"][1] == {
        "name": "middle_frame",
        "description": "one frame",
        "accuracy": None,
        "macro_f1": None,
        "reason": "no frame classifier",
    }
    assert parsed["warnings"] == ["Only 3 clips."]


def test_evaluation_is_readable() -> None:
    lines = evaluation_document(evaluation()).splitlines()
    assert '  "model": "activity@3fa9c1d2",' in lines
    assert "      [1, 1]," in lines, "a row of the matrix is a line"


def test_csv_has_a_cell_for_each_column() -> None:
    assert prediction_header() == (
        "source,status,label,confidence,duration_seconds,frames_used,model,error_code,error_message"
    )
    assert prediction_row(answer()) == "clip.mp4,ok,wave,0.93,2.44,16,activity@3fa9c1d2,,"
    expected = "broken.mp4,error,,,,,,video.undecodable,No frame could be read."
    assert prediction_row(failure()) == expected


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_csv_reads_back(name: str) -> None:
    text = "\r\n".join((prediction_header(), prediction_row(answer(name)), prediction_row(failure(name))))
    text.encode("utf-8")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert [len(row) for row in rows] == [len(PREDICTION_COLUMNS)] * 3
    assert {row[0] for row in rows[1:]} == {name.replace("\udcff", r"\udcff")}


def test_history_csv(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    before = EpochRecord(1, 2.0, 0.25, 2.0, 0.25, 0.5, encoder_learns=False)
    write_history_csv(path, [before, EpochRecord(1, 1.23456789, 0.5, math.nan, 0.25, 3.14159)])
    with path.open(newline="") as file:
        header, head, row = csv.reader(file)
    assert tuple(header) == HISTORY_COLUMNS
    assert head == ["1", "2.0", "0.25", "2.0", "0.25", "0.5", "frozen"]
    assert row == ["1", "1.234568", "0.5", "", "0.25", "3.142", "learns"]
    assert list(tmp_path.iterdir()) == [path]


def test_visible_escapes_what_is_hidden_and_nothing_else() -> None:
    assert visible("a\nb\x1b\udcff\u202e\u2028") == r"a\nb\x1b\udcff\u202e\u2028"
    assert visible("Prüfung 手を振る [red] \U0001f600 e\u0301") == "Prüfung 手を振る [red] \U0001f600 e\u0301"


def test_the_fast_path_stays_light() -> None:
    code = (
        "import sys, activity_cli.writers.json_lines, activity_cli.writers.csv_rows; "
        "print([name for name in ('rich', 'cv2', 'numpy', 'tensorflow') if name in sys.modules])"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
