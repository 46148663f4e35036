"""The part of the encoder that does not learn: it runs once over every clip, and what it gives is kept."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from activity_cli.dataset.augmentation import clip_view
from activity_cli.dataset.features import FeatureStore, Views, ensure_features
from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.dataset.processes import default_workers
from activity_cli.errors import BundleError
from activity_cli.files import translate_os_error
from activity_cli.model.bundle import ENCODER_FILE
from activity_cli.model.conversion import encoder_fingerprint, encoder_to_litert
from activity_cli.progress import Progress
from activity_cli.runtime.litert import EncoderRuntime
from activity_cli.settings import Augmentation

__all__ = ["Stem"]


class Stem:
    """A model from frames to maps or features, in LiteRT, and what it gave for each clip.

    LiteRT is twice as fast as Keras on a CPU, and it is what predicting will run.

    Args:
        model: Computing in float32.
        prepared: The clips, and where what it gives is kept.
        whole: Whether it is the whole encoder: features are small, and kept exactly. Maps are large, and
            half of the digits are more than what learns from them can tell.
        progress: Who listens.

    Attributes:
        path: The LiteRT file.
    """

    def __init__(self, model: keras.Model, prepared: PreparedFolder, *, whole: bool, progress: Progress) -> None:
        self._prepared, self._progress = prepared, progress
        self._dtype = np.float32 if whole else np.float16
        folder = _writable(prepared.folder, progress)
        self._store = FeatureStore(folder, encoder_fingerprint(model))
        self.path = self._store.folder / ENCODER_FILE
        self._runtime = _runtime(model, self.path)

    def files(self, names: Sequence[str], augment: Augmentation | None, may_flip: Sequence[bool]) -> list[list[Path]]:
        """The files of what it gives for some clips, computed where they are not yet there.

        Args:
            names: Clips by name.
            augment: How their further views are made; None: there are none.
            may_mirror: For each clip whether it means the same in a mirror.

        Returns:
            A row for each clip, the clip as it is first.
        """
        views = Views(augment, may_flip, clip_view) if augment else None
        return ensure_features(names, self._prepared.clips, self._store, self._encode, self._progress, views)

    def _encode(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        return self._runtime.features(frames).astype(self._dtype)


def _writable(folder: Path, progress: Progress) -> Path:
    """The folder, or one in its place, the same for all that is trained on it while Python runs."""
    if os.access(folder, os.W_OK):
        return folder
    if folder not in _IN_PLACE:
        progress.note(f"{folder} cannot be written: features are kept elsewhere, until this program ends.")
        _IN_PLACE[folder] = tempfile.TemporaryDirectory(prefix="activity-features-")
    return Path(_IN_PLACE[folder].name)


# Removed when Python ends.
_IN_PLACE: dict[Path, tempfile.TemporaryDirectory[str]] = {}


def _runtime(stem: keras.Model, path: Path) -> EncoderRuntime:
    """The stem in LiteRT, converted once for all trainings on these clips."""
    if path.is_file():
        with suppress(BundleError):  # cut by a crash or a full disk: converted anew
            return EncoderRuntime(path, default_workers())
    with translate_os_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    encoder_to_litert(stem, path)
    return EncoderRuntime(path, default_workers())
