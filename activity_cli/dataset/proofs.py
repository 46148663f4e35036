"""Proofs that a file of a cache is what this user computed.

A cache may be damaged, or come with a prepared folder of somebody else. So beside each file, ``<name>.proof`` signs the
SHA-256 of the file and what it was made of with a key of this user. A file without its proof is computed again.
"""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from functools import cache
from pathlib import Path

import platformdirs

from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.files import sha256_of, write_text

__all__ = ["cache_folder", "is_proved", "write_proof"]


def cache_folder(prepared: PreparedFolder, name: str) -> Path:
    """A folder of the prepared folder's own, or of the user's cache if the prepared folder cannot be written."""
    if os.access(prepared.folder, os.W_OK):
        return prepared.folder / name
    return platformdirs.user_cache_path("activity", appauthor=False) / name


def is_proved(path: Path, *made_of: str) -> bool:
    """Whether this user computed a file, with this content, from what has these hashes or names."""
    try:
        return hmac.compare_digest(_proof_path(path).read_bytes(), _proof(path, made_of).encode())
    except OSError:
        return False


def write_proof(path: Path, *made_of: str) -> None:
    """Signs a file that was computed just now.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    write_text(_proof_path(path), _proof(path, made_of))


def _proof_path(path: Path) -> Path:
    return path.with_suffix(".proof")


def _proof(path: Path, made_of: tuple[str, ...]) -> str:
    signed = path.parent.name, path.name, *made_of, sha256_of(path)
    return hmac.digest(_signing_key(), "\n".join(signed).encode(), "sha256").hex()


@cache
def _signing_key() -> bytes:
    """A random key of this user; where it cannot be kept, every run computes everything again."""
    path, made = platformdirs.user_cache_path("activity", appauthor=False) / "features.key", secrets.token_bytes(32)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:  # noqa: PTH123
            file.write(made)
        kept = path.read_bytes()
        return kept if len(kept) == len(made) else made
    return made
