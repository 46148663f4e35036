#!/usr/bin/env python3
"""Accuracy on people and sources that the model was not trained on.

Every clip is tested once: the groups (persons, source videos) are assigned to folds, and in each fold the heads are
trained on the other groups. Where there are few groups with most labels each, such as persons, each is left out in
turn. Nothing is chosen by looking at a test fold: settings are the defaults. Every head is fitted once a fold, and the
rows are sums of the heads' answers:

    all                what activity train chooses, and activity evaluate scores
    all, no race       the same, chosen among all heads: none is given up early
    linear only, recurrent only
                       chosen among the linear heads, or the recurrent ones
    motion, ...        a stream alone, with the head that is better by cross-validation on the training groups
    motion linear, ... a stream alone, with this head
    appearance & motion, ...
                       several streams, each with its better head, with equal weights once each is as certain as right
    majority_class, frame_statistics, ...
                       the baselines of activity evaluate, on all streams

and with --rows NAME,... further trainings of their own:

    train              activity train and activity evaluate as a user runs them, which must agree with all
    finetune           activity train --mode finetune --streams appearance
    joint, small       --mode joint, --encoder small, appearance alone, on clips of 8 frames of 112 pixels: an eighth
                       of the pixels, since on all of them each would take hours without a GPU
    tutorial           the CNN LSTM of the tutorials: four small convolutions, LSTM 32, 64 pixels, from scratch

    python benchmarks/accuracy.py [SET ...] [--data DIR] [--folds N] [--seeds N ...] [--json FILE] [--race]
    python benchmarks/accuracy.py --read FILE ...

SET is sample_videos, or a folder with videos.csv (path,label,group) under --data; mirrored copies of weizmann4 are left
out. Intervals are of the paired difference on the same clips, by the bootstrap over groups. With --work DIR, videos are
read once for several runs. --json keeps the answers of all heads, and --read prints the tables of such files by the
rules for choosing as they are now, without training. Groups that were given may keep apart what shows one place:
--groups joined joins those that activity prepare finds to be alike, which is harder, and nearer to a new place.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import keras
import numpy as np
import tensorflow as tf
from accuracy_report import Means, report_set, report_sets
from accuracy_rows import DEFAULT, LINEAR_ONLY, Fold, read_folds, write_folds
from accuracy_tutorial import tutorial_accuracy

from activity_cli import (
    EvaluateSettings,
    NetworkSettings,
    PrepareSettings,
    Progress,
    Sampling,
    Split,
    TrainSettings,
    evaluate,
    prepare,
    train,
)
from activity_cli.cli.bars import TerminalProgress
from activity_cli.dataset.batches import one_hot_labels
from activity_cli.dataset.manifest import PreparedFolder, read_prepared
from activity_cli.evaluation.baselines import baseline_answers
from activity_cli.leakage.splits import SplitItem, assign_splits
from activity_cli.model.network import build_encoder_for
from activity_cli.progress import SilentProgress
from activity_cli.results import ClipRecord
from activity_cli.settings import TrainPlan, resolve_train
from activity_cli.settings.prepare import STREAM_NAMES, Fit, StreamName
from activity_cli.streams.pyramid import num_larger_features
from activity_cli.streams.views import views_of
from activity_cli.training.checkpoint import FitStore
from activity_cli.training.cross_validation import Candidate, group_folds
from activity_cli.training.data import ClipSet, training_clips
from activity_cli.training.frozen_backbone import FrozenBackbone
from activity_cli.training.inputs import RowInputs
from activity_cli.training.stream_heads import StreamHeads, candidates_of

ROOT = Path(__file__).resolve().parents[1]
# For the rows that learn from pixels.
FEW_PIXELS = Sampling(num_frames=8, frame_size=112)
VAL_FRACTION = 0.25  # of the clips outside the test fold; only further trainings validate on them
MOST_LEFT_OUT = 10  # groups, each of which is left out in turn
TWIN = "_mirror."  # in the names of mirrored copies
Row = dict[str, str]
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@dataclass
class Work:
    """A set: where its videos are, where its clips are prepared, and where models go."""

    videos: Path
    place: Path
    sampling: Sampling
    streams: tuple[StreamName, ...] = STREAM_NAMES
    progress: Progress = field(default_factory=lambda: TerminalProgress(quiet=not sys.stderr.isatty()))
    backbone: tuple[FrozenBackbone, int] | None = None

    @property
    def labels(self) -> Path:
        return self.place / "labels.csv"

    def prepared(self, rows: Sequence[Row]) -> PreparedFolder:
        """The clips with the splits of these rows. One folder serves all folds: only the splits change."""
        self.place.mkdir(parents=True, exist_ok=True)
        write_csv(self.labels, rows)
        out = self.place / "prepared"
        settings = PrepareSettings(
            self.videos, out, self.labels, overwrite=True, sampling=self.sampling, streams=self.streams
        )
        prepare(settings, SilentProgress())
        return read_prepared(out)


class Clock:
    """Adds up how long parts take."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._last = time.monotonic()

    def __call__(self, part: str) -> float:
        """Counts the time since the call before; returns it."""
        now = time.monotonic()
        passed, self._last = now - self._last, now
        self.seconds[part] += passed
        return passed


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


