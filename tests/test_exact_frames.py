"""The frames returned are the frames asked for, whatever the codec, the container or the camera did."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from activity_cli.errors import VideoError
from activity_cli.results import VideoInfo
from activity_cli.sampling.plan import Segment
from activity_cli.settings import Sampling
from activity_cli.video.opencv import FileSource
from activity_cli.video.reader import Clip, ClipReader
from activity_cli.video.source import Frame
from encoded_videos import encode, ffmpeg, number_of, truth_of

SAMPLING = Sampling(num_frames=16, frame_size=64, fit="stretch")
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "veryfast")
OPEN_GOP = (*H264, "-bf", 3, "-x264-params", "open-gop=1:keyint=25:min-keyint=25:scenecut=0")


def clips_of(
    path: Path, sampling: Sampling = SAMPLING, *segments: Segment, seed: int = 0
) -> tuple[VideoInfo, list[Clip]]:
    """The clips in the order of segments, windows and variants; each must have been delivered once."""
    reader = ClipReader(FileSource(path, 1), sampling, segments or (Segment(),), seed=seed)
    found = list(reader)
    clips = {(clip.cut.segment, clip.cut.start_seconds, clip.cut.variant): clip for clip in found}
    assert len(clips) == len(found)
    return reader.info, [clips[place] for place in sorted(clips)]


def read_clip(path: Path, sampling: Sampling = SAMPLING) -> tuple[VideoInfo, Clip]:
    info, [clip] = clips_of(path, sampling)
    return info, clip


def numbers_of(clip: Clip, quarter_turns: int = 0) -> list[int]:
    return [number_of(frame, quarter_turns) for frame in clip.frames]


FORMS: dict[str, tuple[str, int, tuple[object, ...], dict[str, object]]] = {
    "h264 with B-frames": ("mp4", 90, (*H264, "-bf", 3, "-g", 30), {}),
    "h264, open GOP": ("mp4", 90, OPEN_GOP, {}),
    "h264, open GOP, transport stream": ("ts", 90, OPEN_GOP, {}),
    "mpeg4": ("avi", 90, ("-c:v", "mpeg4", "-bf", 2, "-q:v", 2), {}),
    "mpeg2 program stream": ("mpg", 90, ("-c:v", "mpeg2video", "-bf", 2, "-q:v", 2), {}),
    "vp9": ("webm", 60, ("-c:v", "libvpx-vp9", "-b:v", "1M", "-deadline", "realtime", "-cpu-used", 8), {}),
    "mjpeg": ("avi", 60, ("-c:v", "mjpeg", "-q:v", 2, "-pix_fmt", "yuvj420p"), {}),
    "gif": ("gif", 40, (), {"fps": 10}),
    "odd size": ("mkv", 60, ("-c:v", "ffv1"), {"size": (101, 77)}),
    "1 frame a second": ("mp4", 40, H264, {"fps": 1}),
    "120 frames a second": ("mp4", 200, H264, {"fps": 120}),
    "1 frame": ("mp4", 1, H264, {}),
    "as many frames as a clip": ("mp4", 16, H264, {}),
    "fewer frames than a clip": ("mp4", 9, H264, {}),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_frames_returned_are_the_frames_asked_for(form: str, tmp_path: Path) -> None:
    ending, num_frames, options, more = FORMS[form]
    path = encode(tmp_path / f"video.{ending}", num_frames, *options, **more)  # type: ignore[arg-type]
    assert truth_of(path) == list(range(num_frames))
    info, clip = read_clip(path)
    expected = [(2 * part + 1) * num_frames // 32 for part in range(16)] if num_frames > 16 else list(range(num_frames))
    assert numbers_of(clip) == list(clip.cut.indices) == expected
    assert (info.num_frames, info.counted_by) == (num_frames, "decoding")
    assert (info.rotation_degrees, info.sample_aspect_ratio) == (0, 1.0)
    assert not info.variable_frame_rate
    assert info.duration_seconds == pytest.approx(num_frames / more.get("fps", 25), rel=0.02)  # type: ignore[operator]


def test_a_variable_frame_rate_is_sampled_by_time_not_by_number(tmp_path: Path) -> None:
    # Two seconds with every tenth frame, then two seconds with all of them.
    steady = encode(tmp_path / "steady.mp4", 200, *H264, "-bf", 2, fps=50)
    choose = r"select='gt(n\,99)+not(mod(n\,10))'"
    ffmpeg("-i", steady, "-vf", choose, "-fps_mode", "vfr", *H264, "-bf", 2, tmp_path / "variable.mkv")
    info, clip = read_clip(tmp_path / "variable.mkv")
    assert info.variable_frame_rate
    assert info.num_frames == 110
    truth = truth_of(tmp_path / "variable.mkv")
    assert numbers_of(clip) == [truth[index] for index in clip.cut.indices]
    # What is on the screen in the middle of each sixteenth of four seconds.
    moments = [(2 * part + 1) * 200 / 32 for part in range(16)]
    assert numbers_of(clip) == [int(m) if m >= 100 else int(m) // 10 * 10 for m in moments]


def test_an_edit_list_is_obeyed(tmp_path: Path) -> None:
    whole = encode(tmp_path / "whole.mp4", 120, *H264, "-bf", 3, "-g", 50)
    ffmpeg("-ss", 1.0, "-i", whole, "-c", "copy", tmp_path / "cut.mp4")
    truth = truth_of(tmp_path / "cut.mp4")
    info, clip = read_clip(tmp_path / "cut.mp4")
    assert truth[0] > 0
    assert (info.num_frames, info.header_frames > len(truth)) == (len(truth), True)
    assert numbers_of(clip) == [truth[(2 * part + 1) * len(truth) // 32] for part in range(16)]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_camera_gives_upright_frames(degrees: int, tmp_path: Path) -> None:
    flat = encode(tmp_path / "flat.mp4", 40, *H264, size=(160, 96))
    ffmpeg("-display_rotation", degrees, "-i", flat, "-c", "copy", tmp_path / "turned.mp4")
    info, clip = read_clip(tmp_path / "turned.mp4")
    assert (info.width, info.height) == ((160, 96) if degrees == 180 else (96, 160))
    assert info.rotation_degrees in (degrees, 360 - degrees)
    turns = next(turns for turns in (1, 2, 3) if numbers_of(clip, turns) == list(clip.cut.indices))
    # ffmpeg's option turns counterclockwise; the number is read by turning it back.
    assert turns == (360 - degrees) // 90


@pytest.mark.parametrize(("fit", "rows"), [("pad", 54), ("crop", 64), ("stretch", 64)])
def test_pixels_that_are_not_square_are_noted_and_shown_as_meant(fit: str, rows: int, tmp_path: Path) -> None:
    path = encode(tmp_path / "video.mp4", 20, *H264, "-vf", "setsar=32/27,negate", size=(96, 96))
    info, clip = read_clip(path, replace(SAMPLING, fit=fit))
    assert info.sample_aspect_ratio == pytest.approx(32 / 27)
    assert (info.width, info.height) == (96, 96)
    # Frame 0 is all white by now; bars are black.
    assert (clip.frames[0].mean(axis=(1, 2)) > 127).sum() == rows


def test_a_file_that_was_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    whole = encode(tmp_path / "whole.avi", 100, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p")
    (tmp_path / "cut.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    info, clip = read_clip(tmp_path / "cut.avi")
    truth = truth_of(tmp_path / "cut.avi")
    assert info.num_frames == len(truth) < 100
    assert numbers_of(clip) == list(clip.cut.indices) == [(2 * part + 1) * len(truth) // 32 for part in range(16)]


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("long")
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            if kind == "edit list":
                made[kind] = root / "edit.mp4"
                ffmpeg("-ss", 3.3, "-i", make("closed"), "-c", "copy", made[kind])
            elif kind == "variable":
                made[kind] = root / "variable.mkv"
                thin = r"select='gt(n\,2000)+not(mod(n\,3))'"
                options = ("-vf", thin, "-fps_mode", "vfr", *H264, "-bf", 2, "-g", 60)
                ffmpeg("-i", make("closed"), *options, made[kind])
            else:
                ending = "ts" if kind == "open GOP in a stream" else "mp4"
                options = (*H264, "-bf", 3, "-g", 60) if kind == "closed" else OPEN_GOP
                made[kind] = encode(root / f"{kind}.{ending}", 4000, *options, size=(64, 64))
        return made[kind]

    return make


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["closed", "open GOP", "open GOP in a stream", "variable"])
def test_jumping_in_a_long_video_gives_the_very_frames_that_reading_through_gives(
    kind: str, long_video: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = long_video(kind)
    info, jumped = read_clip(path)
    # The choice is taken away, not replaced: the other way must give the same.
    monkeypatch.setattr(FileSource, "worth_jumping", lambda *_: False)
    info_through, through = read_clip(path)
    assert (info.counted_by, info_through.counted_by) == ("packets", "decoding")
    assert replace(info, counted_by="decoding") == info_through
    assert jumped.cut == through.cut
    assert np.array_equal(jumped.frames, through.frames)
    truth = truth_of(path)
    assert numbers_of(jumped) == [truth[index] for index in jumped.cut.indices]


def test_a_container_that_lists_more_than_it_shows_is_read_through(long_video: Callable[[str], Path]) -> None:
    path = long_video("edit list")
    info, clip = read_clip(path)
    truth = truth_of(path)
    assert (info.counted_by, info.num_frames) == ("decoding", len(truth))
    assert numbers_of(clip) == [truth[index] for index in clip.cut.indices]


def test_segments_windows_and_variants_of_one_video_are_cut_in_one_reading(long_video: Callable[[str], Path]) -> None:
    path = long_video("closed")  # 160 seconds at 25 frames a second
    segments = (Segment(100.0, 104.0), Segment(2.0, 3.0), Segment(158.0, None), Segment(170.0, 175.0))
    info, clips = clips_of(path, SAMPLING, *segments)
    assert [(clip.cut.segment, clip.cut.start_seconds, clip.cut.end_seconds) for clip in clips] == [
        (0, 100.0, 104.0),
        (1, 2.0, 3.0),
        (2, 158.0, 160.0),
    ]
    assert info.counted_by == "packets"
    for clip, (first, number) in zip(clips, [(2500, 100), (50, 25), (3950, 50)], strict=True):
        assert numbers_of(clip) == list(clip.cut.indices)
        assert list(clip.cut.indices) == [first + (2 * part + 1) * number // 32 for part in range(16)]
    _, windows = clips_of(path, replace(SAMPLING, window_seconds=2.0, stride_seconds=1.0), Segment(10.0, 15.0))
    assert [clip.cut.start_seconds for clip in windows] == [10.0, 11.0, 12.0, 13.0]
    assert all(numbers_of(clip) == list(clip.cut.indices) for clip in windows)
    _, variants = clips_of(path, replace(SAMPLING, clips_per_video=3), seed=7)
    _, again = clips_of(path, replace(SAMPLING, clips_per_video=3), seed=7)
    assert [clip.cut.variant for clip in variants] == [0, 1, 2]
    assert len({clip.cut.indices for clip in variants}) == 3
    assert [clip.cut for clip in again] == [clip.cut for clip in variants]
    assert variants[0].cut == read_clip(path)[1].cut
    for clip in variants:
        assert numbers_of(clip) == list(clip.cut.indices)
        assert [index * 16 // 4000 for index in clip.cut.indices] == list(range(16))


class CountingSource(FileSource):
    """Counts how often the file is decoded."""

    times_read = 0

    def read(self, wants: Callable[[int], bool]) -> Iterator[Frame]:
        self.times_read += 1
        return super().read(wants)


@pytest.mark.parametrize("form", FORMS)
def test_an_ordinary_file_is_decoded_once(form: str, tmp_path: Path) -> None:
    ending, num_frames, options, more = FORMS[form]
    source = CountingSource(encode(tmp_path / f"video.{ending}", num_frames, *options, **more), 1)  # type: ignore[arg-type]
    for sampling in (SAMPLING, replace(SAMPLING, window_seconds=1.0, stride_seconds=0.5)):
        source.times_read = 0
        assert len(list(ClipReader(source, sampling))) >= 1
        # A program stream says nothing of its frames before they are decoded.
        assert source.times_read == (2 if ending == "mpg" else 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["steady", "edit list"])
def test_a_quarter_of_an_hour_in_windows_of_a_second_takes_the_memory_of_a_few_clips(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    seconds = 900 if kind == "steady" else 800
    color = "color=s=32x32:r=4:d=900"
    ffmpeg("-f", "lavfi", "-i", color, "-vf", "geq=lum=mod(N*7\\,256)", *H264, "-g", 40, path)
    if kind == "edit list":
        ffmpeg("-ss", 100.1, "-i", path, "-c", "copy", tmp_path / "cut.mp4")
        path = tmp_path / "cut.mp4"
    sampling = Sampling(num_frames=8, frame_size=64, window_seconds=2.0, stride_seconds=1.0)
    reader = ClipReader(FileSource(path), sampling)
    frames: list[weakref.ref[object]] = []
    starts, most = [], 0
    for clip in reader:
        frames.append(weakref.ref(clip.frames))
        starts.append(clip.cut.start_seconds)
        assert len(clip.frames) == 8
        most = max(most, sum(frame() is not None for frame in frames[-40:]))
        assert not any(frame() is not None for frame in frames[:-40][-40:])
    assert starts == sorted(set(starts))
    assert abs(len(starts) - seconds) <= 2
    assert most <= 4
    assert reader.info.counted_by == "decoding"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("mask", [0, 1, 2, 3, 4]),
        ("repeat_last", [0, 1, 2, 3, 4, 4, 4, 4]),
        ("wrap", [0, 1, 2, 3, 4, 0, 1, 2]),
    ],
)
def test_a_short_video_is_masked_repeated_or_wrapped(policy: str, expected: list[int], tmp_path: Path) -> None:
    path = encode(tmp_path / "short.mp4", 5, *H264)
    _, clip = read_clip(path, Sampling(num_frames=8, frame_size=32, short_clips=policy))  # type: ignore[arg-type]
    assert numbers_of(clip) == expected


def test_a_short_video_may_be_dropped(tmp_path: Path) -> None:
    path = encode(tmp_path / "short.mp4", 5, *H264)
    info, clips = clips_of(path, Sampling(num_frames=8, frame_size=32, short_clips="drop"))
    assert (info.num_frames, clips) == (5, [])


def test_a_frame_that_is_too_large_is_rejected_before_it_is_decoded(tmp_path: Path) -> None:
    # 12,000 x 9,000 pixels in a header; the data behind it never matters.
    ffmpeg("-f", "lavfi", "-i", "color=s=12000x9000:d=0.04:r=25", "-c:v", "mjpeg", tmp_path / "vast.avi")
    with pytest.raises(VideoError, match="12000 x 9000 pixels") as caught:
        read_clip(tmp_path / "vast.avi")
    assert caught.value.code == "video.too_large"
