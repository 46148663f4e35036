"""Files that are complete or absent: written under another name, then renamed. Locks. Which files are videos.

A run may be killed, and a disk may fill, at any moment; a file with its final name is always complete.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from secrets import token_hex

from activity_cli.errors import OutputError

__all__ = [
    "ASIDE_MARK",
    "VIDEO_CONTAINERS",
    "VIDEO_PROTOCOLS",
    "VIDEO_SUFFIXES",
    "atomic_folder",
    "atomic_write",
    "find_link",
    "folder_lock",
    "is_empty",
    "path_lock",
    "remove_stale",
    "remove_stale_files",
    "scheme_of",
    "sha256_of",
    "translate_os_error",
    "write_bytes",
    "write_text",
]

# The containers that may be opened, by FFmpeg's names, with the suffixes of their files. All of them hold the pictures
# themselves. No playlist (m3u8, ffconcat, MPD) is among them: it could make the decoder open other files or addresses.
VIDEO_CONTAINERS = {
    "amv": (".amv",),
    "apng": (".apng",),
    "asf": (".asf", ".wmv", ".dvr-ms"),
    "avi": (".avi", ".divx", ".xvid"),
    "cavsvideo": (".cavs",),
    "dhav": (".dav",),
    "dirac": (".drc",),
    "dv": (".dv", ".dif"),
    "flv": (".flv", ".f4v"),
    "gif": (".gif",),
    "gxf": (".gxf",),
    "h261": (".h261",),
    "h263": (".h263",),
    "h264": (".h264", ".264", ".avc", ".h26l", ".jvt"),
    "hevc": (".hevc", ".h265", ".265"),
    "ivf": (".ivf",),
    "m4v": (),  # a raw MPEG-4 stream; files named .m4v are of the container mov
    "matroska": (".mkv", ".mk3d"),
    "mjpeg": (".mjpeg", ".mjpg"),
    "mov": (".mov", ".mp4", ".m4v", ".3gp", ".3g2", ".qt", ".mj2", ".insv", ".lrv", ".ismv"),
    "mpeg": (".mpeg", ".mpg", ".vob", ".mpe", ".mod", ".vro"),
    "mpegts": (".ts", ".mts", ".m2ts", ".m2t", ".tod", ".trp", ".tp"),
    "mpegvideo": (".m1v", ".m2v", ".mpv"),
    "mxf": (".mxf",),
    "nsv": (".nsv",),
    "nut": (".nut",),
    "obu": (".obu",),
    "ogg": (".ogv", ".ogm"),
    "rm": (".rm", ".rmvb"),
    "vc1": (".vc1",),
    "vvc": (".vvc", ".h266", ".266"),
    "webm": (".webm",),
    "wtv": (".wtv",),
    "yuv4mpegpipe": (".y4m",),
}
VIDEO_PROTOCOLS = ("file",)
VIDEO_SUFFIXES = frozenset(chain.from_iterable(VIDEO_CONTAINERS.values()))

# Part of every unfinished file's or folder's name, so that a later run can remove what a killed one left.
ASIDE_MARK = ".unfinished-"

# A lock inside a folder, for as long as a run writes to that folder.
_LOCK_NAME = ".lock"
# What network shares without locks answer.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP)


@contextmanager
def translate_os_error(path: Path, option: str = "") -> Iterator[None]:
    """Turns the system's error while ``path`` is written into one line; ``option`` is the setting that places it.

    Raises:
        OutputError: The disk is full (``output.full``) or the place cannot be written (``output.unwritable``).
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise OutputError(
                f"The disk is full: {path} could not be written.",
                "Free some space and run the same command again. It keeps the work that is finished.",
                code="output.full",
            ) from error
        raise OutputError(
            f"{path} cannot be written: {(error.strerror or str(error)).lower()}.",
            f"Choose another path with {option}." if option else "Check the path and its permissions.",
            code="output.unwritable",
        ) from error


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path``, which replaces ``path`` when the block ends without an error.

    Raises:
        OutputError: The place cannot be written, is a pipe or a device, or the disk is full.
    """
    if not path.name:
        raise OutputError(f"{str(path)!r} is a folder, not a file.", "Name a file.", code="output.unwritable")
    aside = path.with_name(f"{ASIDE_MARK}{os.getpid()}-{path.name}")
    try:
        with translate_os_error(path):
            _reject_device(path)
            yield aside
            os.replace(aside, path)
    finally:
        # Where the place itself cannot be used there is nothing to remove, and the error has been raised.
        with suppress(OSError):
            aside.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a whole file, or leaves the earlier one."""
    with atomic_write(path) as aside:
        aside.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Writes UTF-8; file names that are not valid UTF-8 survive (``surrogateescape``)."""
    write_bytes(path, content.encode("utf-8", errors="surrogateescape"))


def remove_stale_files(folder: Path) -> None:
    """Removes what killed runs left unfinished anywhere in ``folder``; that of a running one stays."""
    _remove_stale(folder.rglob(f"{ASIDE_MARK}*"))


def remove_stale(path: Path) -> None:
    """Removes what killed runs left unfinished of the file or folder ``path``; that of a running one stays."""
    name = glob.escape(path.name)
    _remove_stale(chain(*(path.parent.glob(f"{ASIDE_MARK}*-{name}{end}") for end in ("", "-*"))))


def _remove_stale(paths: Iterable[Path]) -> None:
    for path in paths:
        owner = path.name.removeprefix(ASIDE_MARK).partition("-")[0]
        # What is under this process's own number is of a killed run that had it before.
        if not owner.isdigit() or int(owner) == os.getpid() or not _is_running(int(owner)):
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Lets one run at a time write to ``folder``; the system releases the lock of a run that is killed.

    The lock is a file inside the folder, which works where the folder around it cannot be written, such as a mounted
    volume; it is removed at the end.

    Raises:
        OutputError: Another run holds it (``output.locked``), or the folder cannot be written.
    """
    with _lock(folder / _LOCK_NAME, folder):
        yield


