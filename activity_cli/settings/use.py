"""Settings of the commands that use a trained model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from activity_cli.settings.declare import Setting, Settings
from activity_cli.settings.train import DEFAULT_MODEL

__all__ = ["EvaluateSettings", "ExportFormat", "ExportSettings", "PredictSettings", "SplitName"]

ExportFormat = Literal["litert", "saved_model", "onnx"]
SplitName = Literal["train", "val", "test", "all"]

_INPUT, _OUTPUT = "Input", "Output"


@dataclass(frozen=True, slots=True)
class EvaluateSettings(Settings):
    """Settings of :func:`activity_cli.evaluate`."""

    model: Annotated[Path, Setting("Model to evaluate.", metavar="MODEL", argument=True)] = DEFAULT_MODEL
    data: Annotated[
        Path | None,
        Setting(
            "Prepared folder with the clips.", _INPUT, "PREPARED", unset="the folder that the model was trained on"
        ),
    ] = None
    split: Annotated[SplitName, Setting("Clips that evaluate the model.", _INPUT)] = "test"


@dataclass(frozen=True, slots=True)
class PredictSettings(Settings):
    """Settings of :func:`activity_cli.predict`."""

    inputs: Annotated[
        tuple[Path, ...],
        Setting("Videos, folders of videos, or - for a video on stdin.", metavar="INPUT", argument=True),
    ]
    model: Annotated[
        Path | None, Setting("Model to use.", _INPUT, "MODEL", unset="models/activity, or else the sample model")
    ] = None


@dataclass(frozen=True, slots=True)
class ExportSettings(Settings):
    """Settings of :func:`activity_cli.export`."""

    model: Annotated[Path, Setting("Model to export.", metavar="MODEL", argument=True)] = DEFAULT_MODEL
    format: Annotated[
        ExportFormat,
        Setting(
            "litert: for phones and small boards. saved_model: for TensorFlow Serving. onnx: for ONNX Runtime.",
            _OUTPUT,
        ),
    ] = "litert"
    out: Annotated[Path, Setting("Folder to write.", _OUTPUT, "DIR")] = Path("exported")
    overwrite: Annotated[bool, Setting("Replace the folder at `out`.", _OUTPUT)] = False
