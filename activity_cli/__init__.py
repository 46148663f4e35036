"""activity: learns activities from a folder of labeled videos, and recognizes them in new videos.

Python imports each name below on first use. So ``import activity_cli`` takes no time, and predicting never loads
TensorFlow.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from activity_cli._version import __version__
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

if TYPE_CHECKING:
    from activity_cli.commands.convert import convert
    from activity_cli.commands.evaluate import evaluate
    from activity_cli.commands.export import export
    from activity_cli.commands.predict import Recognizer, predict
    from activity_cli.commands.prepare import prepare
    from activity_cli.commands.summarize import summarize
    from activity_cli.commands.train import train
    from activity_cli.results import (
        ConvertResult,
        EvaluationResult,
        Prediction,
        PrepareResult,
        SummarizeResult,
        TrainResult,
    )
    from activity_cli.settings import (
        Augmentation,
        ConvertSettings,
        EvaluateSettings,
        ExportSettings,
        LabelOptions,
        NetworkSettings,
        PredictSettings,
        PrepareSettings,
        Sampling,
        Split,
        SummarizeSettings,
        TrainSettings,
    )

__all__ = ["Progress", "Recognizer", "__version__", "convert", "evaluate", "export", "predict"]
__all__ += ["prepare", "summarize", "train"]
__all__ += ["EvaluateSettings", "ExportSettings", "PredictSettings", "PrepareSettings", "TrainSettings"]
__all__ += ["ConvertResult", "ConvertSettings", "LabelOptions", "SummarizeResult", "SummarizeSettings"]
__all__ += ["Augmentation", "NetworkSettings", "Sampling", "Split"]
__all__ += ["EvaluationResult", "Prediction", "PrepareResult", "TrainResult"]
__all__ += ["ActivityError", "BundleError", "ConfigError", "DatasetError", "MissingDependencyError", "OutputError"]
__all__ += ["TrainingError", "UsageError", "VideoError"]

# Before TensorFlow loads: its messages at start-up are for its developers.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def __getattr__(name: str) -> Any:
    # PEP 562: Python calls this for a name that is not imported yet.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name[0].islower():  # a command, in the module of its name
        module = f"commands.{name}"
    elif name == "Prediction" or name.endswith("Result"):
        module = "results"
    else:
        module = "commands.predict" if name == "Recognizer" else "settings"
    globals()[name] = value = getattr(import_module(f"activity_cli.{module}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
