"""prepare, from end to end: what it writes, what it does again, and how it is interrupted."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from activity_cli import PrepareResult, PrepareSettings, Sampling, Split, prepare
from activity_cli.dataset.manifest import read_prepared
from activity_cli.files import ASIDE_MARK
from conftest import draw_video
from data_support import TINY, children_of, files_of, run, start, workers_of

Activity = Callable[..., Result]
DECODE_CACHE = ("decoded.jsonl",)


def few(root: Path) -> Path:
    for label in ("left", "up"):
        for person in range(3):
            draw_video(root / label / f"{person}.avi", label, num_frames=4 + 5 * person, person=person)
    return root


def again(videos: Path, out: Path, **settings: object) -> PrepareResult:
    sampling = Sampling(num_frames=6, frame_size=32)
    options: dict[str, Any] = {"streams": ("appearance",), "workers": 1} | settings
    return prepare(PrepareSettings(videos, out, sampling=sampling, **options))


def test_stdout_is_the_folder_and_stderr_has_the_table(activity: Activity, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "prepared"
    result = activity("prepare", videos, "--out", out, *TINY, "--set", "workers=1", "--group-by", r"person\d+")
    assert result.exit_code == 0
    assert result.stdout == f"{out}\n"
    for word in ("36 clips of 3 activities", "left", "right", "up", "train", "val", "test"):
        assert word in result.stderr
    quiet = activity("prepare", videos, "--out", out, *TINY, "--quiet", "--group-by", r"person\d+")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, f"{out}\n", "")


def test_the_manifest_holds_every_file(activity: Activity, tmp_path: Path) -> None:
    videos, out = few(tmp_path / "videos"), tmp_path / "out"
    (videos / "left" / "notes.txt").write_text("by me")
    assert activity("prepare", videos, "--out", out, *TINY, "--set", "workers=1").exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        *("clips", "config.json", "contact_sheet.png", "decoded.jsonl", "duplicate_groups.json"),
        *("groups.csv", "leaks.json", "manifest.csv", "signatures", "streams"),
    ]
    with (out / "manifest.csv").open(newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert list(rows) == [
        *(f"left/{person}.avi" for person in range(3)),
        "left/notes.txt",
        *(f"up/{p}.avi" for p in range(3)),
    ]
    assert rows["left/notes.txt"]["status"] == "ignored"
    row = rows["up/2.avi"]
    assert (row["label"], row["status"], row["reason"]) == ("up", "ok", "")
    assert (row["num_frames"], row["width"], row["height"], row["frames_per_second"]) == ("14", "64", "48", "12.0")
    assert float(row["duration_seconds"]) == pytest.approx(14 / 12, abs=1e-5)


def test_clips_are_bytes_and_a_short_video_stays_short(prepared: Path) -> None:
    folder = read_prepared(prepared)
    assert len(folder.in_split("all")) == 36
    for record in folder.in_split("all"):
        frames = folder.clips.read(record.clip)
        assert frames.dtype == np.uint8
        assert frames.shape == (min(6, record.num_frames), 32, 32, 3)
        assert len(frames) == record.clip_frames
    assert {record.clip_frames for record in folder.in_split("all")} == {4, 6}
    assert {r.clip for r in folder.in_split("all")} == {path.name for path in (prepared / "clips").iterdir()}


def test_a_person_is_in_one_split_only(prepared: Path) -> None:
    folder = read_prepared(prepared)
    people = [{record.group for record in folder.in_split(split)} for split in ("train", "val", "test")]
    assert sum(map(len, people)) == len(set().union(*people)) == 6
    assert all(people)


def test_a_repeated_run_decodes_nothing_and_writes_the_same_bytes(videos: Path, prepared_copy: Path) -> None:
    before = files_of(prepared_copy)
    result = again(videos, prepared_copy, split=Split(group_by=r"person\d+"))
    assert (result.decoded, result.reused) == (0, 36)
    assert files_of(prepared_copy) == before


@pytest.mark.slow
def test_only_what_is_new_or_changed_is_decoded_and_what_is_gone_is_dropped(tmp_path: Path) -> None:
    videos, out = few(tmp_path / "videos"), tmp_path / "out"
    assert again(videos, out).decoded == 6
    draw_video(videos / "up" / "new.avi", "up", person=9)
    result = again(videos, out)
    assert (result.decoded, result.reused) == (1, 6)
    draw_video(videos / "up" / "new.avi", "up", person=10)
    assert again(videos, out).decoded == 1
    (videos / "up" / "new.avi").rename(videos / "up" / "renamed.avi")
    (videos / "left" / "0.avi").unlink()
    result = again(videos, out)
    assert [record.path for record in result.records] == [
        *("left/1.avi", "left/2.avi", "up/0.avi", "up/1.avi", "up/2.avi", "up/renamed.avi")
    ]
    assert len(list((out / "clips").iterdir())) == 6
    assert files_of(out) == files_of(again(videos, tmp_path / "elsewhere").folder)


def test_a_clip_that_was_damaged_or_lost_is_made_again(tmp_path: Path) -> None:
    videos, out = few(tmp_path / "videos"), tmp_path / "out"
    again(videos, out)
    before = files_of(out)
    lost, cut, *_ = sorted((out / "clips").iterdir())
    lost.unlink()
    os.truncate(cut, 1000)
    assert again(videos, out).decoded == 2
    assert files_of(out) == before


def test_two_workers_write_what_one_writes(tmp_path: Path) -> None:
    videos = few(tmp_path / "videos")
    (videos / "up" / "broken.avi").write_bytes(b"no video")
    again(videos, tmp_path / "one")
    assert run("prepare", videos, "--out", tmp_path / "two", *TINY, "--set", "workers=2").returncode == 1
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_videos_in_the_current_folder_may_be_prepared_beside_themselves(tmp_path: Path) -> None:
    videos = few(tmp_path)
    first = run("prepare", ".", *TINY, "--set", "workers=1", cwd=videos)
    assert (first.returncode, first.stdout) == (0, "prepared\n")
    before = files_of(videos / "prepared")
    assert run("prepare", ".", *TINY, "--set", "workers=1", cwd=videos).returncode == 0
    assert files_of(videos / "prepared") == before


@pytest.fixture(scope="session")
def long_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough to decode that a run can be stopped in the middle."""
    root = tmp_path_factory.mktemp("long") / "videos"
    for label in ("left", "up"):
        for person in range(10):
            draw_video(root / label / f"{person}.avi", label, num_frames=300, person=person)
    return root


