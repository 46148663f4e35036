"""Timelines: which activity happens when, in one pass over a video."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from activity_cli import Recognizer
from activity_cli.model.bundle import Document, read_bundle, write_bundle
from activity_cli.model.network import Network
from activity_cli.results import TimelineSegment, TimelineWindow, VideoInfo
from activity_cli.streams.frames import FrameStreams
from activity_cli.video.arrays import ArraySource
from activity_cli.video.opencv import FileSource
from activity_cli.video.reader import ClipReader
from activity_cli.video.rows import FrameRow, RowReader
from activity_cli.video.source import Frame
from bundle_support import MIRRORED, SAMPLING, SMALL, random_bundle, random_network
from person_support import FPS, moving_person, write_lossless

STREAMS = ("motion", "pose", "hands")
Found = list[TimelineSegment | TimelineWindow]


@pytest.fixture(scope="module")
def network() -> Network:
    return random_network(SMALL)


@pytest.fixture(scope="module")
def all_streams(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    others = [("motion",), ("pose", "hands")]
    return random_bundle(
        tmp_path_factory.mktemp("models") / "all", network, others=others, mirrored_labels=MIRRORED, weight=0.4
    )


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 s of a person."""
    return write_lossless(tmp_path_factory.mktemp("person") / "person.mkv", moving_person(60))


