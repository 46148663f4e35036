"""Progress on a real terminal."""

from __future__ import annotations

import os
import pty
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

from activity_cli.cli.bars import TerminalProgress
from activity_cli.quiet import native_output_silenced, own_process

TIMEOUT_SECONDS = 30


class Terminal:
    """A terminal that stands for stderr, and what it shows."""

    def __init__(self) -> None:
        self.screen, self.stderr = pty.openpty()
        termios.tcsetwinsize(self.stderr, (40, 100))
        os.set_blocking(self.screen, False)
        self.shown = ""

    def look(self) -> str:
        try:
            self.shown += os.read(self.screen, 65536).decode()
        except BlockingIOError:
            pass
        return self.shown

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + TIMEOUT_SECONDS
        while text not in self.look():
            assert time.monotonic() < end, self.shown
            time.sleep(0.02)

    def wait_for_end(self, text: str) -> None:
        end = time.monotonic() + TIMEOUT_SECONDS
        while not self.look().endswith(text):
            assert time.monotonic() < end, self.shown
            time.sleep(0.02)


@contextmanager
def terminal() -> Iterator[Terminal]:
    """Not a fixture: pytest puts its own stderr in place when the test begins."""
    made = Terminal()
    with os.fdopen(made.stderr, "w", encoding="utf-8") as stderr, redirect_stderr(stderr):
        yield made
    os.close(made.screen)


def test_a_stage_is_shown_before_its_first_step_is_done() -> None:
    with terminal() as made:
        with TerminalProgress(quiet=False).stage("Fitting baselines", 7, "baseline") as stage:
            made.wait_for("Fitting baselines:   0%")
            stage.advance()
            made.wait_for("1/7")
        made.wait_for_end("\r")  # the line is free again


def test_a_stage_without_steps_is_shown_while_all_other_output_is_dropped() -> None:
    with (
        terminal() as made,
        own_process(),
        TerminalProgress(quiet=False).stage("Starting TensorFlow", None, ""),
        native_output_silenced(),
    ):
        made.wait_for("Starting TensorFlow [00:00]")


def test_quiet_shows_nothing() -> None:
    progress = TerminalProgress(quiet=True)
    with terminal() as made:
        with progress.stage("Fitting baselines", 7, "baseline") as stage:
            time.sleep(0.7)
            stage.advance(7)
        progress.warn("Only few clips.")
        assert made.look() == ""
