"""What a killed training goes on from: the stage, the epochs, and the state after the last one.

``.<model>.checkpoint.npz`` beside the model: written aside and renamed after every epoch. It is data only: reading it
runs no code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import msgspec
import numpy as np
import numpy.typing as npt

from activity_cli.errors import TrainingError
from activity_cli.files import atomic_write
from activity_cli.results import EpochRecord
from activity_cli.training.callbacks import Weights

__all__ = ["Checkpoint", "checkpoint_path", "read_checkpoint", "write_checkpoint"]

_SCHEMA = "activity.checkpoint/2"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after an epoch.

    Attributes:
        settings: What the training was started with; only the same may go on.
        stage: Number of the stage, counted from 0.
        records: The epochs of all stages so far.
        variables: Every variable of the stage's model and its optimizer, in their order.
        best: The weights of the stage's best epoch, or without validation clips of the last one.
        kept: The weights that stand where this stage does not come to its end; none: there are none yet.
        kept_stage: Number of the stage that they are of; -1: there are none.
    """

    settings: Mapping[str, Any]
    stage: int
    records: tuple[EpochRecord, ...]
    variables: Weights
    best: Weights
    kept: Weights
    kept_stage: int


class _Header(msgspec.Struct):
    schema: str
    settings: dict[str, Any]
    stage: int
    records: list[EpochRecord]
    kept_stage: int


def checkpoint_path(model: Path) -> Path:
    """Where the state of a training is kept until its model is finished."""
    place = model.resolve()
    return place.with_name(f".{place.name}.checkpoint.npz")


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replaces the state of the epoch before.

    Raises:
        OutputError: The disk is full, or the place cannot be written.
    """
    header = _Header(
        _SCHEMA, dict(checkpoint.settings), checkpoint.stage, list(checkpoint.records), checkpoint.kept_stage
    )
    arrays: dict[str, Any] = {"header": np.frombuffer(msgspec.msgpack.encode(header), np.uint8)}
    for name in ("variables", "best", "kept"):
        arrays |= {f"{name}{number}": value for number, value in enumerate(getattr(checkpoint, name))}
    with atomic_write(path) as aside, aside.open("wb") as file:
        np.savez(file, **arrays)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The state that was written last; None where there is none.

    Raises:
        TrainingError: The file is damaged, or of another version.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            header = msgspec.msgpack.decode(file["header"].tobytes(), type=_Header)
            if header.schema != _SCHEMA or not header.records:
                raise ValueError(f"schema {header.schema!r}, {len(header.records)} epochs")
            variables, best, kept = (_numbered(file, name) for name in ("variables", "best", "kept"))
            return Checkpoint(
                header.settings, header.stage, tuple(header.records), variables, best, kept, header.kept_stage
            )
    except (FileNotFoundError, NotADirectoryError):
        return None
    # RuntimeError: a flipped bit may say that the file is encrypted, or of a version to come.
    except (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, MemoryError, BadZipFile) as error:
        raise TrainingError(
            f"{path} cannot be read: {error}.", "Start again with `overwrite`.", code="training.checkpoint"
        ) from None


def _numbered(file: Any, name: str) -> Sequence[npt.NDArray[Any]]:
    count = sum(key.startswith(name) for key in file.files)
    return [file[f"{name}{number}"] for number in range(count)]