@pytest.fixture(scope="module")
def changing(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Balls that move left, then right, then up, a second each, three times; no frames are the same."""
    frames = []
    for _ in range(3):
        for motion in ("left", "right", "up"):
            frames += [frame.bgr for frame in FileSource(videos / motion / "person5_0.avi").read(lambda _: True)]
    rgb = np.stack([frame[:, :, ::-1] for frame in frames if frame is not None])
    return write_lossless(tmp_path_factory.mktemp("changing") / "changing.mkv", rgb, 12.0)


class LiveSource:
    """The frames of a file as a live source gives them: nobody knows their times before they come."""

    def __init__(self, path: Path) -> None:
        self._file = FileSource(path)

    @property
    def name(self) -> str:
        return self._file.name

    def list_times(self) -> Sequence[float]:
        return ()

    def read(self, wants: Callable[[int], bool]) -> Iterator[Frame]:
        return self._file.read(lambda _: True)

    def worth_jumping(self, indices: Sequence[int]) -> bool:
        return False

    def jump(self, indices: Sequence[int]) -> Iterator[Frame]:
        raise NotImplementedError

    def info(self) -> VideoInfo:
        return self._file.info()


def rows_of(
    source: FileSource | LiveSource | ArraySource, step_seconds: float, part: int = 0, parts: int = 1
) -> list[FrameRow]:
    describer = FrameStreams(STREAMS)
    with ThreadPoolExecutor(2) as executor:
        return list(RowReader(source, SAMPLING, describer, step_seconds, executor, part, parts))


def test_rows_are_those_of_clips(tmp_path: Path) -> None:
    # Each frame is tracked at this frame rate.
    person = write_lossless(tmp_path / "person.mkv", moving_person(36), 12.0)
    step = 3.0 / SAMPLING.num_frames
    found = rows_of(FileSource(person), step)
    [clip] = ClipReader(FileSource(person), SAMPLING, describer=FrameStreams(STREAMS))
    assert [row.tick for row in found] == list(range(SAMPLING.num_frames))
    assert [row.time_seconds for row in found] == pytest.approx(clip.times_seconds)
    for name, expected in clip.rows.items():
        np.testing.assert_array_equal(np.stack([row.rows[name] for row in found]), expected)
    assert clip.rows["pose"][:, 0].min() > 0.5


def test_the_frames_of_the_clock_are_tracked_ones(person: Path) -> None:
    tracked = [0.0]
    for time in np.arange(60) / FPS:
        if time % 3 * 15 >= len(tracked):
            tracked.append(time)
    found = rows_of(FileSource(person), 0.15)
    assert [row.tick for row in found] == list(range(20))
    for row in found:
        expected = min(time for time in tracked if time + 1e-6 >= (row.tick + 0.5) * 0.15)
        assert row.time_seconds == pytest.approx(expected, abs=1e-3)
    # More ticks than tracked frames: each frame from the first tick on.
    assert len(rows_of(FileSource(person), 0.05)) == 59


def test_a_live_source_gives_the_rows_of_a_file(person: Path) -> None:
    expected, found = rows_of(FileSource(person), 0.15), rows_of(LiveSource(person), 0.15)
    assert len(expected) == len(found) == 20
    for one, other in zip(expected, found, strict=True):
        assert (one.tick, one.time_seconds) == (other.tick, pytest.approx(other.time_seconds))
        for name in one.rows:
            np.testing.assert_array_equal(one.rows[name], other.rows[name])


def test_readers_that_share_a_file_give_the_rows_of_one(tmp_path: Path) -> None:
    video = write_lossless(tmp_path / "long.mkv", moving_person(80), 10.0)  # parts of three starts of the tracker
    expected = rows_of(FileSource(video), 0.15)
    for parts in (2, 4):
        found = [rows_of(FileSource(video), 0.15, part, parts) for part in range(parts)]
        assert [bool(one) for one in found] == [part < 3 for part in range(parts)]
        rows = sorted((row for one in found for row in one), key=lambda row: row.tick)
        assert [(row.tick, row.time_seconds) for row in rows] == [(row.tick, row.time_seconds) for row in expected]
        for one, other in zip(rows, expected, strict=True):
            for name in STREAMS:
                np.testing.assert_array_equal(one.rows[name], other.rows[name])


def test_a_slow_video_gives_a_row_for_each_frame() -> None:
    frames = moving_person(4)
    found = rows_of(ArraySource(frames, [0.0, 1.0, 2.0, 3.0]), 0.25)
    assert [(row.tick, row.time_seconds) for row in found] == [(3, 1.0), (7, 2.0), (11, 3.0)]


def test_times_that_do_not_rise_lose_no_frame(person: Path) -> None:
    class Stuck(LiveSource):
        def read(self, wants: Callable[[int], bool]) -> Iterator[Frame]:
            for frame in super().read(wants):
                yield Frame(frame.index, 0.0, frame.bgr)

    assert len(rows_of(Stuck(person), 0.2)) == pytest.approx(60 / 25 / 0.2, abs=1)


def segments(found: Found) -> list[TimelineSegment]:
    return [one for one in found if isinstance(one, TimelineSegment)]


def windows(found: Found) -> list[TimelineWindow]:
    return [one for one in found if isinstance(one, TimelineWindow)]


def test_segments_cover_the_video(all_streams: Path, person: Path) -> None:
    found = list(Recognizer(all_streams).timeline(person))
    parts = segments(found)
    assert parts[0].start_seconds == 0
    assert parts[-1].end_seconds == pytest.approx(60 / FPS, abs=0.01)
    assert all(one.end_seconds == two.start_seconds for one, two in itertools.pairwise(parts))
    every = windows(found)
    assert [one.start_seconds for one in every] == sorted({one.start_seconds for one in every})
    assert every[-1].end_seconds == pytest.approx(60 / FPS, abs=0.1)
    for one in every:
        assert sum(one.scores.values()) == pytest.approx(1, abs=1e-5)
        assert one.label == max(one.scores, key=lambda label: one.scores[label])


def test_the_order_of_decision(all_streams: Path, person: Path) -> None:
    """A segment comes after the windows that decide it, and long before the end of the video."""
    found = list(Recognizer(all_streams).timeline(person, stride_seconds=0.1))
    last = 0.0
    for one in found:
        if isinstance(one, TimelineWindow):
            last = one.end_seconds
        else:
            assert one.start_seconds <= last


def test_a_short_video_is_one_window(all_streams: Path, tmp_path: Path) -> None:
    short = write_lossless(tmp_path / "short.mkv", moving_person(3))
    found = list(Recognizer(all_streams).timeline(short))
    [segment], [window] = segments(found), windows(found)
    assert (segment.start_seconds, segment.label) == (0.0, window.label)
    assert segment.end_seconds == pytest.approx(3 / FPS, abs=0.001)


def test_a_video_of_two_frames_has_an_answer(all_streams: Path, tmp_path: Path) -> None:
    blink = write_lossless(tmp_path / "blink.mkv", moving_person(2), 120.0)
    found = list(Recognizer(all_streams).timeline(blink))
    [segment], [window] = segments(found), windows(found)
    assert (segment.label, window.frames_used) == (window.label, 1)
    assert segment.end_seconds == pytest.approx(2 / 120, abs=0.001)


def test_changes_are_found(model: Path, changing: Path) -> None:
    recognizer = Recognizer(model)
    parts = segments(list(recognizer.timeline(changing)))
    assert {one.label for one in parts} <= set(recognizer.labels)
    assert parts[-1].end_seconds == pytest.approx(9 * 17 / 12, abs=0.1)


def test_low_confidence_gives_gaps(model: Path, changing: Path) -> None:
    [gap] = segments(list(Recognizer(model, min_confidence=1.0).timeline(changing)))
    assert (gap.label, gap.reason, gap.start_seconds) == (None, "unknown", 0.0)
    assert gap.to_dict()["label"] is None
    assert gap.to_dict()["reason"] == "unknown"
    answer = Recognizer(model, min_confidence=1.0).predict(changing)
    assert (answer.label, answer.reason, answer.status) == (None, "unknown", "ok")
    assert answer.to_dict()["label"] is None
    assert "reason" not in Recognizer(model).predict(changing).to_dict()


def test_lines_of_json(model: Path, changing: Path, tmp_path: Path, activity: Callable[..., Result]) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    result = activity("predict", "--timeline", "--per-window", "--model", model, broken, changing)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert (lines[0]["schema"], lines[0]["status"]) == ("activity.prediction/1", "error")
    keys = {one["schema"]: set(one) - {"reason"} for one in lines[1:]}
    common = {"schema", "source", "label", "start_seconds", "end_seconds", "confidence", "model"}
    assert keys == {"activity.segment/1": common, "activity.window/1": common | {"scores", "frames_used"}}
    assert {one["source"] for one in lines[1:]} == {str(changing)}
    only = activity("predict", "--timeline", "--model", model, changing)
    assert only.exit_code == 0
    assert [json.loads(line) for line in only.stdout.splitlines()] == [
        one for one in lines if one["schema"] == "activity.segment/1"
    ]


def test_a_table(model: Path, changing: Path, activity: Callable[..., Result]) -> None:
    result = activity("predict", "--timeline", "--model", model, changing, "--format", "table")
    assert result.exit_code == 0
    assert "0:00.0" in result.stdout
    assert "0:12.8" in result.stdout


def rewritten(model_copy: Path, **changes: object) -> Path:
    document = read_bundle(model_copy).document
    fields = {name: getattr(document, name) for name in Document.__struct_fields__}
    write_bundle(model_copy, Document(**fields | changes))
    return model_copy


def test_what_is_hardly_more_probable_is_unknown(model_copy: Path, changing: Path) -> None:
    assert read_bundle(model_copy).document.least_margin is not None
    strict = rewritten(model_copy, least_margin=50.0)
    assert Recognizer(strict).predict(changing).label is not None
    answer = Recognizer(strict, reject_unknown=True).predict(changing)
    assert (answer.label, answer.reason) == (None, "unknown")
    [gap] = segments(list(Recognizer(strict, reject_unknown=True).timeline(changing)))
    assert (gap.label, gap.reason) == (None, "unknown")


def test_background_is_a_gap(model_copy: Path, changing: Path) -> None:
    usual = segments(list(Recognizer(model_copy).timeline(changing)))
    first = usual[0].label
    found = segments(list(Recognizer(rewritten(model_copy, background=[first])).timeline(changing)))
    assert [one.label for one in found] == [None if one.label == first else one.label for one in usual]
    assert {one.reason for one in found if one.label is None} == {"background"}
    assert Recognizer(model_copy).predict(changing).label is not None, "a file has a label, also of the background"


def test_a_model_without_margin_cannot_reject(all_streams: Path, activity: Callable[..., Result], person: Path) -> None:
    result = activity("predict", "--reject-unknown", "--model", all_streams, person)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--min-confidence" in result.stderr
