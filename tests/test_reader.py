"""One video file -> frames: the right ones, in the right colors, from any container and any file name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from activity_cli.errors import VideoError
from activity_cli.results import VideoInfo
from activity_cli.sampling.plan import evenly_spaced, plan_cuts
from activity_cli.settings import Sampling
from activity_cli.streams.frames import FrameStreams
from activity_cli.video.fitting import fit_frame
from activity_cli.video.opencv import FileSource
from activity_cli.video.reader import Clip, ClipReader
from activity_cli.video.source import Frame, JumpError
from data_support import CONTAINERS, draw_numbers, no_privileges, numbers_in, read_clip

SMALL = Sampling(num_frames=6, frame_size=64, fit="stretch")


def info_of(path: Path) -> VideoInfo:
    reader = ClipReader(FileSource(path), SMALL)
    assert len(list(reader)) == 1
    return reader.info


@pytest.mark.parametrize(("ending", "codec"), CONTAINERS)
def test_the_frames_returned_are_the_frames_asked_for(ending: str, codec: str, tmp_path: Path) -> None:
    path = draw_numbers(tmp_path / f"numbers.{ending}", 50, codec=codec)
    for num_frames in (1, 2, 7, 16, 49, 50, 51):
        clip = read_clip(path, Sampling(num_frames=num_frames, frame_size=64))
        assert clip.cut.indices == evenly_spaced(50, num_frames)
        assert numbers_in(clip.frames) == clip.cut.indices
    for rate, expected in {2.0: (6, 18, 31, 43), 12.5: range(17, 33, 2), 100.0: (24, 25)}.items():
        clip = read_clip(path, Sampling(num_frames=8, frames_per_second=rate, frame_size=64))
        assert numbers_in(clip.frames) == clip.cut.indices == tuple(expected)
        assert clip.times_seconds == pytest.approx([index / 25 for index in clip.cut.indices], abs=0.002)
    info = info_of(path)
    assert (info.num_frames, info.header_frames, info.frames_per_second) == (50, 50, 25)
    assert info.duration_seconds == pytest.approx(2.0, abs=0.01)
    assert (info.width, info.height, info.rotation_degrees) == (128, 64, 0)


@pytest.mark.parametrize("num_frames", [1, 2, 3])
def test_a_video_shorter_than_the_clip_gives_all_its_frames_and_no_padding(num_frames: int, tmp_path: Path) -> None:
    clip = read_clip(draw_numbers(tmp_path / "short.avi", num_frames), SMALL)
    assert clip.frames.shape == (num_frames, 64, 64, 3)
    assert numbers_in(clip.frames) == tuple(range(num_frames))


def test_more_decoding_threads_change_nothing(tmp_path: Path) -> None:
    path = draw_numbers(tmp_path / "numbers.mp4", 50, codec="mp4v")
    clips = [read_clip(path, SMALL, threads=threads) for threads in (0, 1, 2)]
    assert all(np.array_equal(clips[0].frames, clip.frames) for clip in clips)


def test_frames_are_rgb(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "red.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 64))
    for _ in range(5):
        writer.write(np.full((64, 64, 3), (0, 0, 255), np.uint8))  # OpenCV's red: blue, green, red
    writer.release()
    red, green, blue = read_clip(tmp_path / "red.avi", SMALL).frames.mean(axis=(0, 1, 2))
    assert red > 240
    assert green < 20
    assert blue < 20


def test_fitting_stretches_pads_or_crops() -> None:
    frame = np.zeros((40, 80, 3), np.uint8)
    frame[:, :20], frame[:, 20:60], frame[:, 60:] = 50, 150, 250
    stretched, padded, cropped = (fit_frame(frame, 40, fit) for fit in ("stretch", "pad", "crop"))
    assert {image.shape for image in (stretched, padded, cropped)} == {(40, 40, 3)}
    assert stretched[20, :, 0].tolist() == [50] * 10 + [150] * 20 + [250] * 10
    assert (cropped == 150).all()
    assert (padded[:10] == 0).all()
    assert (padded[30:] == 0).all()
    assert np.array_equal(padded[10:30, :, 0], stretched[::2, :, 0])


@pytest.mark.parametrize(("height", "width"), [(1, 200), (200, 1), (33, 32), (32, 32), (7, 9)])
@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_fitting_takes_any_shape(height: int, width: int, fit: str) -> None:
    fitted = fit_frame(np.full((height, width, 3), 200, np.uint8), 32, fit)
    assert fitted.shape == (32, 32, 3)
    assert fitted.dtype == np.uint8
    assert fitted.max() == 200
    assert fit == "pad" or (fitted == 200).all()


def test_a_header_that_promises_too_much_is_corrected_by_counting(tmp_path: Path) -> None:
    whole = draw_numbers(tmp_path / "whole.avi", 50)
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    info = info_of(cut)
    assert info.header_frames == 50
    assert 10 < info.num_frames < 45
    assert numbers_in(read_clip(cut, SMALL).frames) == evenly_spaced(info.num_frames, 6)
    assert info.duration_seconds == pytest.approx(info.num_frames / 25, abs=0.05)


@pytest.mark.parametrize("promised", [0, 3, 20])
def test_a_header_that_promises_too_little_is_corrected_by_counting(promised: int, tmp_path: Path) -> None:
    path = draw_numbers(tmp_path / "numbers.avi", 50)
    content = path.read_bytes()
    for mark, place in ((b"avih", 16), (b"strh", 32)):
        begin = content.index(mark) + len(mark) + 4 + place
        assert int.from_bytes(content[begin : begin + 4], "little") == 50, mark
        content = content[:begin] + promised.to_bytes(4, "little") + content[begin + 4 :]
    path.write_bytes(content)
    assert info_of(path).num_frames == 50
    assert numbers_in(read_clip(path, SMALL).frames) == evenly_spaced(50, 6)


HOSTILE_NAMES = (
    "with space.mp4",
    "quotes'\".mp4",
    "new\nline.mp4",
    "return\r.mp4",
    "100%d %20 %s.mp4",
    "http:foo.mp4",
    "concat:a.mp4",
    "a|b;c,d.mp4",
    "query?x=1#y.mp4",
    "-dash.mp4",
    "über-手.mp4",
    os.fsdecode(b"undecodable\xff.mp4"),
)


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_any_name_can_be_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(draw_numbers(tmp_path / "plain.mp4", 12, codec="mp4v"), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / name, Path(name)):
        assert numbers_in(read_clip(path, SMALL).frames) == (1, 3, 5, 7, 9, 11)


def refused(path: Path) -> VideoError:
    with pytest.raises(VideoError) as caught:
        read_clip(path, SMALL)
    error = caught.value
    assert error.message.startswith(f"{path.name}: ")
    assert "\n" not in error.message + error.hint
    assert error.hint
    assert error.exit_code == 1
    return error


def test_what_is_no_video_is_refused_with_the_plain_reason(tmp_path: Path) -> None:
    whole = draw_numbers(tmp_path / "whole.mp4", 50, codec="mp4v").read_bytes()
    contents = {
        "empty.mp4": (b"", "video.empty"),
        "text.mp4": (b"This is no video.\n" * 300, "video.undecodable"),
        "one_byte.avi": (b"R", "video.undecodable"),
        "zeros.mkv": (bytes(10_000), "video.undecodable"),
        "cut.mp4": (whole[: len(whole) // 2], "video.undecodable"),  # its index is at the end
        "header_only.avi": (draw_numbers(tmp_path / "w.avi", 9).read_bytes()[:4096], "video.undecodable"),
    }
    for name, (content, code) in contents.items():
        (tmp_path / name).write_bytes(content)
        assert refused(tmp_path / name).code == code, name
    (tmp_path / "folder.mp4").mkdir()
    assert refused(tmp_path / "folder.mp4").code == "video.unreadable"
    assert refused(tmp_path / "nowhere.mp4").code == "video.missing"
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nowhere.mp4")
    assert refused(tmp_path / "dangling.mp4").code == "video.missing"
    assert refused(tmp_path / "w.avi" / "inner.mp4").code == "video.unreadable"
    assert refused(tmp_path / ("n" * 300 + ".mp4")).code == "video.unreadable"


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    assert refused(tmp_path / "pipe.mp4").code == "video.unreadable"
    assert refused(Path("/dev/zero")).code == "video.unreadable"


PLAYLIST = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:5.0,\n{}\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.avi"])
@pytest.mark.parametrize("text", [PLAYLIST, "ffconcat version 1.0\nfile {}\n"])
@pytest.mark.parametrize("absolute", [False, True])
def test_a_playlist_cannot_make_the_decoder_open_another_file(
    name: str, text: str, absolute: bool, tmp_path: Path
) -> None:
    secret = draw_numbers(tmp_path / "secret.mp4", 12, codec="mp4v")
    (tmp_path / name).write_text(text.format(secret if absolute else secret.name))
    assert refused(tmp_path / name).code == "video.undecodable"


_READ = """
import sys
from pathlib import Path
from activity_cli import Sampling, VideoError
from activity_cli.video.opencv import FileSource
from activity_cli.video.reader import ClipReader
try:
    [clip] = ClipReader(FileSource(Path(sys.argv[1])), Sampling(num_frames=6, frame_size=32))
    print(len(clip.frames))
