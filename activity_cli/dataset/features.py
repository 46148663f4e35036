"""Features of clips, kept beside them: each frame goes through an encoder once.

``features/<encoder's fingerprint>/<clip>.npy`` holds ``float32 [T, D]``. A clip's name stands for its
content and sampling and the fingerprint for the encoder's weights, so a file never goes stale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activity_cli.dataset.clips import ClipStore, write_array
from activity_cli.files import sweep_unfinished
from activity_cli.progress import Progress

__all__ = ["FeatureStore", "clip_features"]


class FeatureStore:
    """Features of one encoder in a folder of their own."""

    def __init__(self, prepared: Path, encoder_fingerprint: str) -> None:
        self.folder = prepared / "features" / encoder_fingerprint

    def read(self, name: str) -> npt.NDArray[np.float32] | None:
        """Features ``float32 [T, D]`` of a clip; None where they are missing or cut."""
        try:
            features = np.load(self.folder / name, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return features if features.dtype == np.float32 and features.ndim == 2 else None

    def write(self, name: str, features: npt.NDArray[np.float32]) -> None:
        """Writes one clip's features, whole or not at all.

        Raises:
            OutputError: The disk is full, or the folder cannot be written.
        """
        write_array(self.folder / name, features)

    def sweep(self) -> None:
        """Removes what a killed run left unfinished."""
        sweep_unfinished(self.folder)


def clip_features(
    names: Sequence[str],
    clips: ClipStore,
    features: FeatureStore | None,
    encode: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]],
    progress: Progress,
) -> list[npt.NDArray[np.float32]]:
    """The features of some clips, computed where they are not yet there.

    Args:
        names: Clips by name.
        clips: Where their frames are.
        features: Where their features are, or will be; None: nowhere.
        encode: From frames ``uint8 [T, H, W, 3]`` to features ``float32 [T, D]``.
        progress: Who listens.

    Returns:
        ``float32 [T_i, D]`` for each name, in order.
    """
    found = {name: features.read(name) if features else None for name in dict.fromkeys(names)}
    missing = [name for name, known in found.items() if known is None]
    if missing:
        with progress.stage("Looking at frames", len(missing), "clip") as stage:
            for name in missing:
                computed = encode(np.asarray(clips.read(name)))
                if features:
                    features.write(name, computed)
                found[name] = computed
                stage.advance()
        if features:
            features.sweep()
    return [known for name in names if (known := found[name]) is not None]
