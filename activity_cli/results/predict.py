"""What ``predict`` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FrameAnswer", "Prediction"]


@dataclass(frozen=True, slots=True)
class FrameAnswer:
    """One frame: its time in the video, the most probable activity, and the probability of that activity."""

    seconds: float
    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one input: a label, or an error.

    Attributes:
        source: The input, as it was given or as it was found in a folder.
        status: ``ok`` or ``error``.
        label: The most probable activity.
        confidence: Its probability, 0 to 1.
        scores: Probability of every activity, highest first; they sum to 1.
        duration_seconds: Of the video.
        frames_used: Frames that the network received.
        model: Name and short hash of the bundle.
        frames: The answer for each of these frames, window by window; None for a model that classifies whole clips
            only.
        error_code, error_message, error_hint: What went wrong, where status is ``error``.
    """

    source: str
    status: str
    label: str = ""
    confidence: float = 0.0
    scores: Mapping[str, float] | None = None
    duration_seconds: float = 0.0
    frames_used: int = 0
    model: str = ""
    frames: tuple[FrameAnswer, ...] | None = None
    error_code: str = ""
    error_message: str = ""
    error_hint: str = ""
