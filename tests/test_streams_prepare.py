"""What prepare does with motion, pose and hands: computes them once, keeps and shows them, and leaves hands out."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import Result

from activity_cli import ConfigError, DatasetError, PrepareResult, PrepareSettings, Sampling, prepare
from activity_cli.dataset.clips import ClipStore
from activity_cli.dataset.decode_cache import DecodeTask
from activity_cli.dataset.decoding import decode_all
from activity_cli.dataset.manifest import PreparedFolder, read_prepared
from activity_cli.dataset.stream_store import StreamStore
from activity_cli.reports.poses import PoseStrip, draw_poses, find_person_gaps
from activity_cli.results import ClipRecord
from activity_cli.settings import STREAM_NAMES
from activity_cli.streams.hands import split_hands
from activity_cli.streams.pose import split_pose
from activity_cli.streams.registry import STREAMS
from conftest import draw_video
from data_support import files_of, rows_of, start, wrong_call
from people import Picture, person, person_with_hands, write_video

Activity = Callable[..., Result]
SAMPLING = Sampling(num_frames=3, frame_size=32)
KEPT = ("motion", "pose", "hands")


def prepared_by(videos: Path, out: Path, streams: tuple[str, ...] = STREAM_NAMES, **settings: object) -> PrepareResult:
    options = {"sampling": SAMPLING, "streams": streams, "workers": 1} | settings
    return prepare(PrepareSettings(videos, out, **options))  # type: ignore[arg-type]


def moving(picture: Picture, step: int) -> list[Picture]:
    """Six pictures in which everything moves aside, ``step`` pixels each."""
    return [np.roll(picture, step * number, axis=1) for number in range(6)]


def film(root: Path, picture: Picture) -> Path:
    """Two labels of two videos each."""
    for label, sign in (("left", -1), ("right", 1)):
        for number in (1, 2):
            write_video(root / label / f"{number}.avi", moving(picture, 2 * sign * number))
    return root


@pytest.fixture(scope="session")
def waving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of a person who raises both hands."""
    return film(tmp_path_factory.mktemp("waving") / "videos", person_with_hands())


@pytest.fixture(scope="session")
def first_run(waving: Path) -> PrepareResult:
    """The folder that ``prepare`` makes of them, with all streams."""
    return prepared_by(waving, waving.parent / "prepared")


@pytest.fixture
def folder(first_run: PrepareResult, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(first_run.folder, tmp_path / "prepared"))


def test_every_clip_has_its_rows_and_times(first_run: PrepareResult) -> None:
    folder = read_prepared(first_run.folder)
    assert first_run.streams == folder.stream_names == STREAM_NAMES
    assert first_run.notes == ()
    for record in folder.in_split("all"):
        times = folder.streams.times(record.clip)
        assert times == pytest.approx([1 / 12, 3 / 12, 5 / 12], abs=1e-3)
        for stream in KEPT:
            rows = folder.streams.read(stream, record.clip)
            assert (rows.dtype, rows.shape) == (np.float32, (3, STREAMS[stream].width))
            assert np.isfinite(rows).all()
        pose, hands = (folder.streams.read(stream, record.clip) for stream in ("pose", "hands"))
        assert (split_pose(pose).found > 0.5).all()
        assert (split_hands(hands).found > 0.4).mean() > 0.4
        direction = (folder.streams.read("motion", record.clip)[:, 504] ** 2).mean()
        assert direction > 0.5, "all that moves is the camera"
        assert folder.streams.has(STREAM_NAMES, record.clip, record.clip_frames)


def test_the_manifest_counts_the_frames_with_a_person(first_run: PrepareResult) -> None:
    assert {row["person_frames"] for row in rows_of(first_run.folder).values()} == {"3"}
    assert {record.person_frames for record in read_prepared(first_run.folder).in_split("all")} == {3}


def test_the_files_of_the_streams_are_where_the_documents_say(first_run: PrepareResult) -> None:
    (clip, *_) = sorted(path.name for path in (first_run.folder / "clips").iterdir())
    streams = first_run.folder / "streams"
    assert sorted(path.name for path in streams.iterdir()) == ["hands-1", "motion-1", "pose-1", "times"]
    assert StreamStore(first_run.folder).path("pose", clip) == streams / "pose-1" / clip
    for path in streams.iterdir():
        assert len(list(path.iterdir())) == 4


def test_the_pose_sheet_shows_the_joints(first_run: PrepareResult) -> None:
    assert first_run.pose_sheet == first_run.folder / "pose_sheet.png"
    sheet, plain = (cv2.imread(str(path)) for path in (first_run.pose_sheet, first_run.contact_sheet))
    blue = np.all(np.abs(sheet.astype(int) - (235, 99, 37)) < 30, axis=2).sum()
    assert blue > 2000
    green = np.all(np.abs(sheet.astype(int) - (74, 163, 22)) < 30, axis=2).sum()
    assert green > 300, "arrows of the optical flow, and their legend"
    assert np.all(np.abs(plain.astype(int) - (235, 99, 37)) < 30, axis=2).sum() == 0


