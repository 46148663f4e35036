"""A real person (an astronaut, in a public-domain photograph that comes with scikit-image), and drawn hands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

SIZE = 640, 480  # width, height
_GRAY = (90, 90, 90)
_SKIN, _SHADE = (224, 172, 140), (150, 100, 80)
# From the middle of the palm, fingers up: knuckle to tip, and the width of the finger.
_FINGERS = {
    "thumb": ([(-30, 60), (-62, 25), (-85, -5), (-100, -30)], 26),
    "index": ([(-32, -10), (-40, -60), (-44, -90), (-47, -118)], 22),
    "middle": ([(-8, -18), (-10, -75), (-11, -108), (-12, -138)], 23),
    "ring": ([(15, -12), (20, -65), (23, -95), (25, -122)], 22),
    "little": ([(36, 2), (48, -38), (54, -60), (59, -82)], 19),
}
# Wrist, start of the little finger, start of the index finger: what the pose knows of a hand.
_ARM = ((0, 100), (36, 2), (-32, -10))


@cache
def _photograph() -> Picture:
    from skimage.data import astronaut

    return np.asarray(astronaut(), np.uint8)


def placing(scale: float = 0.8, x: float = 100, y: float = 40, turn: float = 0.0) -> Points:
    """The affine map ``[2, 3]`` from the photograph, 512 x 512, to a picture; ``turn`` in degrees, counterclockwise."""
    turned = np.vstack([cv2.getRotationMatrix2D((256, 256), turn, 1.0), [0, 0, 1]])
    moved = np.array([[scale, 0, x], [0, scale, y], [0, 0, 1]], np.float64)
    return np.asarray((moved @ turned)[:2], np.float64)


def person(place: Points | None = None, size: tuple[int, int] = SIZE) -> Picture:
    """The upper body of a person on gray, ``uint8 [H, W, 3]``, RGB."""
    place = placing() if place is None else place
    return np.asarray(cv2.warpAffine(_photograph(), place, size, flags=cv2.INTER_AREA, borderValue=_GRAY), np.uint8)


def nobody(size: tuple[int, int] = SIZE) -> Picture:
    return np.full((size[1], size[0], 3), _GRAY, np.uint8)


def draw_hand(
    picture: Picture, middle: tuple[float, float], scale: float = 1.0, *, turn: float = 0.0, is_right: bool = False
) -> dict[str, Points]:
    """Draws an open hand into a picture; a left hand from the front has its thumb on the left.

    Args:
        picture: RGB.
        middle: Middle of the palm in pixels.
        scale: 1: the hand is 240 pixels high.
        turn: Clockwise, in radians.
        is_right: Mirrors it.

    Returns:
        In pixels: ``arm`` ``[3, 2]``, wrist, little finger and index finger, and ``tips`` ``[5, 2]``.
    """
    fine = 4  # times as many pixels, for smooth borders
    across = (-1 if is_right else 1) * scale
    cos, sin = np.cos(turn), np.sin(turn)

    def places(points: Iterable[tuple[float, float]]) -> Points:
        x, y = np.array(list(points), np.float64).T * [[across], [scale]]
        return np.stack([middle[0] + cos * x - sin * y, middle[1] + sin * x + cos * y], axis=1)

    size = picture.shape[1] * fine, picture.shape[0] * fine
    large = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)

    def line(points: Sequence[tuple[float, float]], width: float, color: tuple[int, int, int]) -> None:
        corners = [(places(points) * fine).round().astype(np.int32)]
        cv2.polylines(large, corners, False, color, round(fine * scale * width), cv2.LINE_AA)

    palm = [(-36, -12), (36, 0), (34, 80), (20, 105), (-22, 105), (-34, 70), (-36, -12)]
    for color, wider in ((_SHADE, 5), (_SKIN, 0)):
        line([(0, 95), (0, 240)], 52 + wider, color)
        cv2.fillPoly(large, [(places(palm) * fine).round().astype(np.int32)], color, cv2.LINE_AA)
        line(palm, 14 + wider, color)
        for joints, width in _FINGERS.values():
            line(joints, width + wider, color)
    for joints, _ in _FINGERS.values():
        for x, y in joints[1:3]:
            line([(x - 6, y), (x + 6, y)], 2, _SHADE)
    smooth = cv2.resize(large, picture.shape[1::-1], interpolation=cv2.INTER_AREA)
    picture[:] = cv2.GaussianBlur(smooth, (0, 0), 1.0)
    return {"arm": places(_ARM), "tips": places([joints[-1] for joints, _ in _FINGERS.values()])}


def person_with_hands() -> Picture:
    """The person, who raises both hands."""
    picture = person(placing(0.8, 118, 70))
    draw_hand(picture, (478, 260), 0.55)
    draw_hand(picture, (158, 260), 0.55, is_right=True)
    return picture


def write_video(path: Path, pictures: Sequence[Picture], fps: float = 12.0) -> Path:
    """Writes RGB pictures of one size as a video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(np.ascontiguousarray(picture[..., ::-1]))
    writer.release()
    return path
