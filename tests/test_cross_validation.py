"""Which heads and streams are chosen by out-of-fold answers, and which clips are in which fold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from activity_cli.training.cross_validation import Candidate, Choice, Scorer, answerable, choose, group_folds

NUM_CLIPS, CLASSES = 300, 4
TRUTH = np.arange(NUM_CLIPS) % CLASSES
ALIKE = np.ones(NUM_CLIPS, np.float32)
Floats = npt.NDArray[np.float32]

APPEARANCE, MOTION = (Candidate(name, (name,), "linear") for name in ("appearance", "motion"))
POSE, POSE_RECURRENT = (Candidate("pose", ("pose",), kind) for kind in ("linear", "recurrent"))
WITH_HANDS = Candidate("pose", ("pose", "hands"), "recurrent")


def answers(
    right: float, seed: int, *, known: tuple[int, ...] = tuple(range(CLASSES)), certainty: float = 3.0
) -> Floats:
    """Log probabilities for the clips: of the ``known`` labels so many are right, of the others chance decides."""
    rng = np.random.default_rng(seed)
    said = np.where(
        (rng.random(NUM_CLIPS) < right) & np.isin(TRUTH, known), TRUTH, rng.integers(CLASSES, size=NUM_CLIPS)
    )
    scores = certainty * np.eye(CLASSES)[said] + rng.normal(scale=0.3, size=(NUM_CLIPS, CLASSES))
    scores[~np.isin(TRUTH, known)] /= 10  # it knows that it does not know
    return as_log_probabilities(scores)


def as_log_probabilities(scores: npt.NDArray[np.float64]) -> Floats:
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)), np.float32)


def chosen(found: dict[Candidate, Floats]) -> Choice:
    return choose(found, TRUTH, ALIKE)


def accuracy(logs: Floats) -> float:
    return float(np.mean(logs.argmax(axis=1) == TRUTH))


def test_a_stream_of_noise_is_dropped() -> None:
    choice = chosen({APPEARANCE: answers(0.0, 1), MOTION: answers(0.0, 2), POSE: answers(0.8, 3)})
    assert list(choice.weights) == list(choice.accuracy) == [POSE]


def test_streams_of_noise_are_dropped_whatever_they_seem_to_add_by_chance() -> None:
    rng, pose = np.random.default_rng(0), answers(0.8, 3)
    for _ in range(20):
        noise = [as_log_probabilities(rng.normal(size=(NUM_CLIPS, CLASSES))) for _ in range(2)]
        assert list(chosen({APPEARANCE: noise[0], MOTION: noise[1], POSE: pose}).weights) == [POSE]


def test_streams_that_all_know_nothing_give_equal_probabilities() -> None:
    choice = chosen({APPEARANCE: answers(0.0, 1), MOTION: answers(0.0, 2)})
    assert choice.weights
    assert np.exp(choice.log_probabilities).max() < 0.5


def test_streams_that_each_know_half_of_the_labels_are_added_up() -> None:
    first, second = answers(0.95, 1, known=(0, 1)), answers(0.95, 2, known=(2, 3))
    choice = chosen({APPEARANCE: first, POSE: second, MOTION: answers(0.0, 3)})
    assert set(choice.weights) == {APPEARANCE, POSE}
    assert choice.accuracy[APPEARANCE] == pytest.approx(accuracy(first))
    together = accuracy(choice.log_probabilities)
    assert together > 0.8 > 0.7 > max(choice.accuracy.values())


def test_the_weighted_sum_of_the_answers_is_what_the_choice_says() -> None:
    found = {APPEARANCE: answers(0.95, 1, known=(0, 1)), POSE: answers(0.95, 2, known=(2, 3))}
    choice = chosen(found)
    total = np.sum([weight * found[one] for one, weight in choice.weights.items()], axis=0)
    np.testing.assert_allclose(choice.log_probabilities, as_log_probabilities(total), atol=1e-5)


def test_the_better_kind_of_head_reads_a_stream() -> None:
    for better, worse in ((POSE, POSE_RECURRENT), (POSE_RECURRENT, POSE)):
        assert list(chosen({worse: answers(0.6, 1), better: answers(0.8, 2)}).weights) == [better]


def changed(logs: Floats, *, right: int = 0, wrong: int = 0, label: int | None = None) -> Floats:
    """The same answers, but so many that were wrong are right, and so many that were right are wrong."""
    logs = logs.copy()
    is_right = logs.argmax(axis=1) == TRUTH
    for among, count, said in ((~is_right, right, TRUTH), (is_right, wrong, (TRUTH + 1) % CLASSES)):
        places = np.flatnonzero(among if label is None else among & (label == TRUTH))[:count]
        assert len(places) == count
        logs[places] = as_log_probabilities(3.0 * np.eye(CLASSES)[said[places]])
    return logs


@pytest.mark.parametrize(("right", "wrong", "kept"), [(3, 2, POSE), (30, 2, WITH_HANDS)])
def test_hands_are_read_only_where_they_are_clearly_better(right: int, wrong: int, kept: Candidate) -> None:
    without = answers(0.8, 1)
    found = {POSE: without, WITH_HANDS: changed(without, right=right, wrong=wrong)}
    assert list(chosen(found).weights) == [kept]


@pytest.mark.parametrize("order", [(APPEARANCE, MOTION), (MOTION, APPEARANCE)])
@pytest.mark.parametrize("seed", range(3))
def test_streams_that_are_about_equally_good_are_kept(order: tuple[Candidate, ...], seed: int) -> None:
    logs = answers(0.8, 1)
    shaken = logs + np.random.default_rng(seed).normal(scale=0.01, size=logs.shape).astype(np.float32)
    found = {APPEARANCE: logs, MOTION: shaken}
    assert set(chosen({one: found[one] for one in order}).weights) == {APPEARANCE, MOTION}


def test_a_stream_without_which_the_others_are_clearly_better_is_dropped() -> None:
    half, other_half = answers(0.95, 1, known=(0, 1)), answers(0.95, 2, known=(2, 3))
    # Better alone by what the other stream knows already.
    found = {
        APPEARANCE: half,
        MOTION: other_half,
        POSE: changed(changed(other_half, right=8, label=0), wrong=2, label=3),
    }
    scorer = Scorer(TRUTH, ALIKE)
    losses = {one: scorer.loss(scorer.scaled(logs)) for one, logs in found.items()}
    assert losses[POSE] < losses[MOTION]
    assert set(chosen(found).weights) == {APPEARANCE, MOTION}


def test_no_mistake_is_no_reason_to_be_certain() -> None:
    choice = chosen({POSE: as_log_probabilities(50.0 * np.eye(CLASSES)[TRUTH])})
    highest = np.exp(choice.log_probabilities).max(axis=1)
    assert accuracy(choice.log_probabilities) == 1
    assert (highest > 0.9).all() and (highest < 0.99).all()


@pytest.mark.parametrize("certainty", [0.01, 1.0, 30.0])
def test_answers_become_as_certain_as_they_are_right(certainty: float) -> None:
    choice = chosen({POSE: answers(0.6, 1, certainty=certainty) if certainty > 0.1 else certainty * answers(0.6, 1)})
    (weight,) = choice.weights.values()
    assert 0 < weight <= 100
    highest = np.exp(choice.log_probabilities).max(axis=1).mean()
    assert highest == pytest.approx(choice.accuracy[POSE], abs=0.1)


def test_the_same_answers_give_the_same_choice() -> None:
    found = {POSE: answers(0.7, 1), MOTION: answers(0.7, 2), WITH_HANDS: answers(0.7, 3)}
    first, second = (chosen(found) for _ in range(2))
    assert first.weights == second.weights
    np.testing.assert_array_equal(first.log_probabilities, second.log_probabilities)


def test_clips_that_count_more_decide() -> None:
    right_for_rare = answers(0.95, 1, known=(3,))
    right_for_others = answers(0.95, 2, known=(0, 1, 2))
    weights = np.where(TRUTH == 3, 1000.0, 1.0).astype(np.float32)
    choice = choose({APPEARANCE: right_for_others, POSE: right_for_rare}, TRUTH, weights)
    assert list(choice.weights) == [POSE]


def test_a_single_clip_is_enough() -> None:
    logs = as_log_probabilities(np.array([[2.0, 0.0]]))
    choice = choose({POSE: logs, MOTION: logs[:, ::-1]}, np.array([0]), np.ones(1, np.float32))
    assert POSE in choice.weights and np.isfinite(choice.log_probabilities).all()


def test_the_scorer_finds_the_factor_with_the_lowest_loss() -> None:
    scorer, logs = Scorer(TRUTH, ALIKE), answers(0.7, 1)
    factor = scorer.factor(logs)
    assert scorer.loss(factor * logs) <= min(scorer.loss(other * logs) for other in (0.5 * factor, factor * 1.5))
    np.testing.assert_allclose(np.exp(scorer.scaled(logs)).sum(axis=1), 1, atol=1e-5)
    # The loss of equal probabilities, whatever the label.
    assert scorer.loss(np.zeros((NUM_CLIPS, CLASSES), np.float32)) == pytest.approx(np.log(CLASSES), rel=1e-5)


def test_better_means_by_more_than_a_standard_error() -> None:
    scorer, logs = Scorer(TRUTH, ALIKE), answers(0.7, 1)
    assert not scorer.is_better(logs, logs)
    assert scorer.is_better(answers(0.9, 2), logs) and not scorer.is_better(logs, answers(0.9, 2))
    assert not scorer.is_better(answers(0.7, 3), logs) or not scorer.is_better(logs, answers(0.7, 3))


def test_far_behind_and_without_a_mistake_are_said_of_some_clips_only() -> None:
    scorer, some = Scorer(TRUTH, ALIKE), np.arange(100)
    good = answers(1.0, 1)
    bad = good.copy()
    bad[100:] = bad[100:, ::-1]
    assert not scorer.is_far_behind(bad, good, some)
    assert scorer.is_far_behind(bad, good, np.arange(100, NUM_CLIPS))
    assert scorer.make_no_mistake([bad], some) and not scorer.make_no_mistake([bad], np.arange(NUM_CLIPS))
    # Two streams make none together.
    halves = [answers(1.0, 2, known=(0, 1)), answers(1.0, 3, known=(2, 3))]
    assert scorer.make_no_mistake(halves, np.arange(NUM_CLIPS))
    assert not any(scorer.make_no_mistake([half], np.arange(NUM_CLIPS)) for half in halves)


def folds_of(labels: str, groups: str, seed: int = 0) -> list[tuple[set[int], set[int]]]:
    folds = [(set(train.tolist()), set(test.tolist())) for train, test in group_folds(list(labels), list(groups), seed)]
    everything = set(range(len(labels)))
    assert sorted(number for _, test in folds for number in test) == sorted(everything), (
        "each clip is answered for once"
    )
    for train, test in folds:
        assert train and test and train == everything - test
    return folds


def test_a_group_is_never_in_two_folds() -> None:
    groups = "".join(letter * 3 for letter in "ABCDEFGH")
    folds = folds_of("xyz" * 8, groups)
    assert len(folds) == 3
    for train, test in folds:
        assert not {groups[number] for number in train} & {groups[number] for number in test}
    assert folds == folds_of("xyz" * 8, groups) != folds_of("xyz" * 8, groups, seed=1)


def test_labels_are_spread_over_the_folds() -> None:
    labels = "x" * 9 + "y" * 9
    for _, test in folds_of(labels, "ABCDEFGHIJKLMNOPQR"):
        assert sorted(labels[number] for number in test) == ["x"] * 3 + ["y"] * 3


@pytest.mark.parametrize(
    ("labels", "groups", "count"),
    [
        ("xxxyyy", "AAAAAA", 3),  # one group: each clip is one of its own
        ("xxxyyy", "AAABBB", 2),  # each label in a group of its own
        ("xxyxyyyy", "AABABBBB", 2),
        ("xxxxyyzz", "ABCDEEFF", 3),  # a label that is in one group only
        ("xxyy", "ABCD", 3),  # fewer clips of each label than folds
        ("xyz", "ABC", 3),
        ("xy", "AB", 2),
        ("xy", "AA", 2),
    ],
)
def test_few_clips_and_few_groups_have_folds(labels: str, groups: str, count: int) -> None:
    assert len(folds_of(labels, groups)) == count


def test_clips_of_a_label_in_one_group_are_not_answered_for() -> None:
    # No head of the fold without that group has seen the label: its answers would be certain and wrong.
    labels = ["a", "b"] * 6 + ["alone"] * 3
    groups = [f"person{number // 2}" for number in range(12)] + ["person0"] * 3
    folds = answerable(group_folds(labels, groups, 0), labels)
    answered = np.sort(np.concatenate([test for _, test in folds]))
    assert answered.tolist() == list(range(12))
    assert all({labels[number] for number in test} <= {labels[number] for number in train} for train, test in folds)
