"""Which streams a network reads, by which head, and what each counts: chosen by cross-validation.

This is stacking (Wolpert 1992) with one number for each stream.

The training clips are assigned to folds by group. Every candidate head is trained on all folds but one, and answers for
the one that it has not seen. On these out-of-fold answers the better head of each stream is chosen, and then which
streams are added up.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Candidate", "Choice", "Scorer", "answerable", "choose", "group_folds"]

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

_FOLDS = 3
# Factors of a head's log probabilities that are tried, so that it is as certain as it is right.
_FACTORS = np.geomspace(0.1, 10.0, 41)
# How much better the others must be without a stream to drop it, in standard errors. Over several sets, all streams are
# better than the few that cross-validation finds best (docs/measurements.md).
_CLEARLY = 2.0
# Share of a label that the log loss spreads evenly: a few clips without a mistake are no reason to be certain.
_SMOOTHING = 0.05


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


def group_folds(
    labels: Sequence[str], groups: Sequence[str], seed: int, folds: int = _FOLDS
) -> list[tuple[Numbers, Numbers]]:
    """Assigns clips to folds by group, with about as many of each label in each.

    The groups come in an order drawn by the seed, each into the fold that has least of its labels. Not by
    scikit-learn's StratifiedGroupKFold: it assigns the largest groups first, whatever the seed, so that the folds of
    two seeds are half the same (docs/measurements.md). Clips of one group only are each a group of their own.

    Args:
        labels, groups: Of each clip.
        seed: Of the order.
        folds: Their number at most; fewer where there are fewer groups.

    Returns:
        For each fold the numbers of the clips to train on, and of those to answer for.
    """
    apart = list(groups) if len(set(groups)) > 1 else [str(number) for number in range(len(labels))]
    places, numbers = np.unique(apart, return_inverse=True)[1], np.unique(labels, return_inverse=True)[1]
    folds = min(folds, int(places.max()) + 1)
    shares = np.zeros((places.max() + 1, numbers.max() + 1))
    np.add.at(shares, (places, numbers), 1.0)
    shares /= shares.sum(axis=0)
    held, fold_of = np.zeros((folds, shares.shape[1])), np.zeros(len(shares), np.int64)
    for group in np.random.default_rng(seed).permutation(len(shares)):
        # What a fold holds of each label, squared and summed, grows by the least; of equal folds, in the emptiest.
        costs = held @ shares[group] + 1e-6 * held.sum(axis=1)
        fold_of[group] = np.argmin(costs)
        held[fold_of[group]] += shares[group]
    of_clip = fold_of[places]
    return [(np.flatnonzero(of_clip != fold), np.flatnonzero(of_clip == fold)) for fold in np.unique(of_clip)]


def answerable(folds: Sequence[tuple[Numbers, Numbers]], labels: Sequence[str]) -> list[tuple[Numbers, Numbers]]:
    """The folds without the clips whose label is not among what is trained on: a head cannot know it.

    Such clips, of a label that is in one group only, would make every head seem to be certain and wrong.
    """
    names = np.asarray(labels)
    return [(train, test[np.isin(names[test], names[train])]) for train, test in folds]


def choose(answers: Mapping[Candidate, Floats], truth: Numbers, clip_weights: Floats) -> Choice:
    """Chooses among candidates by their out-of-fold answers.

    Every candidate's log probabilities are first multiplied with a factor that makes it as certain as it is right
    (temperature scaling: Guo et al. 2017). Then the candidates compete by their log loss:

    - Of each set of streams that a head reads, the better kind of head is kept.
    - Of a stream with two sets (pose, and pose with hands), the larger one has to be better by more than a standard
      error, which is its price.
    - A stream that alone is no better than equal probabilities, by more than a standard error, is dropped: by chance,
      many a stream of noise seems to help the others.
    - Streams count equally. The largest set of streams is kept that is no worse than the best one by more than two
      standard errors; among equally large ones, the best.

    Args:
        answers: Log probabilities ``[N, classes]`` of each candidate.
        truth: The number of each clip's label, ``[N]``.
        clip_weights: How much each clip counts, ``[N]``.
    """
    scorer = Scorer(truth, clip_weights)
    factors = {candidate: scorer.factor(logs) for candidate, logs in answers.items()}
    scaled = {candidate: factors[candidate] * logs for candidate, logs in answers.items()}
    by_reads: dict[tuple[str, ...], Candidate] = {}
    for candidate in sorted(answers, key=lambda one: scorer.loss(scaled[one])):
        by_reads.setdefault(candidate.reads, candidate)
    of_stream: dict[str, Candidate] = {}
    for candidate in sorted(by_reads.values(), key=lambda one: len(one.reads)):
        before = of_stream.get(candidate.stream)
        if before is None or scorer.is_better(scaled[candidate], scaled[before]):
            of_stream[candidate.stream] = candidate
    nothing = np.zeros_like(next(iter(answers.values())))
    known = [one for one in of_stream.values() if scorer.is_better(scaled[one], nothing)] or list(of_stream.values())
    sets = [chosen for size in range(1, len(known) + 1) for chosen in itertools.combinations(known, size)]
    sums = {chosen: scorer.scaled(_sum([scaled[one] for one in chosen])) for chosen in sets}
    losses = {chosen: scorer.loss(logs) for chosen, logs in sums.items()}
    best = min(sets, key=losses.__getitem__)
    largest_first = sorted(sets, key=lambda chosen: (-len(chosen), losses[chosen]))
    kept = next(chosen for chosen in largest_first if not scorer.is_better(sums[best], sums[chosen], _CLEARLY))
    total = _sum([scaled[one] for one in kept])
    factor = scorer.factor(total)
    return Choice(
        weights={one: float(factor * factors[one]) for one in kept},
        accuracy={one: float(np.mean(answers[one].argmax(axis=1) == truth)) for one in kept},
        log_probabilities=np.asarray(scorer.scaled(total), np.float32),
    )


class Scorer:
    """Scores log probabilities ``[N, classes]`` by the right answers.

    Args:
        truth: The number of each clip's label, ``[N]``.
        clip_weights: How much each clip counts, ``[N]``.
    """

    def __init__(self, truth: Numbers, clip_weights: Floats) -> None:
        self._truth, self._weights = truth, clip_weights / clip_weights.sum()

    def losses(self, logs: Floats) -> Floats:
        """Log loss of each clip, ``[N]``; its label is smoothed, so that no answer is certain."""
        right = logs[np.arange(len(logs)), self._truth]
        return np.asarray(_logsumexp(logs) - (1 - _SMOOTHING) * right - _SMOOTHING * logs.mean(axis=1))

    def loss(self, logs: Floats) -> float:
        return float(self._weights @ self.losses(logs))

    def factor(self, logs: Floats) -> float:
        """What the log probabilities are multiplied with for the lowest loss."""
        return float(min(_FACTORS, key=lambda one: self.loss(one * logs)))

    def scaled(self, logs: Floats) -> Floats:
        """Log probabilities with the lowest loss that a factor gives."""
        logs = self.factor(logs) * logs
        return logs - _logsumexp(logs)[:, np.newaxis]

    def is_better(self, logs: Floats, others: Floats, errors: float = 1.0) -> bool:
        """Whether the loss is lower than that of others by more than so many standard errors of the difference."""
        mean, error = self._gain(logs, others, np.arange(len(logs)))
        return mean > errors * error

    def is_far_behind(self, logs: Floats, others: Floats, clips: Numbers) -> bool:
        """Whether the loss on some clips is higher than that of others by more than two standard errors."""
        mean, error = self._gain(logs, others, clips)
        return mean < -2 * error

    def make_no_mistake(self, answers: Sequence[Floats], clips: Numbers) -> bool:
        """Whether answers that are added up are right for all of these clips."""
        total = _sum([self.scaled(logs) for logs in answers])
        return bool((total.argmax(axis=1) == self._truth)[clips].all())

    def _gain(self, logs: Floats, others: Floats, clips: Numbers) -> tuple[float, float]:
        """By how much the loss on some clips is lower than that of others, and the standard error of that."""
        gains, weights = (self.losses(others) - self.losses(logs))[clips], self._weights[clips]
        weights = weights / weights.sum()
        mean = float(weights @ gains)
        return mean, float(np.sqrt(weights @ (gains - mean) ** 2) * np.sqrt((weights**2).sum()))


def _sum(logs: Sequence[Floats]) -> Floats:
    return np.asarray(np.sum(logs, axis=0), np.float32)


def _logsumexp(logs: Floats) -> Floats:
    highest = logs.max(axis=1)
    return np.asarray(highest + np.log(np.exp(logs - highest[:, np.newaxis]).sum(axis=1)))
