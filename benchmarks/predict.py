#!/usr/bin/env python3
"""How long predictions take in a new process, and how much memory: one clip, and 200 clips in one call.

Each model reads other streams, so each has its rows; the cost is that of the streams which its training kept. A model
that reads the appearance alone is compared with what a user would write without us (benchmarks/predict_peers.py): a
script with Keras, which predicts in batches, and one with ONNX Runtime, which runs what `activity export` wrote. The
floor imports NumPy and OpenCV, and decodes the same frames. All get the same model and the same clips, alternate within
one run, and must give the same labels, but for a few of the 200: other libraries round otherwise.

benchmarks/timeline_speed.py measures a timeline, compared with a loop that computes every frame again.

    python benchmarks/predict.py [--model DIR ...] [--videos DIR] [--clips N] [--runs N]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from activity_cli.labels.discovery import find_videos
from activity_cli.sampling.plan import evenly_spaced

ROOT = Path(__file__).resolve().parents[1]
OURS, FLOOR = "activity predict", "decoding alone"
# Share of the labels that must agree.
LEAST_AGREEMENT = 0.98


class Measured(NamedTuple):
    """One run in a new process: elapsed and processor time, peak memory, and the label of each clip."""

    seconds: float
    cpu_seconds: float
    megabytes: float
    labels: list[str]


def measure(command: list[str], clips: list[Path]) -> Measured:
    """Runs a command that reads the names of the clips from stdin."""
    with tempfile.TemporaryFile() as names, tempfile.TemporaryFile() as output:
        names.write("".join(f"{clip}\n" for clip in clips).encode())
        names.seek(0)
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=names, stdout=output, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        if status:
            raise SystemExit(f"failed: {' '.join(command)}")
        output.seek(0)
        labels = [json.loads(line)["label"] for line in output]
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, labels)


def commands_for(model: Path, export: Path) -> dict[str, list[str]]:
    """The command of each row; only ours where the model reads more than the appearance."""
    ours = [sys.executable, "-m", "activity_cli", "predict", "--files-from", "-", "--model", str(model)]
    if streams_of(model) != ["appearance"]:
        print("  (no peers: the model reads more than the appearance)")
        return {OURS: ours}
    peers = {"Keras script": "keras", "ONNX Runtime script": "onnx", FLOOR: "decode"}
    if missing := [name for name in ("onnx", "tf2onnx", "onnxruntime") if not importlib.util.find_spec(name)]:
        print(f"  (no row of ONNX Runtime: {', '.join(missing)} not installed)")
        del peers["ONNX Runtime script"]
    else:
        command = ["-m", "activity_cli", "export", str(model), "--format", "onnx", "--out", str(export)]
        exported = subprocess.run([sys.executable, *command], capture_output=True, text=True)
        if exported.returncode:
            raise SystemExit(exported.stderr)
    script = [sys.executable, str(ROOT / "benchmarks" / "predict_peers.py")]
    return {OURS: ours} | {name: [*script, peer, str(model), str(export)] for name, peer in peers.items()}


def streams_of(model: Path) -> list[str]:
    heads = json.loads((model / "bundle.json").read_text(encoding="utf-8"))["heads"]
    return list(dict.fromkeys(stream for head in heads for stream in head["reads"]))


def compare(commands: dict[str, list[str]], clips: list[Path], num_runs: int) -> None:
    """Alternates the commands, and prints medians and the medians of the ratios."""
    rows: dict[str, list[Measured]] = {name: [] for name in commands}
    for run in range(num_runs + 1):
        for name, command in commands.items():
            measured = measure(command, clips)
            if run:  # the first one only warms the disk cache
                rows[name].append(measured)
    title = f"{len(clips)} clip{'s' * (len(clips) > 1)}, {num_runs} runs"
    print(f"  {title:22}   elapsed  processor  memory   as multiples of ours   labels agree")
    for name, measured in rows.items():
        seconds, cpu, megabytes = (statistics.median(column) for column in list(zip(*measured, strict=True))[:3])
        line = f"  {name:22} {seconds:7.2f} s  {cpu:7.2f} s {megabytes:4.0f} MB"
        if name != OURS:
            pairs = list(zip(measured, rows[OURS], strict=True))
            ratios = [statistics.median(peer[column] / we[column] for peer, we in pairs) for column in range(3)]
            line += "   " + "".join(f"{ratio:6.2f}x" for ratio in ratios)
        if name not in (OURS, FLOOR):
            line += f"   {agreement(measured[0].labels, rows[OURS][0].labels):7.1%}"
        print(line, flush=True)


def agreement(labels: list[str], ours: list[str]) -> float:
    share = sum(one == other for one, other in zip(labels, ours, strict=True)) / len(ours)
    if share < LEAST_AGREEMENT:
        raise SystemExit(f"only {share:.1%} of the labels agree")
    return share


def main() -> int:
    """Measures each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, nargs="+", default=[ROOT / "models" / "sample"])
    parser.add_argument("--videos", type=Path, default=ROOT / "sample_videos", help="clips that the model can read")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    videos = [path.absolute() for path in find_videos(options.videos)]
    clips = [videos[place] for place in evenly_spaced(len(videos), options.clips)]
    for model in options.model:
        streams, load = ", ".join(streams_of(model)), os.getloadavg()[0]
        print(f"{model} ({streams}), {os.cpu_count()} cores, load {load:.1f}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            commands = commands_for(model, Path(folder) / "onnx")
            compare(commands, clips[:1], options.runs)
            compare(commands, clips, options.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
