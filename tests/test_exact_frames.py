"""The frames returned are the frames asked for, whatever the codec, the container or the camera did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from activity_cli.errors import VideoError
from activity_cli.sampling.plan import Segment
from activity_cli.settings import Sampling
from activity_cli.video import reader
from activity_cli.video.reader import Clip, VideoInfo, read_clip, read_clips
from encoded_videos import encode, ffmpeg, number_of, truth_of

SAMPLING = Sampling(num_frames=16, frame_size=64, fit="squash")
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "veryfast")
OPEN_GOP = (*H264, "-bf", 3, "-x264-params", "open-gop=1:keyint=25:min-keyint=25:scenecut=0")


def clips_of(path: Path, sampling: Sampling = SAMPLING, *segments: Segment) -> tuple[VideoInfo, list[Clip]]:
    clips: dict[tuple[int, float, int], Clip] = {}

    def keep(clip: Clip) -> None:
        clips[clip.segment, clip.start_seconds, clip.variant] = clip

    info = read_clips(path, sampling, segments or (Segment(),), threads=1, deliver=keep)
    return info, [clips[place] for place in sorted(clips)]


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
    clip = read_clip(path, SAMPLING, threads=1)
    expected = [(2 * part + 1) * num_frames // 32 for part in range(16)] if num_frames > 16 else list(range(num_frames))
    assert numbers_of(clip) == list(clip.indices) == expected
    assert clip.info is not None
    assert (clip.info.num_frames, clip.info.counted_by) == (num_frames, "decoding")
    assert (clip.info.rotation_degrees, clip.info.sample_aspect_ratio) == (0, 1.0)
    assert not clip.info.variable_frame_rate
    assert clip.info.duration_seconds == pytest.approx(num_frames / more.get("fps", 25), rel=0.02)  # type: ignore[operator]


def test_a_variable_frame_rate_is_sampled_by_time_not_by_number(tmp_path: Path) -> None:
    # Two seconds with every tenth frame, then two seconds with all of them.
    steady = encode(tmp_path / "steady.mp4", 200, *H264, "-bf", 2, fps=50)
    choose = r"select='gt(n\,99)+not(mod(n\,10))'"
    ffmpeg("-i", steady, "-vf", choose, "-fps_mode", "vfr", *H264, "-bf", 2, tmp_path / "variable.mkv")
    clip = read_clip(tmp_path / "variable.mkv", SAMPLING, threads=1)
    assert clip.info is not None
    assert clip.info.variable_frame_rate
    assert clip.info.num_frames == 110
    truth = truth_of(tmp_path / "variable.mkv")
    assert numbers_of(clip) == [truth[index] for index in clip.indices]
    # What is on the screen in the middle of each sixteenth of four seconds.
    moments = [(2 * part + 1) * 200 / 32 for part in range(16)]
    assert numbers_of(clip) == [int(m) if m >= 100 else int(m) // 10 * 10 for m in moments]


def test_an_edit_list_is_obeyed(tmp_path: Path) -> None:
    whole = encode(tmp_path / "whole.mp4", 120, *H264, "-bf", 3, "-g", 50)
    ffmpeg("-ss", 1.0, "-i", whole, "-c", "copy", tmp_path / "cut.mp4")
    truth = truth_of(tmp_path / "cut.mp4")
    clip = read_clip(tmp_path / "cut.mp4", SAMPLING, threads=1)
    assert truth[0] > 0
    assert clip.info is not None
    assert (clip.info.num_frames, clip.info.header_frames > len(truth)) == (len(truth), True)
    assert numbers_of(clip) == [truth[(2 * part + 1) * len(truth) // 32] for part in range(16)]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_camera_gives_upright_frames(degrees: int, tmp_path: Path) -> None:
    flat = encode(tmp_path / "flat.mp4", 40, *H264, size=(160, 96))
    ffmpeg("-display_rotation", degrees, "-i", flat, "-c", "copy", tmp_path / "turned.mp4")
    clip = read_clip(tmp_path / "turned.mp4", SAMPLING, threads=1)
    info = clip.info
    assert info is not None
    assert (info.width, info.height) == ((160, 96) if degrees == 180 else (96, 160))
    assert info.rotation_degrees in (degrees, 360 - degrees)
    turns = next(turns for turns in (1, 2, 3) if numbers_of(clip, turns) == list(clip.indices))
    # ffmpeg's option turns counterclockwise; the number is read by turning it back.
    assert turns == (360 - degrees) // 90


@pytest.mark.parametrize(("fit", "rows"), [("pad", 54), ("crop", 64), ("squash", 64)])
def test_pixels_that_are_not_square_are_noted_and_shown_as_meant(fit: str, rows: int, tmp_path: Path) -> None:
    path = encode(tmp_path / "video.mp4", 20, *H264, "-vf", "setsar=32/27,negate", size=(96, 96))
    clip = read_clip(path, replace(SAMPLING, fit=fit), threads=1)
    assert clip.info is not None
    assert clip.info.sample_aspect_ratio == pytest.approx(32 / 27)
    assert (clip.info.width, clip.info.height) == (96, 96)
    # Frame 0 is all white by now; bars are black.
    assert (clip.frames[0].mean(axis=(1, 2)) > 127).sum() == rows


def test_a_file_that_was_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    whole = encode(tmp_path / "whole.avi", 100, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p")
    (tmp_path / "cut.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    clip = read_clip(tmp_path / "cut.avi", SAMPLING, threads=1)
    truth = truth_of(tmp_path / "cut.avi")
    assert clip.info is not None
    assert clip.info.num_frames == len(truth) < 100
    assert numbers_of(clip) == list(clip.indices) == [(2 * part + 1) * len(truth) // 32 for part in range(16)]


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


@pytest.mark.parametrize("kind", ["closed", "open GOP", "open GOP in a stream", "variable"])
def test_jumping_in_a_long_video_gives_the_very_frames_that_reading_through_gives(
    kind: str, long_video: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = long_video(kind)
    jumped = read_clip(path, SAMPLING, threads=1)
    # The reader's own choice is taken away, not replaced: the other way must give the same.
    monkeypatch.setattr(reader, "worth_seeking", lambda *_: False)
    through = read_clip(path, SAMPLING, threads=1)
    assert jumped.info is not None and through.info is not None
    assert (jumped.info.counted_by, through.info.counted_by) == ("packets", "decoding")
    assert replace(jumped.info, counted_by="decoding") == through.info
    assert jumped.indices == through.indices
    assert np.array_equal(jumped.frames, through.frames)
    truth = truth_of(path)
    assert numbers_of(jumped) == [truth[index] for index in jumped.indices]


def test_a_container_that_lists_more_than_it_shows_is_read_through(long_video: Callable[[str], Path]) -> None:
    path = long_video("edit list")
    clip = read_clip(path, SAMPLING, threads=1)
    truth = truth_of(path)
    assert clip.info is not None
    assert (clip.info.counted_by, clip.info.num_frames) == ("decoding", len(truth))
    assert numbers_of(clip) == [truth[index] for index in clip.indices]


def test_segments_windows_and_takes_of_one_video_are_cut_in_one_reading(long_video: Callable[[str], Path]) -> None:
    path = long_video("closed")  # 160 seconds at 25 frames a second
    segments = (Segment(100.0, 104.0), Segment(2.0, 3.0), Segment(158.0, None), Segment(170.0, 175.0))
    info, clips = clips_of(path, SAMPLING, *segments)
    assert [(clip.segment, clip.start_seconds, clip.end_seconds) for clip in clips] == [
        (0, 100.0, 104.0),
        (1, 2.0, 3.0),
        (2, 158.0, 160.0),
    ]
    assert info.counted_by == "packets"
    for clip, (first, number) in zip(clips, [(2500, 100), (50, 25), (3950, 50)], strict=True):
        assert numbers_of(clip) == list(clip.indices)
        assert list(clip.indices) == [first + (2 * part + 1) * number // 32 for part in range(16)]
    _, windows = clips_of(path, replace(SAMPLING, window_seconds=2.0, stride_seconds=1.0), Segment(10.0, 15.0))
    assert [clip.start_seconds for clip in windows] == [10.0, 11.0, 12.0, 13.0]
    assert all(numbers_of(clip) == list(clip.indices) for clip in windows)
    drawn = replace(SAMPLING, clips_per_video=3, seed=7)
    _, takes = clips_of(path, drawn)
    _, again = clips_of(path, drawn)
    assert [clip.variant for clip in takes] == [0, 1, 2]
    assert len({clip.indices for clip in takes}) == 3
    assert [clip.indices for clip in again] == [clip.indices for clip in takes]
    assert takes[0].indices == read_clip(path, SAMPLING).indices
    for clip in takes:
        assert numbers_of(clip) == list(clip.indices)
        assert [index * 16 // 4000 for index in clip.indices] == list(range(16))


@pytest.mark.parametrize(
    ("short", "expected"),
    [
        ("mask", [0, 1, 2, 3, 4]),
        ("hold", [0, 1, 2, 3, 4, 4, 4, 4]),
        ("loop", [0, 1, 2, 3, 4, 0, 1, 2]),
    ],
)
def test_a_short_video_is_masked_held_or_looped(short: str, expected: list[int], tmp_path: Path) -> None:
    path = encode(tmp_path / "short.mp4", 5, *H264)
    clip = read_clip(path, Sampling(num_frames=8, frame_size=32, short=short))
    assert numbers_of(clip) == expected


def test_a_short_video_may_be_dropped(tmp_path: Path) -> None:
    path = encode(tmp_path / "short.mp4", 5, *H264)
    info, clips = clips_of(path, Sampling(num_frames=8, frame_size=32, short="drop"))
    assert (info.num_frames, clips) == (5, [])
    with pytest.raises(VideoError, match="5 frames, fewer than a clip has") as caught:
        read_clip(path, Sampling(num_frames=8, frame_size=32, short="drop"))
    assert caught.value.code == "video.short"


def test_a_frame_that_is_too_large_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    # 12,000 x 9,000 pixels in a header; the data behind it never matters.
    ffmpeg("-f", "lavfi", "-i", "color=s=12000x9000:d=0.04:r=25", "-c:v", "mjpeg", tmp_path / "vast.avi")
    with pytest.raises(VideoError, match="12000 x 9000 pixels") as caught:
        read_clip(tmp_path / "vast.avi", SAMPLING)
    assert caught.value.code == "video.too_large"
