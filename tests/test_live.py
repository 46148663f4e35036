"""Sources that arrive: pipes, addresses and cameras."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from activity_cli.errors import VideoError
from activity_cli.video.live import LiveSource, Pipe, PipeSource, is_live
from activity_cli.video.opencv import FileSource
from activity_cli.video.source import Frame, Source
from encoded_videos import encode, number_of
from rtsp_server import rtsp_server
from stream_support import http_server, piped, silent_server, tcp_server

X264 = ("-c:v", "libx264", "-bf", "2")


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 s of MPEG-TS, of 50 frames."""
    return encode(tmp_path_factory.mktemp("stream") / "numbers.ts", 50, "-c:v", "mpeg2video", "-g", 10)


def frames_of(source: Source) -> list[Frame]:
    return list(source.read(lambda _: True))


def numbers(frames: list[Frame]) -> list[int]:
    return [number_of(frame.bgr) for frame in frames if frame.bgr is not None]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x264.ts", X264),
        ("mpeg2.ts", ("-c:v", "mpeg2video")),
        ("x264.mkv", X264),
        ("fragmented.mp4", (*X264, "-movflags", "frag_keyframe+empty_moov")),
    ],
)
def test_a_pipe_gives_the_frames_of_the_file(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    path = encode(tmp_path / name, 40, *options)
    with piped(path) as file:
        pipe = Pipe(file)
        assert pipe.holds_stream
        found = frames_of(PipeSource(pipe, "stdin"))
    expected = frames_of(FileSource(path))
    assert [one.index for one in found] == list(range(40))
    assert [one.time_seconds for one in found] == pytest.approx([one.time_seconds for one in expected], abs=1e-6)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.bgr, other.bgr)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [X264, (*X264, "-movflags", "+faststart")])
def test_a_plain_mp4_is_no_stream(options: tuple[str, ...], tmp_path: Path) -> None:
    path = encode(tmp_path / "plain.mp4", 40, *options)
    with piped(path) as file:
        pipe = Pipe(file)
        assert not pipe.holds_stream
        copy = b"".join(iter(lambda: pipe.read(1000), b""))
    assert copy == path.read_bytes()


def test_a_stopped_pipe_ends(stream: Path) -> None:
    with piped(stream, seconds=1.0) as file:
        source = PipeSource(Pipe(file), "stdin")
        frames = source.read(lambda _: True)
        next(frames)
        source.stop()
        assert len(list(frames)) < 40


def test_a_live_source(stream: Path) -> None:
    with tcp_server([stream.read_bytes()], seconds=2.0) as address:
        source = LiveSource(address, reconnects=0)
        found: list[Frame] = []
        with pytest.raises(VideoError, match=r"^tcp://127\.0\.0\.1:\d+: it stopped\. Start it again\.$") as failure:
            found.extend(source.read(lambda _: True))
    assert failure.value.code == "video.stopped"
    expected = frames_of(FileSource(stream))
    assert numbers(found) == list(range(50))
    assert [one.time_seconds for one in found] == pytest.approx([one.time_seconds for one in expected])
    assert (source.num_frames, source.dropped_frames, source.is_finite) == (50, 0, False)
    wall = datetime.strptime(source.wall_time(2.0), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - wall).total_seconds()) < 10


def test_a_camera_with_a_password(tmp_path: Path) -> None:
    path = encode(tmp_path / "camera.ts", 50, *X264)
    with rtsp_server(path, login="coach:secret") as address:
        source = LiveSource(address, reconnects=0)
        found: list[Frame] = []
        with pytest.raises(VideoError, match=r"^rtsp://coach:\*\*\*@127\.0\.0\.1:\d+/stream1: it stopped\."):
            found.extend(source.read(lambda _: True))
    assert numbers(found) == list(range(50))
    times = [one.time_seconds for one in found]
    assert times == sorted(set(times))
    # FFmpeg does not say when the first frame of such a session is shown, and counts from the second one.
    np.testing.assert_allclose(times, np.arange(50) / 25, atol=1.1 / 25)
    assert source.dropped_frames == 0


def test_a_camera_that_wants_a_password(tmp_path: Path) -> None:
    path = encode(tmp_path / "camera.ts", 5, *X264)
    with rtsp_server(path, login="coach:secret") as address:
        source = LiveSource(address.replace("secret", "guess"))
        with pytest.raises(VideoError, match="unauthorized") as failure:
            frames_of(source)
    assert failure.value.code == "video.unreachable"
    assert "guess" not in str(failure.value)


def test_a_slow_reader_gets_the_newest_frames(tmp_path: Path) -> None:
    path = encode(tmp_path / "long.ts", 150, "-c:v", "mpeg2video", "-g", 10)
    with tcp_server([path.read_bytes()], seconds=4.0) as address:
        source = LiveSource(address, reconnects=0)
        found: list[Frame] = []
        with pytest.raises(VideoError, match="it stopped"):
            for frame in source.read(lambda _: True):
                found.append(frame)
                time.sleep(0.1)
    assert source.num_frames == 150
    assert source.dropped_frames == 150 - len(found) > 30
    assert numbers(found) == sorted(numbers(found))
    assert numbers(found)[-1] == 149


