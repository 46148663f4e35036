"""Predictions, evaluations and training histories as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from activity_cli.reports.leaks import leak_document, leak_lines
from activity_cli.reports.text import escape_control
from activity_cli.results import (
    Baseline,
    ClassScore,
    ClipRecord,
    EpochRecord,
    EvaluationResult,
    HeadScore,
    LeakReport,
    MetadataShortcut,
    Notice,
    Prediction,
    RelatedPair,
)
from activity_cli.writers.csv import (
    HISTORY_COLUMNS,
    PREDICTION_COLUMNS,
    prediction_csv,
    prediction_csv_header,
    write_history_csv,
)
from activity_cli.writers.json import evaluation_json, indented_json, record_json

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
        heads=(HeadScore("pose", "recurrent", 1 / 3, None),),
        warnings=("Only 3 clips.",),
    )


def test_answer_has_exactly_this_shape() -> None:
    assert record_json(answer()) == (
        '{"schema": "activity.prediction/1", "source": "clip.mp4", "status": "ok", "label": "wave", '
        '"confidence": 0.93, "scores": {"wave": 0.93, "bend": 0.04}, "duration_seconds": 2.44, '
        '"frames_used": 16, "model": "activity@3fa9c1d2", "warnings": []}'
    )


def test_failure_has_exactly_this_shape() -> None:
    assert record_json(failure()) == (
        '{"schema": "activity.prediction/1", "source": "broken.mp4", "status": "error", '
        '"error": {"code": "video.undecodable", "message": "No frame could be read.", "hint": "Convert it."}, '
        '"warnings": []}'
    )


def test_a_prediction_as_a_dict_is_the_line_of_json() -> None:
    doubtful = replace(answer(), warnings=(Notice("model.sample", "The sample model gave this answer."),))
    for prediction in (doubtful, failure()):
        assert json.dumps(prediction.to_dict()) == record_json(prediction)
    assert doubtful.to_dict()["warnings"] == [{"code": "model.sample", "message": "The sample model gave this answer."}]
    assert doubtful.to_dict()["scores"] == {"wave": 0.93, "bend": 0.04}


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_any_name_is_one_ascii_line_and_comes_back_as_valid_text(name: str) -> None:
    for line in (record_json(answer(name)), record_json(failure(name))):
        assert line.isascii()
        assert len(line.splitlines()) == 1
        assert json.loads(line)["source"] == name.encode("utf-8", "backslashreplace").decode()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_null(value: float) -> None:
    prediction = Prediction("a", "ok", "x", value, {"x": value}, value)
    parsed = json.loads(record_json(prediction), parse_constant=pytest.fail)
    assert (parsed["confidence"], parsed["scores"], parsed["duration_seconds"]) == (None, {"x": None}, None)


def test_scores_keep_their_order() -> None:
    prediction = Prediction("a", "ok", "z", 0.6, {"z": 0.6, "a": 0.3, "m": 0.1})
    assert list(json.loads(record_json(prediction))["scores"]) == ["z", "a", "m"]


def test_evaluation_has_every_field() -> None:
    parsed = json.loads(evaluation_json(evaluation()), parse_constant=pytest.fail)
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
        "heads",
        "warnings",
        "clips",
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
    assert parsed["heads"] == [{"stream": "pose", "kind": "recurrent", "weight": 0.333333, "accuracy": None}]
    assert parsed["warnings"] == ["Only 3 clips."]


def test_evaluation_is_readable() -> None:
    lines = evaluation_json(evaluation()).splitlines()
    assert '  "model": "activity@3fa9c1d2",' in lines
    assert "      [1, 1]," in lines, "a row of the matrix is a line"


def leaks(grouping: str = "similarity", *, suspicious: bool = False) -> LeakReport:
    first, second = (ClipRecord(name, "wave", "", "train", "ok", "", end_seconds=1.23456) for name in ("a", "b"))
    shortcuts = (MetadataShortcut("length", 0.8, 1 / 3, suspicious), MetadataShortcut("file type", 0.4, 1 / 3, False))
    pairs = (RelatedPair("near_duplicate", first, second),)
    return LeakReport(grouping, True, 9, 4, 1 / 3, 1, 1, 0.0, 0.36, 0.0, shortcuts, pairs)


def test_leak_report_has_every_field() -> None:
    parsed = json.loads(leak_document(leaks()), parse_constant=pytest.fail)
    keys = "schema grouping clips_compared num_clips num_groups largest_group_share num_near_duplicates "
    keys += "num_label_conflicts shared_place_share leaked_share_random_split leaked_share shortcuts pairs summary"
    assert list(parsed) == keys.split()
    assert parsed["schema"] == "activity.leaks/1"
    shortcut = {"name": "length", "accuracy": 0.8, "baseline_accuracy": 0.333333, "suspicious": False}
    assert parsed["shortcuts"][0] == shortcut
    clip = {"path": "a", "label": "wave", "start_seconds": 0.0, "end_seconds": 1.235, "clip": ""}
    assert parsed["pairs"] == [{"kind": "near_duplicate", "first": clip, "second": clip | {"path": "b"}}]
    assert parsed["summary"] == list(leak_lines(leaks()))


def test_leak_report_in_plain_words() -> None:
    assert "Groups: 4 given groups; the largest group has 33% of the clips." in leak_lines(leaks("given"))
    text = "\n".join(leak_lines(leaks(suspicious=True)))
    assert "1 pair of clips that are copies of one recording" in text and "Pairs with different labels: 1." in text
    assert "0% of the test clips share a recording or a place with a training clip" in text
    assert "length 80%, file type 40%. Always predicting the most frequent activity is right for 33%" in text
    assert "Metadata shortcuts: none." in "\n".join(leak_lines(leaks()))


def test_indented_json_is_the_same_json_whatever_the_names() -> None:
    value = {"rows": [[1, 2], []], "names": ["a [  b", "c ]  {", 'd"[\n  ,', "e" * 200], "of": {"x": None, "  {": {}}}
    assert json.loads(indented_json(value)) == value
    assert json.loads(indented_json([value, "[  "])) == [value, "[  "]


LABELS = ("bend", "wave")


def test_csv_has_a_cell_for_each_column() -> None:
    assert prediction_csv_header(LABELS) == (
        "source,status,label,confidence,duration_seconds,frames_used,model,error_code,error_message,warnings,reason,"
        "scores.bend,scores.wave"
    )
    assert prediction_csv(answer(), LABELS) == "clip.mp4,ok,wave,0.93,2.44,16,activity@3fa9c1d2,,,,,0.04,0.93"
    expected = "broken.mp4,error,,,,,,video.undecodable,No frame could be read.,,,,"
    assert prediction_csv(failure(), LABELS) == expected
    doubtful = replace(answer(), warnings=(Notice("a.b", "One."), Notice("c.d", "Two.")))
    assert prediction_csv(doubtful, ()).endswith(",[a.b] One. [c.d] Two.,")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_csv_reads_back(name: str) -> None:
    labels = (name, *LABELS)
    lines = prediction_csv_header(labels), prediction_csv(answer(name), labels), prediction_csv(failure(name), labels)
    text = "\r\n".join(lines)
    text.encode("utf-8")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert [len(row) for row in rows] == [len(PREDICTION_COLUMNS) + 3] * 3
    assert {row[0] for row in rows[1:]} == {name.replace("\udcff", r"\udcff")}


def test_history_csv(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    warm_up = EpochRecord(1, "warm-up", 2.0, 0.25, 2.0, 0.25, 0.5)
    write_history_csv(path, [warm_up, EpochRecord(1, "main", 1.23456789, 0.5, math.nan, 0.25, 3.14159)])
    with path.open(newline="") as file:
        header, first, second = csv.reader(file)
    assert tuple(header) == HISTORY_COLUMNS
    assert first == ["1", "2.0", "0.25", "2.0", "0.25", "0.5", "warm-up"]
    assert second == ["1", "1.234568", "0.5", "", "0.25", "3.142", "main"]
    assert list(tmp_path.iterdir()) == [path]


def test_control_characters_are_escaped_and_nothing_else() -> None:
    assert escape_control("a\nb\x1b\udcff\u202e\u2028") == r"a\nb\x1b\udcff\u202e\u2028"
    assert escape_control("Prüfung 手を振る [red] \U0001f600 e\u0301") == "Prüfung 手を振る [red] \U0001f600 e\u0301"


def test_the_fast_path_stays_light() -> None:
    code = (
        "import sys, activity_cli.writers.json, activity_cli.writers.csv; "
        "print([name for name in ('rich', 'cv2', 'numpy', 'matplotlib', 'tensorflow') if name in sys.modules])"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
