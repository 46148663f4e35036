"""The linear layer beside the recurrent network, solved for: weights that no training finds as well.

Ridge regression on the labels (Hoerl and Kennard 1970), whose scores become logits by one factor. It counts a
number by how little it differs among clips of one label, where logistic regression asks only for what tells
labels apart (docs/measurements.md has what that is worth).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["solve_linear"]

Numbers = npt.NDArray[np.float64]

# Of the usual square of a clip's numbers. From a third to three times as much makes no difference.
_STRENGTH = 0.03
# Where no number varies.
_SMALLEST_USUAL = 1e-6
_FOLDS = 5
# Scores are about 0 and 1: from where nothing tells the label to where all is certain.
_FACTORS = tuple(float(factor) for factor in np.geomspace(1.0, 40.0, 30))


def solve_linear(
    values: npt.NDArray[np.float32],
    targets: npt.NDArray[np.float32],
    weights: npt.NDArray[np.float32],
    groups: Sequence[str],
    label_smoothing: float = 0.0,
) -> tuple[Numbers, Numbers]:
    """Weights of a linear layer from what is known of each clip to logits.

    Args:
        values: ``[N, S]``, on one scale.
        targets: ``[N, classes]``, 1 at the clip's label.
        weights: How much each clip counts, ``[N]``.
        groups: Which clips belong together, ``N`` names: how sure the logits are is measured on groups
            that the solution has not seen.
        label_smoothing: Share of each target that is spread over all classes, so that labels that are
            told without an error are no reason to be certain.

    Returns:
        Kernel ``[S, classes]`` and bias ``[classes]``.
    """
    # A shift of all values changes no solution, and keeps the products small.
    shift = values.mean(axis=0, dtype=np.float64)
    shifted = (values - shift).astype(np.float32)
    products = (shifted @ shifted.T).astype(np.float64)
    labels, counts = targets.astype(np.float64), weights / weights.mean(dtype=np.float64)
    unseen = np.zeros_like(labels)
    for held in _folds(groups):
        told = ~held
        duals, mean_label = _duals(products[np.ix_(told, told)], labels[told], counts[told])
        # The duals of each label sum to zero over clips, so that only the middle of the told clips is missing.
        share = counts[told] / counts[told].sum()
        middle = share @ products[np.ix_(told, told)] @ duals
        unseen[held] = mean_label + products[np.ix_(held, told)] @ duals - middle
    factor = _factor(unseen, labels * (1 - label_smoothing) + label_smoothing / labels.shape[1], counts)
    duals, mean_label = _duals(products, labels, counts)
    kernel = (shifted.T @ duals.astype(np.float32)).astype(np.float64)
    middle = (counts / counts.sum()) @ shifted + shift
    return factor * kernel, factor * (mean_label - middle @ kernel)


def _duals(products: Numbers, labels: Numbers, counts: Numbers) -> tuple[Numbers, Numbers]:
    """The solution as a weight for each clip ``[N, classes]``, and the labels' mean."""
    share = counts / counts.sum()
    rows = products @ share
    centered = products - rows[:, np.newaxis] - rows + share @ rows
    mean_label = share @ labels
    root: Numbers = np.sqrt(counts)[:, np.newaxis]
    square: Numbers = root * centered * root.T
    usual = max(float(np.trace(square)) / len(square), _SMALLEST_USUAL)
    square[np.diag_indices_from(square)] += _STRENGTH * usual
    duals = root * np.linalg.solve(square, root * (labels - mean_label))
    return duals - share[:, np.newaxis] * duals.sum(axis=0), mean_label


def _folds(groups: Sequence[str]) -> list[npt.NDArray[np.bool_]]:
    """Which clips each fold holds out: whole groups, or where there is one group only, single clips."""
    names, group = np.unique(groups, return_inverse=True)
    numbers = group if len(names) > 1 else np.arange(len(group))
    folds = numbers % min(_FOLDS, numbers.max() + 1)
    return [folds == fold for fold in range(folds.max() + 1)]


def _factor(scores: Numbers, labels: Numbers, counts: Numbers) -> float:
    """By which scores become logits that are as sure as they are right."""

    def likelihood(factor: float) -> float:
        logits = factor * scores
        peak = logits.max(axis=1, keepdims=True)
        total = peak[:, 0] + np.log(np.exp(logits - peak).sum(axis=1))
        return float(counts @ ((logits * labels).sum(axis=1) - total))

    return max(_FACTORS, key=likelihood)