def folds_of(rows: Sequence[Row], folds: int, seed: int) -> list[set[int]]:
    """The numbers of the clips that each fold tests."""
    labels, groups = [row["label"] for row in rows], [row["group"] for row in rows]
    labels_of: dict[str, set[str]] = defaultdict(set)
    for label, group in zip(labels, groups, strict=True):
        labels_of[group].add(label)
    most = len(set(labels)) / 2
    if len(labels_of) <= MOST_LEFT_OUT and all(len(shown) > most for shown in labels_of.values()):
        return [{n for n, group in enumerate(groups) if group == left_out} for left_out in sorted(labels_of)]
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


def assigned(rows: Sequence[Row], tested: set[int], seed: int) -> list[Row]:
    """The rows with their split; validation groups are drawn from those that are not tested."""
    others = [number for number in range(len(rows)) if number not in tested]
    items = [SplitItem(rows[number]["label"], rows[number]["group"]) for number in others]
    config = Split(val_fraction=VAL_FRACTION, test_fraction=0, seed=seed)
    split_of = dict(zip(others, assign_splits(items, config), strict=True))
    return [row | {"split": split_of.get(number, "test")} for number, row in enumerate(rows)]


def joined(rows: list[Row], folder: Path, scratch: Path) -> list[Row]:
    """The rows with groups that leave nothing apart that is in one group, or that looks like one source."""
    write_csv(scratch / "alike.csv", [row | {"group": "", "split": ""} for row in rows])
    result = prepare(
        PrepareSettings(
            folder, scratch / "alike", scratch / "alike.csv", sampling=Sampling(num_frames=2), streams=("appearance",)
        )
    )
    source_of = {record.path: record.group for record in result.records}
    # What is joined already takes the name of its first; each look at a row may join two.
    name_of = {row["group"]: row["group"] for row in rows}
    first_of: dict[str, str] = {}
    for row in rows:
        old, new = name_of[row["group"]], name_of[first_of.setdefault(source_of[row["path"]], row["group"])]
        name_of = {group: new if name == old else name for group, name in name_of.items()}
    return [row | {"group": name_of[row["group"]]} for row in rows]


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Writes the CSV that ``prepare`` reads."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "group", "split"])
        writer.writeheader()
        writer.writerows(rows)


