"""The tables of benchmarks/accuracy.py."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from accuracy_rows import DEFAULT, LINEAR_ONLY, Fold

_RESAMPLES = 5000
_WIDTH = 34  # of a row's name
# The means of the rows of a set, by kind: networks that can be chosen, further trainings, and baselines.
Means = dict[str, dict[str, float]]


def report_set(name: str, folds: Sequence[Fold]) -> Means:
    """Prints the mean and spread over folds of every row, and by how much the default is ahead."""
    groups = {group for fold in folds for group in fold.groups}
    seconds = sum(sum(fold.seconds.values()) for fold in folds)
    print(
        f"\n{name}: {sum(len(fold.clips) for fold in folds)} tested clips, {len(groups)} groups, {len(folds)} folds, "
        f"{seconds / 60:.1f} minutes after preparing\n"
        f"  {'':{_WIDTH}} mean    spread  each fold"
    )
    answers = [fold.answers() for fold in folds]
    accuracies = [
        {row: float(np.mean(one == fold.truth)) for row, one in found.items()} | fold.further
        for fold, found in zip(folds, answers, strict=True)
    ]
    baselines, further = set(folds[0].baselines), set(folds[0].further)
    kinds: dict[str, set[str]] = {
        "networks": set(accuracies[0]) - baselines - further,
        "trainings": further,
        "baselines": baselines,
    }
    means: Means = {}
    for kind, rows in kinds.items():
        each = {row: [one[row] for one in accuracies] for row in rows if all(row in one for one in accuracies)}
        means[kind] = {row: statistics.mean(values) for row, values in each.items()}
        for row in sorted(each, key=lambda row: (-means[kind][row], row)):
            values = each[row]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            shown = " ".join(f"{value:.3f}" for value in values)
            print(f"  {row:{_WIDTH}} {means[kind][row]:.3f} +- {spread:.3f}   {shown}")
        print()

    clip_groups = np.array([group for fold in folds for group in fold.groups])
    right = {
        row: np.concatenate([found[row] == fold.truth for fold, found in zip(folds, answers, strict=True)])
        for row in (*means["networks"], *means["baselines"])
    }
    if means["baselines"]:
        best = max(means["baselines"], key=lambda row: (right[row].mean(), row))
        _report_gain(f"the best baseline, {best}", right[DEFAULT], right[best], clip_groups)
    _report_gain("linear only (the recurrent part's gain)", right[DEFAULT], right[LINEAR_ONLY], clip_groups)
    equal = max(means["networks"], key=lambda row: (row.count(" & "), len(row)))
    if " & " in equal:
        _report_gain(f"equal weights, {equal}", right[DEFAULT], right[equal], clip_groups)
    return means


def _report_gain(
    than: str, ours: npt.NDArray[np.bool_], theirs: npt.NDArray[np.bool_], groups: npt.NDArray[np.str_]
) -> None:
    gain, low, high = paired_interval(ours, theirs, groups)
    print(f"  {DEFAULT} minus {than}: {gain:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}", flush=True)


def paired_interval(
    ours: npt.NDArray[np.bool_], theirs: npt.NDArray[np.bool_], groups: npt.NDArray[np.str_]
) -> tuple[float, float, float]:
    """The difference of two accuracies on the same clips, and its 95 % interval.

    By the bootstrap (Efron 1979): groups are drawn with replacement, each with all its clips.
    """
    numbers = np.unique(groups, return_inverse=True)[1]
    gains = np.bincount(numbers, ours.astype(float) - theirs.astype(float))
    sizes = np.bincount(numbers)
    drawn = np.random.default_rng(0).multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), _RESAMPLES)
    low, high = np.quantile(drawn @ gains / (drawn @ sizes), [0.025, 0.975])
    return float(gains.sum() / sizes.sum()), float(low), float(high)


def report_sets(found: dict[str, Means]) -> None:
    """Prints every row's mean over sets, and what one would choose for a set by the others."""
    names = list(found)
    print(f"\nover sets: {', '.join(names)}\n  {'':{_WIDTH}} mean    spread  each set")
    for kind in ("networks", "trainings", "baselines"):
        table = _over_sets([one[kind] for one in found.values()])
        for row in sorted(table, key=lambda row: (-statistics.mean(table[row]), row)):
            values = table[row]
            shown = " ".join(f"{value:.3f}" for value in values)
            print(f"  {row:{_WIDTH}} {statistics.mean(values):.3f} +- {statistics.stdev(values):.3f}   {shown}")
        print()
    table = _over_sets([one["networks"] for one in found.values()])
    print("  the best row on average over the other sets, and what it reaches on the set left out:")
    for place, name in enumerate(names):
        others = {row: statistics.mean(values[:place] + values[place + 1 :]) for row, values in table.items()}
        # Of equal ones the default.
        best = max(others, key=lambda row: (others[row], row == DEFAULT))
        print(f"  {name:16} {best:{_WIDTH}} {table[best][place]:.3f}; {DEFAULT} {table[DEFAULT][place]:.3f}")


def _over_sets(sets: Sequence[dict[str, float]]) -> dict[str, list[float]]:
    """The rows that all sets have. Where hands were left out, a network that reads pose and hands reads the pose."""
    rows = dict.fromkeys(row for one in sets for row in one)
    found = {row: [one.get(row, one.get(row.replace("pose+hands", "pose"))) for one in sets] for row in rows}
    return {
        row: [value for value in values if value is not None] for row, values in found.items() if None not in values
    }
