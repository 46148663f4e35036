"""The streams: what describes every frame of a clip in numbers.

A new stream is one file beside this one and one line in :data:`STREAMS`.
"""

from __future__ import annotations

from dataclasses import dataclass

from activity_cli.streams.hands import HANDS_WIDTH
from activity_cli.streams.model_files import MODEL_FILES
from activity_cli.streams.motion import MOTION_WIDTH
from activity_cli.streams.pose import POSE_WIDTH

__all__ = ["STREAMS", "Stream"]


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream.

    Attributes:
        version: Raised when the same frames give other numbers. It is part of the key of every cached clip.
        width: Numbers for each frame; 0: the encoder decides.
        reads: What of the video it needs.
        milliseconds: What a frame costs on one core of a laptop.
        source: Where it is described.
        models: The files of :data:`activity_cli.streams.model_files.MODEL_FILES` that compute it.
    """

    version: int
    width: int
    reads: str
    milliseconds: float
    source: str
    models: tuple[str, ...] = ()

    @property
    def identity(self) -> list[object]:
        """All that decides the numbers of a frame, for a cache key: the version, and SHA-256 of the model files."""
        return [self.version, *(MODEL_FILES[name] for name in self.models)]


_POSE_MODELS = ("pose_detection", "pose_landmark_full")
STREAMS = {
    "appearance": Stream(
        1, 0, "the frame, made square", 6.0, "features of a CNN; LRCN's first stream (Donahue et al. 2015)"
    ),
    "motion": Stream(
        1,
        MOTION_WIDTH,
        "the full frame, and the one 1/15 s later",
        7.0,
        "optical flow; LRCN's second stream (Donahue et al. 2015), described as by Dalal et al. 2006",
    ),
    "pose": Stream(1, POSE_WIDTH, "the full frame", 24.0, "BlazePose (Bazarevsky et al. 2020)", _POSE_MODELS),
    "hands": Stream(
        1,
        HANDS_WIDTH,
        "the full frame, and its pose",
        16.0,
        "MediaPipe Hands (Zhang et al. 2020)",
        (*_POSE_MODELS, "hand_landmark_full"),
    ),
}
