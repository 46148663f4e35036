"""predict --annotate: the video again, with its timeline in the picture."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from typer.testing import Result

from activity_cli import PredictSettings
from activity_cli.commands.predict import predict_timeline
from activity_cli.progress import SilentProgress, Stage
from activity_cli.reports.overlay import Overlay, Skeletons, color_of
from activity_cli.results import TimelineSegment
from activity_cli.streams.frames import FrameStreams
from activity_cli.streams.pose import split_pose
from activity_cli.video.opencv import FileSource
from activity_cli.video.reader import ClipReader
from activity_cli.video.source import Frame
from activity_cli.video.writing import write_video
from bundle_support import SAMPLING, random_bundle
from conftest import draw_video
from encoded_videos import encode, ffmpeg, number_of
from person_support import moving_person, write_lossless

Activity = Callable[..., Result]
LABELS = ("left", "right", "up")


def frames_of(path: Path) -> list[Frame]:
    return list(FileSource(path).read(lambda _: True))


def segment(label: str | None, start: float, end: float, reason: str = "") -> TimelineSegment:
    return TimelineSegment("a.mp4", label, start, end, 0.93, reason)


def is_near(pixel: npt.NDArray[np.uint8], rgb: tuple[int, int, int], tolerance: int = 2) -> bool:
    return bool(np.abs(pixel.astype(int) - rgb[::-1]).max() <= tolerance)


@pytest.mark.parametrize("size", [(128, 96), (98, 72), (99, 73)])
def test_a_written_video_has_the_frames_and_the_times_of_its_source(tmp_path: Path, size: tuple[int, int]) -> None:
    # Variable frame rate: every third frame is missing.
    select = ("-vf", "select=mod(n\\,3),setsar=4/3", "-fps_mode", "passthrough", "-c:v", "libx264", "-crf", 5)
    pixels = ("-pix_fmt", "yuv444p")
    source = FileSource(encode(tmp_path / "a.mkv", 30, *select, *pixels, size=size))
    expected = list(source.read(lambda _: True))
    write_video(expected, tmp_path / "b.mp4", source.info().sample_aspect_ratio, 0.0)
    written = FileSource(tmp_path / "b.mp4")
    found = list(written.read(lambda _: True))
    np.testing.assert_allclose([one.time_seconds for one in found], [one.time_seconds for one in expected], atol=1e-3)
    assert len({round(one, 3) for one in np.diff([one.time_seconds for one in found])}) == 2
    assert [number_of(one.bgr) for one in found if one.bgr is not None] == [n for n in range(30) if n % 3]
    assert found[0].bgr is not None
    assert found[0].bgr.shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)
    assert written.info().sample_aspect_ratio == pytest.approx(4 / 3, abs=0.01)


def test_times_that_do_not_rise_and_frames_of_another_size(tmp_path: Path) -> None:
    picture = np.full((48, 64, 3), 90, np.uint8)
    frames = [Frame(0, 0.0, picture), Frame(1, 0.0, picture + 20), Frame(2, 0.5, picture[:24, :32] + 40)]
    write_video(frames, tmp_path / "a.mp4", 1.0, 25.0)
    found = frames_of(tmp_path / "a.mp4")
    assert [round(one.time_seconds, 3) for one in found] == [0.0, 0.0, 0.5]
    assert found[2].bgr is not None
    assert found[2].bgr.shape == picture.shape


def test_an_encoder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def frames() -> list[Frame]:
        raise RuntimeError("in the middle")

    def some() -> itertools.chain[Frame]:
        good = [Frame(index, index / 25, np.zeros((48, 64, 3), np.uint8)) for index in range(9)]
        return itertools.chain(good, (one for _ in "1" for one in frames()))

    with pytest.raises(RuntimeError):
        write_video(some(), tmp_path / "a.mp4", 1.0, 25.0)
    assert list(tmp_path.iterdir()) == []


def test_the_strip_and_the_label_of_a_moment() -> None:
    segments = [segment("left", 0, 2), segment(None, 2, 3, "unknown"), segment("up", 3, 4)]
    overlay = Overlay(segments, LABELS, 400, 240)
    frame = np.full((240, 400, 3), 128, np.uint8)
    for moment, label, marker in ((0.5, "left", 50), (2.5, None, 249), (3.5, "up", 349), (0.5, "left", 50)):
        picture = overlay.draw(frame, moment)
        strip = picture[-1]
        for place, expected in ((100, "left"), (190, "left"), (220, None), (320, "up"), (390, "up")):
            assert is_near(strip[place], color_of(expected, LABELS)), (moment, place)
        assert is_near(strip[marker], (255, 255, 255))
        assert is_near(picture[-240 // 40 - 12, 12], color_of(label, LABELS)), moment  # the square before the label
        assert (picture[:200] == 128).all()
    assert (frame == 128).all()


def test_each_label_has_its_own_color() -> None:
    labels = [str(number) for number in range(15)]
    colors = np.array([color_of(label, labels) for label in [*labels, None]])
    apart = np.abs(colors[:, None] - colors[None]).sum(axis=-1)
    assert apart[~np.eye(len(colors), dtype=bool)].min() > 20


@pytest.mark.parametrize("label", ["100% 🙂\nnew\x1b[31m line", "\udcff", "x" * 500, "", "שלום 波"])
@pytest.mark.parametrize("size", [(320, 240), (20, 10), (2, 2)])
def test_any_label_on_any_size(label: str, size: tuple[int, int]) -> None:
    overlay = Overlay([segment(label, 0, 1), segment(None, 1, 1, "no_frames")], [label], *size)
    frame = np.full((size[1], size[0], 3), 128, np.uint8)
    for moment in (0.0, 0.5, 1.0, 9.0):
        assert overlay.draw(frame, moment).shape == frame.shape


def test_joints_between_two_moments() -> None:
    joints = [np.full((33, 2), place, np.float32) for place in (0, 10)]
    skeletons = Skeletons([0.0, 0.5, 1.0, 3.0, 3.5], [*joints, None, *joints])
    expected = {-1.0: 0, 0.0: 0, 0.25: 5, 0.5: None, 0.9: None, 2.0: None, 3.1: 2, 3.5: 10, 9.0: 10}
    for moment, place in expected.items():
        found = skeletons.at(moment)
        assert (None if found is None else found.mean()) == pytest.approx(place, abs=1e-5), moment
    assert Skeletons([], []).at(0.0) is None


def test_hands_are_drawn_where_they_were_found() -> None:
    joints = np.full((33 + 2 * 21, 2), (40, 60), np.float32)
    left, right = joints[33:54], joints[54:]
    left[:] = np.linspace((200, 20), (260, 80), 21)
    right[:] = np.nan
    overlay = Overlay([segment("up", 0, 1)], LABELS, 320, 240, Skeletons([0.0], [joints]))
    frame = np.full((240, 320, 3), 128, np.uint8)
    changed = (overlay.draw(frame, 0.0) != frame).any(axis=-1)[:160]
    assert changed[:, 195:265].any(axis=1)[20:81].all()
    assert not changed[:, :30].any() and not changed[:, 270:].any()
    body = Overlay([segment("up", 0, 1)], LABELS, 320, 240, Skeletons([0.0], [joints[:33]]))
    assert not (body.draw(frame, 0.0) != frame)[:160, 195:].any()


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_the_skeleton_is_on_the_person(tmp_path: Path, ratio: float) -> None:
    bundle = random_bundle(tmp_path / "model", others=[("pose",)])
    frames = moving_person(24, (320, 240))[:, :, :: int(ratio)]
    video = write_lossless(tmp_path / "square.mkv", frames)
    if ratio != 1:
        ffmpeg("-i", video, "-vf", f"setsar={ratio}", "-c:v", "ffv1", "-pix_fmt", "bgr0", tmp_path / "wide.mkv")
        video = tmp_path / "wide.mkv"
    settings = PredictSettings((video,), bundle, timeline=True, annotate=tmp_path / "out.mp4")
    assert list(predict_timeline(settings))
    [clip] = ClipReader(FileSource(video), SAMPLING, describer=FrameStreams(("pose",)))
    nose = split_pose(clip.rows["pose"]).picture[3][0] * (240 / ratio, 240)
    index = int(np.argmin([abs(one.time_seconds - clip.times_seconds[3]) for one in frames_of(video)]))
    picture, before = frames_of(tmp_path / "out.mp4")[index].bgr, frames_of(video)[index].bgr
    assert picture is not None and before is not None
    changed = np.abs(picture.astype(int) - before).max(axis=-1) > 60
    near = changed[round(nose[1]) - 8 : round(nose[1]) + 9, round(nose[0]) - 8 : round(nose[0]) + 9]
    assert near.mean() > 0.1
    assert changed[:100].mean() < 0.1


def test_an_annotated_file(activity: Activity, model: Path, videos: Path, tmp_path: Path) -> None:
    video, out = videos / "left" / "person5_0.avi", tmp_path / "new" / "out.mp4"
    plain = activity("predict", "--timeline", video, "--model", model)
    result = activity("predict", "--timeline", video, "--model", model, "--annotate", out)
    assert (result.exit_code, result.stdout) == (0, plain.stdout), result.stderr
    expected, found = frames_of(video), frames_of(out)
    np.testing.assert_allclose([one.time_seconds for one in found], [one.time_seconds for one in expected], atol=1e-3)
    first = json.loads(result.stdout.splitlines()[0])
    picture, before = found[-1].bgr, expected[-1].bgr
    assert picture is not None and before is not None
    assert picture.shape == before.shape
    assert np.abs(picture[:20].astype(int) - before[:20]).mean() < 8
    assert is_near(picture[-2, 8], color_of(first["label"], LABELS), 40)
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"]


def test_a_folder_of_annotated_videos(activity: Activity, model: Path, tmp_path: Path) -> None:
    draw_video(tmp_path / "in" / "one" / "a%d.avi")
    draw_video(tmp_path / "in" / "two" / "b.avi", "up")
    (tmp_path / "in" / "two" / "broken.avi").write_bytes(b"RIFF" + bytes(500))
    out = tmp_path / "out"
    words = ("predict", "--timeline", tmp_path / "in", "--model", model, "--annotate", out)
    result = activity(*words, "--format", "srt", "--out", tmp_path / "srt")
    assert result.exit_code == 1
    inside = out.joinpath(*(tmp_path / "in").parts[1:])
    assert sorted(path for path in out.rglob("*") if path.is_file()) == [
        inside / "one" / "a%d.mp4",
        inside / "two" / "b.mp4",
    ]
    assert len(list((tmp_path / "srt").rglob("*.srt"))) == 2
    # The same call again replaces them.
    assert activity(*words).exit_code == 1


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["{video}", "--annotate", "{out}.mp4"], "--annotate needs --timeline. Add --timeline."),
        (["-", "--timeline", "--annotate", "{out}.mp4"], "--annotate reads each video twice, so it cannot read '-'."),
        (["camera:0", "--timeline", "--annotate", "{out}"], "it cannot read 'camera:0'. Save the video to a file"),
        (["{video}", "--timeline", "--annotate", "{out}.avi"], "annotated videos are MP4 files. Name {out}.mp4, or"),
        (["{video}", "{video}", "--timeline", "--annotate", "{out}.mp4"], "is one file, but there are several videos."),
        (["{video}", "{video}", "--timeline", "--annotate", "{out}"], "would have the same annotated video"),
        (
            ["{video}", "--timeline", "--annotate", "{video}/x.mp4"],
            "a.avi cannot be written: file exists. Choose another",
        ),
    ],
)
def test_errors_of_one_line(activity: Activity, model: Path, tmp_path: Path, words: list[str], problem: str) -> None:
    names = {"video": str(draw_video(tmp_path / "a.avi")), "out": str(tmp_path / "out")}
    result = activity("predict", *(word.format(**names) for word in words), "--model", model)
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert problem.format(**names) in line


def test_an_input_is_never_replaced(
    activity: Activity, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw_video(Path("a.avi"))
    draw_video(Path("a.mp4"), codec="mp4v")
    content = Path("a.mp4").read_bytes()
    for video, out in (("a.mp4", "a.mp4"), ("a.mp4", "."), ("a.avi", ".")):
        result = activity("predict", "--timeline", video, "--model", model, "--annotate", out)
        assert result.exit_code == 2
        assert "a.mp4 would be replaced" in result.stderr
    assert Path("a.mp4").read_bytes() == content
    assert activity("predict", "--timeline", "a.avi", "--model", model, "--annotate", "b.mp4").exit_code == 0
    assert activity("predict", "--timeline", "a.avi", "--model", model, "--annotate", "b.mp4").exit_code == 0


def test_progress_counts_the_frames(model: Path, tmp_path: Path) -> None:
    stages = []

    class Recording(SilentProgress):
        def stage(self, title: str, total: int | None, unit: str) -> AbstractContextManager[Stage]:
            stages.append((title, total, unit))
            return super().stage(title, total, unit)

    video = draw_video(tmp_path / "a.avi", num_frames=9)
    settings = PredictSettings((video,), model, timeline=True, annotate=tmp_path / "b.mp4")
    assert list(predict_timeline(settings, Recording()))
    assert stages == [("Predicting", 1, "video"), ("Annotating", 9, "frame")]


def test_a_killed_run_leaves_no_half_file(command: list[str], model: Path, tmp_path: Path) -> None:
    video = encode(tmp_path / "long.mkv", 600, "-c:v", "ffv1", "-g", 1, size=(320, 240))
    out = tmp_path / "out"
    out.mkdir()
    words = [*command, "predict", "--timeline", video, "--model", model, "--annotate", out / "x.mp4"]
    process = subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 50
    while not list(out.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    [aside] = out.iterdir()
    assert aside.name.startswith(".unfinished-")
    assert subprocess.run(list(map(str, words)), stdout=subprocess.DEVNULL, check=False).returncode == 0
    assert [path.name for path in out.iterdir()] == ["x.mp4"]


@pytest.mark.parametrize("num_frames", [2, 3])
def test_a_video_that_is_shorter_than_a_window(
    activity: Activity, model: Path, tmp_path: Path, num_frames: int
) -> None:
    video = draw_video(tmp_path / "a.avi", num_frames=num_frames, fps=60)
    result = activity("predict", "--timeline", video, "--model", model, "--annotate", tmp_path / "b.mp4")
    assert result.exit_code == 0, result.stderr
    assert len(frames_of(tmp_path / "b.mp4")) == num_frames
