"""The linear head, solved for: ridge regression on one-hot labels (Hoerl and Kennard 1970).

Its scores become log probabilities by one factor (temperature scaling: Guo et al. 2017), which is found on groups that
the solution has not seen. Ridge regression counts a number by how little it differs among clips of one label, where
logistic regression asks only for what separates the labels; docs/measurements.md has what that is worth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["solve_linear"]

Numbers = npt.NDArray[np.float64]

# Of the mean square of a clip's numbers. From a third to three times as much makes no difference.
_STRENGTH = 0.03
_FOLDS = 5
# Scores are about 0 and 1: from no evidence for any label to certainty.
_FACTORS = tuple(float(factor) for factor in np.geomspace(1.0, 40.0, 30))
# Directions in which clips differ by less, in parts of the largest, are rounding.
_MIN_VARIANCE = 1e-10


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
        groups: The group of each clip.
        label_smoothing: Share of each target that is spread over all classes, so that labels that are predicted
            without an error are no reason to be certain.

    Returns:
        Kernel ``[S, classes]`` and bias ``[classes]``.
    """
    from scipy.special import log_softmax  # here, because scikit-learn takes a second to load
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GroupKFold, cross_val_predict

    counts = weights / weights.mean(dtype=np.float64)
    rotated, rotation, mean = _rotate(values)
    spread = rotated - np.average(rotated, axis=0, weights=counts)
    usual = float(np.average((spread**2).sum(axis=1), weights=counts))
    ridge = Ridge(alpha=max(_STRENGTH * usual, np.finfo(np.float64).tiny), solver="cholesky")
    # Of one group only, each clip stands for itself. Either way a fold has something of every label: clips come label
    # by label, and neighbors go to different folds.
    apart = list(groups) if len(set(groups)) > 1 else list(map(str, range(len(values))))
    unseen = np.zeros(targets.shape)  # of a single clip
    if len(values) > 1:
        folds = GroupKFold(min(_FOLDS, len(set(apart))))
        unseen = cross_val_predict(ridge, rotated, targets, groups=apart, cv=folds, params={"sample_weight": counts})
    smooth = targets * (1 - label_smoothing) + label_smoothing / targets.shape[1]
    factor = max(_FACTORS, key=lambda one: counts @ (smooth * log_softmax(one * unseen, axis=1)).sum(axis=1))
    ridge.fit(rotated, targets, sample_weight=counts)
    kernel = rotation @ ridge.coef_.T
    return factor * kernel, factor * (ridge.intercept_ - mean @ kernel)


def _rotate(values: npt.NDArray[np.float32]) -> tuple[Numbers, Numbers, Numbers]:
    """The same clips in as many numbers as there are clips: a ridge regression on these is the same, and fast.

    Returns:
        The clips ``[N, R]``, the directions ``[S, R]``, and the mean ``[S]``: ``(values - mean) @ directions``.
    """
    mean = values.mean(axis=0, dtype=np.float64)
    centered = (values - mean).astype(np.float32)
    variances, vectors = np.linalg.eigh((centered @ centered.T).astype(np.float64))
    known = variances > max(variances[-1], np.finfo(np.float64).tiny) * _MIN_VARIANCE
    if not known.any():  # clips that are all alike
        return np.zeros((len(values), 1)), np.zeros((values.shape[1], 1)), mean
    lengths = np.sqrt(variances[known])
    directions = (centered.T @ (vectors[:, known] / lengths).astype(np.float32)).astype(np.float64)
    return vectors[:, known] * lengths, directions, mean
