"""Settings of the commands that use a trained model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from activity_cli.settings.declare import Setting, Settings, setting
from activity_cli.settings.train import DEFAULT_MODEL

__all__ = ["EvaluateSettings", "ExportSettings", "PredictSettings"]

ExportFormat = Literal["litert", "saved_model", "onnx"]
ExportPrecision = Literal["float32", "float16", "int8"]
SplitName = Literal["train", "val", "test", "all"]

_INPUT, _OUTPUT = "Input", "Output"


@dataclass(frozen=True, slots=True)
class EvaluateSettings(Settings):
    """Settings of :func:`activity_cli.evaluate`."""

    model: Path = setting(DEFAULT_MODEL, "Model to evaluate.", metavar="MODEL", argument=True)
    data: Path | None = setting(
        None,
        "Prepared folder to take the clips from.",
        _INPUT,
        "PREPARED",
        unset="the folder that the model was trained on",
    )
    split: SplitName = setting("test", "Split to evaluate the model on.", _INPUT)


@dataclass(frozen=True, slots=True)
class PredictSettings(Settings):
    """Settings of :func:`activity_cli.predict`."""

    inputs: tuple[Path, ...] = field(
        metadata={
            "setting": Setting("Videos, folders of videos, or - for a video on stdin.", metavar="INPUT", argument=True)
        }
    )
    model: Path | None = setting(
        None,
        "Model to use. sample: the sample model.",
        _INPUT,
        "MODEL",
        unset="models/activity if it exists, else the sample model",
    )


@dataclass(frozen=True, slots=True)
class ExportSettings(Settings):
    """Settings of :func:`activity_cli.export`."""

    model: Path = setting(DEFAULT_MODEL, "Model to export.", metavar="MODEL", argument=True)
    format: ExportFormat = setting(
        "litert",
        "litert: for phones and small boards. saved_model: for TensorFlow Serving. onnx: for ONNX Runtime.",
        _OUTPUT,
    )
    out: Path = setting(Path("exported"), "Folder to write.", _OUTPUT, "DIR")
    overwrite: bool = setting(False, "Replace the folder at `out`.", _OUTPUT)
    precision: ExportPrecision = setting(
        "float32",
        "Precision of the encoder, for litert. float16: half the size. int8: a third of the size, and faster; export "
        "measures the speed and the accuracy, and fails if more than 1% of the test clips are lost.",
        _OUTPUT,
    )
    data: Path | None = setting(
        None,
        "Prepared folder whose clips export compares the model on. int8 is also calibrated on its training clips.",
        _INPUT,
        "PREPARED",
        unset="the folder that the model was trained on",
    )