class Heads:
    """Every head of a fold, as ``activity train`` fits it with a frozen encoder."""

    def __init__(self, work: Work, prepared: PreparedFolder, settings: TrainSettings) -> None:
        self._prepared, self._settings, self._work = prepared, settings, work
        self.plan = resolve_train(settings, len(prepared.in_split("train")), prepared.labels, prepared.stream_names)
        self._store = FitStore(work.place / "model", {})
        self._store.start()
        self.clips = training_clips(prepared, ("train", "val"), settings, self.plan)
        self._heads = self._on(self.clips)
        tested = prepared.in_split("test")
        lengths = np.minimum([record.clip_frames for record in tested], int(self.clips.kept_frames.max()))
        ones = np.ones(len(tested), np.float32)
        targets = one_hot_labels(tested, prepared.labels)
        self.tested = ClipSet(tested, targets, ones, lengths.astype(np.int64), np.zeros(len(tested), np.bool_))
        self._test_heads = self._on(self.tested)

    def _on(self, clips: ClipSet) -> StreamHeads:
        backbone, num_read = self._backbone() if "appearance" in self.plan.streams else (None, 0)
        work = self._work
        return StreamHeads(
            self._settings, self.plan, self._prepared, clips, backbone, num_read, self._store, work.progress
        )

    def _backbone(self) -> tuple[FrozenBackbone, int]:
        if self._work.backbone is None:
            encoder = encoder_of(self.plan, self._prepared)
            backbone = FrozenBackbone(encoder, self._prepared, self._work.progress)
            self._work.backbone = backbone, num_larger_features(encoder)
        return self._work.backbone

    def read(self) -> None:
        """Reads what the heads read: afterward, it is known how long that took."""
        for reads in {one.reads for one in self.candidates}:
            self._heads.inputs(reads)
            self._test_heads.inputs(reads)

    @property
    def candidates(self) -> list[Candidate]:
        """Linear heads come first: they are solved for in a second."""
        candidates = candidates_of(self.plan.streams, self.plan.network.head)
        return sorted(candidates, key=lambda one: one.kind)

    def cross_fit(self, *, race: bool, clock: Clock) -> tuple[dict[Candidate, Floats], list[Candidate]]:
        """Out-of-fold answers of the heads, and those that ``activity train`` chooses from."""
        labels = [record.label for record in self.clips.records]
        folds = group_folds(labels, self.clips.groups, self._settings.seed)
        truth, answers = self.clips.targets.argmax(axis=1), dict[Candidate, Floats]()
        raced: dict[Candidate, Floats] = {}
        for number, one in enumerate(self.candidates, 1):
            if not race:
                answers |= self._heads.cross_fit([one], folds)
            # Fits are kept, so that only the last one is new.
            raced = self._heads.cross_fit(self.candidates[:number], folds)
            found = raced.get(one, answers.get(one))
            right = "left out" if found is None else f"{np.mean(found.argmax(axis=1) == truth):.3f} out of fold"
            print(f"    {one.name:22} {right}, {clock('cross-validating'):.0f} s", flush=True)
        return answers or raced, list(raced)

    def answers(self, candidate: Candidate) -> Floats:
        """Log probabilities for the tested clips, of the head fitted to all training clips."""
        head, inputs = self._heads.fit(candidate).head, self._test_heads.inputs(candidate.reads)
        if isinstance(inputs, RowInputs):
            inputs = replace(inputs, num_frames=head.shape.num_frames)
        return head.predict(inputs)

    def baselines(self) -> dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]]:
        """What the baselines of ``activity evaluate`` answer for the tested clips."""
        numbers = self.clips.targets.argmax(axis=1)
        found = baseline_answers(self._described(self.clips.records), numbers, self._described(self.tested.records))
        return {name: answers for name, answers in found.items() if answers is not None}

    def _described(self, records: Sequence[ClipRecord]) -> Iterator[dict[str, Floats]]:
        store, num_frames, streams = self._prepared.streams, self._prepared.sampling.num_frames, self.plan.streams
        files = self._backbone()[0].files(records) if "appearance" in streams else [None] * len(records)
        for record, file in zip(records, files, strict=True):
            rows = {name: store.read(name, record.clip) for name in streams if name != "appearance"}
            if file:
                rows["appearance"] = np.asarray(np.load(file, allow_pickle=False), np.float32)
            times, found = store.times(record.clip).tolist(), {}
            for name in [name for name in streams if name != "hands"]:
                reads = ("pose", "hands") if name == "pose" and "hands" in streams else (name,)
                found[name] = views_of(reads, rows, times, num_frames, mirror=False)[0].features
            yield found


