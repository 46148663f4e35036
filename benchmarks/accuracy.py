#!/usr/bin/env python3
"""Accuracy on people and sources that the model was not trained on.

Every clip is tested once: the groups (persons, source videos) are assigned to folds; in each fold a seeded part of
the other groups is kept for validation, and the rest is for training. Within a run nothing is chosen by looking at a
test fold: settings are the defaults. All rows are tested on the same videos in the same folds; the tutorials'
network, joint and small see fewer pixels of them:

    tutorial           the CNN LSTM of the tutorials: four small convolutions, LSTM 32, 64 pixels, from scratch
    middle_frame, frame_average, frame_statistics
                       logistic regressions on the features of the default encoder, fitted to the validation clips, too:
                       they have nothing to stop early
    frozen             activity train
    linear             activity train --sequence none: the same without the recurrent head
    finetune           activity train --mode finetune
    joint, small       activity train --mode joint, --encoder small, on clips of 8 frames of 112 pixels: an eighth of
                       the pixels, since on all of them each would take hours without a GPU

    python benchmarks/accuracy.py [--folds N] [--seeds N ...] [--rows NAME,...] [--groups joined] [--data DIR] [SET ...]

With several seeds the groups are assigned as often, and all folds count. Groups that were given may keep apart what
shows one place: ``--groups joined`` joins those that ``activity prepare`` finds to be alike, which is harder, and
nearer to what a new place would give.

SET is sample_videos, or a folder with videos.csv (path,label,group) under --data. Of weizmann4 only the originals are
used, and each person is a fold.
"""

from __future__ import annotations

import argparse
import csv
import math
import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
from accuracy_tutorial import tutorial_accuracy
from sklearn.model_selection import LeaveOneGroupOut

from activity_cli import (
    EvaluateSettings,
    NetworkSettings,
    PrepareSettings,
    Sampling,
    Split,
    TrainSettings,
    evaluate,
    prepare,
    train,
)
from activity_cli.cli.bars import TerminalProgress
from activity_cli.dataset.features import ensure_features, feature_folder
from activity_cli.dataset.manifest import PreparedFolder, read_prepared
from activity_cli.dataset.processes import default_workers
from activity_cli.evaluation.baselines import score_baselines
from activity_cli.leakage.splits import SplitItem, assign_splits
from activity_cli.model.bundle import ENCODER_FILE, read_bundle
from activity_cli.progress import SilentProgress
from activity_cli.runtime.litert import EncoderRuntime
from activity_cli.settings.prepare import Fit

ROOT = Path(__file__).resolve().parents[1]
# For the rows that learn from pixels.
FEW_PIXELS = Sampling(num_frames=8, frame_size=112)
VAL_FRACTION = 0.25  # of the clips outside the test fold
LEAVE_ONE_OUT = ("weizmann4",)
TWIN = "_mirror."  # in the names of mirrored copies
ROWS = ("tutorial", "frozen", "linear", "finetune", "joint", "small")
# Settings one by one, by name only.
STEPS = ("unaugmented", "no_pyramid", "lstm_alone", "gru", "bilstm")
BASELINES = ("majority_class", "middle_frame", "frame_average", "frame_statistics")
Row = dict[str, str]
Scores = dict[str, list[float]]


@dataclass(frozen=True)
class Work:
    """One fold: where its videos are, where its clips are prepared, and where models go."""

    videos: Path
    labels: Path
    prepared: Path
    model: Path
    progress: TerminalProgress


def rows_of(folder: Path) -> list[Row]:
    """Path, label and group of every clip of a set."""
    if (folder / "videos.csv").is_file():
        with (folder / "videos.csv").open(newline="") as file:
            rows = [{name: row[name] for name in ("path", "label", "group")} for row in csv.DictReader(file)]
        return [row for row in rows if TWIN not in row["path"]]
    clips = sorted(path for path in folder.glob("*/*") if path.suffix in (".mp4", ".avi", ".webm"))
    named = ((path, re.search(r"person\d+", path.name)) for path in clips)
    return [
        {"path": path.relative_to(folder).as_posix(), "label": path.parent.name, "group": person.group()}
        for path, person in named
        if person
    ]


def folds_of(name: str, rows: list[Row], folds: int, seed: int) -> list[set[int]]:
    """The numbers of the clips that each fold tests."""
    labels, groups = [row["label"] for row in rows], [row["group"] for row in rows]
    if name in LEAVE_ONE_OUT:
        return [set(map(int, tested)) for _, tested in LeaveOneGroupOut().split(rows, labels, groups)]
    return assign_groups(labels, groups, folds, seed)


