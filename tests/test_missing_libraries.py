"""A library that cannot be loaded is one line that says what to install."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

LIBGL = "libGL.so.1: cannot open shared object file: No such file or directory"


def broken_package(folder: Path, name: str, message: str) -> dict[str, str]:
    """An environment in which importing ``name`` fails, as it does where a system library is missing."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(f"raise ImportError({message!r})\n")
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


@pytest.mark.parametrize("verb", ["predict", "prepare"])
def test_opencv_without_libgl(command: list[str], tmp_path: Path, videos: Path, model: Path, verb: str) -> None:
    environment = broken_package(tmp_path, "cv2", LIBGL)
    words = {"predict": ("--model", str(model)), "prepare": ("--out", str(tmp_path / "out"))}[verb]
    ran = subprocess.run([*command, verb, str(videos), *words], env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1
    assert LIBGL in ran.stderr
    assert "apt-get install libgl1" in ran.stderr


def test_litert_that_is_not_installed(command: list[str], tmp_path: Path, videos: Path, model: Path) -> None:
    environment = broken_package(tmp_path, "ai_edge_litert", "No module named 'ai_edge_litert'")
    video = videos / "left" / "person0_0.avi"
    words = [*command, "predict", str(video), "--model", str(model)]
    ran = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1
    assert "pip install ai-edge-litert" in ran.stderr
