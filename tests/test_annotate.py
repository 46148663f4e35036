"""predict --annotate: the video again, with its timeline below."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import Result

from activity_cli.commands.annotate import annotate
from activity_cli.errors import VideoError
from activity_cli.results import TimelineSegment
from person_support import moving_person, write_lossless

Activity = Callable[..., Result]
SEGMENTS = [
    TimelineSegment("v", "wave", 0.0, 0.5, 0.9),
    TimelineSegment("v", None, 0.5, 0.7, 0.8, "background"),
    TimelineSegment("v", "a \U0001f3be % <b>\n" + "long " * 40, 0.7, 1.0, 0.7),
]


def read(path: Path) -> tuple[list[float], list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [float(frame.time or 0) for frame in frames], [frame.to_ndarray(format="rgb24") for frame in frames]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_lossless(tmp_path / "v.mkv", moving_person(20, size=(321, 241)))


def test_frames_times_and_the_strip(video: Path, tmp_path: Path) -> None:
    annotate(video, SEGMENTS, tmp_path / "out.mp4")
    times, frames = read(tmp_path / "out.mp4")
    assert times == pytest.approx([number / 20 for number in range(20)], abs=0.002)
    height, width = frames[0].shape[:2]
    assert (width % 2, height % 2) == (0, 0)
    strip = height - 60 + 34 + 10
    first, gap, last = (frames[2][strip, round(width * share)].astype(int) for share in (0.25, 0.6, 0.85))
    assert np.abs(gap - (226, 230, 236)).max() < 25
    assert np.abs(first - gap).max() > 40 < np.abs(last - gap).max()
    assert np.abs(first - last).max() > 40
    # The mark moves, and the text changes with the segment.
    assert frames[4][strip, round(width * 4 / 20)].max() < 90
    texts = [frames[number][height - 60 : height - 30] for number in (2, 11, 15)]
    assert all(
        np.abs(one.astype(int) - other).mean() > 2 for one, other in ((texts[0], texts[1]), (texts[1], texts[2]))
    )


def test_a_broken_video_leaves_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(VideoError):
        annotate(broken, SEGMENTS, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == [broken]


def test_the_command(activity: Activity, model: Path, videos: Path, tmp_path: Path) -> None:
    source, broken = videos / "left" / "person1_0.avi", tmp_path / "broken.avi"
    broken.write_bytes(b"no video")
    result = activity("predict", "--timeline", source, broken, "--model", model, "--annotate", tmp_path / "out")
    assert result.exit_code == 1
    [written] = (tmp_path / "out").rglob("*.mp4")
    assert written.name == "person1_0.mp4"
    assert len(read(written)[0]) == 13
    assert activity("predict", "--timeline", source, "--model", model, "--annotate", tmp_path / "a.mp4").exit_code == 0
    assert len(read(tmp_path / "a.mp4")[0]) == 13


@pytest.mark.parametrize("words", [["clip.mp4"], ["--timeline", "-"], ["--timeline", "camera:0"]])
def test_what_cannot_be_annotated(activity: Activity, model: Path, words: list[str]) -> None:
    result = activity("predict", *words, "--model", model, "--annotate", "out.mp4")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--annotate out.mp4 needs --timeline, and video files" in result.stderr
