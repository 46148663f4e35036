"""train as a process that is interrupted or killed at any moment."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import Result

from activity_cli import NetworkSettings, Recognizer, TrainSettings, train
from activity_cli.model.bundle import ENCODER_FILE, SEQUENCE_FILE, read_bundle
from activity_cli.training.checkpoint import read_checkpoint

Activity = Callable[..., Result]
TIMEOUT_SECONDS = 90
SMALL = ("--encoder", "small", "--units", "8", "--dropout", "0", "--batch-size", "8")
TINY_DROPPING = NetworkSettings(encoder="small", units=8, dropout=0.3)
ENDLESS = ("--epochs", "100000", "--patience", "100000")


class Process:
    """A process whose stderr is a terminal and whose stdout is a pipe, as in ``model=$(activity train)``."""

    def __init__(self, words: list[str]) -> None:
        read_end, write_end = os.pipe()
        self.id, self._terminal = pty.fork()
        if self.id == 0:
            os.dup2(write_end, 1)
            os.execv(words[0], words)
        os.close(write_end)
        termios.tcsetwinsize(self._terminal, (40, 200))
        os.set_blocking(self._terminal, False)
        self._stdout = read_end
        self.shown = ""

    def wait_for(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            assert time.monotonic() < end, self.shown
            assert self.look(), f"ended too early: {self.shown}"
            time.sleep(0.005)

    def look(self) -> bool:
        """Reads what the terminal got so far; False when the process has ended."""
        try:
            self.shown += os.read(self._terminal, 65536).decode()
        except BlockingIOError:
            pass
        except OSError:  # how Linux says that the other side is closed
            return False
        return True

    def press_ctrl_c(self) -> None:
        os.write(self._terminal, b"\x03")

    def end(self) -> tuple[int, str]:
        """Exit code and stdout."""
        end = time.monotonic() + TIMEOUT_SECONDS
        while self.look():
            assert time.monotonic() < end, self.shown
            time.sleep(0.01)
        code = os.waitstatus_to_exitcode(os.waitpid(self.id, 0)[1])
        self.id = 0
        with os.fdopen(self._stdout) as stdout:
            return code, stdout.read()

    def close(self) -> None:
        if self.id:
            os.kill(self.id, signal.SIGKILL)
            os.waitpid(self.id, 0)
            os.close(self._stdout)
        os.close(self._terminal)


@contextmanager
def training(command: list[str], prepared: Path, out: Path, *words: str) -> Iterator[Process]:
    process = Process([*command, "train", str(prepared), "--out", str(out), *SMALL, *words])
    try:
        yield process
    finally:
        process.close()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "models" / "mine"


def left_behind(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir()) if out.parent.is_dir() else []


def test_ctrl_c_keeps_the_best_epoch_so_far(command: list[str], prepared: Path, videos: Path, out: Path) -> None:
    with training(command, prepared, out, *ENDLESS) as process:
        process.wait_for(lambda: "held-out" in process.shown)  # the bar says so after the first epoch
        process.press_ctrl_c()
        code, stdout = process.end()
    assert (code, stdout) == (130, f"{out}\n")
    assert "Traceback" not in process.shown
    assert process.shown.count("stopped by hand") == 1
    bundle = read_bundle(out)
    assert bundle.document["training"]["interrupted"] is True
    assert bundle.document["metrics"]["best_epoch"] >= 1
    assert Recognizer(out).predict(videos / "up" / "person1_0.avi").status == "ok"
    # What --resume goes on from.
    assert left_behind(out) == [".mine.checkpoint.npz", "mine"]


def test_ctrl_c_before_anything_was_learned_leaves_nothing(command: list[str], prepared: Path, out: Path) -> None:
    with training(command, prepared, out, *ENDLESS) as process:
        about = Path(f"/proc/{process.id}")
        # Until it is another program, the child has what this process has in its memory.
        process.wait_for(lambda: b"activity_cli\0train" in (about / "cmdline").read_bytes())
        process.wait_for(lambda: "libtensorflow_framework" in (about / "maps").read_text())  # being loaded now
        process.press_ctrl_c()
        code, stdout = process.end()
    assert (code, stdout) == (130, "")
    assert "Traceback" not in process.shown
    assert left_behind(out) == []


def test_killing_it_leaves_no_half_model_and_the_next_run_works(
    command: list[str], activity: Activity, prepared: Path, out: Path
) -> None:
    with training(command, prepared, out, "--epochs", "1") as process:
        # The moment in which files are written.
        process.wait_for(lambda: any(path.stat().st_size for path in out.parent.glob("*/*")))
        os.kill(process.id, signal.SIGKILL)
        code, stdout = process.end()
    assert (code, stdout) == (-signal.SIGKILL, "")
    assert not out.exists()

    result = activity("train", prepared, "--out", out, *SMALL, "--epochs", "1")
    assert (result.exit_code, result.stdout) == (0, f"{out}\n")
    assert Recognizer(out).labels == ("left", "right", "up")
    assert left_behind(out) == ["mine"]


def weights_of(model: Path) -> list[bytes]:
    return [(model / name).read_bytes() for name in (ENCODER_FILE, SEQUENCE_FILE)]


def in_the_second_training(state: Path) -> bool:
    """Whether the training on all clips has kept an epoch."""
    if not state.exists():
        return False
    kept = read_checkpoint(state)
    return kept is not None and kept.earlier is not None


def test_a_killed_training_goes_on_to_the_weights_of_an_undisturbed_one(
    command: list[str], activity: Activity, prepared: Path, out: Path
) -> None:
    words = ("--epochs", "8", "--patience", "8", "--dropout", "0.3", "--refit")
    state = out.with_name(".mine.checkpoint.npz")
    with training(command, prepared, out, *words) as process:
        process.wait_for(lambda: in_the_second_training(state))
        os.kill(process.id, signal.SIGKILL)
        process.end()
    assert not out.exists(), "it had ended already, so the test shows nothing"

    result = activity("train", prepared, "--out", out, *SMALL, *words)
    assert result.exit_code == 0
    assert "Going on after epoch" in result.stderr
    whole = out.with_name("whole")
    train(TrainSettings(prepared, whole, network=TINY_DROPPING, epochs=8, patience=8, batch_size=8, refit=True))
    assert weights_of(out) == weights_of(whole)
    assert left_behind(out) == ["mine", "whole"]
    assert read_bundle(out).document["training"]["refit"] is True
    # Also what is said of the first training is the same.
    metrics = [read_bundle(model).document["metrics"] for model in (out, whole)]
    assert metrics[0] == metrics[1]


def test_an_interrupted_training_is_resumed_when_asked_with_the_same_settings_only(
    command: list[str], activity: Activity, prepared: Path, out: Path
) -> None:
    words = ("--dropout", "0.3")
    with training(command, prepared, out, *words, "--epochs", "20", "--patience", "20") as process:
        process.wait_for(lambda: "held-out" in process.shown)
        process.press_ctrl_c()
        process.end()
    again = activity("train", prepared, "--out", out, *SMALL, *words, "--epochs", "20")
    assert again.exit_code == 2
    assert "--resume" in again.stderr
    other = activity("train", prepared, "--out", out, *SMALL, "--dropout", "0.4", "--resume")
    assert other.exit_code == 2
    assert "network" in other.stderr.splitlines()[-1]

    assert 1 <= len((out / "history.csv").read_text().splitlines()) - 1 < 20
    words = (*words, "--epochs", "20", "--patience", "20")
    result = activity("train", prepared, "--out", out, *SMALL, *words, "--resume")
    assert result.exit_code == 0, result.stderr
    assert len((out / "history.csv").read_text().splitlines()) - 1 == 20
    assert left_behind(out) == ["mine"]


def test_deterministic_trainings_give_the_same_bits(command: list[str], prepared: Path, out: Path) -> None:
    places = (out.with_name("one"), out.with_name("two"))
    options = (*SMALL, "--epochs", "2", "--no-refit", "--deterministic", "--quiet")
    runs = [subprocess.Popen([*command, "train", str(prepared), "--out", str(place), *options]) for place in places]
    assert [run.wait(TIMEOUT_SECONDS) for run in runs] == [0, 0]
    assert [read_bundle(place).document["training"]["deterministic"] for place in places] == [True, True]
    one, two = map(weights_of, places)
    assert one == two
