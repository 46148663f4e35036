"""The motion stream on textures that move by a known number of pixels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from activity_cli.settings import Sampling
from activity_cli.streams.frames import FrameStreams
from activity_cli.streams.motion import MOTION_SECONDS, MOTION_WIDTH, MotionDescriber, mean_flow
from activity_cli.video.opencv import FileSource
from activity_cli.video.reader import ClipReader
from people import write_video

BINS = 8
WHOLE, QUARTERS, SIXTEENTHS = slice(0, 8), slice(8, 40), slice(40, 168)
HISTOGRAMS = 168  # numbers of the flow, of the gradients of its first part, and of its second part
SHIFT, ZOOM, TURN, DEVIATION, PERCENTILE = range(3 * HISTOGRAMS, MOTION_WIDTH)
Gray = npt.NDArray[np.uint8]


def texture(seed: int, height: int, width: int) -> Gray:
    """Blotches of a few pixels."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 4, width // 4)).astype(np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def scene(x: int = 0, y: int = 0, corner: tuple[int, int] = (72, 100)) -> Gray:
    """A square of 56 x 56 pixels in front of a background, ``uint8 [192, 256]``."""
    picture = texture(1, 192, 256)
    top, left = corner[0] + y, corner[1] + x
    picture[top : top + 56, left : left + 56] = texture(2, 56, 56)
    return picture


def moved(now: Gray, later: Gray, seconds: float = MOTION_SECONDS) -> npt.NDArray[np.float32]:
    row = MotionDescriber().describe(now, later, seconds)
    assert (row.shape, row.dtype) == ((MOTION_WIDTH,), np.float32)
    assert np.isfinite(row).all()
    return row


@pytest.mark.parametrize(
    ("x", "y", "direction"), [(5, 0, 0), (4, 4, 1), (0, 5, 2), (-5, 0, 4), (-4, -4, 5), (0, -5, 6)]
)
def test_what_moves_tells_its_direction(x: int, y: int, direction: int) -> None:
    histogram = moved(scene(), scene(x, y))[WHOLE] ** 2
    assert histogram.argmax() == direction
    assert histogram[direction] > 0.6 * histogram.sum()


@pytest.mark.parametrize(("x", "y"), [(5, 0), (0, 5), (-4, -4)])
def test_the_mean_flow_of_a_cell_points_where_it_moves(x: int, y: int) -> None:
    row = moved(scene(corner=(20, 16)), scene(x, y, corner=(20, 16)))
    flow = mean_flow(row[np.newaxis])
    assert flow.shape == (1, 4, 4, 2)
    mean = flow[0, :2, :2].mean(axis=(0, 1))
    length = float(np.hypot(x, y))
    assert mean @ (x, y) / length > 0.9 * np.linalg.norm(mean) > 0.1
    assert np.linalg.norm(flow[0, 2:]) < 0.3 * np.linalg.norm(flow[0, :2])


def test_what_moves_tells_its_place() -> None:
    row = moved(scene(corner=(20, 16)), scene(4, 0, corner=(20, 16)))
    cells = (row[SIXTEENTHS] ** 2).reshape(4, 4, BINS).sum(axis=2)
    assert cells[:2, :2].sum() > 0.8 * cells.sum()
    quarters = (row[QUARTERS] ** 2).reshape(2, 2, BINS).sum(axis=2)
    assert quarters.argmax() == 0


def test_a_movement_of_the_camera_is_taken_off() -> None:
    world = texture(3, 260, 330)
    now, later = world[30:222, 30:286], world[33:225, 37:293]
    row = moved(np.ascontiguousarray(now), np.ascontiguousarray(later))
    assert row[SHIFT] ** 2 == pytest.approx(np.hypot(7, 3), rel=0.1)
    assert (row[WHOLE] ** 2).sum() < 0.3, "pixels that are left, of 7.6"
    object_alone = moved(scene(), scene(5, 0))
    assert object_alone[SHIFT] ** 2 < 0.2


