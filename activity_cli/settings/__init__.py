"""Every setting, declared once: type, default, range, help, option. ``resolve`` has the rules between settings.

May import :mod:`~activity_cli.errors` and :mod:`~activity_cli.results` only.
"""

from __future__ import annotations

from activity_cli.settings.declare import (
    Leaf,
    Settings,
    build,
    leaves,
    parse_one,
    parse_text,
    plain_values,
    show_value,
    suggest,
)
from activity_cli.settings.prepare import (
    DEFAULT_PREPARED,
    SPLITS,
    STREAM_NAMES,
    LabelOptions,
    PrepareSettings,
    Sampling,
    Split,
    StreamName,
)
from activity_cli.settings.resolve import (
    TrainPlan,
    resolve_prepare,
    resolve_train,
    settings_of_recurrent_heads,
    without_augmentation,
)
from activity_cli.settings.train import DEFAULT_MODEL, Augmentation, NetworkSettings, TrainSettings
from activity_cli.settings.use import (
    ConvertSettings,
    EvaluateSettings,
    ExportSettings,
    PredictSettings,
    SummarizeSettings,
)

__all__ = ["DEFAULT_MODEL", "DEFAULT_PREPARED", "SETTINGS_OF", "SPLITS", "STREAM_NAMES"]
__all__ += ["EvaluateSettings", "ExportSettings", "PredictSettings", "PrepareSettings", "TrainSettings"]
__all__ += ["ConvertSettings", "LabelOptions", "SummarizeSettings"]
__all__ += ["Augmentation", "NetworkSettings", "Sampling", "Split", "StreamName"]
__all__ += ["Leaf", "Settings", "build", "leaves", "parse_one", "parse_text", "plain_values", "show_value", "suggest"]
__all__ += ["TrainPlan", "resolve_prepare", "resolve_train", "settings_of_recurrent_heads", "without_augmentation"]

SETTINGS_OF: dict[str, type[Settings]] = {
    "prepare": PrepareSettings,
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
    "predict": PredictSettings,
    "export": ExportSettings,
    "convert": ConvertSettings,
    "summarize": SummarizeSettings,
}
