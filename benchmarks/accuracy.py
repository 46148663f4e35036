#!/usr/bin/env python3
"""Accuracy on people and sources that were not learned from, with default settings.

Every clip is tested once: the groups (persons, source videos) are dealt into folds; in each fold a seeded
part of the other groups is kept for validation (early stopping), the rest is learned from. Nothing is
chosen by looking at a test fold. Beside the model stand the simpler judges on the same clips.

    python benchmarks/accuracy.py [--folds N] [--encoder NAME] [--fit FIT] [--data DIR] [SET ...]

SET is sample_videos, or a folder with videos.csv (path,label,group) under --data.
"""

from __future__ import annotations

import argparse
import csv
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

from sklearn.model_selection import StratifiedGroupKFold

from activity_cli import (
    EvaluateConfig,
    EvaluationResult,
    NetworkConfig,
    PrepareConfig,
    SamplingConfig,
    SplitConfig,
    TrainConfig,
    evaluate,
    prepare,
    train,
)
from activity_cli.cli.bars import TerminalProgress
from activity_cli.config import FITS
from activity_cli.dataset.splits import Member, assign_splits

ROOT = Path(__file__).resolve().parents[1]
VAL_FRACTION = 0.25  # of the clips outside the test fold


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Path, label and group of every clip of a set."""
    if (folder / "videos.csv").is_file():
        with (folder / "videos.csv").open(newline="") as file:
            return [{name: row[name] for name in ("path", "label", "group")} for row in csv.DictReader(file)]
    clips = sorted(path for path in folder.glob("*/*") if path.suffix in (".mp4", ".avi", ".webm"))
    named = ((path, re.search(r"person\d+", path.name)) for path in clips)
    return [
        {"path": path.relative_to(folder).as_posix(), "label": path.parent.name, "group": person.group()}
        for path, person in named
        if person
    ]


def run_set(folder: Path, folds: int, seed: int, encoder: str, fit: str) -> list[EvaluationResult]:
    """Trains and judges once a fold."""
    rows = rows_of(folder)
    labels, groups = [row["label"] for row in rows], [row["group"] for row in rows]
    dealer = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    results = []
    progress = TerminalProgress(quiet=False)
    with TemporaryDirectory() as scratch:
        work = Path(scratch)
        for fold, (_, tested) in enumerate(dealer.split(rows, labels, groups)):
            with_splits = assigned(rows, {int(number) for number in tested}, seed + fold)
            write_csv(work / "labels.csv", with_splits)
            # One folder for all folds: clips and features are computed once, only the splits change.
            sampling = SamplingConfig(fit=fit)
            prepare(PrepareConfig(folder, work / "prepared", work / "labels.csv", sampling, overwrite=True))
            network = NetworkConfig(encoder=encoder)
            train(TrainConfig(work / "prepared", work / "model", network=network, overwrite=True), progress)
            results.append(evaluate(EvaluateConfig(work / "model"), progress))
            print(f"  fold {fold + 1}: {results[-1].accuracy:.3f} of {results[-1].num_clips} clips", flush=True)
    return results


def assigned(rows: list[dict[str, str]], tested: set[int], seed: int) -> list[dict[str, str]]:
    """The rows with their split; validation groups are drawn from those that are not tested."""
    others = [number for number in range(len(rows)) if number not in tested]
    members = [Member(rows[number]["label"], rows[number]["group"]) for number in others]
    config = SplitConfig(val_fraction=VAL_FRACTION, test_fraction=0, seed=seed)
    split_of = dict(zip(others, assign_splits(members, config), strict=True))
    return [row | {"split": split_of.get(number, "test")} for number, row in enumerate(rows)]


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    """Writes the CSV that ``prepare`` reads."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "group", "split"])
        writer.writeheader()
        writer.writerows(rows)


def report(name: str, results: list[EvaluationResult]) -> None:
    """Prints the mean and the spread over folds of every judge, and the recall of every activity."""
    scores: dict[str, list[float]] = defaultdict(list)
    for result in results:
        scores["activity"].append(result.accuracy)
        for baseline in result.baselines:
            if baseline.accuracy is not None:
                scores[baseline.name].append(baseline.accuracy)
    print(f"{name}: {sum(result.num_clips for result in results)} clips, {len(results)} folds by group")
    for judge, values in scores.items():
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"  {judge:15} {statistics.mean(values):.3f} +- {spread:.3f}   {' '.join(f'{v:.3f}' for v in values)}")
    right: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for result in results:
        for number, label in enumerate(result.labels):
            right[label][0] += result.confusion[number][number]
            right[label][1] += sum(result.confusion[number])
    print("  recall: " + ", ".join(f"{label} {a / max(1, b):.3f}" for label, (a, b) in right.items()), flush=True)


def main() -> int:
    """Runs the sets that are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=["sample_videos"])
    parser.add_argument("--data", type=Path, default=ROOT, help="where further sets lie")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--encoder", default=NetworkConfig().encoder)
    parser.add_argument("--fit", choices=FITS, default=SamplingConfig().fit)
    options = parser.parse_args()
    for name in options.sets:
        folder = ROOT / name if (ROOT / name).is_dir() else options.data / name
        if not rows_of(folder):
            print(f"{name}: not here, left out", file=sys.stderr)
            continue
        report(name, run_set(folder, options.folds, options.seed, options.encoder, options.fit))
    return 0


if __name__ == "__main__":
    sys.exit(main())
