"""Features of clips, kept in the prepared folder: each frame goes through an encoder once.

``features/<key>/<clip>.npy`` holds ``[T, D]``, or maps ``[T, h, w, C]``, float32 or float16. The key is a hash of the
encoder's file and the type of the numbers. Beside each entry, ``<clip>.proof`` signs the SHA-256 of the clip and of the
features with a key of this user. So an entry is used only where this user computed it from these bytes: one that was
damaged, or that came with a folder of somebody else, is computed again.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs

from activity_cli.dataset.clips import ClipStore, cache_key, write_array
from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.files import remove_stale_files, sha256_of, write_text
from activity_cli.progress import Progress

__all__ = ["ensure_features", "feature_folder", "note_feature_cache"]


def feature_folder(prepared: PreparedFolder, encoder: Path, dtype: str = "float32") -> Path:
    """Where the features of an encoder's LiteRT file are cached, as numbers of this type."""
    return _cache(prepared) / cache_key(sha256_of(encoder), dtype)


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
                write_text(_proof_path(folder / clip), _proof(folder / clip, frames_of))
                stage.advance()
        remove_stale_files(folder)
    return [folder / clip for clip in clips]


def _is_proved(path: Path, frames_of: ClipStore) -> bool:
    try:
        return hmac.compare_digest(_proof_path(path).read_bytes(), _proof(path, frames_of).encode())
    except OSError:
        return False


def _proof_path(path: Path) -> Path:
    return path.with_suffix(".proof")


def _proof(path: Path, frames_of: ClipStore) -> str:
    """The signature of the features in a file, and of what they were computed from."""
    made_of = path.parent.name, path.name, sha256_of(frames_of.folder / path.name), sha256_of(path)
    return hmac.digest(_signing_key(), "\n".join(made_of).encode(), "sha256").hex()


@cache
def _signing_key() -> bytes:
    """A random key of this user; where it cannot be kept, every run computes features again."""
    path, made = platformdirs.user_cache_path("activity", appauthor=False) / "features.key", secrets.token_bytes(32)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:  # noqa: PTH123
            file.write(made)
        kept = path.read_bytes()
        return kept if len(kept) == len(made) else made
    return made
