"""The settings of every verb, and the only home of their defaults.

Frozen dataclasses that check themselves. Paths are ``pathlib.Path``; numbers carry their unit in the
name. A config is what a prepared folder or a model bundle remembers of how it was made.
"""

from __future__ import annotations

from activity_cli.settings.augment import AugmentConfig
from activity_cli.settings.network import BASELINE_SEQUENCES, ENCODERS, POOLINGS, SEQUENCES, NetworkConfig
from activity_cli.settings.prepare import (
    DEFAULT_PREPARED,
    FITS,
    SHORT_POLICIES,
    SPLITS,
    PrepareConfig,
    SamplingConfig,
    SplitConfig,
)
from activity_cli.settings.train import DEFAULT_MODEL, MODES, PRECISIONS, TrainConfig
from activity_cli.settings.use import EXPORT_FORMATS, EvaluateConfig, ExportConfig, PredictConfig

__all__ = [
    "BASELINE_SEQUENCES",
    "DEFAULT_MODEL",
    "DEFAULT_PREPARED",
    "ENCODERS",
    "EXPORT_FORMATS",
    "FITS",
    "MODES",
    "POOLINGS",
    "PRECISIONS",
    "SEQUENCES",
    "SHORT_POLICIES",
    "SPLITS",
    "AugmentConfig",
    "EvaluateConfig",
    "ExportConfig",
    "NetworkConfig",
    "PredictConfig",
    "PrepareConfig",
    "SamplingConfig",
    "SplitConfig",
    "TrainConfig",
]
