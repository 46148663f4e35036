"""prepare on what users really have: each problem gives one clear line, and nothing is lost."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import Result

from conftest import draw_video
from data_support import TINY, files_of, no_privileges, only_line, rows_of, run, wrong_call

Activity = Callable[..., Result]


def test_a_missing_folder(prepare: Activity, tmp_path: Path) -> None:
    wrong_call(prepare(tmp_path / "nowhere"), "nowhere", "does not exist")
    assert not (tmp_path / "out").exists()


def test_no_videos_in_the_folder(prepare: Activity, tmp_path: Path) -> None:
    (tmp_path / "videos" / "wave").mkdir(parents=True)
    wrong_call(prepare(tmp_path / "videos"), "No videos in", "videos/<activity>/clip.mp4")
    assert not (tmp_path / "out").exists()


def test_one_label_only(prepare: Activity, few: Path, tmp_path: Path) -> None:
    shutil.rmtree(few / "up")
    wrong_call(prepare(few), "Only one label", "'left'", "two or more")
    assert not (tmp_path / "out").exists()


def test_one_label_only_because_the_videos_of_the_other_are_broken(prepare: Activity, few: Path) -> None:
    for path in (few / "up").iterdir():
        path.write_bytes(b"")
    wrong_call(prepare(few), "two or more labels", "3 of 6 files can be used", "video.empty")


def test_a_label_with_one_clip_works_with_a_warning(prepare: Activity, few: Path) -> None:
    draw_video(few / "rare" / "only.avi", "right", person=7)
    result = prepare(few)
    assert result.exit_code == 0
    assert "warning: 'rare' has only 1 clip, so there are none in val and test" in result.stderr


def test_a_video_of_one_frame_works(prepare: Activity, few: Path, tmp_path: Path) -> None:
    draw_video(few / "up" / "still.avi", "up", num_frames=1, person=8)
    assert prepare(few).exit_code == 0
    row = rows_of(tmp_path / "out")["up/still.avi"]
    assert (row["status"], row["num_frames"], row["clip_frames"]) == ("ok", "1", "1")


def test_broken_files_are_rejected_with_the_reason_and_the_rest_goes_on(
    prepare: Activity, few: Path, tmp_path: Path
) -> None:
    whole = draw_video(tmp_path / "whole.mp4", "up", num_frames=60, codec="mp4v").read_bytes()
    os.mkfifo(few / "up" / "pipe.mp4")
    (few / "up" / "dangling.mp4").symlink_to("nowhere.mp4")
    broken = {"empty.mp4": b"", "text.mp4": b"hello\n" * 500, "cut.mp4": whole[: len(whole) // 2]}
    for name, content in broken.items():
        (few / "up" / name).write_bytes(content)
    codes = {
        **{"up/empty.mp4": "video.empty", "up/text.mp4": "video.undecodable", "up/cut.mp4": "video.undecodable"},
        **{"up/pipe.mp4": "video.unreadable", "up/dangling.mp4": "video.missing"},
    }
    for _ in range(2):  # a repeated run says the same
        result = prepare(few)
        assert (result.exit_code, result.stdout) == (1, f"{tmp_path / 'out'}\n")
        assert "Traceback" not in result.stderr
        rows = rows_of(tmp_path / "out")
        rejected = {name: row["reason"] for name, row in rows.items() if row["status"] == "rejected"}
        assert {name: reason.split("]")[0] + "]" for name, reason in rejected.items()} == {
            name: f"[{code}]" for name, code in codes.items()
        }
        for name in codes:
            assert Path(name).name in result.stderr
        assert sum(row["status"] == "ok" for row in rows.values()) == 6


@pytest.mark.slow
def test_a_file_without_permission_is_rejected_until_it_can_be_read(few: Path, tmp_path: Path) -> None:
    call = ("prepare", few, "--out", tmp_path / "out", *TINY, "--set", "workers=1")
    closed = few / "up" / "1.avi"
    closed.chmod(0)
    first = run(*call, preexec_fn=no_privileges)
    assert first.returncode == 1
    assert "Traceback" not in first.stderr
    assert (
        "[video.unreadable] 1.avi: cannot be read: permission denied."
        in rows_of(tmp_path / "out")["up/1.avi"]["reason"]
    )
    closed.chmod(0o600)
    assert run(*call).returncode == 0
    assert rows_of(tmp_path / "out")["up/1.avi"]["status"] == "ok"


def test_a_folder_without_permission(few: Path, tmp_path: Path) -> None:
    (few / "up").chmod(0)
    done = run("prepare", few, "--out", tmp_path / "out", *TINY, preexec_fn=no_privileges)
    (few / "up").chmod(0o700)
    assert done.returncode == 2
    assert "permission denied" in only_line(done.stderr)


@pytest.mark.slow
def test_names_and_labels_may_hold_anything(few: Path, tmp_path: Path) -> None:
    odd = [
        "with space",
        "quo'te\"",
        "new\nline",
        "return\r",
        "\x1b[31mred",
        "über-手",
        os.fsdecode(b"bytes\xff"),
        "a,b;c",
        "%d",
    ]
    for number, name in enumerate(odd):
        draw_video(few / "plain.avi", "up", person=20 + number).rename(few / "up" / f"{name}.avi")
        if name.startswith("bytes"):
            continue  # a label must be text
        (few / name).mkdir()
        draw_video(few / "plain.avi", "up", person=40 + number).rename(few / name / f"{name}.avi")
    out = tmp_path / os.fsdecode(b"out \xff\n")
    first = run("prepare", few, "--out", out, *TINY, "--set", "workers=2")
    assert (first.returncode, first.stdout) == (0, f"{out}\n"), first.stderr
    assert "\x1b[31mred" not in first.stderr
    rows = rows_of(out)
    for name in odd:
        assert rows[f"up/{name}.avi"]["status"] == "ok"
    for name in (name for name in odd if not name.startswith("bytes")):
        assert rows[f"{name}/{name}.avi"]["status"] == "ok"
        # A label is one line, and cannot change the color of a terminal.
        label = " ".join(name.replace("\x1b", "").split())
        assert rows[f"{name}/{name}.avi"]["label"] == label
    before = files_of(out)
    second = run("prepare", few, "--out", out, *TINY)
    assert "Decoded 0 videos." in second.stderr
    assert files_of(out) == before


def test_the_same_video_twice_is_kept_once(prepare: Activity, few: Path, tmp_path: Path) -> None:
    shutil.copy(few / "up" / "0.avi", few / "up" / "copy.avi")
    assert prepare(few).exit_code == 0
    row = rows_of(tmp_path / "out")["up/copy.avi"]
    assert (row["status"], row["reason"], row["split"]) == ("duplicate", "the same video as up/0.avi", "")


def test_the_same_video_under_two_labels_is_rejected_both_times(prepare: Activity, few: Path, tmp_path: Path) -> None:
    shutil.copy(few / "up" / "0.avi", few / "left" / "copy.avi")
    for number, decoded in enumerate((7, 0)):
        result = prepare(few)
        assert result.exit_code == 1, number
        assert f"Decoded {decoded} video" in result.stderr
        rows = rows_of(tmp_path / "out")
        for name, other in (("up/0.avi", "left/copy.avi"), ("left/copy.avi", "up/0.avi")):
            assert rows[name]["status"] == "rejected"
            assert rows[name]["reason"] == f"[dataset.two_labels] the same video as {other}, which has another label"
        assert "two_labels" in result.stderr or "another label" in result.stderr


def test_a_pattern_that_matches_nothing_or_is_none_is_a_usage_error(prepare: Activity, few: Path) -> None:
    wrong_call(prepare(few, "--group-by", "person("), "not a regular expression", "person(")
    wrong_call(prepare(few, "--group-by", r"person\d+"), "matches nothing", "left/0.avi")


@pytest.mark.parametrize(
    "words",
    [
        ("--num-frames", 0),
        ("--frames-per-second", 0),
        ("--frame-size", 8),
        ("--set", "workers=-1"),
        ("--seed", -1),
    ],
)
def test_an_impossible_setting(words: tuple[object, ...], prepare: Activity, few: Path, tmp_path: Path) -> None:
    wrong_call(prepare(few, *words), "cannot be", "Allowed: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["videos", "labels.csv"])
def test_what_cannot_be_read_gives_one_line(place: str, few: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,label\nleft/0.avi,left\nup/0.avi,up\n")
    (tmp_path / place).chmod(0)
    words = ("prepare", few, "--labels", tmp_path / "labels.csv", "--out", tmp_path / "out", *TINY)
    done = run(*(words if place == "labels.csv" else ("prepare", few, *words[4:])), preexec_fn=no_privileges)
    (tmp_path / place).chmod(0o700)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be read: permission denied" in only_line(done.stderr)


@pytest.mark.slow
def test_videos_that_kill_every_decoder_are_rejected_and_tried_again_by_the_next_run(tmp_path: Path) -> None:
    heavy = tmp_path / "videos" / "left" / "heavy.avi"
    heavy_video(heavy)
    (tmp_path / "videos" / "up").mkdir()
    # Another video, for the one who compares contents; the decoder does not read what follows the end.
    (tmp_path / "videos" / "up" / "heavy.avi").write_bytes(heavy.read_bytes() + b"another")
    words = ("prepare", tmp_path / "videos", "--out", tmp_path / "out", *TINY, "--set", "workers=2")
    done = run(*words, preexec_fn=two_seconds_of_processor)
    assert (done.returncode, done.stdout) == (2, "")
    assert "[video.crashed]" in only_line(done.stderr)
    assert run(*words).returncode == 0


def heavy_video(path: Path) -> None:
    """One that takes a processor well over two seconds to decode, though it is small on the disk."""
    path.parent.mkdir(parents=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (4000, 4000))
    frame = np.full((4000, 4000, 3), 128, np.uint8)
    for _ in range(120):
        writer.write(frame)
    writer.release()


def two_seconds_of_processor() -> None:
    """Each process of the command is killed by the system after that, as where memory runs out."""
    resource.setrlimit(resource.RLIMIT_CPU, (2, 2))


def test_an_activity_of_which_no_video_can_be_used_is_named(prepare: Activity, few: Path, tmp_path: Path) -> None:
    (few / "down").mkdir()
    (few / "down" / "a.mp4").write_bytes(b"")
    (few / "down" / "b.mp4").write_bytes(b"no video")
    (few / "left" / "b.mp4").write_bytes(b"")
    (few / "annotations").mkdir()
    (few / "annotations" / "a.xml").write_text("<a/>")
    result = prepare(few)
    said = " ".join(result.stderr.split())
    assert result.exit_code == 1
    assert "No video can be used of: 'down' (2 videos)." in said
    assert "'annotations' is not taken for an activity: it has text files only." in said
    for path in (few / "down").iterdir():
        path.unlink()
    for name in ("down", "left/b.mp4"):
        (few / name).rmdir() if name == "down" else (few / name).unlink()
    assert prepare(few).exit_code == 0
