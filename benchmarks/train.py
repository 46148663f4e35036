#!/usr/bin/env python3
"""How fast the CNN with a recurrent head learns: us against Keras and PyTorch as people write them.

The same network (the encoder ``small`` and a bidirectional GRU), first weights, clips, order, batch and optimizer for
all (AdamW); each run in a process of its own, one after the other, and all of them once before any is run again. Three
parts:

  small      clips a second, end of the first epoch, peak memory and losses; with padded and with full clips
  mobilenet  end of the first epoch with MobileNetV2 of 96 pixels, from building the network on
  frozen     an epoch on cached features, against running the frozen encoder again in each epoch

    python benchmarks/train.py [PART ...] [--clips N] [--sizes 64] [--repeats N] [--torch-python PATH] [--skip torch]

TimeDistributed sends padded frames through the CNN, too, and takes batch statistics of each step by itself (16 times
a batch, padding included), so its losses are near ours, not the same. It is trained as people write it, by
``model.fit`` on arrays, and once more on batches of tf.data with our options: then the network is the only difference.
With tf.data as it comes, the end of a pass now and then waits for a thread that tunes it. Peers compute in float32,
which is their default; ours is shown in its own default precision and in float32. On a machine with other work,
compare processor seconds before wall seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

HERE = Path(__file__).parent
PARTS = ("small", "mobilenet", "frozen")
NAMES = {
    "ours": "ours, default precision",
    "ours_float32": "ours, float32",
    "time_distributed": "TimeDistributed(cnn)",
    "time_distributed_batches": "  the same, our tf.data",
    "per_layer": "TimeDistributed, each layer",
    "per_layer_batches": "  the same, our tf.data",
    "torch": "PyTorch, folded",
    "torch_skip": "PyTorch, padding skipped",
}
STEPS, SHORTEST, CLASSES = 16, 4, 4
# Pixels a step to the right and down: what a clip's blob does, and its label.
WAYS = ((2, 0), (-2, 0), (0, 2), (0, -2))


def blobs(count: int, size: int, full: bool, seed: int = 0) -> dict[str, np.ndarray]:
    """Clips ``uint8 [N, T, S, S, 3]`` of a blob that moves one of four ways over grain, and their lengths and labels.

    One frame does not tell the way. Padding is zeros.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    rng.shuffle(labels)
    lengths = np.full(count, STEPS)
    if not full:
        # As many clips of each length as can be: the mean is 10 of 16.
        lengths = np.resize(np.arange(SHORTEST, STEPS + 1), count)
        rng.shuffle(lengths)
    clips = rng.integers(0, 90, (count, STEPS, size, size, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:size, :size]
    for clip, label, length in zip(clips, labels, lengths, strict=True):
        start, color = rng.integers(0, size, 2), rng.integers(120, 256, 3)
        for step in range(length):
            x, y = (start + np.array(WAYS[label]) * step * size / 64) % size
            near = (columns - x) ** 2 + (rows - y) ** 2 < (size / 8) ** 2
            clip[step][near] = color
        clip[length:] = 0
    return {"clips": clips, "lengths": lengths, "labels": labels}


def measure(python: str, script: str, kind: str, folder: Path) -> dict[str, Any]:
    command = [python, str(HERE / script), kind, str(folder)]
    environment = os.environ | {"PYTHONPATH": str(HERE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"failed: {kind}\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def prepare(folder: Path, count: int, size: int, full: bool, epochs: int, batch: int = 16) -> None:
    np.savez(folder / "data.npz", **blobs(count, size, full))
    settings = {"steps": STEPS, "size": size, "epochs": epochs, "batch": batch, "seed": 1}
    (folder / "settings.json").write_text(json.dumps(settings))


def small(options: argparse.Namespace, size: int, full: bool) -> None:
    kinds = [kind for kind in NAMES if kind not in options.skip]
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepare(folder, options.clips, size, full, epochs=5)
        measure(sys.executable, "train_peers.py", "weights", folder)
        runs: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
        for _ in range(options.repeats):
            for kind in kinds:
                torch = kind.startswith("torch")
                python = options.torch_python if torch else sys.executable
                run = measure(python, "train_torch.py" if torch else "train_peers.py", kind, folder)
                runs[kind].append(run)
                print(f"{NAMES[kind]}: {options.clips / usual(run, 'wall'):.0f} clips/s", file=sys.stderr, flush=True)
    what = "full clips, 16 of 16 frames" if full else "padded clips, 4 to 16 of 16 frames"
    print(f"\n{what}, {size} px, {options.clips} clips, 5 epochs, {os.cpu_count()} cores, median of {options.repeats}")
    print(f"{'':28}{'clips/s':>8}{'ratio':>7}{'ratio':>7}{'CPU ms':>8}{'first':>8}{'peak':>7}  loss after")
    print(f"{'':28}{'':8}{'(ours)':>7}{'(f32)':>7}{'a clip':>8}{'epoch s':>8}{'MB':>7}  each epoch")
    for kind in kinds:
        print(row(kind, runs, options.clips), flush=True)
    print(f"last loss less that of ours: {agreement(runs)}", flush=True)


def agreement(runs: dict[str, list[dict[str, Any]]]) -> str:
    """How far the losses of the same network, weights and clips are apart after the last epoch."""
    last = {kind: statistics.median(run["losses"][-1] for run in mine) for kind, mine in runs.items()}
    ours = next((last[kind] for kind in ("ours_float32", "ours") if kind in last), 0.0)
    return "; ".join(f"{NAMES[kind].strip()} {loss - ours:+.3f}" for kind, loss in last.items())


def row(kind: str, runs: dict[str, list[dict[str, Any]]], clips: int) -> str:
    mine = runs[kind]
    ratios = [faster(runs[our], mine) for our in ("ours", "ours_float32") if our in runs]
    wall, cpu = (statistics.median(usual(run, key) for run in mine) for key in ("wall", "cpu"))
    first, peak = (statistics.median(run[key] for run in mine) for key in ("first", "peak_megabytes"))
    losses = " ".join(f"{loss:.3f}" for loss in np.median([run["losses"] for run in mine], axis=0))
    name = NAMES[kind] + (" (b16)" if mine[0]["policy"] == "mixed_bfloat16" else "")
    shown = "".join(f"{ratio:6.2f}x" for ratio in ratios)
    return f"{name:28}{clips / wall:8.0f}{shown:>14}{1000 * cpu / clips:8.1f}{first:8.1f}{peak:7.0f}  {losses}"


def usual(run: dict[str, Any], key: str) -> float:
    """Seconds of an epoch after the first, which traces the graph."""
    return statistics.median(run[key][1:])


def faster(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> float:
    """How many times faster we are: the median over pairs that ran one after the other."""
    pairs = zip(ours, theirs, strict=True)
    return statistics.median(usual(peer, "wall") / usual(our, "wall") for our, peer in pairs)


def mobilenet(options: argparse.Namespace) -> None:
    clips = options.clips // 2
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepare(folder, clips, 96, full=False, epochs=1)
        seconds: dict[str, list[float]] = {"mobilenet_ours": [], "mobilenet_time_distributed": []}
        for _ in range(options.repeats):
            for kind, values in seconds.items():
                values.append(measure(sys.executable, "train_peers.py", kind, folder)["first"])
    ours, theirs = seconds.values()
    ratio = statistics.median(their / our for our, their in zip(ours, theirs, strict=True))
    print(f"\nend of the first epoch, MobileNetV2 96 px, {clips} padded clips, from building the network on")
    print(
        f"  ours {statistics.median(ours):.1f} s, TimeDistributed(cnn) {statistics.median(theirs):.1f} s: {ratio:.1f}x"
    )


def frozen(options: argparse.Namespace) -> None:
    clips = options.clips // 2
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepare(folder, clips, 224, full=False, epochs=10)
        results = [measure(sys.executable, "train_peers.py", "frozen", folder) for _ in range(options.repeats)]
    kept, keras, litert = (statistics.median(result[key] for result in results) for key in ("kept", "keras", "litert"))
    print(f"\nan epoch after the first, frozen efficientnet_lite0 of 224 px, {clips} padded clips")
    print(
        f"  on cached features {kept:.3f} s; running the encoder again: Keras {keras:.1f} s, {keras / kept:.0f}x;",
        end="",
    )
    print(f" LiteRT {litert + kept:.1f} s, {(litert + kept) / kept:.0f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; none: all")
    parser.add_argument("--clips", type=int, default=128)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64], help="pixels, for the part small")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--torch-python", default=sys.executable, help="a Python that has torch 2.13.0")
    parser.add_argument("--skip", nargs="+", default=[], choices=[*NAMES, "full"], help="rows to leave out, or full")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    options.skip += ["torch_skip"] if "torch" in options.skip else []
    parts = options.parts or PARTS
    have_torch = not subprocess.run([options.torch_python, "-c", "import torch"], capture_output=True).returncode
    if "small" in parts and "torch" not in options.skip and not have_torch:
        print("PyTorch: left out, not installed; pip install torch==2.13.0, or name a Python with --torch-python")
        options.skip += ["torch", "torch_skip"]
    for size in options.sizes if "small" in parts else []:
        small(options, size, full=False)
        if "full" not in options.skip:
            small(options, size, full=True)
    if "mobilenet" in parts:
        mobilenet(options)
    if "frozen" in parts:
        frozen(options)


if __name__ == "__main__":
    main()
