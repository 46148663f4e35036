#!/usr/bin/env python3
"""How well a model separates activities that it has not learned: each activity left out of training in turn.

For each label, a model is trained without it. Test clips of the other labels are known, those of the label unknown. The
margin (highest probability over the second highest, which predict --reject-unknown uses) is compared with the highest
probability: area under the ROC curve, and how many unknown clips are let through where 95% of the known ones are kept.

    python benchmarks/unknown.py VIDEOS LABELS.csv --work DIR [--every 2] [--streams pose,hands]

LABELS.csv has columns path, label, group, split. Only clips of the split test are answered.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from activity_cli import PrepareSettings, Recognizer, TrainSettings, prepare, train
from activity_cli.runtime.litert import margin

Row = dict[str, str]


def scores_of(recognizer: Recognizer, videos: Path, rows: list[Row]) -> dict[str, np.ndarray]:
    """The two scores of each clip."""
    answers = [recognizer.predict(videos / row["path"]) for row in rows]
    probabilities = np.array([list((answer.scores or {}).values()) for answer in answers])
    return {"margin": margin(probabilities), "highest probability": probabilities.max(axis=1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="leave out every so many labels only")
    parser.add_argument("--streams", default="appearance,motion,pose,hands")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    with options.labels.open() as file:
        rows = list(csv.DictReader(file))
    tested = [row for row in rows if row["split"] == "test"]
    found: list[dict[str, tuple[float, float]]] = []
    for label in sorted({row["label"] for row in rows})[:: options.every]:
        table, out = options.work / f"{label}.csv", options.work / "prepared"
        with table.open("w") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(row for row in rows if row["label"] != label)
        streams = tuple(options.streams.split(","))
        settings = PrepareSettings(options.videos, out, table, overwrite=True)
        prepare(replace(settings, streams=streams))
        model = train(TrainSettings(out, options.work / "model", overwrite=True, streams=streams)).model
        recognizer = Recognizer(model)
        known = scores_of(recognizer, options.videos, [row for row in tested if row["label"] != label])
        unknown = scores_of(recognizer, options.videos, [row for row in tested if row["label"] == label])
        result = {}
        for name in known:
            both = np.concatenate([known[name], unknown[name]])
            is_known = np.arange(len(both)) < len(known[name])
            let_through = np.mean(unknown[name] >= np.quantile(known[name], 0.05))
            result[name] = float(roc_auc_score(is_known, both)), float(let_through)
        found.append(result)
        shown = "  ".join(f"{name} {area:.3f} ({share:.2f} let through)" for name, (area, share) in result.items())
        print(f"{label:20} {shown}", flush=True)
    for name in found[0]:
        areas, shares = zip(*(one[name] for one in found), strict=True)
        print(f"mean, {name}: area {np.mean(areas):.3f}, let through {np.mean(shares):.3f}")


if __name__ == "__main__":
    main()
