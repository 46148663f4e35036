"""The part of the encoder that is not trained: it runs once over every clip, and its outputs are cached."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from activity_cli.dataset.features import ensure_features, feature_folder
from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.dataset.processes import default_workers
from activity_cli.files import translate_os_error, write_bytes
from activity_cli.model.bundle import ENCODER_FILE
from activity_cli.model.conversion import encoder_to_litert
from activity_cli.progress import Progress
from activity_cli.results import ClipRecord
from activity_cli.runtime.litert import EncoderRuntime

__all__ = ["FrozenBackbone"]


class FrozenBackbone:
    """An encoder, or its first blocks, in LiteRT: twice as fast as Keras on a CPU, and what predicting runs.

    Args:
        model: From frames to features or maps, computing in float32.
        prepared: The clips, and where outputs are cached.
        progress: Shows a bar.
        exact: False for maps, which are large, and of which half of the digits are noise to what is trained on them.

    Attributes:
        content: The LiteRT file. The file in the cache may change until the model is saved.

    Raises:
        OutputError: The disk is full.
    """

    def __init__(self, model: keras.Model, prepared: PreparedFolder, progress: Progress, *, exact: bool = True) -> None:
        self._prepared, self._progress = prepared, progress
        self._dtype = np.float32 if exact else np.float16
        # Converted anew each time, in seconds: the bytes are the same, and their hash is the key of the cache.
        with tempfile.TemporaryDirectory(prefix="activity-") as folder:
            converted = Path(folder, ENCODER_FILE)
            encoder_to_litert(model, converted)
            self._cache = feature_folder(prepared, converted, np.dtype(self._dtype).name)
            self.content = converted.read_bytes()
        path = self._cache / ENCODER_FILE
        with translate_os_error(self._cache):
            self._cache.mkdir(parents=True, exist_ok=True)
        write_bytes(path, self.content)
        self._runtime = EncoderRuntime(path, default_workers())

    def files(self, records: Sequence[ClipRecord]) -> list[Path]:
        """The cached outputs of some clips, computed where they are missing.

        Raises:
            DatasetError: A clip is missing or damaged.
            OutputError: The disk is full, or the cache cannot be written.
        """
        names = [record.clip for record in records]
        return ensure_features(names, self._prepared.clips, self._cache, self._encode, self._progress)

    def _encode(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        return self._runtime.features(frames).astype(self._dtype)
