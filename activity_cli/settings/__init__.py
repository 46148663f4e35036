"""Every setting, declared once: type, default, limits, help, option. ``resolve`` has all rules between them.

May import :mod:`~activity_cli.errors` and :mod:`~activity_cli.results` only.
"""

from __future__ import annotations

from activity_cli.settings.declare import Leaf, Setting, Settings, build, leaves, parse_text, plain_values
from activity_cli.settings.prepare import DEFAULT_PREPARED, SPLITS, PrepareSettings, Sampling, Split
from activity_cli.settings.resolve import (
    TrainPlan,
    resolve_prepare,
    resolve_train,
    without_augmentation,
)
from activity_cli.settings.train import DEFAULT_MODEL, Augmentation, NetworkSettings, TrainSettings
from activity_cli.settings.use import EvaluateSettings, ExportSettings, PredictSettings

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_PREPARED",
    "SPLITS",
    "Augmentation",
    "EvaluateSettings",
    "ExportSettings",
    "Leaf",
    "NetworkSettings",
    "PredictSettings",
    "PrepareSettings",
    "Sampling",
    "Setting",
    "Settings",
    "Split",
    "TrainPlan",
    "TrainSettings",
    "build",
    "leaves",
    "parse_text",
    "plain_values",
    "resolve_prepare",
    "resolve_train",
    "without_augmentation",
]