@contextmanager
def path_lock(path: Path) -> Iterator[None]:
    """Lets one run at a time make what will be renamed to ``path``; the lock is a file beside it meanwhile.

    Raises:
        OutputError: Another run holds it (``output.locked``), or the place cannot be written, or is a pipe or a device.
    """
    place = path.resolve()
    with translate_os_error(path, "`out`"):
        _reject_device(path)
        place.parent.mkdir(parents=True, exist_ok=True)
    with _lock(place.with_name(f".{place.name}.lock"), path):
        yield


def is_empty(folder: Path) -> bool:
    """Whether nothing but a lock is in a folder."""
    return all(path.name == _LOCK_NAME for path in folder.iterdir())


def _reject_device(path: Path) -> None:
    """Renaming a file to a pipe or a device, such as ``/dev/null``, would remove it."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OutputError(f"{str(path)!r} is a pipe or a device, not a file.", "Name a file.", code="output.unwritable")


@contextmanager
def _lock(file: Path, path: Path) -> Iterator[None]:
    import filelock  # here: only commands that write load it

    lock = filelock.FileLock(file, timeout=0)
    with translate_os_error(path, "`out`"):
        try:
            lock.acquire()
        except filelock.Timeout:
            raise OutputError(
                f"Another run is writing to {str(path)!r} right now.",
                "Wait for it to end, or choose another place with `out`.",
                code="output.locked",
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
    try:
        yield
    finally:
        # Before the release, so that no other run has locked this file yet; Windows removes it with the release.
        with suppress(OSError):
            file.unlink()
        lock.release()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder beside ``path``, which replaces ``path`` when the block ends without an error.

    The earlier folder is removed only after the new one has its name.

    Raises:
        OutputError: The place cannot be written, or the disk is full.
    """
    # A link stays: the folder that it points to is replaced.
    path = path.resolve()
    aside, old = (path.with_name(f"{ASIDE_MARK}{os.getpid()}-{path.name}-{token_hex(4)}") for _ in range(2))
    with translate_os_error(path, "`out`"):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(path)
        aside.mkdir()
    try:
        with translate_os_error(path, "`out`"):
            yield aside
            if path.exists():
                os.replace(path, old)
            os.replace(aside, path)
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def scheme_of(path: str | os.PathLike[str]) -> str:
    """The scheme of an address that a person typed as a path, such as ``rtsp``; empty: it is a path."""
    # A Path has only one slash of ://. A single letter is a drive of Windows.
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/", os.fspath(path))
    return match[1] if match and not os.path.lexists(path) else ""


def find_link(folder: Path) -> Path | None:
    """The first link below a folder; None: there is none. The folder itself may be one."""
    waiting = [os.fspath(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:  # who reads it reports the error
            for entry in entries:
                if entry.is_symlink():
                    return Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal; memory stays flat."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # of another user
    return True
