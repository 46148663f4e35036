#!/usr/bin/env python3
"""How fast ``activity prepare`` turns videos into clips, against what people write instead, and the limit.

The same videos, the same 16 evenly spaced frames, as many processes, in one run: us, for the pictures alone, as all
others; us with every stream, which no other computes; a loop that sets OpenCV's position; PyAV; torchcodec; and
``ffmpeg -f null``, which only decodes. Every clip of a peer is compared with ours. A peer that is not installed is left
out, with a line that says so.

    python benchmarks/prepare.py [SET ...] [--peer-python PYTHON] [--data DIR] [--runs N]

Sets: tennis (needs --data), 240p, 720p, 1080p (120, 24 and 12 clips of 10 s each), long (10 minutes, 720p), repeat
(a finished prepare again), memory (the parent, 400 and 4,000 videos).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
PEERS = ("opencv_seek", "pyav", "torchcodec", "torchcodec_approximate")
SIZES = {"240p": (426, 240), "720p": (1280, 720), "1080p": (1920, 1080)}
EVERY = "appearance,motion,pose,hands"
# About the same work in each: of 24 small ones, half of the time would be the start of the processes.
COUNTS = {"240p": 120, "720p": 24, "1080p": 12}
# Gray levels: readers convert colors and shrink a little differently; a wrong frame is far beyond.
SAME_FRAME = 5.0


@dataclass
class Run:
    seconds: float
    cpu_seconds: float
    peak_megabytes: float


def measure(command: list[str], text: str = "") -> Run:
    """Wall and processor time of a process with its children, and the peak memory of the largest."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as given:
        given.write(text)
        given.seek(0)
        process = subprocess.Popen(command, stdin=given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert process.stderr is not None
        errors = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command[:4])}\n{errors[-2000:]}")
    return Run(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def generate(folder: Path, name: str, number: int, seconds: int) -> Path:
    """Class folders of h264 videos with moving patterns and grain, so that they are not too easy to decode."""
    width, height = SIZES[name]
    for index in range(number):
        video = folder / name / "ab"[index % 2] / f"{index}.mp4"
        if video.exists():
            continue
        video.parent.mkdir(parents=True, exist_ok=True)
        source = f"testsrc2=s={width}x{height}:r=30:d={seconds},noise=alls=8:allf=t+u,hue=h={7 * index}"
        aside = video.with_suffix(".part.mp4")
        words = ("-y", "-loglevel", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "veryfast")
        subprocess.run([FFMPEG, *words, "-pix_fmt", "yuv420p", str(aside)], check=True)
        aside.rename(video)
    return folder / name


def ours(videos: Path, labels: Path | None, out: Path, processes: int, streams: str = "appearance") -> Run:
    words = ["prepare", str(videos), "--out", str(out), "--streams", streams, "--quiet"]
    for setting in (f"workers={processes}", "val_fraction=0", "test_fraction=0", "fit=stretch"):
        words += ["--set", setting]
    words += ["--labels", str(labels)] if labels else []
    return measure([sys.executable, "-m", "activity_cli", *words])


def clips_of(out: Path) -> dict[str, Path]:
    with (out / "manifest.csv").open(newline="") as file:
        return {row["path"]: out / "clips" / row["clip"] for row in csv.DictReader(file) if row["clip"]}


def wrong_frames(mine: Path, theirs: Path) -> int:
    """Frames of a peer's clip that are not ours."""
    a, b = np.load(mine).astype(np.int16), np.load(theirs).astype(np.int16)
    both = min(len(a), len(b))
    differences = np.abs(a[:both] - b[:both]).mean(axis=(1, 2, 3))
    return int((differences > SAME_FRAME).sum()) + abs(len(a) - len(b))


def compare(name: str, videos: Path, labels: Path | None, arguments: argparse.Namespace, scratch: Path) -> None:
    processes = os.cpu_count() or 1
    out = scratch / "ours"
    ours(videos, labels, out, processes)
    clips = clips_of(out)
    tasks = json.dumps([[str(videos / path), str(scratch / f"{n}.npy")] for n, path in enumerate(clips)])
    runs: dict[str, list[Run]] = {}
    wrong: dict[str, int] = {}
    here = [str(Path(__file__).with_name("prepare_peers.py"))]
    for _ in range(arguments.runs):
        shutil.rmtree(scratch / EVERY, ignore_errors=True)
        runs.setdefault("activity, every stream", []).append(ours(videos, labels, scratch / EVERY, processes, EVERY))
        shutil.rmtree(out)
        runs.setdefault("activity", []).append(ours(videos, labels, out, processes))
        for peer in (*PEERS, "ffmpeg -f null"):
            reader = FFMPEG if peer.startswith("ffmpeg") else peer
            python = sys.executable if peer.startswith("ffmpeg") else arguments.peer_python
            if peer in arguments.missing:
                continue
            runs.setdefault(peer, []).append(measure([python, *here, reader, str(processes)], tasks))
            if reader == peer:
                wrong[peer] = sum(wrong_frames(clip, scratch / f"{n}.npy") for n, clip in enumerate(clips.values()))
    frames = sum(len(np.load(clip, mmap_mode="r")) for clip in clips.values())
    print(f"\n{name}: {len(clips)} videos, {frames} frames, {processes} processes, median of {arguments.runs}")
    print(f"{'':24}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'our speed':>11}{'wrong frames':>14}")
    base = statistics.median(run.seconds for run in runs["activity"])
    for peer, measured in runs.items():
        wall, cpu = (statistics.median(getattr(run, key) for run in measured) for key in ("seconds", "cpu_seconds"))
        peak = max(run.peak_megabytes for run in measured)
        print(f"{peer:24}{wall:9.2f}{cpu:9.2f}{peak:9.0f}{wall / base:10.2f}x{wrong.get(peer, ''):>14}", flush=True)


def repeat(folder: Path, scratch: Path) -> None:
    videos = tiny(folder, 400)
    first = ours(videos, None, scratch / "out", os.cpu_count() or 1)
    again = statistics.median(ours(videos, None, scratch / "out", os.cpu_count() or 1).seconds for _ in range(3))
    print(f"\nrepeat: 400 tiny videos {first.seconds:.2f} s, again {again:.2f} s: {first.seconds / again:.1f}x faster")


def memory(folder: Path, scratch: Path) -> None:
    peaks = {}
    for number in (400, 4000):
        script = "import sys, resource; from activity_cli.__main__ import main\ntry: main()\nfinally: "
        script += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr)"
        words = ["prepare", str(tiny(folder, number)), "--out", str(scratch / str(number)), "--frame-size", "32", "-q"]
        words += ["--streams", "appearance"]
        done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
        peaks[number] = float(done.stderr.split()[-1])
    ratio = peaks[4000] / peaks[400]
    print(f"\nmemory of the parent: 400 videos {peaks[400]:.0f} MB, 4,000 videos {peaks[4000]:.0f} MB, {ratio:.2f}x")