def encoder_of(plan: TrainPlan, prepared: PreparedFolder) -> keras.Model:
    return build_encoder_for(plan.network, prepared.sampling.frame_size, weights=plan.weights)


def run_fold(work: Work, rows: Sequence[Row], seed: int, number: int, options: argparse.Namespace) -> Fold:
    """Trains and tests once."""
    clock = Clock()
    prepared = work.prepared(rows)
    clock("splitting")
    heads = Heads(work, prepared, TrainSettings(seed=seed))
    heads.read()
    clock("reading")
    inner, raced = heads.cross_fit(race=options.race, clock=clock)
    tested = {one: heads.answers(one) for one in inner}
    clock("fitting")
    clips = heads.clips
    fold = Fold(
        seed=seed,
        number=number,
        clips=[record.path for record in heads.tested.records],
        groups=heads.tested.groups,
        truth=heads.tested.targets.argmax(axis=1),
        tested=tested,
        inner_groups=clips.groups,
        inner_truth=clips.targets.argmax(axis=1),
        inner_weights=clips.weights,
        inner=inner,
        raced=raced,
        baselines=heads.baselines(),
    )
    clock("baselines")
    for row in filter(None, options.rows.split(",")):
        fold.further[row] = ROW_OF[row](work, rows, seed)
        print(f"    {row:22} {fold.further[row]:.3f}, {clock(row):.0f} s", flush=True)
    fold.seconds = dict(clock.seconds)
    report_fold(fold)
    return fold


def report_fold(fold: Fold) -> None:
    right = {row: float(np.mean(answers == fold.truth)) for row, answers in fold.answers().items()}
    best = max(fold.baselines, key=lambda row: right[row])
    weights = ", ".join(f"{one.name} x {weight:.2f}" for one, weight in fold.weights(fold.raced).items())
    print(f"    {DEFAULT} {right[DEFAULT]:.3f}: {weights}")
    if "train" in fold.further:
        agrees = abs(fold.further["train"] - right[DEFAULT]) < 0.5 / len(fold.truth)
        print(f"    {'agrees' if agrees else 'DOES NOT AGREE'} with train, {fold.further['train']:.3f}")
    print(f"    {LINEAR_ONLY} {right[LINEAR_ONLY]:.3f}, best baseline {best} {right[best]:.3f}")
    print(f"    {', '.join(f'{part} {seconds:.0f} s' for part, seconds in fold.seconds.items())}", flush=True)


def trained(work: Work, prepared: PreparedFolder, settings: TrainSettings) -> float:
    """Accuracy on the tested clips of a model trained with these settings."""
    model = work.place / "trained"
    train(replace(settings, prepared=prepared.folder, out=model, overwrite=True), work.progress)
    return evaluate(EvaluateSettings(model)).accuracy


def from_pixels(work: Work, rows: Sequence[Row], settings: TrainSettings) -> float:
    """The same as :func:`trained`, by appearance alone on smaller clips."""
    sampling = replace(FEW_PIXELS, fit=work.sampling.fit)
    few = Work(work.videos, work.place / "few_pixels", sampling, ("appearance",), work.progress)
    return trained(few, few.prepared(rows), replace(settings, streams=few.streams))


