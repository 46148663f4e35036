"""All that a training needs to go on after it was killed, in one file that is whole or not there.

``.<model>.checkpoint.npz`` beside the model: every variable of the network and of the optimizer, the
best weights so far, and the history. It is data only: reading it runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from activity_cli.errors import TrainingError
from activity_cli.files import atomic_write
from activity_cli.results import EpochRecord

__all__ = ["Checkpoint", "checkpoint_path", "read_checkpoint", "write_checkpoint"]

Arrays = Sequence[npt.NDArray[Any]]

_SCHEMA = "activity.checkpoint/1"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after an epoch.

    Attributes:
        settings: What the training was started with; only the same ones may go on.
        epochs: What happened so far.
        best_epoch: Counts from 1; 0 is none yet.
        state: Every variable of the network and the optimizer, in their order.
        best: The weights of the best epoch.
        head_epochs: Those before, in which the sequence part learned alone; of the first training.
        earlier: Epochs, and the best of them, of an earlier training that this one follows; None: it is
            the first.
        head: The sequence part learns alone, before the encoder does: state and best are of it only.
        ended: With ``head`` and ``earlier``, every variable of the network at the end of the earlier training.
    """

    settings: Mapping[str, Any]
    epochs: tuple[EpochRecord, ...] = ()
    best_epoch: int = 0
    state: Arrays = ()
    best: Arrays = ()
    head_epochs: tuple[EpochRecord, ...] = ()
    earlier: tuple[tuple[EpochRecord, ...], int] | None = None
    head: bool = False
    ended: Arrays = ()


def checkpoint_path(model: Path) -> Path:
    """Where the state of a training is kept until its model is finished."""
    place = model.resolve()
    return place.with_name(f".{place.name}.checkpoint.npz")


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replaces the state of the epoch before.

    Raises:
        OutputError: The disk is full, or the place cannot be written.
    """
    about = {
        "schema": _SCHEMA,
        "settings": dict(checkpoint.settings),
        "epochs": _rows(checkpoint.epochs),
        "head_epochs": _rows(checkpoint.head_epochs),
        "best_epoch": checkpoint.best_epoch,
        "head": checkpoint.head,
    }
    if checkpoint.earlier:
        epochs, best_epoch = checkpoint.earlier
        about["earlier"] = {"epochs": _rows(epochs), "best_epoch": best_epoch}
    arrays: dict[str, Any] = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    arrays |= {f"state{number}": value for number, value in enumerate(checkpoint.state)}
    arrays |= {f"best{number}": value for number, value in enumerate(checkpoint.best)}
    arrays |= {f"ended{number}": value for number, value in enumerate(checkpoint.ended)}
    with atomic_write(path) as aside, aside.open("wb") as file:
        np.savez(file, **arrays)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The state that was written last; None where there is none.

    Raises:
        TrainingError: The file is damaged, or of another version.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            if about["schema"] != _SCHEMA:
                raise ValueError(f"schema {about['schema']!r}")
            return Checkpoint(
                about["settings"],
                _records(about["epochs"]),
                about["best_epoch"],
                _numbered(file, "state"),
                _numbered(file, "best"),
                _records(about.get("head_epochs", ())),
                _earlier(about.get("earlier")),
                about.get("head", False),
                _numbered(file, "ended"),
            )
    except (FileNotFoundError, NotADirectoryError):
        return None
    # RuntimeError: a bit turned over may say that the file is encrypted, or of a version to come.
    except (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, MemoryError, BadZipFile) as error:
        raise TrainingError(
            f"{path} cannot be read: {error}.", "Begin anew with --overwrite.", code="training.checkpoint"
        ) from None


def _earlier(about: Mapping[str, Any] | None) -> tuple[tuple[EpochRecord, ...], int] | None:
    if about is None:
        return None
    return _records(about["epochs"]), about["best_epoch"]


def _rows(epochs: Sequence[EpochRecord]) -> list[dict[str, Any]]:
    return [asdict(record) for record in epochs]


def _records(rows: Sequence[Mapping[str, Any]]) -> tuple[EpochRecord, ...]:
    return tuple(EpochRecord(**row) for row in rows)


def _numbered(file: Any, name: str) -> list[npt.NDArray[Any]]:
    count = sum(key.startswith(name) for key in file.files)
    return [file[f"{name}{number}"] for number in range(count)]
