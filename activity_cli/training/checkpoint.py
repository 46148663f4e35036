"""What a killed training goes on from.

While an encoder is trained: the stage, the epochs, and the state after the last one, in ``.<model>.checkpoint.npz``
beside the model, written after every epoch. With a frozen encoder: a file for each head that was fitted, in the folder
``.<model>.fits``. All are written aside and renamed. They are data only: reading them runs no code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile

import msgspec
import numpy as np
import numpy.typing as npt

from activity_cli.errors import TrainingError
from activity_cli.files import atomic_write, remove_stale_files, translate_os_error, write_bytes
from activity_cli.results import EpochRecord
from activity_cli.training.callbacks import Weights

__all__ = ["Checkpoint", "FitStore", "checkpoint_path", "read_checkpoint", "write_checkpoint"]

_SCHEMA = "activity.checkpoint/3"
_SETTINGS_FILE = "settings.json"
# RuntimeError: a flipped bit may say that the file is encrypted, or of a version to come.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, MemoryError, BadZipFile)


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
            for array in (*variables, *best, *kept):
                if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
                    raise ValueError("it holds values that are not finite numbers")
            return Checkpoint(
                header.settings, header.stage, tuple(header.records), variables, best, kept, header.kept_stage
            )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except _UNREADABLE as error:
        raise TrainingError(
            f"{path} cannot be read: {error}.", "Start again with `overwrite`.", code="training.checkpoint"
        ) from None


def _numbered(file: Any, name: str) -> Sequence[npt.NDArray[Any]]:
    count = sum(key.startswith(name) for key in file.files)
    return [file[f"{name}{number}"] for number in range(count)]


class FitStore:
    """What the fits of a training with a frozen encoder gave, one file each.

    Args:
        model: Folder of the model.
        settings: What the training was started with. Fits of another training are not found.

    Attributes:
        folder: Where the files are.
    """

    def __init__(self, model: Path, settings: Mapping[str, Any]) -> None:
        place = model.resolve()
        self.folder = place.with_name(f".{place.name}.fits")
        self._settings = dict(settings)

    def differing(self) -> list[str] | None:
        """The settings in which an unfinished training differs from this one; None: there is none."""
        try:
            found = msgspec.json.decode((self.folder / _SETTINGS_FILE).read_bytes(), type=dict[str, Any])
        except (OSError, ValueError):
            return None
        wanted = msgspec.json.decode(msgspec.json.encode(self._settings), type=dict[str, Any])
        return sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))

    def start(self) -> None:
        """Begins a training anew.

        Raises:
            OutputError: The disk is full, or the place cannot be written.
        """
        self.remove()
        with translate_os_error(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_bytes(self.folder / _SETTINGS_FILE, msgspec.json.encode(self._settings))

    def read(self, name: str) -> dict[str, npt.NDArray[Any]] | None:
        """The arrays of one fit; None: it was not finished."""
        try:
            with (self.folder / _file_name(name)).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
        except _UNREADABLE:
            return None

    def write(self, name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Keeps the arrays of one fit.

        Raises:
            OutputError: The disk is full, or the place cannot be written.
        """
        with atomic_write(self.folder / _file_name(name)) as aside, aside.open("wb") as file:
            np.savez(file, **cast(Any, arrays))

    def __len__(self) -> int:
        return len(list(self.folder.glob("*.npz")))

    def remove(self) -> None:
        """Removes all files."""
        for path in (*self.folder.glob("*.npz"), self.folder / _SETTINGS_FILE):
            path.unlink(missing_ok=True)
        if self.folder.is_dir():
            remove_stale_files(self.folder)
            with suppress(OSError):  # something of another program is in it
                self.folder.rmdir()


def _file_name(name: str) -> str:
    return f"{name.replace(' ', '_')}.npz"
