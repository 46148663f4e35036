"""Full frames -> rows of the streams: motion, pose and hands, and the appearance where an encoder is given."""

from __future__ import annotations

from collections.abc import Callable, Collection
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt

from activity_cli.streams.hands import HandEstimator
from activity_cli.streams.motion import MOTION_SECONDS, MOTION_WIDTH, MotionDescriber
from activity_cli.streams.pose import PoseEstimator
from activity_cli.video.opencv import cv2

__all__ = ["FULL_FRAME_STREAMS", "FrameStreams"]

FULL_FRAME_STREAMS = ("motion", "pose", "hands")
# Of the shorter side: more pixels tell no more, and cost time.
_MOST_PIXELS = 720

Floats = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]


class FrameStreams:
    """Describes full frames, so that overlapping clips share their rows.

    Several threads may use it at once; each of its models reads one frame at a time.

    Args:
        names: Some of :data:`FULL_FRAME_STREAMS`, and others, which are left alone. Hands need the pose.
        threads: Number of threads of each model; the rows do not depend on it.
        encode: Computes the row of the appearance stream from a frame ``uint8 [S, S, 3]``, RGB, of the network's size;
            None: there is no such row.

    Attributes:
        names: The streams, in the order in which they are computed.
        motion_seconds: Time from a frame to the one that its motion is measured to; 0: motion is not measured.

    Raises:
        BundleError: A model file is damaged.
    """

    def __init__(
        self, names: Collection[str], threads: int = 1, encode: Callable[[Picture], Floats] | None = None
    ) -> None:
        self.names = tuple(name for name in FULL_FRAME_STREAMS if name in names)
        self.motion_seconds = MOTION_SECONDS if "motion" in names else 0.0
        self._motion = MotionDescriber() if "motion" in names else None
        self._pose = PoseEstimator(threads) if "pose" in names else None
        self._hands = HandEstimator(threads) if "hands" in names else None
        self._encode = encode

    def another(self) -> FrameStreams:
        """One that follows the person through other frames at the same time. The other models are the same."""
        other = copy(self)
        other._pose = self._pose and self._pose.another()
        return other

    @property
    def tracks(self) -> bool:
        """Whether a person is followed, for the pose stream."""
        return self._pose is not None

    def follow(self, bgr: Picture, sample_aspect_ratio: float, region: Any) -> tuple[Floats, Any]:
        """The row of the pose stream; see :class:`activity_cli.video.tracking.Tracker`."""
        assert self._pose
        return self._pose.follow(_upright(bgr, sample_aspect_ratio), region)

    def describe(
        self,
        bgr: Picture,
        sample_aspect_ratio: float = 1.0,
        fitted: Picture | None = None,
        pose: Floats | None = None,
    ) -> dict[str, Floats]:
        """The rows of the streams that need one frame alone, ``float32 [width]`` by name.

        Args:
            bgr: ``uint8 [H, W, 3]``, blue, green and red.
            sample_aspect_ratio: Width of a stored pixel over its height as it is shown.
            fitted: The frame as the encoder reads it.
            pose: The row of the pose stream.
        """
        rows = {"appearance": self._encode(fitted)} if self._encode and fitted is not None else {}
        if self._pose is None or pose is None:
            return rows
        rows["pose"] = pose
        if self._hands is not None:
            rows["hands"] = self._hands.describe(_upright(bgr, sample_aspect_ratio), pose)
        return rows

    def shrink(self, bgr: Picture, sample_aspect_ratio: float = 1.0) -> Picture:
        """What the motion stream needs of a frame, ``uint8 [h, w]``."""
        return MotionDescriber.shrink(_square_pixels(bgr, sample_aspect_ratio))

    def motion(self, earlier: Picture, later: Picture, seconds: float) -> Floats:
        """The row of the motion stream for two shrunk frames, shown ``seconds`` apart; 0 where they are one frame."""
        if self._motion is None or seconds <= 0:
            return np.zeros(MOTION_WIDTH, np.float32)
        if earlier.shape != later.shape:  # the size of the frames changes within the video
            later = np.asarray(cv2.resize(later, earlier.shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)
        return self._motion.describe(earlier, later, seconds)


def _upright(bgr: Picture, sample_aspect_ratio: float) -> Picture:
    """The frame as the landmark models read it: RGB, of square pixels."""
    return np.asarray(cv2.cvtColor(_square_pixels(bgr, sample_aspect_ratio), cv2.COLOR_BGR2RGB), np.uint8)


def _square_pixels(bgr: Picture, sample_aspect_ratio: float) -> Picture:
    """The frame as it is shown, no larger than the streams need it."""
    height, width = bgr.shape[0], bgr.shape[1] * sample_aspect_ratio
    scale = min(1.0, _MOST_PIXELS / min(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size == (bgr.shape[1], bgr.shape[0]):
        return bgr
    return np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)
