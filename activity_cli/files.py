"""Files that are whole or not there: written aside, then renamed into place.

A run may be killed, and a disk may fill, at any moment; what stands under its final name has always
been written to its end.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from activity_cli.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "ASIDE_MARK",
    "atomic_folder",
    "atomic_write",
    "folder_lock",
    "path_lock",
    "remove_stale",
    "remove_stale_files",
    "sha256_of",
    "translate_os_error",
    "write_bytes",
    "write_text",
]

# Part of every unfinished file's or folder's name, so that a later run can sweep up after a killed one.
ASIDE_MARK = ".unfinished-"

_HASH_BLOCK_BYTES = 1 << 20


@contextmanager
def translate_os_error(path: Path, option: str = "--out") -> Iterator[None]:
    """Turns an operating system's refusal to write ``path`` into one line with a hint.

    Args:
        path: What is written.
        option: What it can be named with.

    Raises:
        OutputError: The disk is full (``output.full``) or the place cannot be written
            (``output.unwritable``).
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise OutputError(
                f"The disk is full: {path} could not be written.",
                "Free some space and run the same command again; finished work is kept.",
                code="output.full",
            ) from error
        raise OutputError(
            f"{path} cannot be written: {(error.strerror or str(error)).lower()}.",
            f"Choose another place with {option}.",
            code="output.unwritable",
        ) from error


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path`` that becomes ``path`` when the block ends well.

    Raises:
        OutputError: The place cannot be written, or the disk is full.
    """
    if not path.name:
        raise OutputError(f"{str(path)!r} is a folder, not a file.", "Name a file.", code="output.unwritable")
    aside = path.with_name(f"{ASIDE_MARK}{os.getpid()}-{path.name}")
    try:
        with translate_os_error(path):
            yield aside
            os.replace(aside, path)
    finally:
        # Where the place itself is not usable there is nothing to remove, and the reason is told already.
        with suppress(OSError):
            aside.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a whole file, or leaves what was there."""
    with atomic_write(path) as aside:
        aside.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Writes UTF-8; file names that are not valid UTF-8 survive (``surrogateescape``)."""
    write_bytes(path, content.encode("utf-8", errors="surrogateescape"))


def remove_stale_files(folder: Path) -> None:
    """Removes the files that killed runs left unfinished in ``folder``; those of a living one stay."""
    for path in folder.glob(f"{ASIDE_MARK}*"):
        owner = path.name.removeprefix(ASIDE_MARK).partition("-")[0]
        # Our own are finished by now, whatever their name says: a number may be given out again.
        if not owner.isdigit() or int(owner) == os.getpid() or not _is_running(int(owner)):
            with suppress(OSError):
                path.unlink()


def remove_stale(path: Path) -> None:
    """Removes what killed runs left of the file or folder ``path``; another run that is under way keeps its own."""
    name = glob.escape(path.name)
    for left in (*path.parent.glob(f"{ASIDE_MARK}*-{name}"), *path.parent.glob(f"{ASIDE_MARK}*-{name}-*")):
        owner = left.name.removeprefix(ASIDE_MARK).partition("-")[0]
        if owner.isdigit() and not _is_running(int(owner)):
            with suppress(OSError):
                shutil.rmtree(left) if left.is_dir() else left.unlink()


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Only one run at a time writes to ``folder``; the system lets go of the lock when a run is killed.

    Raises:
        OutputError: Another run holds it (``output.locked``), or the folder cannot be written.
    """
    if fcntl is None:
        yield
        return
    with translate_os_error(folder):
        handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


@contextmanager
def path_lock(path: Path) -> Iterator[None]:
    """Only one run at a time makes what will stand at ``path``; the lock is a file beside it while that lasts.

    Raises:
        OutputError: Another run holds it (``output.locked``), or the place cannot be written.
    """
    if fcntl is None:
        yield
        return
    place = path.resolve()
    file = place.with_name(f".{place.name}.lock")
    with translate_os_error(path):
        place.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(handle, path)
        try:
            yield
        finally:
            with suppress(OSError):  # a name alone: the next run takes it as it is
                file.unlink()
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            f"Another run is writing to {str(path)!r} right now.",
            "Wait for it to end, or choose another folder with --out.",
            code="output.locked",
        ) from None
    except OSError:
        pass  # a file system without locks, such as some network shares


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder beside ``path`` that takes the place of ``path`` when the block ends well.

    What stood at ``path`` is removed only after the new folder has its name.

    Raises:
        OutputError: The place cannot be written, or the disk is full.
    """
    # Behind a link stands the folder that is meant; the link itself stays.
    path = path.resolve()
    with translate_os_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(path)
        aside = Path(tempfile.mkdtemp(prefix=f"{ASIDE_MARK}{os.getpid()}-{path.name}-", dir=path.parent))
    try:
        with translate_os_error(path):
            aside.chmod(0o777 & ~_umask())
            yield aside
            if path.exists():
                old = Path(tempfile.mkdtemp(prefix=f"{ASIDE_MARK}{os.getpid()}-{path.name}-", dir=path.parent))
                os.replace(path, old)
                os.replace(aside, path)
                shutil.rmtree(old, ignore_errors=True)
            else:
                os.replace(aside, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal; reads in blocks, so memory stays flat."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _umask() -> int:
    # The only way to read it is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True
