"""Decoding in processes: a file that hangs, an executor from elsewhere, one run at a time, clips of parts."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from activity_cli import Sampling
from activity_cli.dataset.clips import ClipStore
from activity_cli.dataset.decode_cache import DecodeTask
from activity_cli.dataset.decoding import decode_all
from activity_cli.files import folder_lock
from data_support import only_line, rows_of
from encoded_videos import encode, ffmpeg, number_of

SAMPLING = Sampling(num_frames=8, frame_size=32)
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast")


@pytest.mark.slow
def test_a_file_that_takes_too_long_costs_only_itself(tmp_path: Path) -> None:
    # Cheap to make, expensive to decode on any machine: 8,000 large frames, of which only 100 are ever encoded.
    part = encode(tmp_path / "part.mkv", 100, "-vf", "scale=4000:3000", "-c:v", "libx264", "-preset", "ultrafast")
    slow = tmp_path / "slow.mkv"
    ffmpeg("-stream_loop", 79, "-i", part, "-c", "copy", slow)
    quick = [encode(tmp_path / f"{number}.mp4", 20 + number, *H264) for number in range(6)]
    store = ClipStore(tmp_path / "clips")
    tasks = [DecodeTask(path, path.name) for path in (slow, *quick)]
    results = {task.name: decoded for task, decoded in decode_all(tasks, SAMPLING, store, 2, time_limit_seconds=3.0)}
    assert results["slow.mkv"].error_code == "video.timeout"
    assert "took longer than 3 seconds" in results["slow.mkv"].error_message
    assert {name for name, decoded in results.items() if decoded.clips} == {path.name for path in quick}


def test_an_executor_may_be_handed_in_and_is_left_open(tmp_path: Path) -> None:
    tasks = [DecodeTask(encode(tmp_path / f"{number}.mp4", 12 + number, *H264), f"{number}") for number in range(5)]
    store = ClipStore(tmp_path / "clips")
    with ThreadPoolExecutor(2) as executor:
        results = dict(decode_all(tasks, SAMPLING, store, 2, executor=executor))
        assert executor.submit(int, "3").result() == 3
    assert {task.name: decoded.video.num_frames for task, decoded in results.items()} == {
        str(n): 12 + n for n in range(5)
    }
    assert all(name in store for decoded in results.values() for name in decoded.clip_names)


def test_one_run_at_a_time_writes_to_a_folder(few: Path, prepare: Callable[..., Result], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with folder_lock(out):
        rejected = prepare(few)
        assert (rejected.exit_code, rejected.stdout) == (2, "")
        assert "Another run is writing to" in only_line(rejected.stderr)
    assert list(out.iterdir()) == []
    assert prepare(few).exit_code == 0
    assert not any(path.name.endswith("lock") for path in out.rglob("*"))


def test_labeled_segments_become_clips_of_one_group(prepare: Callable[..., Result], tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    table = ["path,label,start_seconds,end_seconds"]
    for number in range(4):
        encode(videos / f"{number}.mp4", 100, *H264, "-vf", f"hue=b={number}")
        table += [f"{number}.mp4,first,0,2", f"{number}.mp4,second,2,4", f"{number}.mp4,second,50,60"]
    (tmp_path / "labels.csv").write_text("\n".join(table))
    done = prepare(videos, "--labels", tmp_path / "labels.csv")
    assert done.exit_code == 1  # the segments beyond the end
    with (tmp_path / "out" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [row for row in rows if row["status"] == "ok"]
    assert len(rows) == 12
    assert len(kept) == 8
    beyond = [row["reason"] for row in rows if row["status"] == "rejected"]
    assert beyond == ["[video.segment] no frames from 50 s to 60 s: the video is 4.0 s long"] * 4
    for row in kept:
        frames = np.load(tmp_path / "out" / "clips" / row["clip"])
        first = 50 if row["label"] == "second" else 0
        assert [number_of(frame) for frame in frames] == [first + (2 * part + 1) * 50 // 12 for part in range(6)]
    # All segments of a video are in one split.
    assert len({(row["path"], row["split"]) for row in kept}) == len({row["path"] for row in kept}) == 4
    began = time.time()
    again = prepare(videos, "--labels", tmp_path / "labels.csv")
    assert again.exit_code == 1
    assert not any(path.stat().st_mtime > began for path in (tmp_path / "out" / "clips").iterdir())


def test_random_clips_of_a_video_are_only_trained_on(few: Path, prepare: Callable[..., Result], tmp_path: Path) -> None:
    assert prepare(few, "--set", "clips_per_video=3", "--num-frames", 4).exit_code == 0
    with (tmp_path / "out" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 18
    assert {row["variant"] for row in rows if row["split"] == "train"} == {"0", "1", "2"}
    assert {row["variant"] for row in rows if row["split"] in ("val", "test")} == {"0"}
    assert {row["status"] for row in rows if not row["split"]} == {"unused"}


def test_a_test_that_is_given_stays_the_whole_test(prepare: Callable[..., Result], few: Path, tmp_path: Path) -> None:
    splits = {"0": "train", "1": "train", "2": "test"}
    lines = [f"{label}/{stem}.avi,{label},{split}" for label in ("left", "up") for stem, split in splits.items()]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,split", *lines]))
    assert prepare(few, "--labels", tmp_path / "labels.csv", "--set", "val_fraction=0.4").exit_code == 0
    rows = rows_of(tmp_path / "out")
    assert {name for name, row in rows.items() if row["split"] == "test"} == {"left/2.avi", "up/2.avi"}
    assert sorted(row["split"] for name, row in rows.items() if "2" not in name) == ["train", "train", "val", "val"]
