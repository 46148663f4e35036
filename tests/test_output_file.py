"""predict --out: complete files, in any format, which the same call continues after a kill."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from activity_cli.files import path_lock

Activity = Callable[..., Result]


@pytest.fixture(scope="module")
def three(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two videos and a broken one between them."""
    folder = tmp_path_factory.mktemp("three")
    shutil.copy(videos / "left" / "person1_0.avi", folder / "a.avi")
    (folder / "b.avi").write_bytes(b"no video")
    shutil.copy(videos / "up" / "person2_0.avi", folder / "c.avi")
    return folder


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_suffix_chooses_the_format(activity: Activity, model: Path, three: Path, tmp_path: Path) -> None:
    printed = activity("predict", three, "--model", model)
    for name in ("answers.jsonl", "answers.csv"):
        result = activity("predict", three, "--model", model, "--out", tmp_path / name)
        assert (result.exit_code, result.stdout) == (1, "")
    assert (tmp_path / "answers.jsonl").read_text() == printed.stdout
    with (tmp_path / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["ok", "error", "ok"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.csv", "answers.jsonl"]


def test_two_calls_do_not_write_one_file(activity: Activity, model: Path, three: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    with path_lock(out):
        result = activity("predict", three / "a.avi", "--model", model, "-o", out)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        f"activity: Another run is writing to {str(out)!r} right now. Wait for it to end, or choose another place with "
        "--out."
    ]
    assert activity("predict", three / "a.avi", "--model", model, "-o", out).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["answers.jsonl"]


def test_the_same_call_continues(activity: Activity, model: Path, three: Path, tmp_path: Path) -> None:
    out, aside = tmp_path / "answers.jsonl", tmp_path / "answers.jsonl.partial"
    videos = [three / "a.avi", three / "b.avi", three / "c.avi"]
    lost = tmp_path / "list"
    lost.write_text(f"{videos[0]}\n{videos[1]}\n")
    activity("predict", *videos, "--model", model, "-o", out)
    complete = out.read_text()
    # A call that is killed leaves the file aside; here a list ends with an error, after two answers.
    lost.write_bytes(lost.read_bytes() + b"\0\n")
    stopped = activity("predict", "--files-from", lost, "--model", model, "-o", out)
    assert stopped.exit_code == 2
    assert out.read_text() == complete, "a call that fails replaces nothing"
    assert len(aside.read_text().splitlines()) >= 2
    with aside.open("a") as file:
        file.write('["' + str(videos[2]))  # killed while it wrote
    continued = activity("predict", *videos, "--model", model, "-o", out)
    assert "continuing" in continued.stderr
    assert continued.exit_code == 1
    assert out.read_text() == complete
    assert not aside.exists()


def test_a_full_disk_loses_no_answer(
    activity: Activity, command: list[str], model: Path, three: Path, tmp_path: Path
) -> None:
    videos = [three / "a.avi", three / "b.avi", three / "c.avi"] * 3
    out, complete = tmp_path / "out" / "answers.jsonl", tmp_path / "answers.jsonl"
    activity("predict", *videos, "--model", model, "-o", complete)
    words = [*command, "predict", *videos, "--model", model, "--quiet", "-o", out]
    failures = 0
    for most_blocks in itertools.count(2, 2):  # a file that may not grow fails like a full disk
        limited = ["sh", "-c", 'ulimit -f "$0" && exec "$@"', str(most_blocks), *map(str, words)]
        result = subprocess.run(limited, capture_output=True, text=True, timeout=60, check=False)
        if out.exists():
            break
        *_, line = result.stderr.splitlines()
        assert line.startswith(f"activity: The disk is full: {out}"), result.stderr
        assert "run the same command again" in line
        failures += 1
    assert failures > 1
    assert "continuing" in result.stderr
    assert out.read_bytes() == complete.read_bytes()
    assert list(out.parent.iterdir()) == [out]


def test_other_settings_do_not_continue(activity: Activity, model: Path, three: Path, tmp_path: Path) -> None:
    out, lost = tmp_path / "answers.jsonl", tmp_path / "list"
    lost.write_bytes(f"{three / 'a.avi'}\n\0\n".encode())
    assert activity("predict", "--files-from", lost, "--model", model, "-o", out).exit_code == 2
    other = activity("predict", three / "a.avi", "--model", model, "-o", out, "--min-confidence", "1")
    assert "continuing" not in other.stderr
    assert [line["label"] for line in lines_of(out)] == [None]


def test_subtitles_are_a_file_for_each_video(activity: Activity, model: Path, three: Path, tmp_path: Path) -> None:
    out = tmp_path / "subtitles"
    call = ("predict", "--timeline", three, "--model", model, "--format", "srt")
    assert activity(*call, "--out", out).exit_code == 1
    found = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert [Path(name).name for name in found] == ["a.srt", "c.srt"]
    assert "00:00:00,000 --> 00:00:01" in (out / found[0]).read_text()
    printed = activity(*call)
    for refused in (printed, activity(*call[:-2], "-o", tmp_path / "all.srt")):
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert refused.stderr.splitlines() == [
            "activity: srt has one file for each video. Name a folder: --format srt --out FOLDER."
        ]
    assert not list(tmp_path.glob("all.srt*"))
    one = activity("predict", "--timeline", three / "a.avi", "--model", model, "-o", tmp_path / "a.srt")
    assert one.exit_code == 0
    assert (tmp_path / "a.srt").read_text() == (out / found[0]).read_text()


@pytest.mark.parametrize("name", ["boris", "csv", "vtt", "eaf", "textgrid"])
def test_every_format_of_a_timeline_reads_back(
    activity: Activity, model: Path, videos: Path, tmp_path: Path, name: str
) -> None:
    video = videos / "left" / "person1_0.avi"
    segments = activity("predict", "--timeline", video, "--model", model)
    printed = activity("predict", "--timeline", video, "--model", model, "--format", name)
    assert printed.exit_code == 0
    (tmp_path / "file").write_text(printed.stdout)
    back = activity("convert", tmp_path / "file", "-", "--format", "json")
    assert back.exit_code == 0, back.stderr
    expected = [json.loads(line) for line in segments.stdout.splitlines()]
    found = [json.loads(line) for line in back.stdout.splitlines()]
    assert [one["label"] for one in found] == [one["label"] for one in expected]
    for key in ("start_seconds", "end_seconds"):
        assert [one[key] for one in found] == pytest.approx([one[key] for one in expected], abs=0.0011)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "srt"], "--format srt needs --timeline"),
        (["-o", "answers.srt"], "srt needs --timeline"),
        (["-o", "answers.xyz"], "not known by its suffix. Choose one with --format, "),
        (["-o", "somewhere"], "its format is not known"),
        (["-o", "/dev/null"], "not known by its suffix. Choose one with --format, "),
        (["-o", ".", "--format", "json"], "is a folder, but json has one file"),
        (["--format", "xml"], "--format cannot be 'xml'"),
    ],
)
def test_impossible_formats(activity: Activity, model: Path, three: Path, options: list[str], said: str) -> None:
    result = activity("predict", three / "a.avi", "--model", model, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2
