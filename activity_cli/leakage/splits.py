"""Assigns clips to train, val and test: stratified by label, whole groups only.

Clips of one person (or one source video) look alike. So a score on a person who was also in training says little about
the next person.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from activity_cli.labels.segments import TRAINVAL
from activity_cli.settings import SPLITS, Split

__all__ = ["TRAINVAL", "SplitItem", "assign_splits", "split_warnings"]

# A label that is missing in training cannot be learned; one that is missing in the test cannot be tested.
_MISSING_COST = {"train": 1000.0, "val": 10.0, "test": 10.0}
# All random starts together place this many groups, so that the time does not grow with the number of groups.
_PLACEMENTS = 20_000
_TINY = 1e-9

_Counts = Counter[tuple[str, str]]
"""Clips of each (label, split)."""


@dataclass(frozen=True, slots=True)
class SplitItem:
    """One clip to assign: its label, group, and given split, if any; ``trainval`` means either train or val."""

    label: str
    group: str
    split: str = ""


def assign_splits(items: Sequence[SplitItem], settings: Split) -> list[str]:
    """Assigns every clip to train, val or test, keeping groups whole and labels in proportion.

    Places whole groups greedily, the largest first, from several seeded starts, and takes the best result. A group with
    a given split goes there; if its clips have several given splits, each clip keeps its own.
    """
    fixed = {item.group: item.split for item in items if item.split in SPLITS}
    # Labels that name their test clips allow no others.
    untested = {item.group for item in items if item.split == TRAINVAL}
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        groups[item.group][item.label] += 1
    plan = _Plan(groups, Counter(item.label for item in items), settings)
    free = sorted(set(groups) - set(fixed))
    rng = random.Random(settings.seed)
    best, cost, least = dict[str, str](), math.inf, plan.least_cost() + _TINY
    for _ in range(max(1, min(50, _PLACEMENTS // max(1, len(free))))):
        placed, counts = plan.place(free, fixed, untested, rng)
        if (found := plan.cost(counts)) < cost:
            best, cost = placed, found
        if cost <= least:
            break  # no placement is better
    return [_split_of(item, best[item.group]) for item in items]


def _split_of(item: SplitItem, of_group: str) -> str:
    if item.split in SPLITS:
        return item.split
    return "train" if item.split == TRAINVAL and of_group == "test" else of_group


class _Plan:
    """The number of clips that each split should have of each label, and the cost of missing it."""

    def __init__(self, groups: Mapping[str, Counter[str]], totals: Counter[str], settings: Split) -> None:
        self._groups, self._totals = groups, totals
        fractions = {"val": settings.val_fraction, "test": settings.test_fraction}
        fractions["train"] = 1 - sum(fractions.values())
        self._splits = [split for split in SPLITS if fractions[split] > 0]
        self._targets = {(label, split): fractions[split] * totals[label] for label in totals for split in self._splits}

    def place(
        self, free: Sequence[str], fixed: Mapping[str, str], untested: Collection[str], rng: random.Random
    ) -> tuple[dict[str, str], _Counts]:
        """The split of each group, and the clips of each label in each split."""
        counts, placed = _Counts(), dict(fixed)
        for group, split in fixed.items():
            self._count(counts, group, split)
        # As in bin packing, large groups come first. The seed orders groups of one size.
        for group in sorted(free, key=lambda group: (-self._groups[group].total(), rng.random())):
            allowed = [split for split in self._splits if split != "test" or group not in untested]
            changes = {split: self._change(counts, group, split) for split in allowed}
            best = min(changes.values())
            placed[group] = rng.choice([split for split, change in changes.items() if change <= best + _TINY])
            self._count(counts, group, placed[group])
        return placed, counts

    def cost(self, counts: _Counts) -> float:
        return sum(self._cell(label, split, counts[label, split]) for label, split in self._targets)

    def least_cost(self) -> float:
        """A bound of the cost: that of the best placement of single clips."""
        return sum(self._least_cost(label, total) for label, total in self._totals.items())

    def _least_cost(self, label: str, total: int) -> float:
        # The cost is convex in each count: the best counts are beside the targets, or one clip from nothing.
        others = [split for split in self._splits if split != "train"]
        near = [
            {max(0, math.floor(self._targets[label, split]) + step) for step in (-1, 0, 1, 2)} | {0, 1}
            for split in others
        ]
        return min(
            sum(self._cell(label, split, count) for split, count in zip(others, counts, strict=True))
            + self._cell(label, "train", total - sum(counts))
            for counts in product(*near)
            if sum(counts) <= total
        )

    def _change(self, counts: _Counts, group: str, split: str) -> float:
        return sum(
            self._cell(label, split, counts[label, split] + number) - self._cell(label, split, counts[label, split])
            for label, number in self._groups[group].items()
        )

    def _cell(self, label: str, split: str, count: int) -> float:
        target = self._targets[label, split]
        return (count - target) ** 2 / max(target, 1.0) + (0.0 if count else _MISSING_COST[split])

    def _count(self, counts: _Counts, group: str, split: str) -> None:
        for label, number in self._groups[group].items():
            counts[label, split] += number


def split_warnings(
    items: Sequence[SplitItem], splits: Sequence[str], settings: Split, *, by_similarity: bool = False
) -> list[str]:
    """What to know about a split before trusting a score from it; groups found by similarity may be wrong."""
    warnings = []
    wanted = [s for s, f in zip(SPLITS, (1.0, settings.val_fraction, settings.test_fraction), strict=True) if f > 0]
    present = {(item.label, split) for item, split in zip(items, splits, strict=True)}
    for label, number in sorted(Counter(item.label for item in items).items()):
        missing = [split for split in wanted if (label, split) not in present]
        if missing:
            groups = len({item.group for item in items if item.label == label})
            doubt = " If these groups are wrong, use --group-by none." if by_similarity and groups < number else ""
            what = "1 clip" if number == 1 else f"{number} clips from {_counted(groups, 'group')}"
            warnings.append(
                f"{label!r} has only {what}, so there are none in {' and '.join(missing)}. Add clips of other people "
                f"or sources.{doubt}"
            )
    splits_of: dict[str, set[str]] = defaultdict(set)
    for item, split in zip(items, splits, strict=True):
        splits_of[item.group].add(split)
    divided = sorted(group for group, found in splits_of.items() if len(found) > 1)
    if divided:
        found = f"The given splits divide {_counted(len(divided), 'group')}"
        score = f"(such as {divided[0]!r}), so the test score will be too high."
        if by_similarity:
            score = "of similar clips, so the test score may be too high. leaks.png in the prepared folder shows some."
        warnings.append(f"{found} {score}")
    return warnings


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
