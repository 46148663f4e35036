"""What several tests of the data side share: numbered frames, processes, and whole folders as bytes."""

from __future__ import annotations

import csv
import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from typer.testing import Result

from activity_cli.settings import Sampling
from activity_cli.video.opencv import FileSource
from activity_cli.video.reader import Clip, ClipReader

TINY = ("--num-frames", "6", "--frame-size", "32", "--streams", "appearance")
CONTAINERS = (("avi", "MJPG"), ("mp4", "mp4v"), ("avi", "XVID"), ("webm", "VP80"))

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


def draw_numbers(path: Path, num_frames: int, *, codec: str = "MJPG", fps: float = 25.0) -> Path:
    """Writes a video whose frames show their own number as 4 x 2 black and white cells, lowest bit first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (128, 64))
    assert writer.isOpened(), codec
    for number in range(num_frames):
        bits = np.array([(number >> bit) & 1 for bit in range(8)], np.uint8).reshape(2, 4)
        frame = np.kron(bits, np.full((32, 32), 255, np.uint8))
        writer.write(np.repeat(frame[..., np.newaxis], 3, axis=2))
    writer.release()
    return path


def read_clip(path: Path, sampling: Sampling, threads: int = 1) -> Clip:
    """The first clip of a whole video."""
    clips = list(ClipReader(FileSource(path, threads), sampling))
    return clips[0]


def numbers_in(frames: npt.NDArray[np.uint8]) -> tuple[int, ...]:
    """The numbers that :func:`draw_numbers` drew, read from frames of any size."""
    height, width = frames.shape[1] // 2, frames.shape[2] // 4
    cells = frames.mean(axis=-1).reshape(len(frames), 2, height, 4, width).mean(axis=(2, 4)).reshape(len(frames), 8)
    return tuple(int(sum(1 << bit for bit in range(8) if row[bit] > 127)) for row in cells)


def no_privileges() -> None:
    """For ``preexec_fn``: root becomes subject to permissions like anybody else."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")


def start(*words: object, **options: Any) -> subprocess.Popen[str]:
    """Starts the command line as a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "activity_cli", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        start_new_session=True,
        **options,
    )


def run(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs the command line as a process of its own."""
    process = start(*words, **options)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(list(map(str, words)), process.returncode, out, err)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    lists = (_read_if_there(path) for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(child) for line in lists for child in line.split()]


def workers_of(pid: int) -> list[int]:
    """Those of them that decode."""
    return [child for child in children_of(pid) if b"spawn_main" in _read_if_there(Path(f"/proc/{child}/cmdline"))]


def _read_if_there(path: Path) -> bytes:
    """What a process says of itself; nothing where it has ended, which may be at any moment."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def files_of(folder: Path, *, but: Sequence[str] = ()) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too, by name."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name not in but)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def only_line(stderr: str) -> str:
    """The one line that an error is told in; fails where there is more, or less, or a traceback."""
    assert "Traceback" not in stderr, stderr
    lines = stderr.splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("activity: "), stderr
    return lines[0].removeprefix("activity: ")


def rows_of(out: Path) -> dict[str, dict[str, str]]:
    with (out / "manifest.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def wrong_call(result: Result, *words: str) -> str:
    """The one line of a call that is wrong: exit code 2, nothing on stdout."""
    line = only_line(result.stderr)
    assert (result.exit_code, result.stdout) == (2, ""), line
    for word in words:
        assert word in line
    return line
