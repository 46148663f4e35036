#!/usr/bin/env python3
"""How well a timeline finds activities in long videos with known borders, and how fast it is.

Clips of groups that the model was not trained on are joined into long videos, in random order: one video for each group
(and each distance of gestures). Labels of the background come between the others. Windows without smoothing, each
moment with the most probable label of the window around it, are the peer.

    python benchmarks/timeline.py VIDEOS LABELS.csv MODEL --work DIR [--by group,distance] [--background static,random]

LABELS.csv has columns path, label, group, split; the clips of the split test are joined.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import random
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import cv2

from activity_cli import Recognizer
from activity_cli.evaluation.timeline_scores import TimelineScores, score_timelines
from activity_cli.results import TimelineSegment, TimelineWindow

Row = dict[str, str]


def arranged(rows: list[Row], background: set[str], seed: int) -> list[Row]:
    """The clips in random order, one of the background between two of the others."""
    rng = random.Random(seed)
    active = [row for row in rows if row["label"] not in background]
    rng.shuffle(active)
    between = [row for row in rows if row["label"] in background]
    if not between:
        return active
    return [one for row, gap in zip(active, itertools.cycle(between), strict=False) for one in (gap, row)]


def join(videos: Path, rows: list[Row], path: Path) -> list[tuple[str, float, float]]:
    """Writes the clips one after the other; returns label, start and end of each, in seconds."""
    writer, size, rate, number, found = None, (0, 0), 25.0, 0, []
    for row in rows:
        capture, first = cv2.VideoCapture(str(videos / row["path"])), number
        while True:
            ok, frame = capture.read()
            if not ok:
                break
            if writer is None:
                size, rate = (frame.shape[1], frame.shape[0]), capture.get(cv2.CAP_PROP_FPS)
                writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, size)
            writer.write(frame if (frame.shape[1], frame.shape[0]) == size else cv2.resize(frame, size))
            number += 1
        found.append((row["label"], first / rate, number / rate))
    if writer:
        writer.release()
    return found


def plain(windows: list[TimelineWindow], background: set[str], end: float) -> list[TimelineSegment]:
    """Each moment with the most probable label of the window around it."""
    middles = [(one.start_seconds + one.end_seconds) / 2 for one in windows]
    borders = [0.0, *((a + b) / 2 for a, b in itertools.pairwise(middles)), end]
    segments: list[TimelineSegment] = []
    for window, start, stop in zip(windows, borders, borders[1:], strict=False):
        label = None if window.label in background else window.label
        if segments and segments[-1].label == label:
            start = segments.pop().start_seconds
        segments.append(TimelineSegment(window.source, label, start, stop))
    return segments


def show(name: str, scores: TimelineScores) -> None:
    f1 = "  ".join(f"F1@{overlap:g} {value:.3f}" for overlap, value in scores.f1.items())
    near = scores.borders_within_half_second
    print(
        f"{name:24} accuracy {scores.accuracy:.3f}  {f1}  edit {scores.edit:.3f}  borders within 0.5 s "
        f"{near or 0:.3f}  start {scores.start_error_seconds or 0:.2f} s  end {scores.end_error_seconds or 0:.2f} s  "
        f"false alarms/h {scores.false_alarms_per_hour:.0f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--by", default="group")
    parser.add_argument("--background", default="")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    background = {name for name in options.background.split(",") if name}
    groups: dict[str, list[Row]] = defaultdict(list)
    with options.labels.open() as file:
        for row in csv.DictReader(file):
            if row["split"] == "test":
                groups[" ".join(row[name] for name in options.by.split(","))].append(row)
    recognizer = Recognizer(options.model)
    truth, answers, unsmoothed, seconds = {}, {}, {}, 0.0
    for name, rows in sorted(groups.items()):
        path = options.work / f"{name}.avi"
        known = join(options.videos, arranged(rows, background, options.seed), path)
        truth[name] = [
            TimelineSegment(name, label, start, end) for label, start, end in known if label not in background
        ]
        started = time.perf_counter()
        found = list(recognizer.timeline(path))
        seconds += time.perf_counter() - started
        answers[name] = [one for one in found if isinstance(one, TimelineSegment)]
        windows = [one for one in found if isinstance(one, TimelineWindow)]
        unsmoothed[name] = plain(windows, background, known[-1][2])
    smoothed = score_timelines(truth, answers)
    show("plain argmax windows", score_timelines(truth, unsmoothed))
    show("activity timeline", smoothed)
    print(
        f"{len(truth)} videos, {sum(map(len, truth.values()))} activities, {smoothed.seconds:.0f} s of video, "
        f"{smoothed.seconds / seconds:.1f} times as fast as they play"
    )
    for label in smoothed.labels:
        print("  ", asdict(label))


if __name__ == "__main__":
    main()