def assign_groups(labels: list[str], groups: list[str], folds: int, seed: int) -> list[set[int]]:
    """Groups in an order drawn by the seed, each into the fold that has least of its labels.

    Not scikit-learn's StratifiedGroupKFold: it assigns the largest groups first, whatever the seed, so that half of
    what two seeds put together is the same, and the second tells little that the first did not.
    """
    places, numbers = np.unique(groups, return_inverse=True)[1], np.unique(labels, return_inverse=True)[1]
    shares = np.zeros((places.max() + 1, numbers.max() + 1))
    np.add.at(shares, (places, numbers), 1.0)
    shares /= shares.sum(axis=0)
    held = np.zeros((folds, shares.shape[1]))
    fold_of = np.zeros(len(shares), int)
    for group in np.random.default_rng(seed).permutation(len(shares)):
        # What a fold holds of each label, squared and summed, grows by the least.
        fold_of[group] = np.argmin(held @ shares[group])
        held[fold_of[group]] += shares[group]
    return [set(map(int, np.flatnonzero(fold_of[places] == fold))) for fold in range(folds)]


def assigned(rows: list[Row], tested: set[int], seed: int) -> list[Row]:
    """The rows with their split; validation groups are drawn from those that are not tested."""
    others = [number for number in range(len(rows)) if number not in tested]
    items = [SplitItem(rows[number]["label"], rows[number]["group"]) for number in others]
    config = Split(val_fraction=VAL_FRACTION, test_fraction=0, seed=seed)
    split_of = dict(zip(others, assign_splits(items, config), strict=True))
    return [row | {"split": split_of.get(number, "test")} for number, row in enumerate(rows)]


def joined(rows: list[Row], folder: Path, scratch: Path) -> list[Row]:
    """The rows with groups that leave nothing apart that is in one group, or that looks like one source."""
    write_csv(scratch / "alike.csv", [row | {"group": "", "split": ""} for row in rows])
    result = prepare(PrepareSettings(folder, scratch / "alike", scratch / "alike.csv", sampling=Sampling(num_frames=2)))
    source_of = {record.path: record.group for record in result.records}
    # What is joined already takes the name of its first; each look at a row may join two.
    name_of = {row["group"]: row["group"] for row in rows}
    first_of: dict[str, str] = {}
    for row in rows:
        old, new = name_of[row["group"]], name_of[first_of.setdefault(source_of[row["path"]], row["group"])]
        name_of = {group: new if name == old else name for group, name in name_of.items()}
    return [row | {"group": name_of[row["group"]]} for row in rows]


