"""activity: a folder of labeled videos -> a recognizer that works in a shell pipe.

Every name below is loaded on first use, so ``import activity_cli`` costs nothing and predicting never
loads TensorFlow.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from activity_cli._version import __version__

if TYPE_CHECKING:
    from activity_cli.commands.evaluate import evaluate
    from activity_cli.commands.export import export
    from activity_cli.commands.predict import Recognizer, predict
    from activity_cli.commands.prepare import prepare
    from activity_cli.commands.train import train
    from activity_cli.errors import (
        ActivityError,
        BundleError,
        ConfigError,
        DatasetError,
        MissingDependencyError,
        OutputError,
        TrainingError,
        UsageError,
        VideoError,
    )
    from activity_cli.progress import Progress
    from activity_cli.results import EvaluationResult, Prediction, PrepareResult, TrainResult
    from activity_cli.settings import (
        Augmentation,
        EvaluateSettings,
        ExportSettings,
        NetworkSettings,
        PredictSettings,
        PrepareSettings,
        Sampling,
        Split,
        TrainSettings,
    )

# Before TensorFlow can load: what it says at start-up is for its developers.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_HOMES = {
    "activity_cli.settings": (
        "Augmentation",
        "EvaluateSettings",
        "ExportSettings",
        "NetworkSettings",
        "PredictSettings",
        "PrepareSettings",
        "Sampling",
        "Split",
        "TrainSettings",
    ),
    "activity_cli.errors": (
        "ActivityError",
        "BundleError",
        "ConfigError",
        "DatasetError",
        "MissingDependencyError",
        "OutputError",
        "TrainingError",
        "UsageError",
        "VideoError",
    ),
    "activity_cli.commands.evaluate": ("evaluate",),
    "activity_cli.commands.export": ("export",),
    "activity_cli.commands.predict": ("Recognizer", "predict"),
    "activity_cli.commands.prepare": ("prepare",),
    "activity_cli.progress": ("Progress",),
    "activity_cli.results": ("EvaluationResult", "Prediction", "PrepareResult", "TrainResult"),
    "activity_cli.commands.train": ("train",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ActivityError",
    "Augmentation",
    "BundleError",
    "ConfigError",
    "DatasetError",
    "EvaluateSettings",
    "EvaluationResult",
    "ExportSettings",
    "MissingDependencyError",
    "NetworkSettings",
    "OutputError",
    "PredictSettings",
    "Prediction",
    "PrepareResult",
    "PrepareSettings",
    "Progress",
    "Recognizer",
    "Sampling",
    "Split",
    "TrainResult",
    "TrainSettings",
    "TrainingError",
    "UsageError",
    "VideoError",
    "__version__",
    "evaluate",
    "export",
    "predict",
    "prepare",
    "train",
]


def __getattr__(name: str) -> Any:
    # PEP 562: resolved on first use, then kept.
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