def tiny(folder: Path, number: int) -> Path:
    """Distinct videos of 64 x 48 pixels and 16 frames."""
    import cv2

    root = folder / f"tiny{number}"
    for index in range(number):
        path = root / "ab"[index % 2] / f"{index}.avi"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 8, (64, 48))
            for frame in np.random.default_rng(index).integers(0, 255, (16, 48, 64, 3), np.uint8):
                writer.write(frame)
            writer.release()
    return root


def missing_peers(python: str) -> list[str]:
    missing = []
    for package, peers in {"cv2": PEERS[:1], "av": PEERS[1:2], "torchcodec.decoders": PEERS[2:]}.items():
        if subprocess.run([python, "-c", f"import {package}"], capture_output=True, check=False).returncode:
            print(f"{' and '.join(peers)}: left out, {package.partition('.')[0]} is not installed there")
            missing += peers
    return missing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choices = ["tennis", *SIZES, "long", "repeat", "memory"]
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(choices)}; none: all")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has av and torchcodec")
    parser.add_argument("--data", type=Path, help="folder that holds tennis/ with its videos.csv")
    parser.add_argument("--videos", type=Path, default=Path(tempfile.gettempdir()) / "activity-benchmark")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    if unknown := set(arguments.sets) - set(choices):
        parser.error(f"no such set: {', '.join(sorted(unknown))}")
    arguments.missing = missing_peers(arguments.peer_python)
    for name in arguments.sets or choices:
        with tempfile.TemporaryDirectory() as scratch:
            if name in SIZES:
                compare(name, generate(arguments.videos, name, COUNTS[name], 10), None, arguments, Path(scratch))
            elif name == "long":
                # Two labels are needed: the second video is the first second of the same picture.
                SIZES["long"] = SIZES["720p"]
                root = generate(arguments.videos, "long", 1, 600)
                SIZES["short"] = SIZES["720p"]
                short = generate(arguments.videos, "short", 1, 1)
                (root / "b").mkdir(exist_ok=True)
                shutil.copy(short / "a" / "0.mp4", root / "b" / "1.mp4")
                compare("long (600 s and 1 s)", root, None, arguments, Path(scratch))
            elif name == "tennis" and arguments.data is None:
                print("tennis: left out, no --data")
            elif name == "tennis":
                folder = arguments.data / "tennis"
                compare(name, folder, folder / "videos.csv", arguments, Path(scratch))
            else:
                {"repeat": repeat, "memory": memory}[name](arguments.videos, Path(scratch))


if __name__ == "__main__":
    main()
