"""predict: the answers and their form, for inputs of every kind."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

import activity_cli
from activity_cli import Recognizer, VideoError
from conftest import draw_video

Activity = Callable[..., Result]
OK_KEYS = [
    "schema", "source", "status", "label", "confidence", "scores", "duration_seconds", "frames_used", "model",
    "warnings",
]  # fmt: skip
ERROR_KEYS = ["schema", "source", "status", "error", "warnings"]
PACKAGE = Path(activity_cli.__file__).parent


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.stdout.endswith("\n")
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def video(videos: Path) -> Path:
    return videos / "left" / "person1_0.avi"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not a video at all" * 100)
    return path


def test_an_answer_has_exactly_these_keys(activity: Activity, model: Path, video: Path) -> None:
    result = activity("predict", video, "--model", model)
    assert result.exit_code == 0
    assert result.stderr == ""
    (answer,) = lines(result)
    assert list(answer) == OK_KEYS
    assert answer["schema"] == "activity.prediction/1"
    assert answer["source"] == str(video)
    assert answer["status"] == "ok"
    assert answer["model"] == Recognizer(model).name
    assert answer["frames_used"] == 6
    assert answer["warnings"] == []
    assert answer["duration_seconds"] == pytest.approx(13 / 12, abs=0.01)


def test_scores_are_ordered_and_sum_to_one(activity: Activity, model: Path, video: Path) -> None:
    (answer,) = lines(activity("predict", video, "--model", model))
    scores = list(answer["scores"].values())
    assert sum(scores) == pytest.approx(1, abs=2e-4)
    assert scores == sorted(scores, reverse=True)
    assert set(answer["scores"]) == {"left", "right", "up"}
    assert next(iter(answer["scores"].items())) == (answer["label"], answer["confidence"])


def test_a_broken_file_gets_an_error_line_and_the_others_are_answered(
    activity: Activity, model: Path, video: Path, broken: Path, tmp_path: Path
) -> None:
    inputs = [video, broken, tmp_path / "missing.mp4", video]
    result = activity("predict", *inputs, "--model", model)
    assert result.exit_code == 1
    answers = lines(result)
    assert [answer["source"] for answer in answers] == [str(path) for path in inputs]
    assert [answer["status"] for answer in answers] == ["ok", "error", "error", "ok"]
    for answer in answers[1:3]:
        assert list(answer) == ERROR_KEYS
        assert list(answer["error"]) == ["code", "message", "hint"]
        assert all(answer["error"].values())
    assert [answer["error"]["code"] for answer in answers[1:3]] == ["video.undecodable", "video.missing"]
    first, second = result.stderr.splitlines()
    assert "broken.mp4" in first
    assert "missing.mp4" in second
    assert activity("predict", *inputs, "--model", model, "--quiet").stderr == result.stderr


def test_the_line_of_an_error_has_the_path_as_typed(activity: Activity, model: Path, broken: Path) -> None:
    result = activity("predict", broken, broken.parent / "missing.mp4", "--model", model)
    for line, path in zip(result.stderr.splitlines(), (broken, broken.parent / "missing.mp4"), strict=True):
        assert line.startswith(f"activity: {path}: ")


def test_answers_come_in_the_order_of_the_inputs(activity: Activity, model: Path, videos: Path) -> None:
    inputs = sorted(videos.rglob("*.avi"), key=lambda path: path.name[::-1])[:12]
    result = activity("predict", *inputs, "--model", model)
    assert [answer["source"] for answer in lines(result)] == [str(path) for path in inputs]


def test_a_folder_stands_for_the_videos_in_it(activity: Activity, model: Path, videos: Path, tmp_path: Path) -> None:
    (tmp_path / "more" / "deep").mkdir(parents=True)
    for name in ("b.avi", "a.AVI", "deep/c.avi"):
        shutil.copy(videos / "up" / "person2_0.avi", tmp_path / "more" / name)
    (tmp_path / "more" / "notes.txt").write_text("not a video")
    result = activity("predict", tmp_path / "more", "--model", model)
    assert result.exit_code == 0
    found = [Path(answer["source"]).relative_to(tmp_path / "more").as_posix() for answer in lines(result)]
    assert found == ["a.AVI", "b.avi", "deep/c.avi"]


def test_a_folder_without_videos_is_an_error_line(activity: Activity, model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = activity("predict", tmp_path / "empty", "--model", model)
    assert result.exit_code == 1
    (answer,) = lines(result)
    assert answer["error"]["code"] == "video.none"
    assert answer["source"] == str(tmp_path / "empty")


def test_a_name_that_is_too_long_does_not_stop_the_others(activity: Activity, model: Path, video: Path) -> None:
    result = activity("predict", "x" * 5000, video, "--model", model)
    assert result.exit_code == 1
    assert [answer["status"] for answer in lines(result)] == ["error", "ok"]


def test_a_source_is_written_as_it_was_given(
    activity: Activity, model: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(video.parent)
    inputs = ["./person1_0.avi", "person1_0.avi", "../left//person1_0.avi", "./person1_0.avi", "./missing.avi"]
    result = activity("predict", *inputs, "--model", model)
    assert [answer["source"] for answer in lines(result)] == inputs


def test_names_that_are_not_utf8_are_escaped_in_json(
    activity: Activity, model: Path, video: Path, tmp_path: Path
) -> None:
    odd = Path(shutil.copy(video, tmp_path / os.fsdecode(b"b\xe4r.avi")))
    other_model = shutil.copytree(model, tmp_path / os.fsdecode(b"mod\xe4l"))
    result = activity("predict", odd, tmp_path / os.fsdecode(b"gone\xe4.avi"), "--model", other_model)
    answers = lines(result)
    assert [answer["status"] for answer in answers] == ["ok", "error"]
    assert answers[0]["source"] == str(tmp_path / "b\\udce4r.avi")
    json.dumps(answers, ensure_ascii=False).encode("utf-8")  # readers of JSON in other languages refuse surrogates


def test_an_empty_name_is_not_the_current_folder(activity: Activity, model: Path, video: Path) -> None:
    result = activity("predict", video, "", "--model", model)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "The value is empty." in result.stderr


def test_short_videos_are_answered_from_the_frames_they_have(activity: Activity, model: Path, tmp_path: Path) -> None:
    inputs = [draw_video(tmp_path / f"{count}.avi", num_frames=count) for count in (1, 2, 5)]
    answers = lines(activity("predict", *inputs, "--model", model))
    assert [answer["frames_used"] for answer in answers] == [1, 2, 5]
    assert {answer["status"] for answer in answers} == {"ok"}


def test_csv_has_a_row_for_each_input(activity: Activity, model: Path, video: Path, broken: Path) -> None:
    result = activity("predict", video, broken, "--model", model, "--format", "csv")
    assert result.exit_code == 1
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["status"] for row in rows] == ["ok", "error"]
    (answer,) = lines(activity("predict", video, "--model", model))
    assert rows[0]["label"] == answer["label"]
    assert float(rows[0]["confidence"]) == answer["confidence"]
    assert {name: float(rows[0][f"scores.{name}"]) for name in answer["scores"]} == answer["scores"]
    assert rows[1]["error_code"] == "video.undecodable"
    assert (rows[1]["label"], rows[1]["scores.left"]) == ("", "")


def test_jsonl_is_the_same_as_json(activity: Activity, model: Path, video: Path, broken: Path) -> None:
    inputs = ("predict", video, broken, "--model", model, "--format")
    assert activity(*inputs, "jsonl").stdout == activity(*inputs, "json").stdout


def test_a_prediction_as_a_dict_is_what_the_command_line_writes(activity: Activity, model: Path, video: Path) -> None:
    assert lines(activity("predict", video, "--model", model)) == [Recognizer(model).predict(video).to_dict()]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("rtsp://camera.local:554/stream1", "an address (rtsp://)"),
        ("https://example.com/clip.mp4", "an address (https://)"),
        ("file:///tmp/clip.mp4", "an address (file://)"),
        ("v4l2:///dev/video0", "an address (v4l2://)"),
        ("0", "a camera"),
    ],
)
def test_addresses_and_cameras_are_an_honest_error(
    activity: Activity, model: Path, source: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = activity("predict", source, "--model", model)
    (answer,) = lines(result)
    assert (result.exit_code, answer["source"], answer["error"]["code"]) == (1, source, "video.unsupported")
    assert answer["error"]["message"] == (
        f"{Path(source).name}: {what}, but without --timeline, and in a list, activity reads only files."
    )
    assert "ffmpeg -i" in answer["error"]["hint"]
    with pytest.raises(VideoError, match=re.escape(what)):
        Recognizer(model).predict(source)


def test_a_file_may_have_the_name_of_a_camera_or_look_like_an_address(
    activity: Activity, model: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rtsp:").mkdir()
    shutil.copy(video, "0")
    shutil.copy(video, "rtsp:/camera")
    answers = lines(activity("predict", "0", "rtsp://camera", "--model", model))
    assert [answer["status"] for answer in answers] == ["ok", "ok"]


@pytest.mark.parametrize("words", [("predict",), ("prepare", "--out", "out")])
def test_a_pipe_in_a_folder_is_not_opened(
    command: list[str], model: Path, videos: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    for label in ("left", "up"):
        shutil.copytree(videos / label, tmp_path / "videos" / label)
    pipe = tmp_path / "videos" / "left" / "pipe.mp4"
    os.mkfifo(pipe)
    options = ["--model", str(model)] if words == ("predict",) else ["--streams", "appearance"]
    done = subprocess.run(
        [*command, words[0], "videos", *words[1:], *options], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    if words == ("predict",):
        failed = [answer for answer in map(json.loads, done.stdout.splitlines()) if answer["status"] == "error"]
        assert [answer["source"] for answer in failed] == ["videos/left/pipe.mp4"]
        assert "a pipe or a device" in failed[0]["error"]["message"]
    else:
        assert "a pipe or a device" in (tmp_path / "out" / "manifest.csv").read_text()


def test_a_table_names_every_input(activity: Activity, model: Path, video: Path, broken: Path) -> None:
    result = activity("predict", video, broken, "--model", model, "--format", "table", env={"COLUMNS": "300"})
    assert result.exit_code == 1
    assert video.name in result.stdout
    assert "video.undecodable" in result.stdout
    assert "\x1b" not in result.stdout


def test_a_model_that_is_not_there_is_refused(activity: Activity, video: Path, tmp_path: Path) -> None:
    result = activity("predict", video, "--model", tmp_path / "nothing")
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert str(tmp_path / "nothing") in line


def test_the_trained_model_is_found_without_naming_it(
    activity: Activity, model: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model, tmp_path / "models" / "activity")
    result = activity("predict", video)
    assert result.exit_code == 0
    assert result.stderr == ""
    (answer,) = lines(result)
    assert answer["model"] == Recognizer(model).name
    assert answer["warnings"] == []


def test_a_link_to_a_model_that_is_gone_is_an_error(
    activity: Activity, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "activity").symlink_to("gone")
    result = activity("predict", video)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "No model at 'models/activity'" in result.stderr


def test_only_who_asks_for_the_sample_model_gets_it_without_a_warning(
    activity: Activity, model: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    forgotten, asked = (activity("predict", video, *words) for words in ((), ("--model", "sample")))
    assert (forgotten.exit_code, asked.exit_code, asked.stderr) == (0, 0, "")
    (line,) = forgotten.stderr.splitlines()
    assert line.startswith("warning: There is no model in models/activity, so predict uses the sample model, which")
    (first,), (second,) = lines(forgotten), lines(asked)
    assert first["model"] == second["model"]
    assert first["model"].startswith("sample@")
    assert [warning["code"] for warning in first["warnings"]] == ["model.sample"]
    assert second == first | {"warnings": []}
    quiet = activity("predict", video, "--quiet", "--format", "csv")
    assert quiet.stderr == ""
    assert next(csv.DictReader(io.StringIO(quiet.stdout)))["warnings"].startswith("[model.sample] There is no model")
    assert [warning.code for warning in Recognizer().predict(video).warnings] == ["model.sample"]
    shutil.copytree(model, tmp_path / "sample")
    assert lines(activity("predict", video, "--model", "sample"))[0]["model"] == Recognizer(model).name


@pytest.mark.slow
@pytest.mark.parametrize("place", ["models/sample", "activity_cli/models/sample", None])
def test_without_a_trained_model_predict_uses_the_sample_model(
    model: Path, video: Path, tmp_path: Path, place: str | None
) -> None:
    """The sample model is beside the package in a clone, inside it in an installation."""
    site = tmp_path / "site"
    shutil.copytree(PACKAGE, site / "activity_cli", ignore=shutil.ignore_patterns("__pycache__"))
    if place:
        shutil.copytree(model, site / place)
    words = [sys.executable, "-m", "activity_cli", "predict", str(video)]
    environment = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    (line,) = done.stderr.splitlines()
    if place:
        assert done.returncode == 0
        assert json.loads(done.stdout)["model"] == Recognizer(model).name
        assert "sample model" in line
        assert "left, right, up" in line
        words.append("--quiet")
        quiet = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert (quiet.returncode, quiet.stderr) == (0, "")
    else:
        assert (done.returncode, done.stdout) == (2, "")
        assert "activity train" in line
