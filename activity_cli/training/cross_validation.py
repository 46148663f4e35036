"""Which streams a network reads, by which head, and what each counts: chosen by cross-validation (stacking: Wolpert 1992).

The training clips are assigned to folds by group. Every candidate head is trained on all folds but one, and answers for
the one that it has not seen. On these out-of-fold answers the better head of each stream is chosen, and then which
streams are added up.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Candidate", "Choice", "choose", "group_folds"]

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

_FOLDS = 3
# Factors of a head's log probabilities that are tried, so that it is as certain as it is right.
_FACTORS = np.geomspace(0.1, 10.0, 41)


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A head for a stream.

    Attributes:
        stream: ``appearance``, ``motion`` or ``pose``.
        reads: The streams whose rows it reads.
        kind: ``recurrent`` or ``linear``.
    """

    stream: str
    reads: tuple[str, ...]
    kind: str

    @property
    def name(self) -> str:
        """Such as ``pose+hands recurrent``."""
        return f"{'+'.join(self.reads)} {self.kind}"


@dataclass(frozen=True, slots=True)
class Choice:
    """What cross-validation chose.

    Attributes:
        weights: What the log probabilities of each head that is kept are multiplied with.
        accuracy: Of each of them alone, out of fold.
        log_probabilities: Out-of-fold answers of their weighted sum, ``[N, classes]``.
    """

    weights: Mapping[Candidate, float]
    accuracy: Mapping[Candidate, float]
    log_probabilities: Floats


def group_folds(labels: Sequence[str], groups: Sequence[str], seed: int) -> list[tuple[Numbers, Numbers]]:
    """Assigns clips to folds by group, with about as many of each label in each.

    Clips of one group only are each a group of their own.

    Returns:
        For each fold the numbers of the clips to train on, and of those to answer for.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # takes a second to load

    apart = list(groups) if len(set(groups)) > 1 else [str(number) for number in range(len(labels))]
    folds = StratifiedGroupKFold(min(_FOLDS, len(set(apart))), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a label that is in fewer clips than there are folds
        return [
            (np.asarray(train, np.int64), np.asarray(test, np.int64))
            for train, test in folds.split(labels, labels, apart)
        ]


def choose(answers: Mapping[Candidate, Floats], truth: Numbers, clip_weights: Floats) -> Choice:
    """Chooses among candidates by their out-of-fold answers.

    Args:
        answers: Log probabilities ``[N, classes]`` of each candidate.
        truth: The number of each clip's label, ``[N]``.
        clip_weights: How much each clip counts, ``[N]``.
    """
    raise NotImplementedError
