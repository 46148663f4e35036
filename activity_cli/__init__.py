"""activity: turns a folder of labeled videos into a recognizer that works in a shell pipe.

Python imports each name below on first use. So ``import activity_cli`` takes no time, and predicting never loads
TensorFlow.
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

# Before TensorFlow loads: its messages at start-up are for its developers.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_MODULES = {
    "commands.evaluate": "evaluate",
    "commands.export": "export",
    "commands.predict": "Recognizer predict",
    "commands.prepare": "prepare",
    "commands.train": "train",
    "errors": "ActivityError BundleError ConfigError DatasetError MissingDependencyError OutputError TrainingError "
    "UsageError VideoError",
    "progress": "Progress",
    "results": "EvaluationResult Prediction PrepareResult TrainResult",
    "settings": "Augmentation EvaluateSettings ExportSettings NetworkSettings PredictSettings PrepareSettings Sampling "
    "Split TrainSettings",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

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
    # PEP 562: Python calls this for a name that is not imported yet.
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"activity_cli.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
