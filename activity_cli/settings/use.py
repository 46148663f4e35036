"""Settings of the verbs that use a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from activity_cli.settings.checks import require
from activity_cli.settings.prepare import SPLITS
from activity_cli.settings.train import DEFAULT_MODEL

__all__ = ["EXPORT_FORMATS", "EvaluateConfig", "ExportConfig", "PredictConfig"]

EXPORT_FORMATS = ("litert", "saved_model", "onnx")


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """Settings of :func:`activity_cli.evaluate`.

    Attributes:
        model: Bundle to judge.
        prepared: Folder of the clips; None: the one the bundle was trained from.
        split: Which clips: train, val, test, or all of them.
    """

    model: Path = DEFAULT_MODEL
    prepared: Path | None = None
    split: str = "test"

    def __post_init__(self) -> None:
        require(self.split in (*SPLITS, "all"), "split", self.split, ", ".join((*SPLITS, "all")))


@dataclass(frozen=True, slots=True)
class PredictConfig:
    """Settings of :func:`activity_cli.predict`.

    Attributes:
        inputs: Video files and folders of them.
        model: Bundle to use; None: ``models/activity``, or else the sample model.
    """

    inputs: tuple[Path, ...]
    model: Path | None = None


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """Settings of :func:`activity_cli.export`.

    Attributes:
        model: Bundle to export.
        out: Folder to write.
        format: ``litert`` or ``saved_model`` or ``onnx``.
        overwrite: Replace what stands at ``out``.
    """

    model: Path = DEFAULT_MODEL
    out: Path = Path("exported")
    format: str = "litert"
    overwrite: bool = False

    def __post_init__(self) -> None:
        require(self.format in EXPORT_FORMATS, "format", self.format, ", ".join(EXPORT_FORMATS))
