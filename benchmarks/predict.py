#!/usr/bin/env python3
"""How long a prediction takes in a new process, and how much memory: us against a Keras script.

The peer is what a user would write without us: load the saved network with Keras, sample the same frames
with OpenCV, predict. Both get the same model and the same clip, alternate within one run, and must give
the same label.

    python benchmarks/predict.py [--model DIR] [--runs N] [CLIP]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PEER = """
import json, sys
import cv2, numpy as np, keras
import activity_cli.model.network  # the layers' names, for load_model

folder, clip = sys.argv[1:]
bundle = json.load(open(folder + "/bundle.json"))
count, size = bundle["shape"]["num_frames"], bundle["shape"]["frame_size"]
model = keras.models.load_model(folder + "/model.keras")
capture, frames = cv2.VideoCapture(clip), []
while True:
    ok, frame = capture.read()
    if not ok:
        break
    frames.append(cv2.cvtColor(cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB))
if len(frames) > count:
    frames = [frames[(2 * i + 1) * len(frames) // (2 * count)] for i in range(count)]
clips = np.zeros((1, count, size, size, 3), np.uint8)
clips[0, : len(frames)] = frames
mask = np.arange(count)[None] < len(frames)
scores = model.predict([clips, mask], verbose=0)[0]
print(json.dumps({"label": bundle["labels"][int(scores.argmax())]}))
"""


def measure(command: list[str]) -> tuple[float, float, str]:
    """Wall seconds, peak megabytes and the label of one run in a new process."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"failed: {' '.join(command[:4])} ...")
    return seconds, usage.ru_maxrss / 1024, json.loads(output)["label"]


def main() -> int:
    """Alternates the two and prints medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path, default=next(ROOT.glob("sample_videos/*/person01_*.mp4")))
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "sample")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    ours = [sys.executable, "-m", "activity_cli", "predict", str(options.clip), "--model", str(options.model)]
    theirs = [sys.executable, "-c", PEER, str(options.model), str(options.clip)]
    rows: dict[str, list[tuple[float, float, str]]] = {"activity predict": [], "Keras script": []}
    for run in range(options.runs + 1):
        for name, command in (("activity predict", ours), ("Keras script", theirs)):
            measured = measure(command)
            if run:  # the first one only warms the disk cache
                rows[name].append(measured)
    labels = {label for measured in rows.values() for _, _, label in measured}
    if len(labels) != 1:
        raise SystemExit(f"the two disagree: {labels}")
    print(
        f"{options.clip.name}, {options.model}, {options.runs} runs each, {os.cpu_count()} cores, label {labels.pop()}"
    )
    for name, measured in rows.items():
        seconds, megabytes = (statistics.median(values) for values in list(zip(*measured, strict=True))[:2])
        print(f"  {name:17} {seconds:6.2f} s  {megabytes:6.0f} MB")
    pairs = list(zip(rows["Keras script"], rows["activity predict"], strict=True))
    faster = statistics.median(peer[0] / we[0] for peer, we in pairs)
    smaller = statistics.median(peer[1] / we[1] for peer, we in pairs)
    print(f"  {faster:.1f} times faster, {smaller:.1f} times less memory (medians of the pairs)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
