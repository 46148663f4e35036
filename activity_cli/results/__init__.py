"""What the verbs return, and the JSON that programs read.

Frozen dataclasses with plain values only (no arrays), so that a result can be written as JSON,
compared and kept. Shares and scores are 0 to 1. The schema names carry a version: within a version
keys are added, never renamed or removed.
"""

from __future__ import annotations

from activity_cli.results.prepared import (
    ClipInfo,
    ClipRecord,
    LeakReport,
    MetadataShortcut,
    PrepareResult,
    RelatedPair,
    VideoInfo,
)
from activity_cli.results.trained import (
    Baseline,
    ClassScore,
    EncoderRow,
    EpochRecord,
    EvaluationResult,
    FrameAnswer,
    LayerRow,
    Prediction,
    TrainResult,
)

__all__ = [
    "EVALUATION_SCHEMA",
    "LEAKS_SCHEMA",
    "PREDICTION_SCHEMA",
    "Baseline",
    "ClassScore",
    "ClipInfo",
    "ClipRecord",
    "EncoderRow",
    "EpochRecord",
    "EvaluationResult",
    "FrameAnswer",
    "LayerRow",
    "LeakReport",
    "MetadataShortcut",
    "Prediction",
    "PrepareResult",
    "RelatedPair",
    "TrainResult",
    "VideoInfo",
]

PREDICTION_SCHEMA = "activity.prediction/1"
EVALUATION_SCHEMA = "activity.evaluation/1"
LEAKS_SCHEMA = "activity.leaks/1"
