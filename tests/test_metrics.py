"""The scores of answers, and baselines on features made for them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from activity_cli.evaluation.baselines import baseline_answers, score_baselines
from activity_cli.evaluation.metrics import class_scores, confusion_matrix, macro_f1
from activity_cli.progress import SilentProgress, Stage
from activity_cli.results import Baseline

LABELS = ("a", "b", "c", "d")
Numbers = npt.NDArray[np.int64]
Clips = tuple[list[np.ndarray], Numbers]


def test_scores_of_each_label_are_zero_if_it_is_never_answered_and_missing_without_clips() -> None:
    truth, answers = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 3, 3])
    scores = class_scores(truth, answers, LABELS)
    found = {score.label: (score.precision, score.recall, score.f1, score.support) for score in scores}
    assert found == {
        "a": (1.0, pytest.approx(2 / 3), pytest.approx(0.8), 3),
        "b": (0.5, 0.5, 0.5, 2),
        "c": (0.0, 0.0, 0.0, 1),  # never answered
        "d": (None, None, None, 0),  # never true
    }
    # Over the labels that occur.
    assert macro_f1(scores) == pytest.approx((0.8 + 0.5 + 0) / 3)


def test_rows_are_the_truth_and_columns_the_answers() -> None:
    assert confusion_matrix(np.array([0, 0, 2]), np.array([1, 1, 2]), 3) == ((0, 2, 0), (0, 0, 0), (0, 0, 1))


def scored(train: tuple[list[np.ndarray], Numbers], test: tuple[list[np.ndarray], Numbers]) -> dict[str, Baseline]:
    """The baselines on one stream."""
    both = [([{"pose": one} for one in features], numbers) for features, numbers in (train, test)]
    return {baseline.name: baseline for baseline in score_baselines(*both[0], *both[1], LABELS[:2])}


def clips(kind: str, count: int, seed: int) -> tuple[list[np.ndarray], Numbers]:
    """Features of two activities that differ in their ``order``, ``average``, ``middle`` or in ``nothing``."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(count) % 2
    found = []
    for number in numbers:
        length = int(rng.integers(2, 5)) * 2 + 1
        frames = rng.normal(size=(length, 6))
        sign = 2.0 * number - 1
        if kind == "order":
            ramp = np.linspace(-3, 3, length)[:, np.newaxis] * sign
            frames = frames - frames.mean(axis=0) + ramp
            frames[length // 2] = rng.normal(size=6)
            frames[0] -= frames.sum(axis=0)  # the frames of every clip have the same average
        elif kind == "average":
            frames += sign
        elif kind == "middle":
            frames *= 10
            frames[length // 2] = rng.normal(size=6) * 0.1 + sign
        found.append(frames.astype(np.float32))
    return found, numbers


def test_the_majority_class_is_that_of_the_training_clips() -> None:
    train_features, _ = clips("nothing", 10, 0)
    test_features, _ = clips("nothing", 8, 1)
    train_numbers = np.array([1] * 6 + [0] * 4)
    test_numbers = np.array([1] * 2 + [0] * 6)
    found = scored((train_features, train_numbers), (test_features, test_numbers))["majority_class"]
    assert found.accuracy == 0.25
    assert found.macro_f1 == pytest.approx(0.5 * 2 * 2 / (2 + 8))
    assert found.reason == ""


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("order", "frame_statistics", ["frame_average", "middle_frame"]),
        ("average", "frame_average", []),
        ("middle", "middle_frame", ["frame_average"]),
    ],
)
def test_each_baseline_uses_what_it_says(kind: str, right: str, wrong: list[str]) -> None:
    found = {
        name: baseline.accuracy or 0 for name, baseline in scored(clips(kind, 200, 2), clips(kind, 200, 3)).items()
    }
    assert found[right] > 0.9
    for name in wrong:
        assert found[name] < found[right] - 0.1
        if kind == "order":
            assert found[name] == pytest.approx(0.5, abs=0.12)