def test_a_source_that_returns_goes_on_after_a_gap(stream: Path) -> None:
    lines: list[str] = []
    with tcp_server([stream.read_bytes()] * 2, seconds=0.5) as address:
        source = LiveSource(address, reconnects=1, note=lines.append)
        found: list[Frame] = []
        with pytest.raises(VideoError, match=r"connection refused\. 1 tries to connect again failed\."):
            found.extend(source.read(lambda _: True))
    assert numbers(found) == [*range(50), *range(50)]
    times = [one.time_seconds for one in found]
    assert times == sorted(times)
    assert max(np.diff(times)) > 0.9  # the first pause
    assert len(lines) == 2
    assert re.fullmatch(r"tcp://127\.0\.0\.1:\d+: it stopped; try 1 of 1 in 1 s\.", lines[0])


def test_a_source_that_never_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    with silent_server() as address:
        source = LiveSource(address, timeout_seconds=0.5)
        with pytest.raises(VideoError, match=r"no data came for 0\.5 s\.") as failure:
            frames_of(source)
    assert failure.value.code == "video.unreachable"
    with pytest.raises(VideoError, match="connection refused"):
        frames_of(LiveSource(address))


def test_a_stopped_source_ends(stream: Path) -> None:
    with tcp_server([stream.read_bytes()], seconds=2.0) as address:
        source = LiveSource(address)
        frames = source.read(lambda _: True)
        next(frames)
        source.stop()
        assert list(frames) == []


def test_a_change_of_size(tmp_path: Path) -> None:
    small, large = (
        encode(tmp_path / f"{width}.ts", 25, "-c:v", "mpeg2video", size=(width, width * 3 // 4)) for width in (128, 256)
    )
    with tcp_server([small.read_bytes() + large.read_bytes()], seconds=0.5) as address:
        source = LiveSource(address, reconnects=0)
        found: list[Frame] = []
        with pytest.raises(VideoError, match="it stopped"):
            found.extend(source.read(lambda _: True))
    assert {frame.bgr.shape for frame in found if frame.bgr is not None} == {(96, 128, 3), (192, 256, 3)}
    times = [one.time_seconds for one in found]
    assert times == sorted(set(times))


def test_a_file_on_a_web_server_is_read_in_full(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", 100, *X264, "-movflags", "+faststart")
    with http_server(path) as address:
        source = LiveSource(address)
        found = []
        for frame in source.read(lambda _: True):
            found.append(frame)
            time.sleep(0.005)
    assert source.is_finite
    assert numbers(found) == list(range(100))
    assert [one.time_seconds for one in found] == pytest.approx(
        [one.time_seconds for one in frames_of(FileSource(path))]
    )


def test_a_file_that_breaks_off(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", 100, "-c:v", "mpeg4", "-movflags", "+faststart")
    with http_server(path, most_bytes=path.stat().st_size // 2) as address:
        source = LiveSource(address)
        assert 0 < len(frames_of(source)) < 100
    info = source.info()
    assert info.missing_seconds > 1 or info.lost_frames


def test_live_video_on_a_web_server(stream: Path) -> None:
    with http_server(stream, says_length=False) as address:
        source = LiveSource(address, reconnects=0)
        with pytest.raises(VideoError, match="it stopped"):
            frames_of(source)
    assert not source.is_finite
    assert source.num_frames >= 49  # a connection that breaks may take the last frame along


def test_a_web_page_is_no_video(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    page.write_text("<!DOCTYPE html><html><body>No video.</body></html>" * 50)
    with http_server(page) as address:
        with pytest.raises(VideoError, match="what arrives is not a video") as failure:
            frames_of(LiveSource(address))
        assert failure.value.code == "video.undecodable"
        with pytest.raises(VideoError, match="404 not found"):
            frames_of(LiveSource(f"{address}.mp4"))


def test_a_playlist_opens_no_other_address(stream: Path, tmp_path: Path) -> None:
    playlist = tmp_path / "list.m3u8"
    with http_server(stream) as other:
        playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{other}\n#EXT-X-ENDLIST\n")
        with http_server(playlist) as address, pytest.raises(VideoError, match="not a video"):
            frames_of(LiveSource(address))


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(VideoError, match=r"^camera:99: there is no such camera\.") as failure:
        frames_of(LiveSource("camera:99"))
    assert failure.value.code == "video.unreachable"


def test_what_is_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert all(map(is_live, ("rtsp://host/1", "http://host/x.mp4", "camera:0", "gopher://host/")))
    assert not any(map(is_live, ("clip.mp4", "/tmp/x.mp4", "0", "-", "camera:", "C:/clips/x.mp4")))
    Path("camera:0").touch()
    assert not is_live("camera:0")
    with pytest.raises(VideoError, match="Use one of http, https, rtsp, rtsps, tcp, udp"):
        LiveSource("file:///etc/passwd")


def test_names_have_no_password() -> None:
    assert LiveSource("rtsp://coach:secret@hall:554/1").name == "rtsp://coach:***@hall:554/1"
    assert LiveSource("rtsp://coach@hall:554/1").name == "rtsp://coach@hall:554/1"
