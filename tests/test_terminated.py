"""prepare and train that are asked to end (SIGTERM): nothing temporary stays, and the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from data_support import rows_of, start
from training_support import files_of as networks_of

TIMEOUT_SECONDS = 120
SMALL = ("--encoder", "small", "--set", "units=4", "--set", "batch_size=8", "--set", "seed=1")


def end_when(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Sends SIGTERM as soon as a condition holds; the process ends with its code, in silence."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, out) == (128 + signal.SIGTERM, "")
    assert "Traceback" not in err
    assert "bug" not in err


def left_behind(*places: Path) -> list[str]:
    """What is unfinished, or a lock, below some folders."""
    names = (path.name for place in places for path in place.rglob("*"))
    return [name for name in names if name.startswith((".unfinished-", "activity-")) or name.endswith("lock")]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the processes of a test keep temporary files."""
    place = tmp_path / "temporary"
    place.mkdir()
    return place


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_prepare(workers: int, videos: Path, tmp_path: Path, place: Path) -> None:
    many, out = tmp_path / "videos", tmp_path / "out"
    for path in videos.rglob("*.avi"):
        for number in range(8):
            copy = many / path.parent.name / f"{path.stem}_{number}.avi"
            copy.parent.mkdir(parents=True, exist_ok=True)
            # Each content is another: bytes after the end of a video are ignored.
            copy.write_bytes(path.read_bytes() + bytes([number]))
    words = ("--num-frames", "6", "--frame-size", "32", "--streams", "appearance", "--group-by", r"person\d+")
    words = ("prepare", many, "--out", out, "--set", f"workers={workers}", *words)
    environment = {**os.environ, "TMPDIR": str(place)}
    decoded = out / "decoded.jsonl"
    end_when(start(*words, env=environment), lambda: decoded.is_file() and decoded.read_bytes().count(b"\n") > 20)
    assert left_behind(out, place) == []
    assert not (out / "config.json").exists()
    done = decoded.read_bytes().count(b"\n")
    again = start(*words, env=environment)
    _, err = again.communicate(timeout=TIMEOUT_SECONDS)
    assert again.returncode == 0, err
    assert f"Reused the clips of {done} videos" in " ".join(err.split())
    assert len(rows_of(out)) == 8 * 36
    assert left_behind(out, place) == []


@pytest.mark.slow
def test_train(prepared: Path, tmp_path: Path, place: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(place)}
    words = ("train", prepared, *SMALL, "--set", "epochs=20", "--set", "patience=20", "--out")
    whole = start(*words, tmp_path / "whole", env=environment)
    whole.communicate(timeout=TIMEOUT_SECONDS)
    assert whole.returncode == 0
    checkpoint = tmp_path / ".model.checkpoint.npz"
    end_when(start(*words, tmp_path / "model", env=environment), checkpoint.is_file)
    assert left_behind(tmp_path) == []
    assert not (tmp_path / "model").exists()
    again = start(*words, tmp_path / "model", env=environment)
    _, err = again.communicate(timeout=TIMEOUT_SECONDS)
    assert again.returncode == 0, err
    assert "Resuming the unfinished training" in err
    assert networks_of(tmp_path / "model") == networks_of(tmp_path / "whole")
    assert left_behind(tmp_path) == []
    assert not checkpoint.exists()
