"""The pose stream on a real person, who is moved, made smaller, turned and mirrored."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import activity_cli
from activity_cli.streams.frames import FrameStreams
from activity_cli.streams.pose import NUM_JOINTS, POSE_WIDTH, PoseEstimator, PoseRows, split_pose
from conftest import draw_video
from data_support import only_line
from people import Picture, Points, nobody, person, placing

NOSE, LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP = 0, 11, 12, 23, 24
SEEN = [NOSE, LEFT_SHOULDER, RIGHT_SHOULDER]  # the photograph shows the upper body, and the arms only in part


@pytest.fixture(scope="module")
def estimator() -> PoseEstimator:
    return PoseEstimator(1)


def pose_of(estimator: PoseEstimator, picture: Picture) -> PoseRows:
    row = estimator.follow(picture, None)[0]
    assert (row.shape, row.dtype) == ((POSE_WIDTH,), np.float32)
    return split_pose(row[np.newaxis])


def pixels(pose: PoseRows, picture: Picture) -> Points:
    return np.asarray(pose.picture[0] * picture.shape[0], np.float64)


def in_photograph(points: Points, place: Points) -> Points:
    """Pixels of a picture -> those of the photograph that stands in it at this place."""
    return np.asarray((points - place[:, 2]) @ np.linalg.inv(place[:, :2]).T, np.float64)


def test_nobody_gives_a_row_of_zeros(estimator: PoseEstimator) -> None:
    assert not estimator.follow(nobody(), None)[0].any()


def test_the_joints_are_where_the_photograph_shows_them(estimator: PoseEstimator) -> None:
    place = placing()
    pose = pose_of(estimator, person(place))
    assert pose.found[0] > 0.9
    assert pose.picture.shape == (1, NUM_JOINTS, 2)
    # Where a person sees them in the photograph.
    expected = [(222, 128), (308, 231), (122, 221)]
    found = in_photograph(pixels(pose, person(place)), place)
    assert np.abs(found[SEEN] - expected).max() < 40
    assert (pose.visibility[0][SEEN] > 0.9).all()


@pytest.mark.parametrize(
    "place",
    [placing(x=160), placing(x=40, y=60), placing(0.6), placing(0.5, 250, 150), placing(turn=15), placing(turn=-20)],
    ids=["right", "left and down", "smaller", "smaller elsewhere", "turned left", "turned right"],
)
def test_the_joints_follow_the_person(place: Points, estimator: PoseEstimator) -> None:
    before, now = person(), person(place)
    expected = in_photograph(pixels(pose_of(estimator, before), before), placing())
    found = in_photograph(pixels(pose_of(estimator, now), now), place)
    assert np.linalg.norm(found - expected, axis=1)[SEEN].max() < 35, "of 512 pixels"


def test_a_mirror_swaps_left_and_right(estimator: PoseEstimator) -> None:
    picture = person()
    mirror = np.ascontiguousarray(picture[:, ::-1])
    before, now = (pixels(pose_of(estimator, one), one) for one in (picture, mirror))
    now[:, 0] = picture.shape[1] - 1 - now[:, 0]
    for joint, mirrored in ((NOSE, NOSE), (LEFT_SHOULDER, RIGHT_SHOULDER), (RIGHT_SHOULDER, LEFT_SHOULDER)):
        assert np.linalg.norm(before[joint] - now[mirrored]) < 30
    # The person faces the camera: the left shoulder is on the right of both pictures.
    for points in (before, now):
        assert abs(points[LEFT_SHOULDER, 0] - points[RIGHT_SHOULDER, 0]) > 100


@pytest.mark.parametrize("place", [placing(x=160), placing(0.5, 250, 150)], ids=["elsewhere", "smaller"])
def test_meters_do_not_depend_on_the_place_in_the_picture(place: Points, estimator: PoseEstimator) -> None:
    before, now = (pose_of(estimator, person(one)).world[0] for one in (placing(), place))
    assert np.abs(before - now)[SEEN].max() < 0.1
    assert np.abs((now[LEFT_HIP] + now[RIGHT_HIP]) / 2).max() < 0.05, "the middle of the hips is the origin"
    assert -0.8 < now[NOSE, 1] < -0.4, "the head is above the hips, and down is positive"
    assert 0.2 < now[LEFT_SHOULDER, 0] - now[RIGHT_SHOULDER, 0] < 0.6
    assert now[NOSE, 2] < now[SEEN[1:], 2].mean(), "the nose is nearer to the camera"


def test_meters_turn_with_the_person(estimator: PoseEstimator) -> None:
    upright, turned = (pose_of(estimator, person(placing(turn=turn))).world[0][NOSE] for turn in (0.0, 20.0))
    angles = [np.degrees(np.arctan2(-nose[1], nose[0])) for nose in (upright, turned)]
    assert angles[1] - angles[0] == pytest.approx(20, abs=8), "counterclockwise"


@pytest.mark.parametrize(("scale", "x", "y"), [(0.3, 700, 300), (0.25, 200, 200), (0.3, 1000, 350)])
def test_a_small_figure_is_found_in_a_tile(scale: float, x: int, y: int, estimator: PoseEstimator) -> None:
    # The detector sees 224 pixels of the whole frame, where the person is less than 30 pixels high: too small for it.
    place = placing(scale, x, y)
    picture = person(place, (1280, 720))
    pose = pose_of(estimator, picture)
    assert pose.found[0] > 0.5
    nose = in_photograph(pixels(pose, picture), place)[NOSE]
    assert np.linalg.norm(nose - (222, 128)) < 60


@pytest.mark.parametrize("size", [(1, 1), (1, 64), (64, 1), (16, 16), (17, 16), (3, 2000)])
@pytest.mark.parametrize("content", ["black", "noise", "gray noise"])
def test_frames_of_any_size_give_finite_rows(size: tuple[int, int], content: str) -> None:
    rng = np.random.default_rng(0)
    frame = np.zeros((*size, 3), np.uint8)
    if content != "black":
        frame[:] = rng.integers(0, 256, (*size, 3 if content == "noise" else 1))
    row = shared_streams().follow(frame, 1.0, None)[0]
    assert np.isfinite(row).all()
    assert row[0] or not row.any()


_STREAMS: list[FrameStreams] = []


def shared_streams() -> FrameStreams:
    if not _STREAMS:
        _STREAMS.append(FrameStreams(("pose",)))
    return _STREAMS[0]


@pytest.mark.slow
def test_a_huge_frame_is_made_smaller_first() -> None:
    picture = np.kron(person(placing(0.8, 100, 40)), np.ones((9, 9, 1), np.uint8))
    rows = [shared_streams().follow(np.ascontiguousarray(one[..., ::-1]), 1.0, None)[0] for one in (person(), picture)]
    small, huge = (split_pose(row[np.newaxis]) for row in rows)
    assert huge.found[0] > 0.9
    assert np.abs(small.picture - huge.picture)[0][SEEN].max() < 0.05, "heights of the frame"


def test_the_rows_do_not_depend_on_threads(estimator: PoseEstimator) -> None:
    assert (PoseEstimator(2).follow(person(), None)[0] == estimator.follow(person(), None)[0]).all()


def test_square_pixels_come_first() -> None:
    frame = np.ascontiguousarray(person()[..., ::-1])
    squeezed = np.ascontiguousarray(frame[:, ::2])  # as an anamorphic video stores it
    wide, narrow = (
        split_pose(shared_streams().follow(one, ratio, None)[0][np.newaxis])
        for one, ratio in ((frame, 1.0), (squeezed, 2.0))
    )
    assert np.abs(wide.picture - narrow.picture)[0][SEEN].max() < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_model_file_is_one_line(damage: str, tmp_path: Path) -> None:
    package = Path(activity_cli.__file__).parent
    shutil.copytree(package, tmp_path / "activity_cli", ignore=shutil.ignore_patterns("__pycache__", "weights"))
    model = tmp_path / "activity_cli" / "streams" / "models" / "pose_detection.tflite"
    if damage == "gone":
        model.unlink()
    else:
        content = bytearray(model.read_bytes())
        content[1000] ^= 1
        model.write_bytes(content)
    for label in ("left", "up"):
        draw_video(tmp_path / "videos" / label / "0.avi", label, num_frames=4)
    words = [sys.executable, "-m", "activity_cli", "prepare", "videos", "--streams", "pose"]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(tmp_path)}
    )
    line = only_line(done.stderr)
    assert (done.returncode, done.stdout) == (2, "")
    assert str(model) in line
    assert "Install activity again" in line