def test_a_repeated_run_reads_no_video_and_writes_the_same_bytes(waving: Path, folder: Path) -> None:
    before = files_of(folder)
    result = prepared_by(waving, folder)
    assert (result.decoded, result.reused) == (0, 4)
    assert files_of(folder) == before


@pytest.mark.slow
def test_a_lost_or_damaged_array_is_made_again(waving: Path, folder: Path) -> None:
    before = files_of(folder)
    pose, motion, times = (sorted((folder / "streams" / name).iterdir()) for name in ("pose-1", "motion-1", "times"))
    pose[0].unlink()
    os.truncate(motion[1], 300)
    np.save(times[2], np.zeros(5))
    assert prepared_by(waving, folder).decoded == 3
    assert files_of(folder) == before


@pytest.mark.slow
def test_two_workers_write_what_one_writes(waving: Path, first_run: PrepareResult, tmp_path: Path) -> None:
    assert files_of(prepared_by(waving, tmp_path / "out", workers=2).folder) == files_of(first_run.folder)


@pytest.mark.slow
def test_threads_of_an_executor_compute_the_same(waving: Path, first_run: PrepareResult, tmp_path: Path) -> None:
    tasks = [DecodeTask(path, str(path), streams=STREAM_NAMES) for path in sorted(waving.rglob("*.avi"))]
    with ThreadPoolExecutor(4) as executor:
        done = list(decode_all(tasks, SAMPLING, ClipStore(tmp_path / "clips"), 4, executor=executor))
    assert len(done) == 4
    assert files_of(tmp_path / "streams") == files_of(first_run.folder / "streams")


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(waving: Path, first_run: PrepareResult, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("--num-frames", 3, "--frame-size", 32, "--set", "workers=1")
    process = start("prepare", waving, "--out", out, *words)
    deadline = time.monotonic() + 30
    while not (out / "decoded.jsonl").exists() or not (out / "decoded.jsonl").read_bytes():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.communicate()
    done = (out / "decoded.jsonl").read_bytes().count(b"\n")
    assert 1 <= done < 4, "the run was not stopped in its middle"
    result = prepared_by(waving, out)
    assert (result.decoded, result.reused) == (4 - done, done)
    assert files_of(out) == files_of(first_run.folder)


@pytest.mark.slow
def test_streams_may_be_left_out_and_added_later(
    waving: Path, first_run: PrepareResult, folder: Path, tmp_path: Path
) -> None:
    result = prepared_by(waving, folder, ("appearance", "motion"), overwrite=True)
    assert (result.decoded, result.reused) == (0, 4), "all that is needed is there"
    assert (result.streams, result.pose_sheet, result.notes) == (("appearance", "motion"), None, ())
    assert {record.person_frames for record in result.records} == {None}
    assert sorted(path.name for path in (folder / "streams").iterdir()) == ["motion-1", "times"]
    assert not (folder / "pose_sheet.png").exists()
    assert {row["person_frames"] for row in rows_of(folder).values()} == {""}
    fresh = prepared_by(waving, tmp_path / "fresh", ("appearance", "motion")).folder
    assert files_of(folder, but=["decoded.jsonl"]) == files_of(fresh, but=["decoded.jsonl"])
    assert prepared_by(waving, fresh, overwrite=True).decoded == 4
    assert files_of(fresh) == files_of(first_run.folder)


@pytest.fixture(scope="session")
def handless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of a person whose hands cannot be seen."""
    return film(tmp_path_factory.mktemp("handless") / "videos", person())


@pytest.mark.slow
def test_hands_are_left_out_where_a_sample_shows_few(handless: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = prepared_by(handless, out)
    assert result.streams == read_prepared(out).stream_names == ("appearance", "motion", "pose")
    (note,) = result.notes
    assert "of the hands were found" in note
    assert "a sample of 4 videos" in note
    assert not (out / "streams" / "hands-1").exists()
    before = files_of(out)
    again = prepared_by(handless, out)
    assert (again.decoded, again.notes) == (0, (note,)), "the decision stands in the cache"
    assert files_of(out) == before
    write_video(handless / "left" / "3.avi", moving(person(), 5))
    assert prepared_by(handless, out).decoded == 1
    (handless / "left" / "3.avi").unlink()


@pytest.mark.slow
def test_videos_beyond_the_sample_get_no_hands_and_follow_its_decision(
    waving: Path, handless: Path, tmp_path: Path
) -> None:
    for source, streams in ((handless, {"motion", "pose"}), (waving, {"motion", "pose", "hands"})):
        root = tmp_path / source.parent.name
        for label in ("left", "right"):
            for number in range(14):
                content = (source / label / f"{1 + number % 2}.avi").read_bytes()
                (root / "videos" / label).mkdir(parents=True, exist_ok=True)
                # Each content is another: bytes after the end of a video are ignored.
                (root / "videos" / label / f"{number:02d}.avi").write_bytes(content + bytes([number]))
        result = prepared_by(root / "videos", root / "out", sampling=Sampling(num_frames=1, frame_size=32))
        assert result.decoded == 28
        assert set(result.streams) == {"appearance"} | streams
        store = StreamStore(root / "out")
        clips = [(record.clip, record.clip_frames) for record in result.records if record.status == "ok"]
        assert len(clips) == 28
        assert all(store.has(result.streams, *clip) for clip in clips)
        assert store.has(["hands"], *clips[0]) == ("hands" in streams)
        note = " ".join(result.notes)
        assert ("a sample of 24 videos" in note) == ("hands" not in streams)


@pytest.mark.slow
def test_where_nobody_is_found_it_is_said(few: Path, tmp_path: Path) -> None:
    result = prepared_by(few, tmp_path / "out")
    assert result.streams == ("appearance", "motion", "pose")
    assert {record.person_frames for record in result.records} == {0}
    first, second = result.notes
    assert "Somebody was found in 0% of all frames" in first
    assert "nobody was found" in second
    sheet = cv2.imread(str(tmp_path / "out" / "pose_sheet.png"))
    orange = np.all(np.abs(sheet.astype(int) - (20, 105, 226)) < 20, axis=2).sum()
    assert orange > 5000, "frames without a person have a border"


@pytest.mark.slow
def test_a_label_in_which_nobody_is_found_is_warned_of(tmp_path: Path) -> None:
    for number in (1, 2):
        write_video(tmp_path / "videos" / "wave" / f"{number}.avi", moving(person(), number))
        draw_video(tmp_path / "videos" / "ball" / f"{number}.avi", "up", num_frames=6, person=number)
    result = prepared_by(tmp_path / "videos", tmp_path / "out", ("appearance", "pose"))
    (warning,) = (one for one in result.warnings if "nobody was found" in one)
    assert "'ball' (100%)" in warning
    assert "wave" not in warning
    assert result.notes == ()
    assert [row["person_frames"] for row in rows_of(result.folder).values()] == ["0", "0", "3", "3"]


def record(label: str, found: int | None, of: int = 10) -> ClipRecord:
    return ClipRecord(f"{label}.mp4", label, "", "train", "ok", "", clip_frames=of, person_frames=found)


def test_gaps_are_measured_against_other_labels() -> None:
    assert find_person_gaps([record("a", 4), record("b", 4)]) == ((), ()), "little everywhere: nothing to compare"
    assert find_person_gaps([record("a", None), record("b", None)]) == ((), ())
    assert find_person_gaps([record("a", 5), record("b", 10)]) == ((), ())
    (warning,), notes = find_person_gaps([record("a", 4), record("a", 3), record("b", 10), record("c", 10)])
    assert "'a' (65%)" in warning
    assert notes == ()
    (warning,), _ = find_person_gaps([*(record(f"x{number}", 0) for number in range(7)), record("b", 10)])
    assert "and 2 more" in warning
    assert find_person_gaps([record("a", 0, 95), record("b", 9)])[0] == ()
    assert "9%" in find_person_gaps([record("a", 0, 90), record("b", 9)])[1][0]
    rejected = ClipRecord("x.mp4", "c", "", "", "rejected", "", clip_frames=10, person_frames=0)
    assert find_person_gaps([record("a", 10), record("b", 10), rejected]) == ((), ())


@pytest.mark.parametrize(("fit", "x"), [("stretch", 0.25), ("pad", 0.25), ("crop", 0.0)])
def test_the_joints_are_drawn_where_the_frame_shows_them(fit: str, x: float, tmp_path: Path) -> None:
    # A video of 2:1 with a shoulder line from a quarter of its width to three quarters, at half its height.
    joints = np.full((1, 33, 2), -50.0, np.float32)
    joints[0, [11, 12]] = (0.5, 0.5), (1.5, 0.5)
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    strip = PoseStrip("a", "b", frames, 0.5, fit, joints, np.array([True]))
    draw_poses([strip], tmp_path / "sheet.png")
    picture = strip.picture(0)
    assert picture.shape[0] / picture.shape[1] == (0.5 if fit == "stretch" else 1.0)
    yellow = np.argwhere(np.all(np.abs(picture.astype(int) - (250, 204, 21)) < 40, axis=2))
    height, width = picture.shape[:2]
    assert yellow[:, 1].min() / width == pytest.approx(x, abs=0.02)
    assert yellow[:, 1].max() / width == pytest.approx(1 - x, abs=0.02)
    assert yellow[:, 0].mean() / height == pytest.approx(0.5, abs=0.02)
    assert (tmp_path / "sheet.png").stat().st_size > 1000


@pytest.mark.parametrize("damage", ["gone", "cut", "width", "type", "pickle", "empty"])
def test_a_damaged_array_is_an_error(damage: str, tmp_path: Path) -> None:
    store = StreamStore(tmp_path)
    store.write("a.npy", {"pose": np.zeros((2, STREAMS["pose"].width), np.float32)}, (0.0, 0.1))
    assert store.has(("appearance", "pose"), "a.npy", 2)
    assert not store.has(("appearance", "pose"), "a.npy", 3)
    path = store.path("pose", "a.npy")
    match damage:
        case "gone":
            path.unlink()
        case "cut":
            os.truncate(path, 200)
        case "width":
            np.save(path, np.zeros((2, 5), np.float32))
        case "type":
            np.save(path, np.zeros((2, STREAMS["pose"].width), np.float64))
        case "pickle":
            np.save(path, np.array([{}], object), allow_pickle=True)
        case "empty":
            np.save(path, np.zeros((0, STREAMS["pose"].width), np.float32))
    with pytest.raises(DatasetError, match=r"pose-1.a\.npy") as caught:
        store.read("pose", "a.npy")
    assert "\n" not in str(caught.value)
    assert not store.has(("pose",), "a.npy", 2)
    assert store.has(("appearance",), "a.npy", 2)
    (tmp_path / "streams" / "times" / "a.npy").unlink()
    with pytest.raises(DatasetError, match="times"):
        store.times("a.npy")


def test_rows_of_another_length_than_the_times_do_not_count(tmp_path: Path) -> None:
    store = StreamStore(tmp_path)
    store.write("a.npy", {"pose": np.zeros((2, STREAMS["pose"].width), np.float32)}, (0.0, 0.1, 0.2))
    assert not store.has(("pose",), "a.npy", 2)


def test_stale_arrays_are_removed_and_nothing_else(tmp_path: Path) -> None:
    store, one, other = StreamStore(tmp_path), f"{1:032x}.npy", f"{2:032x}.npy"
    for clip in (one, other):
        store.write(clip, {"pose": np.zeros((1, STREAMS["pose"].width), np.float32)}, (0.0,))
    store.write(one, {"motion": np.zeros((1, STREAMS["motion"].width), np.float32)}, (0.0,))
    for name in (f"pose-0/{one}", "pose-0/mine.npy", "mine/notes.txt"):
        (tmp_path / "streams" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "streams" / name).touch()
    store.remove_stale(("appearance", "pose"), {one})
    kept = [f"pose-1/{one}", f"times/{one}", "mine/notes.txt", "pose-0/mine.npy"]
    assert sorted(files_of(tmp_path / "streams")) == sorted(kept)
    assert not (tmp_path / "streams" / "motion-1").exists()


def test_a_folder_of_another_version_of_a_stream_says_so(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"pose": 1', '"pose": 99'))
    with pytest.raises(DatasetError, match="pose stream has version 99"):
        read_prepared(folder)


def test_the_fingerprint_stands_for_the_streams_too(first_run: PrepareResult, folder: Path, waving: Path) -> None:
    before: PreparedFolder = read_prepared(first_run.folder)
    prepared_by(waving, folder, ("appearance",), overwrite=True)
    assert read_prepared(folder).fingerprint != before.fingerprint


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("appearance,legs", "appearance, motion, pose, hands"),
        ("pose,pose", "each at most once"),
        ("", "Allowed: appearance, motion, pose, hands"),
        ("appearance,hands", "it needs the pose stream"),
    ],
)
def test_streams_that_cannot_be_are_refused(
    typed: str, words: str, activity: Activity, few: Path, tmp_path: Path
) -> None:
    for way in (("--streams", typed), ("--set", f"streams={typed}")):
        wrong_call(activity("prepare", few, "--out", tmp_path / "out", *way), way[0], words)
    assert not (tmp_path / "out").exists()


def test_streams_may_come_in_any_order_and_from_a_file(activity: Activity, few: Path, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[prepare]\nnum_frames = 2\nframe_size = 32\nstreams = ["motion", "appearance"]\n')
    out = tmp_path / "out"
    assert activity("prepare", few, "--out", out, "--settings", file).exit_code == 0
    assert read_prepared(out).stream_names == ("appearance", "motion")
    again = ("--num-frames", 2, "--frame-size", 32, "--streams", " appearance , motion")
    assert "Decoded 0 videos" in activity("prepare", few, "--out", out, *again).stderr
    with pytest.raises(ConfigError, match="streams"):
        PrepareSettings(few, streams=("appearance", "appearance"))
