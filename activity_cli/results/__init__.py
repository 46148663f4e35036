"""What the commands return, and the versions of the JSON that programs read.

Frozen dataclasses with plain values (no arrays), so that results can be written as JSON, compared and stored. Shares
and scores are 0 to 1. Schema names carry a version: within a version keys are added, never renamed or removed.
"""

from __future__ import annotations

from activity_cli.results.evaluate import Baseline, ClassScore, EvaluationResult
from activity_cli.results.predict import FrameAnswer, Prediction
from activity_cli.results.prepared import (
    ClipInfo,
    ClipRecord,
    LeakReport,
    MetadataShortcut,
    PrepareResult,
    RelatedPair,
    VideoInfo,
)
from activity_cli.results.train import EncoderRow, EpochRecord, HeadScore, LayerRow, TrainResult

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
    "HeadScore",
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
