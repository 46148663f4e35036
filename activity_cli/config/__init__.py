"""The settings of every verb, and the only home of their defaults.

Frozen dataclasses that check themselves. Paths are ``pathlib.Path``; numbers carry their unit in the
name. A config is what a prepared folder or a model bundle remembers of how it was made.
"""

from __future__ import annotations

from activity_cli.config.learning import DEFAULT_MODEL, ENCODERS, POOLINGS, SEQUENCES, NetworkConfig, TrainConfig
from activity_cli.config.preparing import (
    DEFAULT_PREPARED,
    FITS,
    SHORT_POLICIES,
    SPLITS,
    PrepareConfig,
    SamplingConfig,
    SplitConfig,
)
from activity_cli.config.using import EXPORT_FORMATS, EvaluateConfig, ExportConfig, PredictConfig

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_PREPARED",
    "ENCODERS",
    "EXPORT_FORMATS",
    "FITS",
    "POOLINGS",
    "SEQUENCES",
    "SHORT_POLICIES",
    "SPLITS",
    "EvaluateConfig",
    "ExportConfig",
    "NetworkConfig",
    "PredictConfig",
    "PrepareConfig",
    "SamplingConfig",
    "SplitConfig",
    "TrainConfig",
]
