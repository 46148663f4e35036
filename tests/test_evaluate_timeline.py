"""evaluate --timeline: scores of segments against those that a person labeled, and the picture of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from activity_cli.evaluation.timeline_scores import score_timelines
from activity_cli.results import TimelineSegment
from activity_cli.video.opencv import FileSource
from person_support import write_lossless

Activity = Callable[..., Result]


def segments(*parts: tuple[str | None, float, float]) -> list[TimelineSegment]:
    return [TimelineSegment("video", label, start, end) for label, start, end in parts]


TRUTH = segments(("wave", 1, 3), ("jump", 5, 7), ("wave", 8, 10))


def test_a_perfect_answer() -> None:
    scores = score_timelines({"video": TRUTH}, {"video": TRUTH})
    assert (scores.accuracy, scores.edit, scores.seconds, scores.false_alarms_per_hour) == (1.0, 1.0, 10.0, 0.0)
    assert dict(scores.f1) == {0.1: 1.0, 0.25: 1.0, 0.5: 1.0}
    assert (scores.start_error_seconds, scores.end_error_seconds, scores.borders_within_half_second) == (0.0, 0.0, 1.0)


def test_scores_by_hand() -> None:
    answer = segments(("wave", 1, 2.5), (None, 2.5, 5), ("jump", 6, 7), ("jump", 7.5, 8), ("wave", 9.5, 10))
    scores = score_timelines({"video": TRUTH}, {"video": answer})
    # Overlaps: wave 1.5 of 2 s, jump 1 of 2 s, wave 0.5 of 2 s; the second jump is a false alarm.
    assert dict(scores.f1) == pytest.approx({0.1: 6 / 7, 0.25: 6 / 7, 0.5: 4 / 7})
    # 0.5 s of wave, 1 s of jump and 1.5 s of wave are missed, 0.5 s of a jump are too many.
    assert scores.accuracy == pytest.approx((10 - 0.5 - 1 - 1.5 - 0.5) / 10)
    assert scores.edit == pytest.approx(1 - 1 / 4)
    assert scores.start_error_seconds == pytest.approx((0 + 1 + 1.5) / 3)
    assert scores.end_error_seconds == pytest.approx((0.5 + 0 + 0) / 3)
    assert scores.borders_within_half_second == pytest.approx(4 / 6)
    assert scores.false_alarms_per_hour == pytest.approx(360)
    [jump, wave] = scores.labels
    assert (jump.label, jump.true, jump.predicted, jump.f1[0.5]) == ("jump", 1, 2, pytest.approx(2 / 3))
    assert (wave.label, wave.true, wave.predicted, wave.f1[0.5]) == ("wave", 2, 2, pytest.approx(0.5))


def test_nothing_found_and_nothing_there() -> None:
    nothing = segments((None, 0, 10))
    missed = score_timelines({"video": TRUTH}, {"video": nothing})
    assert (missed.f1[0.1], missed.edit, missed.start_error_seconds) == (0.0, 0.0, None)
    quiet = score_timelines({"video": []}, {"video": nothing})
    assert (quiet.f1[0.5], quiet.edit, quiet.accuracy) == (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def long(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video of three motions, and one that nobody labeled."""
    folder = tmp_path_factory.mktemp("long")
    frames = []
    for motion in ("left", "right", "up"):
        frames += [frame.bgr for frame in FileSource(videos / motion / "person5_0.avi").read(lambda _: True)]
    rgb = np.stack([frame[:, :, ::-1] for frame in frames if frame is not None])
    write_lossless(folder / "game.mkv", rgb, 12.0)
    write_lossless(folder / "other.mkv", rgb[:20], 12.0)
    return folder


def test_the_command(activity: Activity, model: Path, long: Path, tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text("path,label,start_seconds,end_seconds\ngame.mkv,left,0,1.4\ngame.mkv,fly,1.4,2.8\n")
    picture = tmp_path / "timeline.png"
    call = ("evaluate", model, "--timeline", long, "--truth", truth)
    result = activity(*call, "--picture", picture)
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["schema"] == "activity.timeline_evaluation/1"
    assert document["videos"] == [str(long / "game.mkv")]
    assert set(document["f1"]) == {"0.1", "0.25", "0.5"}
    assert {one["label"] for one in document["labels"]} >= {"left", "fly"}
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "other.mkv" in result.stderr
    assert "fly" in result.stderr
    table = activity(*call, "--format", "table")
    assert "F1 of segments" in table.stdout


def test_answers_as_truth_are_perfect(activity: Activity, model: Path, long: Path, tmp_path: Path) -> None:
    video = long / "game.mkv"
    truth = tmp_path / "truth.eaf"
    assert activity("predict", "--timeline", video, "--model", model, "-o", truth).exit_code == 0
    result = activity("evaluate", model, "--timeline", video, "--truth", truth)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["f1"]["0.5"] == 1.0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--truth", "truth.csv"], "--truth needs --timeline"),
        (["--timeline", "."], "--timeline needs --truth"),
    ],
)
def test_half_a_call(activity: Activity, model: Path, words: list[str], said: str) -> None:
    result = activity("evaluate", model, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_labels_of_other_videos(activity: Activity, model: Path, long: Path, tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    truth.write_text(json.dumps(TimelineSegment("elsewhere.mp4", "left", 0.0, 1.0).to_dict()) + "\n")
    result = activity("evaluate", model, "--timeline", long, "--truth", truth)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "elsewhere.mp4" in result.stderr
