"""Features of clips, kept in the prepared folder: each frame goes through an encoder once.

``features/<key>/<clip>.npy`` holds ``[T, D]``, or maps ``[T, h, w, C]``, float32 or float16. The clip's name is a hash
of its content and sampling, the key a hash of the encoder's file, computed here, so an entry never goes stale.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs

from activity_cli.dataset.clips import ClipStore, write_array
from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.files import remove_stale_files, sha256_of
from activity_cli.progress import Progress

__all__ = ["ensure_features", "feature_folder", "note_feature_cache"]


def feature_folder(prepared: PreparedFolder, encoder: Path) -> Path:
    """Where the features of an encoder's LiteRT file are cached."""
    return _cache(prepared) / sha256_of(encoder)[:20]


def note_feature_cache(prepared: PreparedFolder, progress: Progress) -> None:
    """Says where features are cached, if that is not the prepared folder."""
    cache = _cache(prepared)
    if not cache.is_relative_to(prepared.folder):
        progress.note(f"activity cannot write to {prepared.folder}, so it caches features in {cache}.")


def _cache(prepared: PreparedFolder) -> Path:
    """The prepared folder's own, or the user's if that folder cannot be written."""
    if os.access(prepared.folder, os.W_OK):
        return prepared.folder / "features"
    return platformdirs.user_cache_path("activity", appauthor=False) / "features"


def ensure_features(
    clips: Sequence[str],
    frames_of: ClipStore,
    folder: Path,
    encode: Callable[[npt.NDArray[np.uint8]], npt.NDArray[Any]],
    progress: Progress,
) -> list[Path]:
    """Computes the features of clips that are not there yet; one clip at a time is in memory.

    Args:
        clips, frames_of: Their names, and the store of their frames.
        folder: Where their features are, or will be.
        encode: From frames ``uint8 [T, H, W, 3]`` to features ``[T, ...]``.
        progress: Shows a bar.

    Returns:
        The file of each clip's features, in order.

    Raises:
        DatasetError: A clip is missing or damaged.
        OutputError: The disk is full, or the folder cannot be written.
    """
    missing = [clip for clip in dict.fromkeys(clips) if not _is_whole(folder / clip)]
    if missing:
        with progress.stage("Computing features", len(missing), "clip") as stage:
            for clip in missing:
                write_array(folder / clip, encode(np.asarray(frames_of.read(clip))))
                stage.advance()
        remove_stale_files(folder)
    return [folder / clip for clip in clips]


def _is_whole(path: Path) -> bool:
    """Whether whole features are in a file; reads no more than the header."""
    try:
        features: npt.NDArray[Any] = np.load(path, "r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    return features.dtype in (np.float32, np.float16) and features.ndim >= 2
