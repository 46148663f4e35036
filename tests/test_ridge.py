"""The linear head that is solved for: a ridge regression with a temperature."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import Ridge

from activity_cli.training.ridge import solve_linear

CLASSES = 3


def clips(
    count: int, width: int, noise: float = 1.0, seed: int = 0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32], list[str]]:
    """Values around a middle for each label, labels, weights, and groups of four."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(count) % CLASSES
    middles = np.random.default_rng(9).normal(size=(CLASSES, width))
    values = middles[numbers] + noise * rng.normal(size=(count, width)) + 5.0
    weights = rng.uniform(0.5, 2.0, count)
    groups = [f"group{number // 4}" for number in range(count)]
    return values.astype(np.float32), np.eye(CLASSES, dtype=np.float32)[numbers], weights.astype(np.float32), groups


@pytest.mark.parametrize("width", [5, 200])
def test_it_is_ridge_regression_up_to_one_factor(width: int) -> None:
    values, targets, weights, groups = clips(40, width)
    kernel, bias = solve_linear(values, targets, weights, groups)
    share = weights / weights.sum()
    away = values - share @ values
    usual = (weights / weights.mean() * np.square(away).sum(axis=1)).mean()
    theirs = Ridge(0.03 * usual, solver="cholesky").fit(
        values.astype(float), targets, sample_weight=weights / weights.mean()
    )
    factor = np.linalg.norm(kernel) / np.linalg.norm(theirs.coef_)
    assert 1 <= factor <= 40
    np.testing.assert_allclose(kernel, factor * theirs.coef_.T, atol=1e-3 * np.abs(kernel).max())
    np.testing.assert_allclose(bias, factor * theirs.intercept_, rtol=1e-3, atol=1e-3)


def test_logits_are_as_sure_as_they_are_right_on_unseen_groups() -> None:
    def certainty(noise: float) -> tuple[float, float]:
        kernel, bias = solve_linear(*clips(60, 100, noise))
        values, targets, *_ = clips(300, 100, noise, seed=1)
        logits = values @ kernel + bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        sure = (odds / odds.sum(axis=1, keepdims=True)).max(axis=1).mean()
        return float(sure), float((logits.argmax(axis=1) == targets.argmax(axis=1)).mean())

    for noise in (0.5, 4.0, 40.0):
        sure, right = certainty(noise)
        assert sure == pytest.approx(right, abs=0.15), noise


def test_smoothed_labels_are_no_reason_to_be_certain() -> None:
    known = clips(60, 100, 0.1)
    logits = [known[0] @ kernel + bias for kernel, bias in (solve_linear(*known), solve_linear(*known, 0.1))]
    sure = [1 / np.exp(rows - rows.max(axis=1, keepdims=True)).sum(axis=1).mean() for rows in logits]
    assert sure[0] > 0.99
    assert 0.8 < sure[1] < 0.97


def test_labels_that_are_tied_to_their_group_are_answered_with_doubt() -> None:
    # All clips of a group have one label, and look alike; other groups of the label look otherwise.
    rng = np.random.default_rng(2)
    pictures = rng.normal(size=(15, 50)).repeat(4, axis=0)
    values = (pictures + 0.01 * rng.normal(size=pictures.shape)).astype(np.float32)
    targets = np.eye(CLASSES, dtype=np.float32)[np.arange(60) // 4 % CLASSES]
    grouped, alone = ([f"group{n // 4}" for n in range(60)], [f"group{n}" for n in range(60)])
    weights = np.ones(60, np.float32)
    (kernel, _), (unaware, _) = (solve_linear(values, targets, weights, groups) for groups in (grouped, alone))
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


def test_values_that_never_vary_say_nothing() -> None:
    _, targets, weights, groups = clips(12, 1)
    kernel, bias = solve_linear(np.full((12, 6), 3.0, np.float32), targets, weights, groups)
    assert np.isfinite(kernel).all() and np.isfinite(bias).all()
    assert not kernel.any()