def test_each_stream_is_scored_alone_and_all_together() -> None:
    """One stream tells half of the activities apart, the other one the rest."""

    def four(count: int, seed: int) -> tuple[list[dict[str, np.ndarray]], Numbers]:
        rng, numbers = np.random.default_rng(seed), np.arange(count) % 4
        signs = [(2.0 * (number % 2) - 1, 2.0 * (number // 2) - 1) for number in numbers]
        return [
            # Streams may have different numbers of frames, and numbers of another size.
            {"motion": rng.normal(a, 0.3, (5, 3)).astype("f"), "pose": 1000 * rng.normal(b, 0.3, (8, 4)).astype("f")}
            for a, b in signs
        ], numbers

    # Read once, as from a disk.
    (train, train_numbers), (test, numbers) = four(80, 0), four(80, 1)
    found = {one.name: one.accuracy for one in score_baselines(iter(train), train_numbers, iter(test), numbers, LABELS)}
    assert list(found) == [
        "majority_class", "middle_frame", "frame_average", "frame_statistics", "motion_statistics", "pose_statistics",
    ]  # fmt: skip
    assert found["frame_statistics"] == 1
    assert max(found["motion_statistics"] or 0, found["pose_statistics"] or 0) < 0.75


def test_a_stream_of_many_numbers_does_not_drown_one_of_few() -> None:
    def wide(count: int, seed: int) -> tuple[list[dict[str, np.ndarray]], Numbers]:
        rng, numbers = np.random.default_rng(seed), np.arange(count) % 2
        noisy = [rng.normal(0, 1, (4, 2000)).astype("f") for _ in numbers]
        telling = [rng.normal(2.0 * number - 1, 1.5, (4, 3)).astype("f") for number in numbers]
        return [{"appearance": a, "pose": b} for a, b in zip(noisy, telling, strict=True)], numbers

    found = {one.name: one.accuracy or 0 for one in score_baselines(*wide(40, 0), *wide(80, 1), LABELS[:2])}
    assert found["frame_average"] > 0.75
    assert found["appearance_statistics"] < 0.65


def test_without_training_clips_the_baselines_say_why_they_have_no_score() -> None:
    found = scored(([], np.array([], np.int64)), clips("average", 4, 8))
    assert set(found) == {"majority_class", "middle_frame", "frame_average", "frame_statistics"}
    for baseline in found.values():
        assert (baseline.accuracy, baseline.macro_f1) == (None, None)
        assert baseline.reason


def test_training_clips_of_one_activity_give_that_answer() -> None:
    features, _ = clips("average", 6, 9)
    found = scored((features, np.ones(6, np.int64)), clips("average", 10, 10))
    assert {baseline.accuracy for baseline in found.values()} == {0.5}


def test_baselines_are_not_fitted_to_the_clips_that_they_are_scored_on() -> None:
    train, (features, numbers) = clips("average", 40, 11), clips("average", 6, 12)
    alone = [scored(train, ([one], numbers[i : i + 1]))["frame_average"].accuracy for i, one in enumerate(features)]
    assert np.mean(alone) == scored(train, (features, numbers))["frame_average"].accuracy


def test_a_clip_of_one_frame_is_scored() -> None:
    one = ([np.ones((1, 6), np.float32)], np.array([0]))
    assert all(baseline.accuracy is not None for baseline in scored(clips("average", 20, 13), one).values())


class Stages(SilentProgress):
    """Keeps the titles of the stages and how far they came."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self.totals: dict[str, int | None] = {}

    def stage(self, title: str, total: int | None, unit: str) -> AbstractContextManager[Stage]:
        self.totals[title], self.done[title] = total, 0
        self.title = title
        return super().stage(title, total, unit)

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.done[self.title] += amount


def cached(train: Clips, test: Clips, cache: Path) -> dict[str, list[int]]:
    """The answers of the regressions on two streams."""
    both = [([{"pose": one, "motion": one[:, :3]} for one in some], numbers) for some, numbers in (train, test)]
    found = baseline_answers(*both[0], both[1][0], cache)
    return {name: answers.tolist() for name, answers in found.items() if answers is not None}


def times_of(cache: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in cache.glob("*.npy")}


def test_answers_of_baselines_are_kept_and_others_are_never_taken_for_them(tmp_path: Path) -> None:
    train, test = clips("average", 40, 14), clips("average", 10, 15)
    first = cached(train, test, tmp_path)
    kept = times_of(tmp_path)
    assert len(kept) == len(first) - 1 == 5, "of all but the majority class"
    assert cached(train, test, tmp_path) == first
    assert times_of(tmp_path) == kept
    # One number of one clip, or one label, and the answers are computed from these.
    other = [one.copy() for one in test[0]]
    other[3] -= 2 * other[3].mean()
    assert cached(train, (other, test[1]), tmp_path)["frame_average"][3] == 1 - first["frame_average"][3]
    flipped = cached((train[0], 1 - train[1]), test, tmp_path)
    assert flipped["frame_average"] == [1 - answer for answer in first["frame_average"]]
    assert len(times_of(tmp_path)) == 15


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: np.save(path, 1 - np.load(path)),
        lambda path: path.with_suffix(".proof").unlink(),
        lambda path: path.with_suffix(".proof").write_text("0" * 64),
    ],
)
def test_answers_of_baselines_that_were_changed_are_computed_again(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    train, test = clips("average", 40, 16), clips("average", 10, 17)
    first = cached(train, test, tmp_path)
    for path in tmp_path.glob("*.npy"):
        spoil(path)
    assert cached(train, test, tmp_path) == first


def test_fitting_baselines_is_shown(tmp_path: Path) -> None:
    (train, train_numbers), (test, numbers) = clips("average", 20, 18), clips("average", 6, 19)
    progress = Stages()
    score_baselines(
        [{"pose": one} for one in train],
        train_numbers,
        [{"pose": one} for one in test],
        numbers,
        LABELS[:2],
        tmp_path,
        progress,
    )
    assert progress.totals == {"Reading clips": None, "Fitting baselines": 3}
    assert progress.done == {"Reading clips": 26, "Fitting baselines": 3}