@pytest.fixture(scope="session")
def undisturbed(long_videos: Path) -> dict[str, bytes]:
    """What a run that nothing happens to writes, but for the decode cache."""
    again(long_videos, long_videos.parent / "undisturbed")
    return files_of(long_videos.parent / "undisturbed", but=DECODE_CACHE)


def under_way(videos: Path, out: Path, workers: int) -> subprocess.Popen[str]:
    """A run that has decoded something, and not yet all."""
    process = start("prepare", videos, "--out", out, *TINY, "--set", f"workers={workers}")
    deadline = time.monotonic() + 30
    while not (out / "decoded.jsonl").exists() or (out / "decoded.jsonl").read_bytes().count(b"\n") < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)
    return process


def done_before(out: Path) -> int:
    done = (out / "decoded.jsonl").read_bytes().count(b"\n")
    assert 3 <= done < 20, "the run was not stopped in its middle"
    assert not (out / "config.json").exists()
    return done


def finishes_as_if_undisturbed(videos: Path, out: Path, undisturbed: dict[str, bytes]) -> None:
    done = done_before(out)
    result = again(videos, out)
    assert (result.decoded, result.reused) == (20 - done, done)
    assert files_of(out, but=DECODE_CACHE) == undisturbed
    assert not any(ASIDE_MARK in name for name in undisturbed)


def still_alive(pids: list[int]) -> Iterator[int]:
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "ZX":
            yield pid


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_where_it_stopped(
    workers: int, long_videos: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    process = under_way(long_videos, tmp_path / "out", workers)
    children = children_of(process.pid)
    process.kill()
    process.wait()  # and no more: a worker that lives on would hold the pipes open
    (tmp_path / "out" / f"{ASIDE_MARK}999999999-manifest.csv").write_text("what a kill may leave")
    (tmp_path / "out" / "clips" / f"{ASIDE_MARK}999999999-x.npy").write_text("what a kill may leave")
    deadline = time.monotonic() + 10
    while (left := list(still_alive(children))) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    assert left == [], "workers outlive the run they worked for"
    finishes_as_if_undisturbed(long_videos, tmp_path / "out", undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_stops_at_once_silently_and_the_next_run_goes_on(
    workers: int, long_videos: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    process = under_way(long_videos, tmp_path / "out", workers)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the command
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "")
    finishes_as_if_undisturbed(long_videos, tmp_path / "out", undisturbed)


@pytest.mark.slow
def test_a_worker_that_dies_loses_nothing(long_videos: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    process = under_way(long_videos, tmp_path / "out", 2)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, f"{tmp_path / 'out'}\n")
    assert "Traceback" not in err
    assert files_of(tmp_path / "out", but=DECODE_CACHE) == undisturbed


def test_ctrl_c_while_the_workers_start_stops_silently(long_videos: Path, tmp_path: Path) -> None:
    process = start("prepare", long_videos, "--out", tmp_path / "out", *TINY, "--set", "workers=2")
    while not workers_of(process.pid):
        assert process.poll() is None
        time.sleep(0.002)
    time.sleep(0.2)  # in the middle of their imports
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "")
