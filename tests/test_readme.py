"""The README's Python examples run as they stand there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def test_the_recognizer_example_answers_with_the_sample_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sample_videos").symlink_to(ROOT / "sample_videos")
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[0], "README.md", "exec"), {})
    label, confidence, frames_used = capsys.readouterr().out.split()
    assert label == "wave"
    assert 0.3 < float(confidence) <= 1
    assert int(frames_used) == 16


def test_the_example_of_frames_answers(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(model, tmp_path / "models" / "activity")
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[1], "README.md", "exec"), {})
    label, frames_used = capsys.readouterr().out.split()
    assert (label in ("left", "right", "up"), int(frames_used)) == (True, 6)


def test_the_evaluate_example_scores_a_trained_model(
    tmp_path: Path,
    model: Path,
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(model, tmp_path / "models" / "activity")
    (tmp_path / "models" / "prepared").symlink_to(prepared)  # the way from the bundle to its clips
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[2], "README.md", "exec"), {})
    accuracy, confusion = capsys.readouterr().out.split(maxsplit=1)
    assert 0 <= float(accuracy) <= 1
    assert confusion.startswith("((")
