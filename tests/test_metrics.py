"""Scores against scikit-learn, and simpler judges on features made for them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics as theirs

from activity_cli.evaluation.baselines import score_baselines
from activity_cli.evaluation.metrics import class_scores, confusion_matrix, macro_f1
from activity_cli.results import Baseline

LABELS = ("a", "b", "c", "d")
Numbers = npt.NDArray[np.int64]


@pytest.mark.parametrize("seed", range(20))
def test_scores_equal_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 60))
    # Few classes on some seeds, so that some never occur or are never answered.
    truth = rng.integers(0, rng.integers(1, 5), size)
    answer = np.where(rng.random(size) < 0.5, truth, rng.integers(0, rng.integers(1, 5), size))
    numbers = list(range(len(LABELS)))

    confusion = confusion_matrix(truth, answer, len(LABELS))
    scores = class_scores(confusion, LABELS)

    np.testing.assert_array_equal(confusion, theirs.confusion_matrix(truth, answer, labels=numbers))
    precision, recall, f1, support = theirs.precision_recall_fscore_support(
        truth, answer, labels=numbers, zero_division=0
    )
    found = np.array([(score.precision, score.recall, score.f1, score.support) for score in scores])
    np.testing.assert_allclose(found, np.stack([precision, recall, f1, support], axis=1), atol=1e-12)
    occurring = sorted(set(truth.tolist()))
    assert macro_f1(scores) == pytest.approx(
        theirs.f1_score(truth, answer, labels=occurring, average="macro", zero_division=0)
    )
    assert [score.label for score in scores] == list(LABELS)


def test_rows_are_the_truth_and_columns_the_answer() -> None:
    confusion = confusion_matrix(np.array([0, 0, 2]), np.array([1, 1, 2]), 3)
    np.testing.assert_array_equal(confusion, [[0, 2, 0], [0, 0, 0], [0, 0, 1]])


def test_scores_of_nothing_are_zero() -> None:
    scores = class_scores(confusion_matrix(np.array([], int), np.array([], int), 4), LABELS)
    assert {(score.precision, score.recall, score.f1, score.support) for score in scores} == {(0.0, 0.0, 0.0, 0)}
    assert macro_f1(scores) == 0


def judged(train: tuple[list[np.ndarray], Numbers], test: tuple[list[np.ndarray], Numbers]) -> dict[str, Baseline]:
    return {baseline.name: baseline for baseline in score_baselines(*train, *test, LABELS[:2])}


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
    found = judged((train_features, train_numbers), (test_features, test_numbers))["majority_class"]
    assert found.accuracy == 0.25
    assert found.macro_f1 == pytest.approx(0.5 * 2 * 2 / (2 + 8))
    assert found.reason == ""


def test_frames_without_their_order_cannot_tell_what_differs_only_in_order() -> None:
    found = judged(clips("order", 200, 2), clips("order", 200, 3))
    assert found["frame_average"].accuracy == pytest.approx(0.5, abs=0.12)
    assert found["middle_frame"].accuracy == pytest.approx(0.5, abs=0.12)
    # The difference of its halves is an order of a kind.
    assert found["frame_statistics"].accuracy is not None
    assert found["frame_statistics"].accuracy > 0.9


def test_the_frame_average_uses_all_frames() -> None:
    found = judged(clips("average", 200, 4), clips("average", 200, 5))
    assert found["frame_average"].accuracy is not None
    assert found["frame_average"].accuracy > 0.97
    assert found["middle_frame"].accuracy is not None
    assert found["frame_average"].accuracy >= found["middle_frame"].accuracy


def test_the_middle_frame_is_the_middle_one() -> None:
    found = judged(clips("middle", 200, 6), clips("middle", 200, 7))
    assert found["middle_frame"].accuracy == 1.0
    assert found["frame_average"].accuracy is not None
    assert found["frame_average"].accuracy < 0.9


def test_without_training_clips_the_judges_say_why_they_have_no_score() -> None:
    found = judged(([], np.array([], np.int64)), clips("average", 4, 8))
    assert set(found) == {"majority_class", "middle_frame", "frame_average", "frame_statistics"}
    for baseline in found.values():
        assert baseline.accuracy is None
        assert baseline.macro_f1 is None
        assert baseline.reason


def test_training_clips_of_one_activity_give_that_answer() -> None:
    features, _ = clips("average", 6, 9)
    found = judged((features, np.ones(6, np.int64)), clips("average", 10, 10))
    assert {baseline.accuracy for baseline in found.values()} == {0.5}


def test_nothing_of_the_judged_clips_is_used() -> None:
    train, (features, numbers) = clips("average", 40, 11), clips("average", 20, 12)
    alone = [judged(train, ([one], numbers[i : i + 1]))["frame_average"].accuracy for i, one in enumerate(features)]
    assert np.mean(alone) == judged(train, (features, numbers))["frame_average"].accuracy
