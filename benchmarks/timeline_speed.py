#!/usr/bin/env python3
"""How fast a timeline is, compared with a loop that classifies each window by itself.

The loop is what a user would write with the Python API: it decodes the video once, keeps the frames of a window, and
calls predict_frames for each window, so that every frame is computed again in each window that it is in. Both use the
same model, the same length of windows, and a stride of a quarter of a window.

    python benchmarks/timeline_speed.py VIDEO MODEL
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from pathlib import Path

import cv2
import numpy as np

from activity_cli import Recognizer
from activity_cli.commands.timeline import plan_timeline
from activity_cli.model.bundle import read_bundle
from activity_cli.results import TimelineWindow


def loop(recognizer: Recognizer, video: Path, window_seconds: float, stride_seconds: float) -> int:
    """Classifies each window by itself; returns their number."""
    capture = cv2.VideoCapture(str(video))
    rate = capture.get(cv2.CAP_PROP_FPS)
    length, stride = round(window_seconds * rate), max(1, round(stride_seconds * rate))
    frames: deque[np.ndarray] = deque(maxlen=length)
    count = number = 0
    while True:
        ok, frame = capture.read()
        if not ok:
            return count
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        number += 1
        if len(frames) == length and (number - length) % stride == 0:
            recognizer.predict_frames(np.stack(frames), np.arange(length) / rate)
            count += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("model", type=Path)
    options = parser.parse_args()
    recognizer = Recognizer(options.model)
    window_seconds = plan_timeline(read_bundle(options.model), None).window_seconds
    started = time.perf_counter()
    found = list(recognizer.timeline(options.video, stride_seconds=window_seconds / 4))
    ours = time.perf_counter() - started
    windows = [one for one in found if isinstance(one, TimelineWindow)]
    seconds = windows[-1].end_seconds
    started = time.perf_counter()
    count = loop(recognizer, options.video, window_seconds, window_seconds / 4)
    theirs = time.perf_counter() - started
    print(f"{seconds:.0f} s of video, windows of {window_seconds:.2f} s")
    print(f"activity timeline  {ours:.1f} s, {seconds / ours:.1f} times as fast as it plays, {len(windows)} windows")
    print(f"window by window   {theirs:.1f} s, {seconds / theirs:.1f} times, {count} windows")
    print(f"{theirs / ours:.1f} times faster")


if __name__ == "__main__":
    main()
