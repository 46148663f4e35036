"""train as a process that is interrupted or killed from outside."""

from __future__ import annotations

import os
import pty
import signal
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from activity_cli import Recognizer, TrainSettings, train
from activity_cli.model.bundle import read_bundle
from conftest import TINY_NETWORK
from training_support import files_of, start

TIMEOUT_SECONDS = 300
ENDLESS = ("--set", "epochs=100000", "--set", "patience=100000")


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
            time.sleep(0.05)

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
            time.sleep(0.05)
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
    small = ("--encoder", "small", "--set", "units=4", "--set", "batch_size=8")
    process = Process([*command, "train", str(prepared), "--out", str(out), *small, *words])
    try:
        yield process
    finally:
        process.close()


@pytest.mark.slow
def test_ctrl_c_on_a_terminal_saves_a_model_and_says_so(
    command: list[str], prepared: Path, videos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "models" / "mine"
    with training(command, prepared, out, *ENDLESS) as process:
        process.wait_for(lambda: "validation" in process.shown)  # the bar shows it after the first epoch
        process.press_ctrl_c()
        code, stdout = process.end()
    assert (code, stdout) == (130, f"{out}\n")
    assert "Traceback" not in process.shown
    assert "interrupted" in process.shown
    assert "Starting TensorFlow" in process.shown, "while it is imported"
    assert read_bundle(out).document.training["interrupted"] is True
    assert Recognizer(out).predict(videos / "up" / "person1_0.avi").status == "ok"
    # What --resume goes on from.
    assert sorted(path.name for path in out.parent.iterdir()) == [".mine.checkpoint.npz", "mine"]


@pytest.mark.slow
def test_ctrl_c_in_cross_validation_leaves_finished_fits_for_the_same_command(
    command: list[str], with_streams: Path, tmp_path: Path
) -> None:
    out, fits = tmp_path / "models" / "mine", tmp_path / "models" / ".mine.fits"
    words = ("--streams", "pose", "--set", "head=recurrent", "--set", "epochs=100000")
    process = Process([*command, "train", str(with_streams), "--out", str(out), *words])
    try:
        process.wait_for(lambda: "loss" in process.shown)
        process.press_ctrl_c()
        code, stdout = process.end()
    finally:
        process.close()
    assert (code, stdout) == (130, "")
    assert "Traceback" not in process.shown
    assert [path.name for path in out.parent.iterdir()] == [fits.name]
    assert [path.name for path in fits.iterdir()] == ["settings.json"]


@pytest.mark.slow
def test_killing_it_while_the_model_is_written_leaves_no_half_model(
    model: Path, prepared: Path, tmp_path: Path
) -> None:
    # The settings of the fixture ``model``.
    settings = TrainSettings(prepared, tmp_path / "mine", network=TINY_NETWORK, epochs=3, batch_size=8)
    process = start(settings)
    end = time.monotonic() + TIMEOUT_SECONDS
    while not any(path.stat().st_size for path in tmp_path.glob(".unfinished-*-mine-*/*")):
        assert process.is_alive() and time.monotonic() < end
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not settings.out.exists()
    train(settings)
    assert files_of(settings.out) == files_of(model)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
