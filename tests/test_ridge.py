"""The linear head's ridge regression, compared with a direct solution."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from activity_cli.training.ridge import solve_linear

CLASSES = 3
Clips = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32], list[str]]


def clips(count: int, width: int, noise: float = 1.0, seed: int = 0) -> Clips:
    """Values around a middle for each label, one-hot labels, weights, and groups of four."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(count) % CLASSES
    middles = np.random.default_rng(9).normal(size=(CLASSES, width))
    values = middles[numbers] + noise * rng.normal(size=(count, width)) + 5.0
    weights = rng.uniform(0.5, 2.0, count)
    groups = [f"group{number // 4}" for number in range(count)]
    return values.astype(np.float32), np.eye(CLASSES, dtype=np.float32)[numbers], weights.astype(np.float32), groups


@pytest.mark.parametrize("width", [5, 200])
def test_it_is_ridge_regression_times_one_factor(width: int) -> None:
    values, targets, weights, groups = clips(40, width)
    kernel, bias = solve_linear(values, targets, weights, groups)
    # Directly: minimize the weighted squares plus 0.03 of the mean square of a clip's centered values.
    counts = (weights / weights.mean()).astype(np.float64)
    mean, mean_label = np.average(values, 0, counts), np.average(targets, 0, counts)
    centered = values.astype(np.float64) - mean
    strength = 0.03 * np.average((centered**2).sum(axis=1), weights=counts)
    square = (centered.T * counts) @ centered + strength * np.eye(width)
    expected = np.linalg.solve(square, (centered.T * counts) @ (targets - mean_label))
    factor = np.linalg.norm(kernel) / np.linalg.norm(expected)
    assert 1 <= factor <= 40
    np.testing.assert_allclose(kernel, factor * expected, atol=1e-3 * np.abs(kernel).max())
    np.testing.assert_allclose(bias, factor * (mean_label - mean @ expected), rtol=1e-3, atol=1e-3)


def test_probabilities_are_as_high_as_the_share_of_unseen_clips_that_are_right() -> None:
    def confidence(noise: float) -> tuple[float, float]:
        kernel, bias = solve_linear(*clips(60, 100, noise))
        values, targets, *_ = clips(300, 100, noise, seed=1)
        logits = values @ kernel + bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        highest = (odds / odds.sum(axis=1, keepdims=True)).max(axis=1).mean()
        return float(highest), float((logits.argmax(axis=1) == targets.argmax(axis=1)).mean())

    for noise in (0.5, 4.0, 40.0):
        highest, right = confidence(noise)
        assert highest == pytest.approx(right, abs=0.15), noise


def test_smoothed_labels_keep_probabilities_below_one() -> None:
    easy = clips(60, 100, 0.1)
    logits = [easy[0] @ kernel + bias for kernel, bias in (solve_linear(*easy), solve_linear(*easy, 0.1))]
    highest = [1 / np.exp(rows - rows.max(axis=1, keepdims=True)).sum(axis=1).mean() for rows in logits]
    assert highest[0] > 0.99
    assert 0.8 < highest[1] < 0.97


def test_what_only_the_group_shows_gives_low_probabilities() -> None:
    # All clips of a group have one label and are near-duplicates; other groups of the label differ.
    rng = np.random.default_rng(2)
    scenes = rng.normal(size=(15, 50)).repeat(4, axis=0)
    values = (scenes + 0.01 * rng.normal(size=scenes.shape)).astype(np.float32)
    targets = np.eye(CLASSES, dtype=np.float32)[np.arange(60) // 4 % CLASSES]
    groups, alone = ([f"group{n // 4}" for n in range(60)], [f"group{n}" for n in range(60)])
    weights = np.ones(60, np.float32)
    (kernel, _), (unaware, _) = (solve_linear(values, targets, weights, names) for names in (groups, alone))
    assert np.linalg.norm(kernel) < 0.2 * np.linalg.norm(unaware)


def test_rare_labels_count_by_their_weights() -> None:
    rng = np.random.default_rng(3)
    numbers = np.array([0] * 90 + [1] * 10)
    values = (numbers[:, np.newaxis] * 0.7 + rng.normal(size=(100, 4))).astype(np.float32)
    targets, groups = np.eye(2, dtype=np.float32)[numbers], [str(n) for n in range(100)]
    found = []
    for weights in (np.ones(100), np.where(numbers, 5.0, 5 / 9)):
        kernel, bias = solve_linear(values, targets, weights.astype(np.float32), groups)
        found.append(((values @ kernel + bias).argmax(axis=1) == numbers)[numbers == 1].mean())
    assert found[1] > found[0] + 0.3


@pytest.mark.parametrize("groups", [["one", "one", "one"], ["a", "b", "b"], ["a", "b", "c"]])
def test_a_handful_of_clips_is_enough(groups: list[str]) -> None:
    values, targets, weights, _ = clips(3, 10)
    kernel, bias = solve_linear(values, targets, weights, groups)
    assert np.isfinite(kernel).all() and np.isfinite(bias).all()
    assert ((values @ kernel + bias).argmax(axis=1) == targets.argmax(axis=1)).all()


def test_clips_of_one_group_that_come_label_by_label_are_told_apart_with_confidence() -> None:
    values, targets, weights, _ = clips(30, 20, 0.1)
    order = np.argsort(targets.argmax(axis=1), kind="stable")
    ordered = (values[order], targets[order], weights[order])
    kernel, _ = solve_linear(*ordered, ["one"] * 30)
    confident, _ = solve_linear(*ordered, [str(number) for number in range(30)])
    assert np.linalg.norm(kernel) == pytest.approx(np.linalg.norm(confident), rel=0.3)


def test_two_clips_are_enough() -> None:
    values = np.array([[0, 1], [1, 0]], np.float32)
    kernel, bias = solve_linear(values, np.eye(2, dtype=np.float32), np.ones(2, np.float32), ["a", "a"])
    assert np.isfinite(kernel).all() and np.isfinite(bias).all()


def test_a_single_clip_gives_no_evidence_but_its_label() -> None:
    kernel, bias = solve_linear(
        np.ones((1, 4), np.float32), np.eye(2, dtype=np.float32)[:1], np.ones(1, np.float32), ["a"]
    )
    assert not kernel.any() and bias[0] > bias[1]


def test_identical_clips_give_the_frequencies_of_the_labels() -> None:
    _, targets, weights, groups = clips(12, 1)
    targets[3:] = targets[0]
    kernel, bias = solve_linear(np.full((12, 6), 3.0, np.float32), targets, weights, groups)
    assert not kernel.any() and np.isfinite(bias).all()
    assert bias.argmax() == 0


def test_a_label_without_clips_is_never_the_answer() -> None:
    values, targets, weights, groups = clips(30, 20)
    wider = np.concatenate([targets, np.zeros((30, 1), np.float32)], axis=1)
    kernel, bias = solve_linear(values, wider, weights, groups, 0.1)
    assert np.isfinite(kernel).all() and np.isfinite(bias).all()
    assert ((values @ kernel + bias).argmax(axis=1) == targets.argmax(axis=1)).all()
