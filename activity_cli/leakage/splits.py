"""Who is learned from, and who is kept apart: stratified by label, whole groups only.

Clips of one person (or one source video) look alike, so a score on a person who was also in training
says little about the next person. A group is never divided.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from activity_cli.settings import SPLITS, Split

__all__ = ["TRAINVAL", "SplitItem", "assign_splits", "split_warnings"]

# Given as a split: learned from or watched while learning, but never tested on.
TRAINVAL = "trainval"

# A label that is missing from training cannot be learned, one missing from the test cannot be judged.
_MISSING_COST = {"train": 1000.0, "val": 10.0, "test": 10.0}
# Random restarts share this many placements, so that the time stays flat in the number of groups.
_PLACEMENTS = 20_000
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class SplitItem:
    """One clip to place: its label, its group, and its split where that is given (else empty).

    ``TRAINVAL`` as the split leaves open which of training and validation it is.
    """

    label: str
    group: str
    split: str = ""


def assign_splits(items: Sequence[SplitItem], config: Split) -> list[str]:
    """Places every clip, keeping groups whole and labels in proportion.

    Greedy placement of whole groups, largest first, from several seeded starts; the best is kept. A
    group with a given split goes there; with several given ones, each of its clips keeps its own.

    Args:
        members: The clips.
        config: Fractions and seed.

    Returns:
        train, val or test for each clip, in the order of ``members``.
    """
    fixed = {member.group: member.split for member in items if member.split in SPLITS}
    # A list that names its own test clips has no further ones.
    untested = {member.group for member in items if member.split == TRAINVAL}
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for member in items:
        groups[member.group][member.label] += 1
    totals = Counter(member.label for member in items)
    plan = _Plan(groups, totals, config)
    free = sorted(set(groups) - set(fixed))
    starts = max(1, min(50, _PLACEMENTS // max(1, len(free))))
    rng = random.Random(config.seed)
    best, cost, least = dict[str, str](), math.inf, plan.least_cost() + _TINY
    for _ in range(starts):
        placed = plan.place(free, fixed, untested, rng)
        if (found := plan.cost(placed)) < cost:
            best, cost = placed, found
        if cost <= least:
            break  # no placement is better
    return [_side(member, best[member.group]) for member in items]


def _side(member: SplitItem, of_group: str) -> str:
    if member.split in SPLITS:
        return member.split
    return "train" if member.split == TRAINVAL and of_group == "test" else of_group


class _Plan:
    """The targets of a split, and how far a placement is from them."""

    def __init__(self, groups: Mapping[str, Counter[str]], totals: Counter[str], config: Split) -> None:
        self._groups, self._totals = groups, totals
        fractions = {"val": config.val_fraction, "test": config.test_fraction}
        fractions["train"] = 1 - sum(fractions.values())
        self._splits = [split for split in SPLITS if fractions[split] > 0]
        self._targets = {(label, split): fractions[split] * totals[label] for label in totals for split in self._splits}

    def place(
        self, free: Sequence[str], fixed: Mapping[str, str], untested: Collection[str], rng: random.Random
    ) -> dict[str, str]:
        counts: Counter[tuple[str, str]] = Counter()
        placed: dict[str, str] = {}
        for group, split in fixed.items():
            placed[group] = split
            self._count(counts, group, split)
        # Ties among groups of one size are broken by the seed; large groups first, as in bin packing.
        order = sorted(free, key=lambda group: (-self._groups[group].total(), rng.random()))
        for group in order:
            sides = [split for split in self._splits if split != "test" or group not in untested]
            choices = {split: self._change(counts, group, split) for split in sides}
            best = min(choices.values())
            split = rng.choice([name for name, change in choices.items() if change <= best + _TINY])
            placed[group] = split
            self._count(counts, group, split)
        return placed

    def cost(self, placed: Mapping[str, str]) -> float:
        counts: Counter[tuple[str, str]] = Counter()
        for group, split in placed.items():
            self._count(counts, group, split)
        return sum(self._cell(label, split, counts[label, split]) for label, split in self._targets)

    def least_cost(self) -> float:
        """What no placement can be below: each label divided as well as single clips could be."""
        return sum(self._least_cost(label, number) for label, number in self._totals.items())

    def _least_cost(self, label: str, number: int) -> float:
        # The cost is convex in each count: the best ones are beside the targets, or one clip from nothing.
        others = [split for split in self._splits if split != "train"]
        near = [
            {max(0, math.floor(self._targets[label, split]) + step) for step in (-1, 0, 1, 2)} | {0, 1}
            for split in others
        ]
        return min(
            sum(self._cell(label, split, count) for split, count in zip(others, counts, strict=True))
            + self._cell(label, "train", number - sum(counts))
            for counts in product(*near)
            if sum(counts) <= number
        )

    def _change(self, counts: Counter[tuple[str, str]], group: str, split: str) -> float:
        change = 0.0
        for label, number in self._groups[group].items():
            before = counts[label, split]
            change += self._cell(label, split, before + number) - self._cell(label, split, before)
        return change

    def _cell(self, label: str, split: str, count: int) -> float:
        target = self._targets[label, split]
        missing = _MISSING_COST[split] if count == 0 else 0.0
        return (count - target) ** 2 / max(target, 1.0) + missing

    def _count(self, counts: Counter[tuple[str, str]], group: str, split: str) -> None:
        for label, number in self._groups[group].items():
            counts[label, split] += number


def split_warnings(
    items: Sequence[SplitItem], splits: Sequence[str], config: Split, *, by_looks: bool = False
) -> list[str]:
    """What a person should know of a split before believing a score from it.

    Args:
        members: The clips.
        splits: Where each was placed.
        config: What was asked for.
        by_looks: Whether the groups were found by looks, which may err.
    """
    warnings = []
    wanted = [s for s, f in zip(SPLITS, (1.0, config.val_fraction, config.test_fraction), strict=True) if f > 0]
    present = {(member.label, split) for member, split in zip(items, splits, strict=True)}
    for label, number in sorted(Counter(member.label for member in items).items()):
        missing = [split for split in wanted if (label, split) not in present]
        if missing:
            groups = len({member.group for member in items if member.label == label})
            doubt = ", or use --group-by none if these do not belong together" if by_looks and groups < number else ""
            what = "1 clip" if number == 1 else f"{number} clips from {_counted(groups, 'group')}"
            warnings.append(f"{label!r} has {what}: none in {' and '.join(missing)}. Add clips of others{doubt}.")
    sides: dict[str, set[str]] = defaultdict(set)
    for member, split in zip(items, splits, strict=True):
        sides[member.group].add(split)
    torn = sorted(group for group, found in sides.items() if len(found) > 1)
    if torn and by_looks:
        warnings.append(
            f"The given splits divide {_counted(len(torn), 'group')} of clips that look related: the score may be too "
            "good. leaks.png in the prepared folder shows some."
        )
    elif torn:
        warnings.append(
            f"The given splits divide {_counted(len(torn), 'group')} (such as {torn[0]!r}): the score will be too good."
        )
    return warnings


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
