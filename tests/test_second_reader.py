"""What OpenCV does not decode, convert or turn is read by PyAV; what is lost to damage is told."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import Result

from activity_cli.errors import VideoError
from activity_cli.results import VideoInfo, video_notices
from activity_cli.sampling.plan import Segment
from activity_cli.settings import Sampling
from activity_cli.video.opencv import FileSource
from activity_cli.video.pyav import PyAvSource
from activity_cli.video.reader import Clip, ClipReader
from activity_cli.video.source import Source
from conftest import draw_video
from data_support import rows_of
from encoded_videos import encode, ffmpeg, number_of
from test_exact_frames import FORMS, H264, OPEN_GOP

SAMPLING = Sampling(num_frames=16, frame_size=64, fit="stretch")
INTERLACED = ("-flags", "+ilme+ildct")
X264 = ("-c:v", "libx264", *INTERLACED, "-x264-params", "tff=1")
MOST = 100_000_000


def clips_of(source: Source, *segments: Segment) -> tuple[VideoInfo, list[Clip]]:
    reader = ClipReader(source, SAMPLING, segments or (Segment(),))
    clips = list(reader)
    return reader.info, clips


def numbers_of(clip: Clip) -> list[int]:
    return [number_of(frame) for frame in clip.frames]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("plain") / "plain.mp4", 60, *H264)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 frames with a key frame every 30, the index before the pictures."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return encode(path, 120, *H264, "-g", 30, "-bf", 2, "-movflags", "faststart")


@pytest.mark.parametrize(
    ("ending", "options"),
    [
        ("mts", (*X264, "-pix_fmt", "yuv420p")),
        ("mp4", (*X264, "-pix_fmt", "yuv422p")),
        ("mpg", ("-c:v", "mpeg2video", "-q:v", 2, *INTERLACED)),
        ("dv", ("-c:v", "dvvideo", "-pix_fmt", "yuv420p", "-vf", "scale=720:576")),
        ("mov", ("-c:v", "prores_ks", *INTERLACED, "-vf", "setfield=tff")),
    ],
)
def test_interlaced_video_gives_its_own_frames(
    ending: str, options: tuple[object, ...], plain: Path, tmp_path: Path
) -> None:
    ffmpeg("-i", plain, *options, tmp_path / f"video.{ending}")
    info, [clip] = clips_of(FileSource(tmp_path / f"video.{ending}", 1))
    assert (info.reader, info.num_frames) == ("pyav", 60)
    assert numbers_of(clip) == list(clip.cut.indices) == [(2 * part + 1) * 60 // 32 for part in range(16)]
    # Without segments that need them, the first and the last frame are not read.
    _, [first, last] = clips_of(FileSource(tmp_path / f"video.{ending}", 1), Segment(0, 0.2), Segment(2.2, None))
    assert numbers_of(first) == list(first.cut.indices) == [0, 1, 2, 3, 4]
    assert numbers_of(last) == list(last.cut.indices) == [55, 56, 57, 58, 59]


def test_a_moving_edge_of_interlaced_video_is_not_torn(tmp_path: Path) -> None:
    # A bar that moves 4 pixels from half picture to half picture: combed lines differ from their neighbors.
    bar = "color=black:s=128x96:r=50:d=1,geq=lum='255*between(X,mod(N*4,96),mod(N*4,96)+24)':cb=128:cr=128"
    weave = ("-vf", "interlace=scan=tff:lowpass=off", *X264, "-pix_fmt", "yuv420p", "-crf", 1)
    ffmpeg("-f", "lavfi", "-i", bar, *weave, tmp_path / "bar.mts")
    source = FileSource(tmp_path / "bar.mts", 1)
    pictures = [frame.bgr[10:86, :, 0].astype(int) for frame in source.read(lambda _: True) if frame.bgr is not None]
    assert len(pictures) == 25
    for picture in pictures[2:-2]:
        assert picture.max() > 200
        # bwdif fills the missing lines in between: no line differs from both neighbors along the whole edge.
        combed = np.minimum(abs(picture[1:-1] - picture[:-2]), abs(picture[1:-1] - picture[2:])) > 128
        assert combed.mean() < 0.02


@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_av1_gives_the_frames_asked_for(ending: str, plain: Path, tmp_path: Path) -> None:
    ffmpeg("-i", plain, "-c:v", "libaom-av1", "-cpu-used", 8, tmp_path / f"video.{ending}")
    info, [clip] = clips_of(FileSource(tmp_path / f"video.{ending}", 1))
    assert (info.reader, info.num_frames, info.frames_per_second) == ("pyav", 60, 25)
    assert numbers_of(clip) == list(clip.cut.indices)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.parametrize(
    "turn", [("-display_hflip",), ("-display_vflip",), ("-display_rotation", 90, "-display_hflip")]
)
def test_a_mirrored_video_is_shown_as_it_is_meant(
    turn: tuple[object, ...], ending: str, plain: Path, tmp_path: Path
) -> None:
    ffmpeg(*turn, "-i", plain, "-c", "copy", tmp_path / f"turned.{ending}")
    ffmpeg("-i", tmp_path / f"turned.{ending}", "-c:v", "ffv1", tmp_path / "truth.mkv")  # ffmpeg turns it itself
    info, [clip] = clips_of(FileSource(tmp_path / f"turned.{ending}", 1))
    truth_info, [truth] = clips_of(FileSource(tmp_path / "truth.mkv", 1))
    assert (info.width, info.height) == (truth_info.width, truth_info.height)
    assert clip.cut.indices == truth.cut.indices
    assert numbers_of(clip) == numbers_of(truth)
    assert numbers_of(clip) != list(clip.cut.indices)


@pytest.mark.parametrize("form", FORMS)
def test_both_readers_give_the_same_pixels(form: str, tmp_path: Path) -> None:
    ending, num_frames, options, more = FORMS[form]
    path = encode(tmp_path / f"video.{ending}", num_frames, *options, **more)  # type: ignore[arg-type]
    info, [clip] = clips_of(FileSource(path, 1))
    other_info, [other] = clips_of(PyAvSource(path, 1, MOST))
    assert info.reader == ("pyav" if form == "1 frame" else "opencv")
    assert (info.num_frames, info.sample_aspect_ratio) == (other_info.num_frames, other_info.sample_aspect_ratio)
    assert (info.width, info.height) == (other_info.width, other_info.height)
    assert clip.cut.indices == other.cut.indices
    assert np.array_equal(clip.frames, other.frames)


@pytest.mark.slow
def test_pyav_jumps_to_the_very_frames_that_reading_through_gives(tmp_path: Path) -> None:
    for options in ((*H264, "-bf", 3, "-g", 60), OPEN_GOP):
        path = encode(tmp_path / "video.mp4", 2000, *options, size=(64, 64))
        source = PyAvSource(path, 1, MOST)
        source.list_times()
        wanted = [0, 700, 701, 1500, 1999]
        assert source.worth_jumping(wanted)
        assert [(frame.index, number_of(frame.bgr)) for frame in source.jump(wanted)] == [(n, n) for n in wanted]  # type: ignore[arg-type]


def damaged(long: Path, path: Path, begin: float, end: float) -> Path:
    content = bytearray(long.read_bytes())
    start = content.index(b"mdat") + 4
    first, last = (start + round(share * (len(content) - start)) for share in (begin, end))
    content[first:last] = bytes(last - first)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("begin", "end", "least"), [(0.42, 0.58, 90), (0.0, 0.25, 80), (0.8, 1.0, 85)])
def test_what_follows_damage_is_read_and_the_loss_is_told(
    begin: float, end: float, least: int, long: Path, tmp_path: Path
) -> None:
    path = damaged(long, tmp_path / "damaged.mp4", begin, end)
    info, [clip] = clips_of(FileSource(path, 1))
    assert least <= info.num_frames < 120
    assert len(clip.frames) == 16
    if begin:  # time stamps are kept: the number of a frame is when it is shown
        assert all(abs(n - round(t * 25)) <= 1 for n, t in zip(numbers_of(clip), clip.times_seconds, strict=True))
    assert {notice.code for notice in video_notices(info)} & {"video.damaged", "video.cut_short"}
    assert info.lost_frames + round(info.missing_seconds * 25) >= 120 - info.num_frames - 2


@pytest.mark.parametrize("ending", ["ts", "mkv"])
def test_damage_that_the_decoder_does_not_report_shows_in_the_number_of_frames(ending: str, tmp_path: Path) -> None:
    path = encode(tmp_path / f"whole.{ending}", 400, *H264)
    content = bytearray(path.read_bytes())
    third, half = len(content) // 3, len(content) // 2
    content[third:half] = bytes(half - third)
    (tmp_path / f"damaged.{ending}").write_bytes(content)
    info, [clip] = clips_of(FileSource(tmp_path / f"damaged.{ending}", 1))
    assert [notice.code for notice in video_notices(info)][-1] == "video.fewer_frames"
    assert 300 < info.num_frames < 390
    assert info.duration_seconds == pytest.approx(16, abs=0.1)
    assert len(clip.frames) == 16
    # What is decoded beside the damage may show its neighbor.
    assert all(abs(n - round(t * 25)) <= 70 for n, t in zip(numbers_of(clip), clip.times_seconds, strict=True))
    assert sum(n == round(t * 25) for n, t in zip(numbers_of(clip), clip.times_seconds, strict=True)) >= 12


def test_a_video_of_one_still_picture_is_no_error(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "color=gray:s=64x64:d=2:r=25", *H264, tmp_path / "still.mp4")
    info, [clip] = clips_of(FileSource(tmp_path / "still.mp4", 1))
    assert (info.num_frames, len(clip.frames)) == (50, 16)
    assert abs(int(clip.frames.min()) - 128) <= 3
    assert abs(int(clip.frames.max()) - 128) <= 3


def test_a_video_that_becomes_interlaced_is_read_on_without_a_frozen_picture(tmp_path: Path) -> None:
    encode(tmp_path / "a.m2v", 100, "-c:v", "mpeg2video", "-q:v", 2)
    frames = encode(tmp_path / "frames.mkv", 200, "-c:v", "ffv1")
    ffmpeg("-ss", 4, "-i", frames, "-c:v", "mpeg2video", "-q:v", 2, *INTERLACED, tmp_path / "b.m2v")
    content = (tmp_path / "a.m2v").read_bytes() + (tmp_path / "b.m2v").read_bytes()
    (tmp_path / "mixed.m2v").write_bytes(content)
    _, [clip] = clips_of(FileSource(tmp_path / "mixed.m2v", 1))
    assert numbers_of(clip) == list(clip.cut.indices) == [(2 * part + 1) * 200 // 32 for part in range(16)]


def test_a_segment_after_the_damage_is_used(long: Path, tmp_path: Path) -> None:
    path = damaged(long, tmp_path / "damaged.mp4", 0.42, 0.58)
    _, [clip] = clips_of(FileSource(path, 1), Segment(4.0, 4.8))
    assert numbers_of(clip) == [round(time * 25) for time in clip.times_seconds]
    assert len(clip.frames) == 16


def test_a_file_that_is_cut_short_is_told_and_a_whole_or_trimmed_one_is_not(long: Path, tmp_path: Path) -> None:
    content = long.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 6 // 10])
    info, _ = clips_of(FileSource(tmp_path / "cut.mp4", 1))
    assert [notice.code for notice in video_notices(info)][-1] == "video.cut_short"
    assert info.missing_seconds == pytest.approx(4.8 - info.duration_seconds, abs=0.05)
    ffmpeg("-ss", 1.0, "-t", 2.0, "-i", long, "-c", "copy", tmp_path / "trimmed.mp4")
    for path in (long, tmp_path / "trimmed.mp4"):
        assert video_notices(clips_of(FileSource(path, 1))[0]) == ()


@pytest.mark.parametrize("form", FORMS)
def test_a_whole_file_has_no_warnings(form: str, tmp_path: Path) -> None:
    ending, num_frames, options, more = FORMS[form]
    path = encode(tmp_path / f"video.{ending}", num_frames, *options, **more)  # type: ignore[arg-type]
    assert video_notices(clips_of(FileSource(path, 1))[0]) == ()


def test_pictures_that_begin_after_the_sound_or_end_before_it_are_not_cut_short(long: Path, tmp_path: Path) -> None:
    sound = ("-f", "lavfi", "-i", "sine=d=12")
    for name, late in {"late.mkv": ("-itsoffset", 6), "early.mkv": (), "early.flv": ()}.items():
        ffmpeg(*sound, *late, "-i", long, "-map", 0, "-map", 1, "-c:v", "copy", tmp_path / name)
        info, [clip] = clips_of(FileSource(tmp_path / name, 1))
        assert info.header_frames > 2 * info.num_frames == 240
        assert video_notices(info) == ()
        assert numbers_of(clip) == list(clip.cut.indices)
    content = (tmp_path / "early.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 4])
    info, _ = clips_of(FileSource(tmp_path / "cut.mkv", 1))
    assert [notice.code for notice in video_notices(info)][-1] == "video.cut_short"


def why_not(path: Path) -> VideoError:
    with pytest.raises(VideoError) as caught:
        clips_of(FileSource(path, 1))
    return caught.value


def test_what_has_no_moving_picture_is_named(plain: Path, tmp_path: Path) -> None:
    sound = ("-f", "lavfi", "-i", "sine=d=1")
    picture = ("-f", "lavfi", "-i", "color=red:s=64x64:d=1", "-map", 0, "-map", 1, "-c:v", "png", "-frames:v", 1)
    ffmpeg(*sound, *picture, "-disposition:v", "attached_pic", tmp_path / "cover.mp4")
    for ending in ("mp4", "mkv", "avi", "wav"):
        ffmpeg(*sound, tmp_path / f"sound.{ending}")
        assert "sound only" in why_not(tmp_path / f"sound.{ending}").message
    key = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb")
    kid = ("-encryption_kid", "a7e61c373e219033c21091fa607bf3b8")
    ffmpeg("-i", plain, "-c", "copy", *key, *kid, tmp_path / "secret.mp4")
    whole = plain.read_bytes()
    (tmp_path / "interrupted.mp4").write_bytes(whole[: whole.index(b"moov") - 4])
    (tmp_path / "page.mp4").write_text("<!DOCTYPE html><html><body>Sign in</body></html>" * 20)
    (tmp_path / "pointer.mp4").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((64, 64, 3), 90, np.uint8))
    shutil.copy(tmp_path / "photo.png", tmp_path / "photo.mp4")
    for name, words in {
        "cover.mp4": "cover picture",
        "secret.mp4": "encrypted",
        "interrupted.mp4": "index is missing",
        "page.mp4": "this is text, such as a web page or a pointer file, not a video",
        "pointer.mp4": "this is text, such as a web page or a pointer file, not a video",
        "photo.mp4": "a PNG picture",
    }.items():
        error = why_not(tmp_path / name)
        assert words in error.message, name
        assert error.hint, name


def test_pictures_are_no_videos_unless_they_move_in_a_form_that_can_be_read(plain: Path, tmp_path: Path) -> None:
    for ending, options in {"webp": ("-c:v", "libwebp_anim"), "avif": ("-c:v", "libaom-av1", "-cpu-used", 8)}.items():
        ffmpeg("-i", plain, "-frames:v", 4, *options, tmp_path / f"animated.{ending}")
        ffmpeg("-i", plain, "-frames:v", 1, *options, tmp_path / f"still.{ending}")
        assert "animated" in why_not(tmp_path / f"animated.{ending}").message
        error = why_not(tmp_path / f"still.{ending}")
        assert (error.code, f"{ending} picture" in error.message.lower()) == ("video.no_picture", True)
    for ending in ("gif", "apng"):
        ffmpeg("-i", plain, tmp_path / f"animated.{ending}")
        ffmpeg("-i", plain, "-frames:v", 1, tmp_path / f"still.{ending}")
        _, [clip] = clips_of(FileSource(tmp_path / f"animated.{ending}", 1))
        assert numbers_of(clip) == list(clip.cut.indices)
        assert why_not(tmp_path / f"still.{ending}").code == "video.no_picture"
    (tmp_path / "short.webp").write_bytes(b"RIFF\4\0\0\0WEBPVP8X")
    assert "a WebP picture" in why_not(tmp_path / "short.webp").message


def test_a_long_damaged_video_that_is_read_in_jumps_does_not_claim_to_be_decoded(tmp_path: Path) -> None:
    path = encode(tmp_path / "long.mp4", 2000, *H264, "-g", 50, "-movflags", "faststart", size=(64, 64))
    info, [clip] = clips_of(FileSource(damaged(path, tmp_path / "damaged.mp4", 0.4, 0.6), 1), Segment(2, 3))
    assert (info.counted_by, len(clip.frames)) == ("packets", 16)
    [notice] = video_notices(info)
    assert notice.message == f"the file header promises 2000 frames, but {info.num_frames} are listed"


def test_an_unknown_codec_is_named_with_the_line_that_helps(plain: Path, tmp_path: Path) -> None:
    ffmpeg("-i", plain, "-c:v", "mpeg4", tmp_path / "my video.avi")
    content = (tmp_path / "my video.avi").read_bytes()
    (tmp_path / "my video.avi").write_bytes(content.replace(b"FMP4", b"ZZZZ").replace(b"fmp4", b"ZZZZ"))
    error = why_not(tmp_path / "my video.avi")
    assert "codec" in error.message
    assert "ffmpeg -i 'my video.avi' -c:v libx264" in error.hint


_LOADED = """
import sys
from pathlib import Path
from activity_cli import Sampling
from activity_cli.video.opencv import FileSource
from activity_cli.video.reader import ClipReader
list(ClipReader(FileSource(Path(sys.argv[1])), Sampling(num_frames=6, frame_size=32)))
print("av" in sys.modules)
"""


@pytest.mark.parametrize("is_plain", [True, False])
def test_pyav_is_loaded_only_where_it_is_needed(is_plain: bool, plain: Path, tmp_path: Path) -> None:
    path = plain
    if not is_plain:
        path = tmp_path / "mirrored.mp4"
        ffmpeg("-display_hflip", "-i", plain, "-c", "copy", path)
    done = subprocess.run([sys.executable, "-c", _LOADED, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == f"{not is_plain}\n"
    assert done.stderr == ""


def test_one_odd_time_stamp_costs_no_frame(plain: Path, tmp_path: Path) -> None:
    late = r"setpts='PTS+if(eq(N\,59)\,600/TB\,0)'"
    ffmpeg("-i", plain, "-vf", late, "-fps_mode", "passthrough", *H264, tmp_path / "gap.mp4")
    for sampling in (SAMPLING, Sampling(num_frames=16, frame_size=64, frames_per_second=10)):
        [clip] = ClipReader(FileSource(tmp_path / "gap.mp4", 1), sampling)
        assert len(clip.frames) == 16
        assert len(set(clip.cut.indices)) == 16
        assert numbers_of(clip) == list(clip.cut.indices)


def test_prepare_tells_what_was_lost_and_which_reader_was_used(
    few: Path, long: Path, prepare: Callable[..., Result], tmp_path: Path
) -> None:
    damaged(long, few / "up" / "damaged.mp4", 0.42, 0.58)
    ffmpeg("-i", few / "left" / "0.avi", *X264, "-pix_fmt", "yuv420p", few / "left" / "0i.mts")
    result = prepare(few)
    assert result.exit_code == 0
    assert "1 video can be read only in part: up/damaged.mp4" in result.stderr.replace("\n", " ")
    rows = rows_of(tmp_path / "out")
    assert rows["left/0i.mts"]["reader"] == "pyav"
    assert rows["left/0.avi"]["reader"] == "opencv"
    assert int(rows["up/damaged.mp4"]["lost_frames"]) > 10
    assert "damaged" in rows["up/damaged.mp4"]["reason"]
    assert rows["left/0.avi"]["lost_frames"] == "0"


def test_a_class_folder_without_a_video_is_named_and_fails(
    few: Path, prepare: Callable[..., Result], tmp_path: Path
) -> None:
    (few / "down").mkdir()
    (few / "down" / "a.xyz").write_bytes(b"x")
    (few / "nothing").mkdir()
    result = prepare(few)
    assert result.exit_code == 1
    assert "'down', 'nothing' (files: 1 .xyz)" in result.stderr.replace("\n", " ")
    assert "1 .xyz" in result.stderr
    assert rows_of(tmp_path / "out")["left/0.avi"]["status"] == "ok"


@pytest.mark.parametrize("ending", ["h264", "y4m", "apng", "avi"])
def test_raw_streams_are_found_in_folders_and_read(ending: str, plain: Path, tmp_path: Path) -> None:
    from activity_cli.labels.files import find_videos

    path = tmp_path / f"video.{ending}"
    form = {"h264": ("-c", "copy"), "y4m": ("-f", "yuv4mpegpipe"), "apng": ("-f", "apng"), "avi": ("-c:v", "mjpeg")}
    ffmpeg("-i", plain, *form[ending], path)
    assert find_videos(tmp_path) == [path]
    _, [clip] = clips_of(FileSource(path, 1))
    assert numbers_of(clip) == list(clip.cut.indices)


def test_predict_warns_of_damage_and_of_a_video_much_longer_than_the_training_clips(
    activity: Callable[..., Result], model: Path, long: Path, tmp_path: Path
) -> None:
    damaged(long, tmp_path / "damaged.mp4", 0.42, 0.58)
    draw_video(tmp_path / "long.avi", num_frames=70)  # 12 frames a second; the training clips have up to 17
    draw_video(tmp_path / "short.avi", num_frames=12)
    result = activity(
        "predict", *(tmp_path / name for name in ("damaged.mp4", "long.avi", "short.avi")), "--model", model
    )
    assert result.exit_code == 0
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    codes = [[warning["code"] for warning in answer["warnings"]] for answer in answers]
    assert codes[0][0] == "video.damaged"
    assert codes[1:] == [["video.long"], []]
    assert "long.avi: one answer for 6 s of video from 6 frames" in result.stderr
    assert "short.avi" not in result.stderr
