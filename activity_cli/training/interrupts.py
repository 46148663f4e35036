"""Ctrl-C while TensorFlow works: noted, and acted on where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

__all__ = ["Interrupts", "interrupts_noted"]


@dataclass(slots=True)
class Interrupts:
    """Whether a person has asked to stop."""

    asked: bool = False

    def check(self) -> None:
        """Stops here if that was asked.

        Raises:
            KeyboardInterrupt: It was.
        """
        if self.asked:
            raise KeyboardInterrupt


@contextmanager
def interrupts_noted() -> Iterator[Interrupts]:
    """Notes the first Ctrl-C instead of raising it wherever Python is; a second one is raised as ever.

    Raised inside of TensorFlow it may be swallowed, or come out as another error. What runs in the block
    has to ask :meth:`Interrupts.check` every now and then.
    """
    interrupts = Interrupts()
    usual = signal.getsignal(signal.SIGINT)
    # Elsewhere, and where Ctrl-C is ignored or another program's own affair, nothing is noted.
    if threading.current_thread() is not threading.main_thread() or usual is not signal.default_int_handler:
        yield interrupts
        return

    def note(number: int, frame: FrameType | None) -> None:
        interrupts.asked = True
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, usual)