SMALL = NetworkSettings(encoder="small")
ROW_OF: Mapping[str, Callable[[Work, Sequence[Row], int], float]] = {
    "train": lambda work, rows, seed: trained(work, work.prepared(rows), TrainSettings(seed=seed)),
    "finetune": lambda work, rows, seed: trained(
        work, work.prepared(rows), TrainSettings(mode="finetune", streams=("appearance",), seed=seed)
    ),
    "joint": lambda work, rows, seed: from_pixels(work, rows, TrainSettings(mode="joint", seed=seed)),
    "small": lambda work, rows, seed: from_pixels(work, rows, TrainSettings(network=SMALL, seed=seed)),
    "tutorial": lambda work, rows, seed: tutorial_accuracy(work.prepared(rows), seed)[1],
}


def run_set(
    folder: Path, place: Path, options: argparse.Namespace, keep: Callable[[tuple[str, ...], list[Fold]], None]
) -> tuple[tuple[str, ...], list[Fold]]:
    """The labels and folds of a set; ``keep`` is called after each fold."""
    place.mkdir(parents=True, exist_ok=True)
    rows = rows_of(folder)
    if options.groups == "joined":
        rows = joined(rows, folder, place)
        print(f"  {len({row['group'] for row in rows})} groups, joined where they look alike", flush=True)
    work, clock = Work(folder, place, Sampling(fit=options.fit)), Clock()
    folds = [(seed, *one) for seed in options.seeds for one in enumerate(folds_of(rows, options.folds, seed))]
    prepared = work.prepared(assigned(rows, folds[0][2], folds[0][0]))
    print(f"{folder.name}: {', '.join(prepared.stream_names)}, prepared in {clock('preparing'):.0f} s", flush=True)
    done: list[Fold] = []
    for seed, number, tested in folds if options.first is None else folds[: options.first]:
        print(f"  seed {seed}, fold {number + 1}: {len(tested)} clips", flush=True)
        done.append(run_fold(work, assigned(rows, tested, seed + number), seed, number, options))
        keep(prepared.labels, done)
        keras.backend.clear_session()
    return prepared.labels, done


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=["sample_videos"])
    parser.add_argument("--data", type=Path, default=ROOT, help="where further sets lie")
    parser.add_argument("--folds", type=int, default=4, help="where groups are not left out in turn")
    parser.add_argument("--first", type=int, metavar="N", help="only the first folds, for a quick look")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="each assigns groups anew and trains anew")
    parser.add_argument("--groups", choices=("given", "joined"), default="given")
    parser.add_argument("--rows", default="", help=f"further trainings, of {','.join(ROW_OF)}")
    parser.add_argument("--race", action="store_true", help="fit only the heads that activity train fits: it is faster")
    parser.add_argument("--fit", choices=get_args(Fit), default=Sampling().fit)
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the answers of all heads")
    parser.add_argument(
        "--read", type=Path, nargs="+", default=[], metavar="FILE", help="print the tables of such files"
    )
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep the prepared clips there for the next run")
    options = parser.parse_args()
    if unknown := set(filter(None, options.rows.split(","))) - set(ROW_OF):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    return options


def main() -> int:
    """Runs the sets that are there."""
    options = parsed()
    found: dict[str, tuple[tuple[str, ...], list[Fold]]] = {}
    for path in options.read:
        found |= read_folds(path)
    keras.config.disable_interactive_logging()
    tf.get_logger().setLevel("ERROR")  # there are several small networks; TensorFlow warns that each is traced
    means: dict[str, Means] = {name: report_set(name, folds) for name, (_, folds) in found.items()}
    for name in [] if options.read else options.sets:
        folder = ROOT / name if (ROOT / name).is_dir() else options.data / name
        if not rows_of(folder):
            print(f"{name}: not here, left out", file=sys.stderr)
            continue

        def keep(labels: tuple[str, ...], folds: list[Fold], name: str = name) -> None:
            if options.json:
                write_folds(options.json, found | {name: (labels, folds)})

        with TemporaryDirectory() as scratch:
            found[name] = run_set(folder, (options.work or Path(scratch)) / name, options, keep)
        means[name] = report_set(name, found[name][1])
    if len(means) > 1:
        report_sets(means)
    return 0


if __name__ == "__main__":
    sys.exit(main())
