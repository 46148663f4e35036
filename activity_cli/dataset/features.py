"""Features of clips, kept in the prepared folder: each frame goes through an encoder once.

``features/<key>/<clip>.npy`` holds ``[T, D]``, or maps ``[T, h, w, C]``, float32 or float16. The key is a hash of the
encoder's file and the type of the numbers. An entry is used only where a proof (:mod:`activity_cli.dataset.proofs`)
shows that this user computed it from this clip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activity_cli.dataset.clips import ClipStore, cache_key, write_array
from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.dataset.proofs import cache_folder, is_proved, write_proof
from activity_cli.files import remove_stale_files, sha256_of
from activity_cli.progress import Progress

__all__ = ["ensure_features", "feature_folder", "note_feature_cache"]


def feature_folder(prepared: PreparedFolder, encoder: Path, dtype: str = "float32") -> Path:
    """Where the features of an encoder's LiteRT file are cached, as numbers of this type."""
    return cache_folder(prepared, "features") / cache_key(sha256_of(encoder), dtype)


def note_feature_cache(prepared: PreparedFolder, progress: Progress) -> None:
    """Says where features are cached, if that is not the prepared folder."""
    cache = cache_folder(prepared, "features")
    if not cache.is_relative_to(prepared.folder):
        progress.note(f"activity cannot write to {prepared.folder}, so it caches features in {cache}.")


def ensure_features(
    clips: Sequence[str],
    frames_of: ClipStore,
    folder: Path,
    encode: Callable[[npt.NDArray[np.uint8]], npt.NDArray[Any]],
    progress: Progress,
) -> list[Path]:
    """Computes the features of clips that are not there yet, or not as they were computed.

    One clip at a time is in memory.

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
    missing = [clip for clip in dict.fromkeys(clips) if not _is_proved(folder / clip, frames_of)]
    if missing:
        with progress.stage("Computing features", len(missing), "clip") as stage:
            for clip in missing:
                write_array(folder / clip, encode(np.asarray(frames_of.read(clip))))
                write_proof(folder / clip, sha256_of(frames_of.folder / clip))
                stage.advance()
        remove_stale_files(folder)
    return [folder / clip for clip in clips]


def _is_proved(path: Path, frames_of: ClipStore) -> bool:
    try:
        return is_proved(path, sha256_of(frames_of.folder / path.name))
    except OSError:  # the clip is missing: reading it raises the error that says what to do
        return False