def write_csv(path: Path, rows: list[Row]) -> None:
    """Writes the CSV that ``prepare`` reads."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "group", "split"])
        writer.writeheader()
        writer.writerows(rows)


def ours(work: Work, config: TrainSettings) -> tuple[float, float]:
    """Accuracy on the validation and on the test clips of a model trained with these settings."""
    train(replace(config, prepared=work.prepared, out=work.model, overwrite=True), work.progress)
    val = read_bundle(work.model).document.metrics["val_accuracy"]
    return math.nan if val is None else val, evaluate(EvaluateSettings(work.model)).accuracy


def on_few_pixels(work: Work, config: TrainSettings) -> tuple[float, float]:
    """The same as :func:`ours` on smaller clips."""
    prepared = work.prepared.with_name("few_pixels")
    sampling = replace(FEW_PIXELS, fit=read_prepared(work.prepared).sampling.fit)
    prepare(PrepareSettings(work.videos, prepared, work.labels, sampling=sampling, overwrite=True))
    return ours(replace(work, prepared=prepared), config)


def frame_baselines(prepared: PreparedFolder, model: Path) -> dict[str, float]:
    """The logistic regressions, on the features that a frozen training has left."""
    folder = feature_folder(prepared, read_bundle(model).file(ENCODER_FILE))
    splits = [prepared.in_split("train") + prepared.in_split("val"), prepared.in_split("test")]
    features = []
    for records in splits:
        encoder = EncoderRuntime(read_bundle(model).file(ENCODER_FILE), default_workers())
        names = [record.clip for record in records]
        files = ensure_features(names, prepared.clips, folder, encoder.features, SilentProgress())
        features.append([np.asarray(np.load(file), np.float32) for file in files])
    numbers = [np.array([prepared.labels.index(record.label) for record in records]) for records in splits]
    found = score_baselines(features[0], numbers[0], features[1], numbers[1], prepared.labels)
    return {baseline.name: baseline.accuracy for baseline in found if baseline.accuracy is not None}


LSTM_ALONE = NetworkSettings(pyramid=1, truncate_blocks=0, pca_components=0, linear_head=False, units=128)
ROW_OF: dict[str, Callable[[Work], tuple[float, float]]] = {
    "tutorial": lambda work: tutorial_accuracy(read_prepared(work.prepared), seed=0),
    "frozen": lambda work: ours(work, TrainSettings()),
    "linear": lambda work: ours(work, TrainSettings(network=NetworkSettings(sequence="none"))),
    "unaugmented": lambda work: ours(work, TrainSettings(augment=False)),
    "no_pyramid": lambda work: ours(work, TrainSettings(network=NetworkSettings(pyramid=1))),
    "lstm_alone": lambda work: ours(work, TrainSettings(network=LSTM_ALONE)),
    "gru": lambda work: ours(work, TrainSettings(network=NetworkSettings(sequence="gru"))),
    "bilstm": lambda work: ours(work, TrainSettings(network=NetworkSettings(sequence="bilstm"))),
    "finetune": lambda work: ours(work, TrainSettings(mode="finetune")),
    "joint": lambda work: on_few_pixels(work, TrainSettings(mode="joint")),
    "small": lambda work: on_few_pixels(work, TrainSettings(network=NetworkSettings(encoder="small"))),
}


def run_set(name: str, folder: Path, options: argparse.Namespace) -> Scores:
    """Trains and tests once a fold, and prints as it goes."""
    rows = rows_of(folder)
    scores: Scores = defaultdict(list)
    with TemporaryDirectory() as scratch:
        place = Path(scratch)
        if options.groups == "joined":
            rows = joined(rows, folder, place)
            print(f"  {len({row['group'] for row in rows})} groups, joined where they look alike", flush=True)
        folds = [(seed, folds_of(name, rows, options.folds, seed)) for seed in options.seeds]
        for seed, fold, tested in ((seed, *one) for seed, sets in folds for one in enumerate(sets)):
            write_csv(place / "labels.csv", assigned(rows, tested, seed + fold))
            # One folder for all folds: clips and features are computed once, only the splits change.
            sampling = Sampling(fit=options.fit)
            labels = place / "labels.csv"
            prepare(PrepareSettings(folder, place / "prepared", labels, sampling=sampling, overwrite=True))
            work = Work(folder, labels, place / "prepared", place / "model", TerminalProgress(quiet=False))
            print(f"  seed {seed}, fold {fold + 1}: {len(tested)} clips", flush=True)
            for row in options.rows.split(","):
                start = time.monotonic()
                val, accuracy = ROW_OF[row](work)
                scores[row].append(accuracy)
                seconds = time.monotonic() - start
                print(f"    {row:17} {accuracy:.3f}   validation {val:.3f}, {seconds:.0f} s", flush=True)
                if row == "frozen":
                    for baseline, value in frame_baselines(read_prepared(work.prepared), work.model).items():
                        scores[baseline].append(value)
                        print(f"    {baseline:17} {value:.3f}", flush=True)
    return scores


def report(name: str, num_clips: int, scores: Scores) -> None:
    """Prints the mean and the spread over folds of every row."""
    folds = len(next(iter(scores.values())))
    print(f"{name}: {num_clips} clips, {folds} folds by group in all")
    for row in sorted(scores, key=lambda row: statistics.mean(scores[row])):
        values = scores[row]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"  {row:17} {statistics.mean(values):.3f} +- {spread:.3f}   {' '.join(f'{v:.3f}' for v in values)}")
    sys.stdout.flush()


def main() -> int:
    """Runs the sets that are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=["sample_videos"])
    parser.add_argument("--data", type=Path, default=ROOT, help="where further sets lie")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="each assigns the groups to folds anew")
    parser.add_argument("--groups", choices=("given", "joined"), default="given")
    parser.add_argument("--rows", default=",".join(ROWS), help="which trainings, of " + ", ".join(ROWS + STEPS))
    parser.add_argument("--fit", choices=get_args(Fit), default=Sampling().fit)
    options = parser.parse_args()
    for name in options.sets:
        folder = ROOT / name if (ROOT / name).is_dir() else options.data / name
        if not rows_of(folder):
            print(f"{name}: not here, left out", file=sys.stderr)
            continue
        report(name, len(rows_of(folder)), run_set(name, folder, options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
