"""Who is learned from, and who is kept apart."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict

import pytest

from activity_cli.errors import ConfigError
from activity_cli.leakage.splits import Member, assign_splits, split_warnings
from activity_cli.settings import SplitConfig

SEEDS = range(12)


def people(num_people: int, labels: int = 4, takes: int = 2) -> list[Member]:
    return [
        Member(f"label{label}", f"person{person}")
        for person in range(num_people)
        for label in range(labels)
        for _ in range(takes)
    ]


def uneven(seed: int) -> list[Member]:
    rng = random.Random(seed)
    groups = [f"g{number}" for number in range(rng.randint(3, 40))]
    return [Member(rng.choice("abc"), rng.choice(groups)) for _ in range(rng.randint(5, 200))]


def sides_of(members: list[Member], splits: list[str]) -> dict[str, set[str]]:
    sides: dict[str, set[str]] = defaultdict(set)
    for member, split in zip(members, splits, strict=True):
        sides[member.group].add(split)
    return sides


@pytest.mark.parametrize("seed", range(40))
def test_a_group_is_never_divided(seed: int) -> None:
    members = uneven(seed)
    splits = assign_splits(members, SplitConfig(seed=seed))
    assert len(splits) == len(members)
    assert all(len(sides) == 1 for sides in sides_of(members, splits).values())
    assert set(splits) <= {"train", "val", "test"}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("val", "test"), [(0.2, 0.2), (0.1, 0.3), (0.0, 0.25), (0.3, 0.0)])
def test_every_label_is_divided_as_asked(val: float, test: float, seed: int) -> None:
    # Each clip its own group, labels of very different size.
    members = [
        Member(label, f"{label}{number}")
        for label, count in (("a", 100), ("b", 40), ("c", 20))
        for number in range(count)
    ]
    splits = assign_splits(members, SplitConfig(val, test, seed=seed))
    counts = Counter(zip((member.label for member in members), splits, strict=True))
    for label, total in (("a", 100), ("b", 40), ("c", 20)):
        assert counts[label, "val"] == pytest.approx(val * total, abs=1)
        assert counts[label, "test"] == pytest.approx(test * total, abs=1)
        assert (counts[label, "val"] == 0) == (val == 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_people_are_divided_six_two_two(seed: int) -> None:
    members = people(10)
    sides = sides_of(members, assign_splits(members, SplitConfig(seed=seed)))
    assert Counter(next(iter(side)) for side in sides.values()) == {"train": 6, "val": 2, "test": 2}


def test_the_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    members = people(20)
    drawn = [assign_splits(members, SplitConfig(seed=seed)) for seed in SEEDS]
    assert drawn == [assign_splits(members, SplitConfig(seed=seed)) for seed in SEEDS]
    assert len({tuple(splits) for splits in drawn}) > len(SEEDS) // 2


def test_the_order_of_the_clips_does_not_matter() -> None:
    members = people(9)
    shuffled = random.Random(1).sample(members, len(members))
    by_group = {m.group: s for m, s in zip(members, assign_splits(members, SplitConfig()), strict=True)}
    assert by_group == {m.group: s for m, s in zip(shuffled, assign_splits(shuffled, SplitConfig()), strict=True)}


@pytest.mark.parametrize("seed", SEEDS)
def test_given_splits_are_kept_and_their_groups_stay_whole(seed: int) -> None:
    given = {"person0": "test", "person1": "val", "person2": "test"}
    members = [
        Member(member.label, member.group, given.get(member.group, "") if index % 2 else "")
        for index, member in enumerate(people(8))
    ]
    sides = sides_of(members, assign_splits(members, SplitConfig(seed=seed)))
    assert {group: sides[group] for group in given} == {group: {split} for group, split in given.items()}
    assert all(len(side) == 1 for side in sides.values())


def test_given_splits_that_divide_a_group_are_kept_and_warned_about() -> None:
    members = [Member("a", "anna", "train"), Member("a", "anna", "test"), *people(6)]
    splits = assign_splits(members, SplitConfig())
    assert splits[:2] == ["train", "test"]
    warnings = split_warnings(members, splits, SplitConfig())
    assert [warning for warning in warnings if "divide 1 group (such as 'anna')" in warning]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_label_with_one_clip_goes_to_training_with_a_warning(seed: int) -> None:
    members = [*people(8), Member("rare", "stranger")]
    config = SplitConfig(seed=seed)
    splits = assign_splits(members, config)
    assert splits[-1] == "train"
    assert split_warnings(members, splits, config) == ["'rare' has 1 clip: none in val and test. Add clips of others."]


@pytest.mark.parametrize("seed", SEEDS)
def test_two_groups_give_training_and_one_other_side_and_a_warning(seed: int) -> None:
    members = people(2, labels=2)
    config = SplitConfig(seed=seed)
    splits = assign_splits(members, config)
    assert "train" in splits
    assert len(set(splits)) == 2
    missing = ({"val", "test"} - set(splits)).pop()
    assert split_warnings(members, splits, config) == [
        f"'label{label}' has 4 clips from 2 groups: none in {missing}. Add clips of others." for label in range(2)
    ]


def test_a_good_split_gives_no_warning_and_a_side_that_is_not_wanted_is_not_missed() -> None:
    members = people(10)
    assert split_warnings(members, assign_splits(members, SplitConfig()), SplitConfig()) == []
    no_test = SplitConfig(0.2, 0.0)
    assert split_warnings(members, assign_splits(members, no_test), no_test) == []


def test_everything_may_be_for_training() -> None:
    assert set(assign_splits(people(5), SplitConfig(0.0, 0.0))) == {"train"}


def test_thousands_of_groups_take_no_time() -> None:
    members = [Member(f"label{number % 12}", f"g{number}") for number in range(4000)]
    began = time.process_time()
    splits = assign_splits(members, SplitConfig())
    assert time.process_time() - began < 3
    assert Counter(splits) == pytest.approx({"train": 2400, "val": 800, "test": 800}, abs=24)


def test_no_clips_give_no_splits() -> None:
    assert assign_splits([], SplitConfig()) == []


@pytest.mark.parametrize(
    "settings",
    [{"val_fraction": -0.1}, {"test_fraction": 1.0}, {"val_fraction": 0.5, "test_fraction": 0.5}, {"seed": -1}],
)
def test_an_impossible_split_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="not possible"):
        SplitConfig(**settings)  # type: ignore[arg-type]


def test_a_pattern_that_is_no_regular_expression_is_refused_with_an_example() -> None:
    with pytest.raises(ConfigError, match="not a regular expression") as caught:
        SplitConfig(group_by="person(")
    assert "--group-by" in caught.value.hint


def test_the_least_cost_is_reached_by_single_clips_and_is_never_undercut() -> None:
    from activity_cli.leakage.splits import _Plan  # the bound that ends the search early

    rng = random.Random(5)
    for _ in range(200):
        totals = Counter({f"label{label}": rng.randint(1, 40) for label in range(rng.randint(1, 4))})
        config = SplitConfig(rng.choice([0.0, 0.1, 0.2, 0.45]), rng.choice([0.0, 0.2, 0.33]))
        single = {f"{label}{clip}": Counter([label]) for label, number in totals.items() for clip in range(number)}
        plan = _Plan(single, totals, config)
        costs = [plan.cost(plan.place(sorted(single), {}, (), rng)) for _ in range(3)]
        assert min(costs) == pytest.approx(plan.least_cost()), (totals, config)
        pairs = {f"pair{n}": Counter(rng.choices(list(totals), k=2)) for n in range(20)}
        totals = sum(pairs.values(), Counter[str]())
        plan = _Plan(pairs, totals, config)
        assert plan.cost(plan.place(sorted(pairs), {}, (), rng)) >= plan.least_cost() - 1e-9