except VideoError as error:
    print(error.code, error)
"""


def read_elsewhere(path: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _READ, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, **options)


def test_a_file_without_permission_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = draw_numbers(tmp_path / "closed.mp4", 12, codec="mp4v")
    path.chmod(0)
    done = read_elsewhere(path, preexec_fn=no_privileges)
    assert done.stdout.startswith("video.unreadable closed.mp4: cannot be read: permission denied."), done
    assert done.stderr == ""


def test_decoder_options_from_outside_cannot_undo_the_protection(tmp_path: Path) -> None:
    video = draw_numbers(tmp_path / "video.mp4", 12, codec="mp4v")
    (tmp_path / "list.m3u8").write_text(PLAYLIST.format("video.mp4"))
    given = {**os.environ, "OPENCV_FFMPEG_CAPTURE_OPTIONS": "protocol_whitelist;file,crypto,data|rtsp_transport;udp"}
    assert read_elsewhere(video, env=given).stdout == "6\n"
    assert read_elsewhere(tmp_path / "list.m3u8", env=given).stdout.startswith("video.undecodable")


def test_damage_is_not_commented_on_by_the_decoder(tmp_path: Path) -> None:
    content = bytearray(draw_numbers(tmp_path / "whole.mp4", 50, codec="mp4v").read_bytes())
    content[600:1500:7] = b"\xff" * len(content[600:1500:7])
    (tmp_path / "damaged.mp4").write_bytes(content)
    assert read_elsewhere(tmp_path / "damaged.mp4").stderr == ""


class Numbers:
    """A source that lists other frames than it shows; each frame shows its number in the first color."""

    name = "numbers"

    def __init__(self, listed: Sequence[float], shown: Sequence[float]) -> None:
        self.listed, self.shown, self.times_read = listed, shown, 0

    def list_times(self) -> Sequence[float]:
        return self.listed

    def read(self, wants: Callable[[int], bool]) -> Iterator[Frame]:
        self.times_read += 1
        for index, time in enumerate(self.shown):
            yield Frame(index, time, np.full((32, 32, 3), index, np.uint8) if wants(index) else None)

    def worth_jumping(self, indices: Sequence[int]) -> bool:
        return False

    def jump(self, indices: Sequence[int]) -> Iterator[Frame]:
        raise JumpError

    def info(self) -> VideoInfo:
        return VideoInfo(frames_per_second=10.0, width=32, height=32)


STEADY = [index / 10 for index in range(200)]
GAP = STEADY[:100] + [time + 1.0 for time in STEADY[100:]]
WINDOWS = Sampling(num_frames=5, frame_size=32, window_seconds=1.0, stride_seconds=0.5)


@pytest.mark.parametrize(
    ("listed", "shown", "times_read"),
    [
        (STEADY, STEADY, 1),
        (STEADY, STEADY[:150], 1),  # cut off
        (STEADY[:150], STEADY, 2),  # longer than listed
        ([], STEADY, 2),  # nothing is listed
        (STEADY, GAP, 2),  # frames are missing in the middle
        (STEADY, [time + 0.2 for time in STEADY[:-1]] + [5.0], 1),  # time stamps that do not rise say nothing
        (STEADY, [0.0] * 200, 1),
    ],
    ids=["right", "cut off", "longer", "nothing", "gap", "shifted", "no time stamps"],
)
def test_clips_are_delivered_once_and_right_whatever_the_source_lists(
    listed: list[float], shown: list[float], times_read: int
) -> None:
    source = Numbers(listed, shown)
    reader = ClipReader(source, WINDOWS)
    found = list(reader)
    clips = {clip.cut.start_seconds: clip for clip in found}
    times = shown if all(earlier < later for earlier, later in pairwise(shown)) else STEADY[: len(shown)]
    cuts = plan_cuts(times, WINDOWS)
    assert len(found) == len(clips)
    assert sorted(clips) == [cut.start_seconds for cut in cuts]
    for cut in cuts:
        clip = clips[cut.start_seconds]
        assert tuple(clip.frames[:, 0, 0, 2]) == clip.cut.indices
        assert clip.times_seconds == tuple(times[index] for index in clip.cut.indices)
        if shown is not GAP or cut.end_seconds > 10:
            assert clip.cut.indices == cut.indices
        else:  # delivered before the gap showed that the rate is not steady
            assert clip.cut.indices == tuple(round(10 * cut.start_seconds) + index for index in (1, 3, 5, 7, 9))
    assert source.times_read == times_read
    assert (reader.info.num_frames, reader.info.variable_frame_rate) == (len(shown), shown is GAP)
    [whole] = ClipReader(Numbers(listed, shown), SMALL)
    assert whole.cut == plan_cuts(times, SMALL)[0]


def test_threads_that_describe_frames_do_not_change_the_rows(tmp_path: Path) -> None:
    path = draw_numbers(tmp_path / "numbers.avi", 60)
    windows = Sampling(num_frames=6, frame_size=64, window_seconds=0.8, stride_seconds=0.4)  # frames are in two clips
    encoded: list[tuple[int, ...]] = []

    def encode(frame: np.ndarray) -> np.ndarray:
        encoded.append(numbers_in(frame[np.newaxis]))
        return frame.mean(axis=(0, 1), dtype=np.float32)

    def read(executor: Executor | None) -> list[Clip]:
        describer = FrameStreams(("motion",), encode=encode)
        return list(ClipReader(FileSource(path, 1), windows, describer=describer, executor=executor))

    alone = read(None)
    # Every frame once, whatever the overlap.
    assert encoded == sorted(set(encoded))
    with ThreadPoolExecutor(3) as executor:
        together = read(executor)
    assert len(alone) == len(together) == 5
    for one, other in zip(alone, together, strict=True):
        assert one.cut == other.cut
        assert set(one.rows) == set(other.rows) == {"appearance", "motion"}
        for name, rows in one.rows.items():
            np.testing.assert_array_equal(rows, other.rows[name])
        np.testing.assert_allclose(one.rows["appearance"], one.frames.mean(axis=(1, 2)), rtol=1e-5)


def test_an_error_of_a_describing_thread_is_raised(tmp_path: Path) -> None:
    def encode(_: np.ndarray) -> np.ndarray:
        raise MemoryError

    path = draw_numbers(tmp_path / "numbers.avi", 20)
    with ThreadPoolExecutor(2) as executor, pytest.raises(MemoryError):
        list(ClipReader(FileSource(path, 1), SMALL, describer=FrameStreams((), encode=encode), executor=executor))