def test_a_zoom_and_a_turn_of_the_camera_are_told_apart() -> None:
    world = texture(4, 192, 256)
    rows = []
    for turn, zoom in ((0, 1.03), (2, 1.0)):
        matrix = cv2.getRotationMatrix2D((128, 96), turn, zoom)
        rows.append(
            moved(world, np.asarray(cv2.warpAffine(world, matrix, (256, 192), borderMode=cv2.BORDER_REFLECT), np.uint8))
            ** 2
        )
    zoomed, turned = rows
    assert zoomed[ZOOM] == pytest.approx(0.03 * 256, rel=0.15)
    assert turned[TURN] == pytest.approx(np.radians(2) * 256, rel=0.15)
    assert max(zoomed[TURN], turned[ZOOM]) < 1


def test_a_still_picture_does_not_move() -> None:
    assert moved(scene(), scene()).max() < 0.05


def test_rates_are_per_second() -> None:
    once, twice = moved(scene(), scene(3, 0), 1 / 30), moved(scene(), scene(6, 0), 1 / 15)
    for number in (PERCENTILE, 0):
        assert once[number] ** 2 == pytest.approx(twice[number] ** 2, rel=0.25), "not half as much"


@pytest.mark.parametrize("size", [(1, 1), (1, 64), (64, 1), (16, 16), (2, 3), (5, 3000)])
def test_frames_of_any_size_give_finite_rows(size: tuple[int, int]) -> None:
    streams = FrameStreams(("motion",))
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3)).astype(np.uint8)
    shrunk = [streams.shrink(frame) for frame in frames]
    assert np.isfinite(streams.motion(shrunk[0], shrunk[1], 1 / 25)).all()
    other = streams.shrink(np.zeros((30, 40, 3), np.uint8))
    assert np.isfinite(streams.motion(shrunk[0], other, 1 / 25)).all(), "where the size of the frames changes"
    assert not streams.motion(shrunk[0], shrunk[0], 0.0).any(), "a video of one frame"


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 seconds of a square that moves to the right and comes back."""
    places = [(round(40 * np.sin(number / 8)), 0) for number in range(60)]
    pictures = [np.repeat(scene(*place)[..., np.newaxis], 3, axis=2) for place in places]
    return write_video(tmp_path_factory.mktemp("moving") / "moving.avi", pictures, fps=20.0)


def rows_by_time(path: Path, sampling: Sampling) -> dict[float, list[npt.NDArray[np.float32]]]:
    """The rows of every frame, of each clip that it is in."""
    rows: dict[float, list[npt.NDArray[np.float32]]] = {}
    for clip in ClipReader(FileSource(path, 1), sampling, describer=FrameStreams(("motion",))):
        assert clip.rows.keys() == {"motion"}
        for time, row in zip(clip.times_seconds, clip.rows["motion"], strict=True):
            rows.setdefault(round(time, 6), []).append(row)
    return rows


def test_a_frame_has_the_same_row_in_every_clip(moving: Path) -> None:
    windows = rows_by_time(moving, Sampling(num_frames=20, frame_size=32, window_seconds=1.0, stride_seconds=0.25))
    shifted = rows_by_time(moving, Sampling(num_frames=12, frame_size=32, window_seconds=0.6, stride_seconds=0.35))
    assert max(map(len, windows.values())) == 4
    for rows in windows.values():
        assert all((row == rows[0]).all() for row in rows)
    common = windows.keys() & shifted.keys()
    assert len(common) > 40
    for time in common:
        assert (windows[time][0] == shifted[time][0]).all(), f"at {time} s"


def test_a_video_that_turns_around_moves_right_then_left(moving: Path) -> None:
    rows = {time: found[0] for time, found in rows_by_time(moving, Sampling(num_frames=60, frame_size=32)).items()}
    for time, direction in ((0.1, 0), (1.0, 4)):
        row = rows[min(rows, key=lambda one: abs(one - time))]
        assert (row[WHOLE] ** 2).argmax() == direction
