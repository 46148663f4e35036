"""The hands stream on drawn hands, whose joints are known."""

from __future__ import annotations

import numpy as np
import pytest

from activity_cli.streams.frames import FrameStreams
from activity_cli.streams.hands import HANDS_WIDTH, NUM_HAND_JOINTS, HandEstimator, HandRows, split_hands
from activity_cli.streams.pose import POSE_WIDTH
from people import Picture, Points, draw_hand, nobody, person, person_with_hands

WRIST, TIPS = 0, [4, 8, 12, 16, 20]
ARMS = ((15, 17, 19), (16, 18, 20))  # wrist, little finger and index finger of the left and the right arm


@pytest.fixture(scope="module")
def estimator() -> HandEstimator:
    return HandEstimator(1)


def pose_with(arm: Points, picture: Picture, side: int) -> np.ndarray:
    """A row of the pose stream that knows of one arm only."""
    row = np.zeros(POSE_WIDTH, np.float32)
    row[0] = 1.0
    places = row[1:67].reshape(-1, 2)
    places[list(ARMS[side])] = arm / picture.shape[0]
    return row


def hands_of(
    estimator: HandEstimator,
    middle: tuple[float, float] = (320, 260),
    scale: float = 0.8,
    side: int = 0,
    turn: float = 0.0,
) -> tuple[HandRows, Picture, dict[str, Points]]:
    picture = nobody()
    drawn = draw_hand(picture, middle, scale, turn=turn, is_right=side == 1)
    row = estimator.describe(picture, pose_with(drawn["arm"], picture, side))
    assert (row.shape, row.dtype) == ((HANDS_WIDTH,), np.float32)
    return split_hands(row[np.newaxis]), picture, drawn


@pytest.mark.parametrize(
    ("middle", "scale", "turn"),
    [
        ((320, 260), 0.8, 0.0),
        ((200, 240), 0.8, 0.0),
        ((320, 260), 0.3, 0.0),
        ((320, 240), 0.8, 0.5),
        ((320, 240), 0.8, -1.2),
    ],
    ids=["middle", "elsewhere", "small", "turned right", "turned left"],
)
@pytest.mark.parametrize("side", [0, 1], ids=["left", "right"])
def test_the_joints_lie_on_the_hand(
    middle: tuple[float, float], scale: float, turn: float, side: int, estimator: HandEstimator
) -> None:
    hands, picture, drawn = hands_of(estimator, middle, scale, side, turn)
    assert hands.found[0, side] > 0.8
    assert hands.picture.shape == (1, 2, NUM_HAND_JOINTS, 2)
    joints = hands.picture[0, side] * picture.shape[0]
    hand_pixels = 240 * scale
    assert np.linalg.norm(joints[TIPS] - drawn["tips"], axis=1).max() < 0.2 * hand_pixels
    assert np.linalg.norm(joints[WRIST] - drawn["arm"][0]) < 0.2 * hand_pixels
    other = 1 - side
    assert not hands.found[0, other]
    assert not hands.picture[0, other].any()
    assert not hands.world[0, other].any()


def test_meters_do_not_depend_on_the_size_but_turn_with_the_hand(estimator: HandEstimator) -> None:
    (near, *_), (far, *_), (turned, *_) = (
        hands_of(estimator, scale=0.9),
        hands_of(estimator, scale=0.45),
        hands_of(estimator, turn=0.6),
    )
    assert np.abs(near.world - far.world).max() < 0.03
    up, aside = (hands.world[0, 0, 12] - hands.world[0, 0, WRIST] for hands in (near, turned))
    angles = [np.arctan2(one[1], one[0]) for one in (up, aside)]
    assert 0.1 < np.linalg.norm(up) < 0.25, "from the wrist to the tip of the middle finger"
    assert angles[1] - angles[0] == pytest.approx(0.6, abs=0.2)


def test_without_a_person_or_a_hand_the_row_is_zero(estimator: HandEstimator) -> None:
    _, picture, drawn = hands_of(estimator)
    absent = pose_with(drawn["arm"], picture, 0)
    absent[0] = 0.0
    assert not estimator.describe(picture, absent).any()
    assert not estimator.describe(nobody(), pose_with(drawn["arm"], picture, 0)).any()


@pytest.mark.parametrize("length", [0.0, 0.1, 1.0, 1e5])
def test_an_arm_of_any_length_gives_a_finite_row(length: float, estimator: HandEstimator) -> None:
    arm = np.array([[100, 100], [100, 100 - length], [100 + length / 3, 100 - length]])
    assert np.isfinite(estimator.describe(person(), pose_with(arm, person(), 1))).all()


def test_the_pose_of_a_frame_leads_to_its_hands() -> None:
    streams = FrameStreams(("pose", "hands"))
    frame = np.ascontiguousarray(person_with_hands()[..., ::-1])
    pose, _ = streams.follow(frame, 1.0, None)
    rows = streams.describe(frame, pose=pose)
    hands = split_hands(rows["hands"][np.newaxis])
    assert (hands.found > 0.9).all()
    left, right = hands.picture[0, :, 12] * 480
    assert left[0] > 400
    assert right[0] < 240
    assert max(left[1], right[1]) < 260, "both are raised"
