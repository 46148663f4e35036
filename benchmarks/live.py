#!/usr/bin/env python3
"""How long after a window's last frame its line comes, from a live source, and how much memory that takes.

A server sends a video over a local socket, each frame at its time, again and again. ``activity predict --timeline``
reads it as a process. The time counts from the moment at which the last byte of the window's last frame was sent to the
moment at which the line can be read.

    python benchmarks/live.py VIDEO MODEL [--seconds 60] [--rate 30] [--size 640x480]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np

_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)
# Time stamps round to a clock of 90 kHz.
_SAME_SECONDS = 0.0006


def encode(video: Path, path: Path, rate: float, size: str, seconds: float) -> None:
    """Writes MPEG-TS of this length, without frames that need later ones, from a video that is repeated."""
    width, height = size.split("x")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-stream_loop", "-1", "-i", str(video)]
    command += ["-t", str(seconds), "-r", str(rate), "-vf", f"scale={width}:{height}", "-an"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30", "-f", "mpegts", path]  # type: ignore[list-item]
    subprocess.run(command, check=True)


def frames_of(path: Path) -> list[tuple[float, bytes]]:
    """The time and the bytes of each frame."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        times = [float((packet.pts - packets[0].pts) * stream.time_base) for packet in packets]
        places = [packet.pos for packet in packets]
    data = path.read_bytes()
    ends = [*places[1:], len(data)]
    return [(time, data[begin:end]) for time, begin, end in zip(times, [0, *places[1:]], ends, strict=True)]


def serve(server: socket.socket, frames: list[tuple[float, bytes]], sent: list[float]) -> None:
    """Sends each frame at its time, and notes when."""
    connection, _ = server.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.monotonic()
        for moment, data in frames:
            time.sleep(max(0.0, began + moment - time.monotonic()))
            connection.sendall(data)
            sent.append(time.monotonic())
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--size", default="640x480")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "paced.ts")
        encode(options.video, path, options.rate, options.size, options.seconds)
        frames = frames_of(path)
    times, sent = [moment for moment, _ in frames], []  # type: ignore[var-annotated]
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(server, frames, sent), daemon=True).start()
    command = [sys.executable, "-m", "activity_cli", "predict", "--timeline", "--model", str(options.model)]
    command += ["--set", "reconnects=0", f"tcp://127.0.0.1:{server.getsockname()[1]}"]
    came, memory = [], []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        for line in process.stdout:
            now, found = time.monotonic(), json.loads(line)
            # The windows of the first seconds come from frames that were sent before the video was opened.
            if found["schema"] == "activity.window/1" and found["end_seconds"] > 5:
                came.append((now, found))
                memory.append(int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * _PAGE_MIB)
        errors = process.stderr.read()
    num_frames, delays = max(found["frames_used"] for _, found in came), []
    for now, found in came:
        step = (found["end_seconds"] - found["start_seconds"]) / num_frames
        last = bisect_left(times, found["end_seconds"] - step / 2 - _SAME_SECONDS)
        if last < len(times):
            delays.append(now - sent[last])
    tenths = [f"{np.mean(part):.0f}" for part in np.array_split(memory, min(10, len(memory)))]
    print(f"{len(frames)} frames, {len(delays)} windows at {options.rate:g} frames/s, {os.cpu_count()} cores")
    print("delay in s: " + ", ".join(f"p{share} {np.percentile(delays, share):.3f}" for share in (50, 95, 100)))
    print(f"memory in MiB, by tenths: {', '.join(tenths)}")
    print(*itertools.takewhile(str.strip, errors.splitlines()), sep="\n")


if __name__ == "__main__":
    main()
