"""How clips are assigned to train, val and test."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from activity_cli.errors import ConfigError
from activity_cli.leakage.splits import SplitItem, assign_splits, split_warnings
from activity_cli.settings import PrepareSettings, Split, resolve_prepare

SEEDS = range(12)


def people(num_people: int, labels: int = 4, takes: int = 2) -> list[SplitItem]:
    return [
        SplitItem(f"label{label}", f"person{person}")
        for person in range(num_people)
        for label in range(labels)
        for _ in range(takes)
    ]


def uneven(seed: int) -> list[SplitItem]:
    rng = random.Random(seed)
    groups = [f"g{number}" for number in range(rng.randint(3, 40))]
    return [SplitItem(rng.choice("abc"), rng.choice(groups)) for _ in range(rng.randint(5, 200))]


def splits_of_groups(items: list[SplitItem], splits: list[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for item, split in zip(items, splits, strict=True):
        found[item.group].add(split)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_a_group_is_never_divided(seed: int) -> None:
    items = uneven(seed)
    splits = assign_splits(items, Split(seed=seed))
    assert len(splits) == len(items)
    assert all(len(found) == 1 for found in splits_of_groups(items, splits).values())
    assert set(splits) <= {"train", "val", "test"}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("val", "test"), [(0.2, 0.2), (0.1, 0.3), (0.0, 0.25), (0.3, 0.0)])
def test_every_label_is_divided_by_the_fractions(val: float, test: float, seed: int) -> None:
    # Each clip is its own group, and the labels differ much in size.
    items = [
        SplitItem(label, f"{label}{number}")
        for label, count in (("a", 100), ("b", 40), ("c", 20))
        for number in range(count)
    ]
    splits = assign_splits(items, Split(val, test, seed=seed))
    counts = Counter(zip((item.label for item in items), splits, strict=True))
    for label, total in (("a", 100), ("b", 40), ("c", 20)):
        assert counts[label, "val"] == pytest.approx(val * total, abs=1)
        assert counts[label, "test"] == pytest.approx(test * total, abs=1)
        assert (counts[label, "val"] == 0) == (val == 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_people_are_divided_six_two_two(seed: int) -> None:
    items = people(10)
    splits = splits_of_groups(items, assign_splits(items, Split(seed=seed)))
    assert Counter(next(iter(found)) for found in splits.values()) == {"train": 6, "val": 2, "test": 2}


def test_the_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    items = people(20)
    drawn = [assign_splits(items, Split(seed=seed)) for seed in SEEDS]
    assert drawn == [assign_splits(items, Split(seed=seed)) for seed in SEEDS]
    assert len({tuple(splits) for splits in drawn}) > len(SEEDS) // 2


def test_the_order_of_the_clips_does_not_matter() -> None:
    items = people(9)
    shuffled = random.Random(1).sample(items, len(items))
    assert splits_of_groups(items, assign_splits(items, Split())) == splits_of_groups(
        shuffled, assign_splits(shuffled, Split())
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_given_splits_are_kept_and_their_groups_stay_whole(seed: int) -> None:
    given = {"person0": "test", "person1": "val", "person2": "test"}
    items = [
        SplitItem(item.label, item.group, given.get(item.group, "") if index % 2 else "")
        for index, item in enumerate(people(8))
    ]
    splits = splits_of_groups(items, assign_splits(items, Split(seed=seed)))
    assert {group: splits[group] for group in given} == {group: {split} for group, split in given.items()}
    assert all(len(found) == 1 for found in splits.values())


def test_given_splits_that_divide_a_group_are_kept_and_warned_about() -> None:
    items = [SplitItem("a", "anna", "train"), SplitItem("a", "anna", "test"), *people(6)]
    splits = assign_splits(items, Split())
    assert splits[:2] == ["train", "test"]
    warnings = split_warnings(items, splits, Split())
    assert [warning for warning in warnings if "divide 1 group (such as 'anna')" in warning]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_label_with_one_clip_goes_to_training_with_a_warning(seed: int) -> None:
    items = [*people(8), SplitItem("rare", "stranger")]
    config = Split(seed=seed)
    splits = assign_splits(items, config)
    assert splits[-1] == "train"
    assert split_warnings(items, splits, config) == [
        "'rare' has only 1 clip, so there are none in val and test. Add clips of other people or sources."
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_two_groups_give_training_one_other_split_and_a_warning(seed: int) -> None:
    items = people(2, labels=2)
    config = Split(seed=seed)
    splits = assign_splits(items, config)
    assert "train" in splits
    assert len(set(splits)) == 2
    missing = ({"val", "test"} - set(splits)).pop()
    assert split_warnings(items, splits, config) == [
        f"'label{label}' has only 4 clips from 2 groups, so there are none in {missing}. "
        "Add clips of other people or sources."
        for label in range(2)
    ]


def test_a_good_split_gives_no_warning_nor_does_a_split_without_a_test() -> None:
    items = people(10)
    assert split_warnings(items, assign_splits(items, Split()), Split()) == []
    no_test = Split(0.2, 0.0)
    assert split_warnings(items, assign_splits(items, no_test), no_test) == []


def test_all_clips_may_be_training_clips() -> None:
    assert set(assign_splits(people(5), Split(0.0, 0.0))) == {"train"}


def test_thousands_of_groups_are_shared_out_as_asked() -> None:
    items = [SplitItem(f"label{number % 12}", f"g{number}") for number in range(4000)]
    splits = assign_splits(items, Split())
    assert Counter(splits) == pytest.approx({"train": 2400, "val": 800, "test": 800}, abs=24)


def test_no_clips_give_no_splits() -> None:
    assert assign_splits([], Split()) == []


@pytest.mark.parametrize(
    "settings",
    [{"val_fraction": -0.1}, {"test_fraction": 1.0}, {"val_fraction": 0.5, "test_fraction": 0.5}, {"seed": -1}],
)
def test_impossible_fractions_and_seeds_are_errors(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(reversed(settings))):
        resolve_prepare(PrepareSettings(Path("videos"), split=Split(**settings)))  # type: ignore[arg-type]
