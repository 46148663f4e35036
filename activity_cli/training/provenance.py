"""What a bundle remembers of its training."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from activity_cli._version import __version__
from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.model.bundle import LEARNED_DIGITS
from activity_cli.settings import TrainSettings
from activity_cli.training.callbacks import History
from activity_cli.training.plan import Plan

__all__ = ["training_facts"]


def training_facts(
    config: TrainSettings, plan: Plan, prepared: PreparedFolder, history: History, policy: str, num_devices: int
) -> dict[str, Any]:
    """What a bundle remembers of its training: every setting, what was chosen, the clips and versions."""
    settings = asdict(config)
    for name in ("prepared", "out", "network", "overwrite", "resume"):
        settings.pop(name)
    settings["tensorboard"] = str(config.tensorboard) if config.tensorboard else None
    chosen = {name: value for name, value in asdict(plan).items() if name != "network"} | {
        "precision": policy,
        "num_devices": num_devices,
    }
    return {
        "name": config.out.resolve().name,
        "training": settings | chosen | {"interrupted": history.interrupted, "diverged": history.diverged},
        "metrics": {
            "best_epoch": history.best_epoch,
            **{
                name: value if np.isfinite(value := getattr(history.best, name)) else None
                for name in ("loss", "accuracy", "val_loss", "val_accuracy")
            },
        },
        "data": {
            # From the bundle to the clips, so that a project can be moved as a whole.
            "prepared": os.path.relpath(prepared.folder, config.out),
            "fingerprint": prepared.fingerprint,
            # By content, to say so when the model is judged on clips that it knows.
            "learned_from": sorted(
                record.content_hash[:LEARNED_DIGITS] for record in prepared.in_split("all") if record.split != "test"
            ),
            "clips": {split: len(prepared.in_split(split)) for split in ("train", "val", "test")},
        },
        "versions": {
            "activity": __version__,
            "python": platform.python_version(),
            "processor": platform.machine(),
            **{name: _version(name) for name in ("tensorflow", "keras", "numpy", "opencv-python", "ai-edge-litert")},
        },
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"  # installed in a way of its own, such as tensorflow-cpu
