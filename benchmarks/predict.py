#!/usr/bin/env python3
"""How long a prediction takes in a new process, and how much memory: us against a Keras script.

Each model reads other streams, so each has a row; the cost is that of the streams which its training kept. Of a model
that reads the appearance alone, the peer is what a user would write without us: load the saved network with Keras,
sample the same frames with OpenCV, predict. Both get the same model and the same clip, alternate within one run, and
must give the same label.

    python benchmarks/predict.py [--model DIR ...] [--runs N] [CLIP]
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
count, size = bundle["appearance"]["num_frames"], bundle["settings"]["prepare"]["frame_size"]
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


def compare(model: Path, clip: Path, num_runs: int) -> None:
    """Alternates the two and prints medians and ratios."""
    heads = json.loads((model / "bundle.json").read_text())["heads"]
    streams = list(dict.fromkeys(stream for head in heads for stream in head["reads"]))
    commands = {"activity predict": [sys.executable, "-m", "activity_cli", "predict", str(clip), "--model", str(model)]}
    if streams == ["appearance"]:
        commands["Keras script"] = [sys.executable, "-c", PEER, str(model), str(clip)]
    rows: dict[str, list[tuple[float, float, str]]] = {name: [] for name in commands}
    for run in range(num_runs + 1):
        for name, command in commands.items():
            measured = measure(command)
            if run:  # the first one only warms the disk cache
                rows[name].append(measured)
    labels = {label for measured in rows.values() for _, _, label in measured}
    if len(labels) != 1:
        raise SystemExit(f"the answers differ: {labels}")
    print(f"{clip.name}, {model} ({', '.join(streams)}), {num_runs} runs, {os.cpu_count()} cores, {labels.pop()}")
    for name, measured in rows.items():
        seconds, megabytes = (statistics.median(values) for values in list(zip(*measured, strict=True))[:2])
        print(f"  {name:17} {seconds:6.2f} s  {megabytes:6.0f} MB", flush=True)
    if "Keras script" in rows:
        pairs = list(zip(rows["Keras script"], rows["activity predict"], strict=True))
        faster = statistics.median(peer[0] / we[0] for peer, we in pairs)
        smaller = statistics.median(peer[1] / we[1] for peer, we in pairs)
        print(f"  {faster:.1f} times faster, {smaller:.1f} times less memory (medians of the pairs)")


def main() -> int:
    """Measures each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path, default=next(ROOT.glob("sample_videos/*/person01_*.mp4")))
    parser.add_argument("--model", type=Path, nargs="+", default=[ROOT / "models" / "sample"])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    for model in options.model:
        compare(model, options.clip, options.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
