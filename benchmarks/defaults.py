#!/usr/bin/env python3
"""What each default of training gives: it is left out, or another value is taken, and all else stays.

Groups are assigned to folds as in accuracy.py, and all settings see the same clips of the same folds. A default is
chosen by clips that training holds out: those of its inner folds, or the validation groups. What the test folds say
stands beside it. The difference to the default is the mean over folds, with the standard deviation of the folds'
differences.

    frozen      activity train, which chooses heads and streams anew with each setting
    unbalanced  the same, with a third of the training clips of every second label
    small       activity train --encoder small --streams appearance, from scratch, on 8 frames of 64 pixels

    python benchmarks/defaults.py KIND SET [--data DIR] [--seeds N ...] [--folds N] [--only NAME,...]

SET is sample_videos, or a folder with videos.csv (path,label,group) under --data.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from accuracy import ROOT, Row, Work, assigned, folds_of, rows_of

from activity_cli import Augmentation, EvaluateSettings, NetworkSettings, Sampling, TrainSettings, evaluate, train

FROZEN = TrainSettings()
SMALL = TrainSettings(network=NetworkSettings(encoder="small"), streams=("appearance",))
SETTINGS: dict[str, dict[str, TrainSettings]] = {
    "frozen": {
        "default": FROZEN,
        "label smoothing 0": replace(FROZEN, label_smoothing=0.0),
        "label smoothing 0.2": replace(FROZEN, label_smoothing=0.2),
        "dropout 0": replace(FROZEN, network=NetworkSettings(dropout=0.0)),
        "dropout 0.3": replace(FROZEN, network=NetworkSettings(dropout=0.3)),
        "weight decay 0": replace(FROZEN, weight_decay=0.0),
        "temporal crop 0": replace(FROZEN, augmentation=Augmentation(temporal_crop=0.0)),
        "units 32": replace(FROZEN, network=NetworkSettings(units=32)),
        "units 128": replace(FROZEN, network=NetworkSettings(units=128)),
        "no skeleton variation": replace(FROZEN, augmentation=Augmentation(skeleton=False)),
        "no flip": replace(FROZEN, augmentation=Augmentation(flip=False)),
    },
    "unbalanced": {"default": FROZEN, "no class weights": replace(FROZEN, class_weights=False)},
    "small": {
        "default": SMALL,
        "no augmentation": replace(SMALL, augment=False),
        "no flip": replace(SMALL, augmentation=Augmentation(flip=False)),
        "temporal crop 0": replace(SMALL, augmentation=Augmentation(temporal_crop=0.0)),
        "crop 0": replace(SMALL, augmentation=Augmentation(crop=0.0)),
        "crop 0.3": replace(SMALL, augmentation=Augmentation(crop=0.3)),
        "color jitter 0": replace(SMALL, augmentation=Augmentation(color_jitter=0.0)),
        "color jitter 0.2": replace(SMALL, augmentation=Augmentation(color_jitter=0.2)),
        "color jitter 0.6": replace(SMALL, augmentation=Augmentation(color_jitter=0.6)),
        "label smoothing 0": replace(SMALL, label_smoothing=0.0),
        "dropout 0": replace(SMALL, network=NetworkSettings(encoder="small", dropout=0.0)),
        "dropout 0.3": replace(SMALL, network=NetworkSettings(encoder="small", dropout=0.3)),
        "weight decay 0": replace(SMALL, weight_decay=0.0),
        "patience 15": replace(SMALL, patience=15),
    },
}
SAMPLINGS = {"small": Sampling(num_frames=8, frame_size=64)}
KEPT = 3  # one of so many training clips of every second label, in the kind unbalanced

# Of each setting, validation and test accuracy in each fold.
Scores = dict[str, list[tuple[float, float]]]


def thinned(rows: list[Row]) -> list[Row]:
    """The rows with fewer training clips of every second label."""
    thin = sorted({row["label"] for row in rows})[1::2]
    seen: dict[str, int] = defaultdict(int)
    kept = []
    for row in rows:
        # Heads learn from the validation clips, too.
        if row["split"] != "test" and row["label"] in thin:
            seen[row["label"]] += 1
            if seen[row["label"]] % KEPT:
                continue
        kept.append(row)
    return kept


def run(kind: str, name: str, folder: Path, options: argparse.Namespace) -> Scores:
    """Trains once a fold and setting, and prints as it goes."""
    rows = rows_of(folder)
    names = options.only.split(",") if options.only else list(SETTINGS[kind])
    scores: Scores = defaultdict(list)
    with TemporaryDirectory() as scratch:
        work = Work(folder, Path(scratch), SAMPLINGS.get(kind, Sampling()), SETTINGS[kind]["default"].streams)
        for seed in options.seeds:
            for fold, tested in enumerate(folds_of(rows, options.folds, seed)):
                split = assigned(rows, tested, seed + fold)
                prepared = work.prepared(thinned(split) if kind == "unbalanced" else split)
                for setting in names:
                    model = work.place / "model"
                    result = train(
                        replace(SETTINGS[kind][setting], prepared=prepared.folder, out=model, overwrite=True),
                        work.progress,
                    )
                    val, test = result.val_accuracy or 0.0, evaluate(EvaluateSettings(model)).accuracy
                    scores[setting].append((val, test))
                    print(f"  seed {seed}, fold {fold + 1}  {setting:22} {val:.3f} {test:.3f}", flush=True)
    return scores


def report(kind: str, name: str, scores: Scores) -> None:
    """Prints a row for each setting."""
    usual = next(iter(scores.values()))
    print(f"\n{kind}, {name}, {len(usual)} folds:  validation, to the default;  test, to the default")
    for setting, values in scores.items():
        cells = []
        for place in (0, 1):
            differences = [value[place] - base[place] for value, base in zip(values, usual, strict=True)]
            spread = statistics.stdev(differences) if len(differences) > 1 else 0.0
            mean = statistics.mean(value[place] for value in values)
            cells.append(f"{mean:.3f}  {statistics.mean(differences):+.3f} +- {spread:.3f}")
        print(f"  {setting:22} {cells[0]}    {cells[1]}", flush=True)


def main() -> int:
    """Runs one kind on one set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=SETTINGS)
    parser.add_argument("set", metavar="SET")
    parser.add_argument("--data", type=Path, default=ROOT, help="where further sets lie")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="each assigns the groups to folds anew")
    parser.add_argument("--only", help="settings, the first of which the others are compared with")
    options = parser.parse_args()
    folder = ROOT / options.set if (ROOT / options.set).is_dir() else options.data / options.set
    report(options.kind, options.set, run(options.kind, options.set, folder, options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
