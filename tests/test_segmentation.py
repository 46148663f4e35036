"""Segments are the likeliest sequence of labels, each as long as it must be, whenever they become final."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from activity_cli.runtime.segmentation import Piece, Segmenter

Floats = npt.NDArray[np.float64]


def segments_of(
    probabilities: Floats, shortest: Sequence[int], switch_cost: float = 1.0, weight: float = 1.0
) -> list[Piece]:
    segmenter = Segmenter(shortest, switch_cost, weight)
    return [piece for row in probabilities for piece in segmenter.add(row)] + list(segmenter.finish())


def labels_of(pieces: list[Piece]) -> list[int]:
    return [piece.label for piece in pieces for _ in range(piece.start, piece.stop)]


def is_long_enough(labels: Sequence[int], shortest: Sequence[int]) -> bool:
    runs = [(label, len(list(run))) for label, run in itertools.groupby(labels)]
    # The video may begin and end in the middle of an activity.
    return all(length >= shortest[label] for label, length in runs[1:-1])


def score(labels: Sequence[int], probabilities: Floats, switch_cost: float, weight: float) -> float:
    changes = sum(a != b for a, b in itertools.pairwise(labels))
    return float(weight * np.log(probabilities[np.arange(len(labels)), labels]).sum() - switch_cost * changes)


@pytest.mark.parametrize("seed", range(12))
def test_no_sequence_is_likelier(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shortest = tuple(rng.integers(1, 4, 3))
    probabilities = rng.dirichlet([0.4] * 3, 8)
    found = labels_of(segments_of(probabilities, shortest, 0.7, 0.8))
    possible = [one for one in itertools.product(range(3), repeat=8) if is_long_enough(one, shortest)]
    best = max(score(one, probabilities, 0.7, 0.8) for one in possible)
    assert len(found) == 8
    assert is_long_enough(found, shortest)
    assert score(found, probabilities, 0.7, 0.8) == pytest.approx(best)


def test_segments_are_final_long_before_the_end() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(rng.integers(0, 3, 40), 10)
    probabilities = np.full((400, 3), 0.1)
    probabilities[np.arange(400), truth] = 0.8
    segmenter = Segmenter([3, 3, 3], 2.0, 1.0)
    delays = []
    for step, row in enumerate(probabilities):
        delays += [step - piece.stop for piece in segmenter.add(row)]
    assert len(delays) > 20
    assert max(delays) < 10


def test_a_doubtful_window_makes_no_segment() -> None:
    probabilities = np.array([[0.9, 0.1]] * 5 + [[0.4, 0.6]] + [[0.9, 0.1]] * 5)
    assert [(piece.label, piece.start, piece.stop) for piece in segments_of(probabilities, [1, 1])] == [(0, 0, 11)]
    assert len(segments_of(probabilities, [1, 1], switch_cost=0.0)) == 3


def test_confidence_is_the_mean_probability() -> None:
    probabilities = np.array([[0.9, 0.1]] * 3 + [[0.2, 0.8]] + [[0.3, 0.7]] * 3)
    first, second = segments_of(probabilities, [2, 2], switch_cost=0.1)
    assert first.scores == pytest.approx([0.9, 0.1])
    assert second.scores == pytest.approx([(0.2 + 3 * 0.3) / 4, (0.8 + 3 * 0.7) / 4])


def test_a_long_tie_becomes_final_in_the_end() -> None:
    segmenter = Segmenter([1, 1], 1.0, 1.0)
    probabilities = [[0.9, 0.1]] * 5 + [[0.1, 0.9]] * 5 + [[0.5, 0.5]] * 2000
    pieces = [piece for row in probabilities for piece in segmenter.add(np.array(row))]
    assert [(piece.label, piece.start, piece.stop) for piece in pieces] == [(0, 0, 5)]
    assert [(piece.label, piece.start, piece.stop) for piece in segmenter.finish()] == [(1, 5, 2010)]


def test_one_label_and_no_steps() -> None:
    [piece] = segments_of(np.ones((4, 1)), [2])
    assert (piece.label, piece.start, piece.stop, piece.scores.tolist()) == (0, 0, 4, [1.0])
    assert segments_of(np.ones((0, 2)), [1, 1]) == []
