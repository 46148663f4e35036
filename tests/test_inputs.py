"""Where predict finds videos: lists, watched folders, pipes and addresses."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from activity_cli import Recognizer
from activity_cli.errors import VideoError
from activity_cli.results import TimelineSegment, TimelineWindow
from activity_cli.video.live import LiveSource
from encoded_videos import ffmpeg
from rtsp_server import rtsp_server
from stream_support import http_server, tcp_server

Activity = Callable[..., Result]


def lines(text: str | bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def video(videos: Path) -> Path:
    return videos / "left" / "person1_0.avi"


@pytest.fixture(scope="module")
def stream(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 s of MPEG-TS."""
    path = tmp_path_factory.mktemp("stream") / "stream.ts"
    balls = [videos / motion / "person5_0.avi" for motion in ("left", "right", "up")]
    joined = path.with_suffix(".txt")
    joined.write_text("".join(f"file '{ball}'\n" for ball in balls))
    ffmpeg("-f", "concat", "-safe", 0, "-i", joined, "-c:v", "mpeg2video", "-r", 25, "-g", 10, path)
    return path


# Lists of files


def run(command: list[str], *words: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*command, *map(str, words)], capture_output=True, timeout=60, check=False, **options)


def test_files_from_a_list(activity: Activity, model: Path, videos: Path, video: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_bytes(f"\ufeff{video}\r\n\n{videos / 'up'}\nhttp://example.com/x.mp4\n{video}".encode())
    result = activity("predict", video, "--files-from", listed, "--model", model)
    sources = [one["source"] for one in lines(result.stdout)]
    assert sources[:2] == [str(video)] * 2
    assert sources[-2:] == ["http://example.com/x.mp4", str(video)]
    assert len(sources) == 2 + 12 + 2
    assert [one["status"] for one in lines(result.stdout)] == [*["ok"] * 14, "error", "ok"]
    assert result.exit_code == 1


def test_addresses_in_a_list_are_never_opened(activity: Activity, model: Path, stream: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    with tcp_server([stream.read_bytes()]) as address:
        listed.write_text(f"{address}\ncamera:0\n-\n")
        result = activity("predict", "--timeline", "--files-from", listed, "--model", model)
    codes = [one["error"]["code"] for one in lines(result.stdout)]
    assert codes == ["video.unsupported", "video.unsupported", "video.missing"]


def test_a_list_on_stdin_with_any_names(command: list[str], model: Path, video: Path, tmp_path: Path) -> None:
    names = [b"a\nb.avi", b"undecodable \xff.avi", b" space .avi"]
    for name in names:
        shutil.copy(os.fsencode(video), os.path.join(os.fsencode(tmp_path), name))  # noqa: PTH118
    words = ("predict", "--files-from", "-", "-0", "--model", model)
    result = run(command, *words, input=b"\0".join(names) + b"\0", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, b"")
    # Bytes that are not UTF-8 are escapes, which every reader of JSON accepts.
    shown = [os.fsdecode(name).encode("utf-8", "backslashreplace").decode() for name in names]
    assert [one["source"] for one in lines(result.stdout)] == shown


def test_an_answer_does_not_wait_for_the_next_name(command: list[str], model: Path, video: Path) -> None:
    words = [*command, "predict", "--files-from", "-", "--model", str(model)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for _ in range(2):
            process.stdin.write(os.fsencode(video) + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["status"] == "ok"
        process.stdin.close()
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize(
    ("content", "words", "problem"),
    [
        (None, [], "No such file or directory"),
        (b"", [], "the list is empty"),
        (b"\n\r\n", [], "the list is empty"),
        (b"a.avi\0b.avi\0", [], "NUL bytes"),
        (b"\0", ["--null"], "the list is empty"),
    ],
)
def test_a_list_that_cannot_be_used(
    activity: Activity, model: Path, tmp_path: Path, content: bytes | None, words: list[str], problem: str
) -> None:
    listed = tmp_path / "list.txt"
    if content is not None:
        listed.write_bytes(content)
    result = activity("predict", "--files-from", listed, *words, "--model", model)
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert line.startswith(f"activity: --files-from {listed}: ")
    assert problem.lower() in line.lower()


def test_stdin_is_one_thing(activity: Activity, model: Path) -> None:
    result = activity("predict", "-", "--files-from", "-", "--model", model, input=b"")
    assert result.exit_code == 2
    assert "--files-from -: stdin is already an INPUT." in result.stderr


@pytest.mark.slow
def test_many_names(command: list[str], model: Path, video: Path, tmp_path: Path) -> None:
    """All are answered in their order."""
    shutil.copy(video, tmp_path / "ok.avi")
    names = ["broken.avi" if number % 100 == 37 else "ok.avi" for number in range(1000)]
    words = ("predict", "--files-from", "-", "--model", model)
    result = run(command, *words, input="\n".join(names).encode(), cwd=tmp_path)
    found = lines(result.stdout)
    assert result.returncode == 1
    assert [one["source"] for one in found] == names
    assert [one["status"] for one in found] == ["error" if name == "broken.avi" else "ok" for name in names]
    assert len(result.stderr.splitlines()) == 10


# A watched folder


@contextmanager
def watching(command: list[str], model: Path, folder: Path, *words: object) -> Iterator[subprocess.Popen[bytes]]:
    """The command; a video that is there already says when it watches."""
    ready = folder.parent / "ready.avi"
    words = ("predict", ready, "--watch", folder, "--model", model, *words)
    process = subprocess.Popen([*command, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        assert process.stdout
        assert json.loads(process.stdout.readline())["source"] == str(ready)
        time.sleep(1)
        yield process
        process.kill()


def test_a_watched_folder(command: list[str], model: Path, video: Path, tmp_path: Path) -> None:
    folder, data = tmp_path / "in", video.read_bytes()
    folder.mkdir()
    shutil.copy(video, tmp_path / "ready.avi")
    shutil.copy(video, folder / "old.avi")
    with watching(command, model, folder) as process:
        assert process.stdout
        assert process.stderr
        with (folder / "slow.avi").open("wb") as slow:
            slow.write(data[:2000])
            slow.flush()
            (folder / "below").mkdir()
            shutil.copy(video, folder / "below" / "quick.avi")
            (folder / "notes.txt").touch()
            for part in range(4):
                time.sleep(0.6)
                slow.write(data[2000 + 500 * part :][:500])
                slow.flush()
            slow.write(data[4000:])
        found = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [one["source"] for one in found] == [str(folder / "below" / "quick.avi"), str(folder / "slow.avi")]
        assert [one["status"] for one in found] == ["ok", "ok"]
        assert found[0]["scores"] == found[1]["scores"]
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10) == (b"", b"")
    assert process.returncode == 130


def test_a_closed_pipe_ends_the_watch(command: list[str], model: Path, video: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(video, tmp_path / "ready.avi")
    with watching(command, model, tmp_path / "in") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.wait(timeout=10) == 141
        assert process.stderr.read() == b""


def test_a_folder_that_is_not_there(activity: Activity, model: Path, tmp_path: Path) -> None:
    result = activity("predict", "--watch", tmp_path / "nowhere", "--model", model)
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert line.startswith(f"activity: --watch {tmp_path / 'nowhere'}: there is no such folder.")


# Timelines of what arrives


def without(found: list[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if key not in keys} for one in found]


def test_the_timeline_of_a_pipe(command: list[str], model: Path, stream: Path, tmp_path: Path) -> None:
    words = ("predict", "--timeline", "--per-window", "--model", model)
    expected = without(lines(run(command, *words, stream).stdout), "source")
    mp4 = tmp_path / "index-at-end.mp4"
    ffmpeg("-i", stream, "-c", "copy", mp4)
    for path in (stream, mp4):
        result = run(command, *words, "-", input=path.read_bytes())
        assert (result.returncode, result.stderr) == (0, b"")
        assert {one["source"] for one in lines(result.stdout)} == {"-"}
        assert without(lines(result.stdout), "source") == expected


def test_a_pipe_without_a_video(command: list[str], model: Path) -> None:
    for content in (b"", b"no video" * 200, b"\x1a\x45\xdf\xa3" + b"no video" * 200):
        result = run(command, "predict", "--timeline", "--model", model, "-", input=content)
        assert result.returncode == 1
        [answer], [line] = lines(result.stdout), result.stderr.splitlines()
        assert answer["error"]["message"].startswith("stdin: ")
        assert line.startswith(b"activity: stdin: ")


def test_a_live_source_gives_the_windows_of_the_file(model: Path, stream: Path) -> None:
    recognizer = Recognizer(model)
    expected = [one.to_dict() for one in recognizer.timeline(stream) if isinstance(one, TimelineWindow)]
    found = []
    with tcp_server([stream.read_bytes()], seconds=2.5) as address:
        source = LiveSource(address, reconnects=0)
        with pytest.raises(VideoError, match="it stopped"):
            for one in recognizer.timeline(source):
                found.append(one)
    assert source.dropped_frames == 0
    windows = [one.to_dict() for one in found if isinstance(one, TimelineWindow)]
    assert without(windows, "source", "time") == without(expected, "source")
    assert all(one.time.endswith("Z") for one in found)
    last = found[-1]
    assert isinstance(last, TimelineSegment)
    assert last.end_seconds == pytest.approx(4.2, abs=0.3)


def test_an_interruption_is_a_gap(model: Path, stream: Path) -> None:
    found = []
    with tcp_server([stream.read_bytes()] * 2, seconds=1.0) as address:
        source = LiveSource(address, reconnects=1)
        with pytest.raises(VideoError, match="connection refused"):
            found.extend(Recognizer(model).timeline(source))
    parts = [one for one in found if isinstance(one, TimelineSegment)]
    assert all(one.end_seconds == other.start_seconds for one, other in itertools.pairwise(parts))
    [gap] = [one for one in parts if one.reason == "no_frames"]
    assert (gap.label, gap.confidence) == (None, None)
    assert gap.start_seconds == pytest.approx(4.2, abs=0.3)
    assert gap.end_seconds - gap.start_seconds > 0.9  # the pause
    assert parts[-1].end_seconds == pytest.approx(gap.end_seconds + 4.2, abs=0.3)


def test_a_live_source_that_changes_its_size(model: Path, stream: Path, tmp_path: Path) -> None:
    large, found = tmp_path / "large.ts", []
    ffmpeg("-i", stream, "-vf", "scale=2*iw:2*ih", "-c:v", "mpeg2video", "-g", 10, large)
    data = stream.read_bytes() + large.read_bytes()
    with tcp_server([data], seconds=2.0) as address, pytest.raises(VideoError, match="it stopped"):
        found.extend(Recognizer(model).timeline(LiveSource(address, reconnects=0)))
    parts = [one for one in found if isinstance(one, TimelineSegment)]
    assert all(one.end_seconds == other.start_seconds for one, other in itertools.pairwise(parts))
    assert parts[-1].end_seconds == pytest.approx(8.4, abs=0.6)


def test_lines_of_a_live_source(command: list[str], model: Path, stream: Path) -> None:
    with tcp_server([stream.read_bytes()], seconds=1.0) as address:
        result = run(command, "predict", "--timeline", "--model", model, address, "--set", "reconnects=0")
    *found, error = lines(result.stdout)
    assert {one["schema"] for one in found} == {"activity.segment/1", "activity.window/1"}
    assert {one["source"] for one in found} == {address}
    assert all(one["time"] for one in found)
    assert (error["error"]["code"], result.returncode) == ("video.stopped", 1)
    assert result.stderr.decode().splitlines()[0] == f"activity: {address}: it stopped. Start it again."


def test_a_camera_that_returns(command: list[str], model: Path, stream: Path, tmp_path: Path) -> None:
    path = tmp_path / "camera.ts"
    ffmpeg("-i", stream, "-c:v", "libx264", path)
    with rtsp_server(path, rate=100, connections=2, login="coach:secret") as address:
        result = run(command, "predict", "--timeline", "--model", model, address, "--set", "reconnects=1")
    *found, error = lines(result.stdout)
    assert {one["schema"] for one in found} == {"activity.segment/1", "activity.window/1"}
    assert {one["source"] for one in found} == {address.replace("secret", "***")}
    [gap] = [one for one in found if one.get("reason") == "no_frames"]
    assert gap["start_seconds"] == pytest.approx(4.2, abs=0.3)
    assert found[-1]["end_seconds"] == pytest.approx(gap["end_seconds"] + 4.2, abs=0.3)
    assert (error["error"]["code"], result.returncode) == ("video.stopped", 1)
    assert b"it stopped; try 1 of 1 in 1 s." in result.stderr
    assert b"secret" not in result.stdout + result.stderr


def test_ctrl_c_closes_the_segment(command: list[str], model: Path, stream: Path) -> None:
    words = [*command, "predict", "--timeline", "--model", str(model)]
    with (
        tcp_server([stream.read_bytes() * 8], seconds=25.0) as address,
        subprocess.Popen([*words, address], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        assert process.stdout
        assert json.loads(process.stdout.readline())["schema"] == "activity.window/1"
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (130, b"")
    assert lines(rest)[-1]["schema"] == "activity.segment/1"


def test_a_video_on_a_web_server(activity: Activity, model: Path, stream: Path) -> None:
    expected = lines(activity("predict", "--timeline", "--model", model, stream).stdout)
    with http_server(stream) as address:
        result = activity("predict", "--timeline", "--model", model, address)
    assert result.exit_code == 0
    assert without(lines(result.stdout), "source") == without(expected, "source")


def test_an_address_that_does_not_answer(activity: Activity, model: Path, video: Path) -> None:
    result = activity("predict", "--timeline", "--model", model, "tcp://127.0.0.1:9", "gopher://x/", video)
    first, second, *rest = lines(result.stdout)
    assert (first["error"]["code"], second["error"]["code"]) == ("video.unreachable", "video.unsupported")
    assert rest[0]["schema"] == "activity.segment/1"
    assert result.exit_code == 1


@pytest.mark.parametrize("display", ["", ":4711"])
def test_a_window_without_a_display(command: list[str], model: Path, stream: Path, display: str) -> None:
    words = ("predict", "--timeline", "--show", "--model", model, "--set", "reconnects=0")
    environment = {**os.environ, "DISPLAY": display, "WAYLAND_DISPLAY": "", "QT_QPA_PLATFORM": "xcb"}
    with tcp_server([stream.read_bytes() * 2], seconds=4.0) as address:
        result = run(command, *words, address, env=environment)
    assert lines(result.stdout)[0]["schema"] == "activity.window/1"
    first, *_ = result.stderr.decode().splitlines()
    assert first == "warning: --show: there is no display, so predict goes on without a window."


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--timeline", "--show", "x.avi"], "--show needs --timeline and an address or a camera."),
        (["--null", "x.avi"], "--null is for the list of --files-from."),
    ],
)
def test_options_that_fit_nothing(activity: Activity, model: Path, words: list[str], problem: str) -> None:
    result = activity("predict", *words, "--model", model)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
