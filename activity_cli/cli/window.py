"""The window of ``predict --show``: what a live source shows, and what the model says of it.

The window is a process of its own: it needs the main thread, and where there is no display, the process ends.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Condition, Thread
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Window", "main"]

_HEADER = ">III"  # height, width, bytes of the label
_LONG_SIDE = 960
_ESCAPE = 27
_NO_DISPLAY = "--show: there is no display, so predict goes on without a window."


class Window:
    """Shows the newest frame. Where there is no display, or once a person closes it, it shows nothing.

    Args:
        note: Receives a line where there is no display.

    Attributes:
        label: What is written into the next frames.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self.label = ""
        self._note, self._changed = note, Condition()
        self._frame: npt.NDArray[np.uint8] | None = None
        self._is_open = not sys.platform.startswith("linux") or any(
            os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
        )
        if self._is_open:
            Thread(target=self._send, name="window", daemon=True).start()
        else:
            note(_NO_DISPLAY)

    def show(self, bgr: npt.NDArray[np.uint8]) -> None:
        """Shows a frame ``uint8 [H, W, 3]``, blue, green and red, and does not wait for it."""
        with self._changed:
            self._frame = bgr
            self._changed.notify()

    def _send(self) -> None:
        from activity_cli.video.opencv import cv2

        words = [sys.executable, "-m", "activity_cli.cli.window"]
        nothing: Any = subprocess.DEVNULL
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing)
        with suppress(OSError), process:
            assert process.stdin
            while True:
                with self._changed:
                    while self._frame is None:
                        self._changed.wait()
                    frame, self._frame = self._frame, None
                scale = min(1.0, _LONG_SIDE / max(frame.shape[:2]))
                small = np.ascontiguousarray(cv2.resize(frame, None, fx=scale, fy=scale), np.uint8)
                label = self.label.encode()
                process.stdin.write(struct.pack(_HEADER, *small.shape[:2], len(label)) + label + small.tobytes())
                process.stdin.flush()
        if process.wait():
            self._note(_NO_DISPLAY)


def main() -> None:
    """Shows the frames that come through stdin, until they end or a person closes the window."""
    from activity_cli.video.opencv import cv2

    name, stdin, size = "activity", sys.stdin.buffer, struct.calcsize(_HEADER)
    cv2.namedWindow(name, cv2.WINDOW_NORMAL)
    is_first = True
    while len(header := stdin.read(size)) == size:
        height, width, length = struct.unpack(_HEADER, header)
        label = stdin.read(length).decode()
        frame = np.frombuffer(stdin.read(height * width * 3), np.uint8).reshape(height, width, 3).copy()
        if is_first:
            cv2.resizeWindow(name, width, height)
            is_first = False
        place = (12, height - 16)
        for color, thickness in (((0, 0, 0), 5), ((255, 255, 255), 2)):
            cv2.putText(frame, label, place, cv2.FONT_HERSHEY_SIMPLEX, max(0.5, height / 480), color, thickness)
        cv2.setWindowTitle(name, label)  # in any script
        cv2.imshow(name, frame)
        if cv2.waitKey(1) in (_ESCAPE, ord("q")) or cv2.getWindowProperty(name, cv2.WND_PROP_VISIBLE) < 1:
            return


if __name__ == "__main__":
    main()
