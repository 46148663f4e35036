"""Answers for the windows of a video -> segments: the likeliest sequence of activities (Viterbi 1967).

Each activity lasts at least as long as those of the training clips did, and every change has a price, so that one
doubtful window makes no segment. It is the Viterbi algorithm on a hidden semi-Markov model: a chain of states for each
label, one for each step of its minimum duration; the last one may repeat. Segments are final as soon as all likely
sequences agree on them, so that a live source has the segments of a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["Piece", "Segmenter"]

Floats = npt.NDArray[np.float64]

# Steps after which the likeliest sequence so far becomes final, even if others are still possible.
_MOST_OPEN_STEPS = 400


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A run of steps with one label.

    Attributes:
        label: Number of the label.
        start, stop: The first step, and the one after the last.
        scores: Mean probability of each label, ``[classes]``.
    """

    label: int
    start: int
    stop: int
    scores: Floats


@dataclass(slots=True, eq=False)
class _Node:
    """A segment of a sequence that is still open to change."""

    label: int
    start: int
    before: _Node | None
    total_before: Floats | None  # of the probabilities of the segment before, when this one began
    total: Floats


class Segmenter:
    """Cuts a sequence of probabilities into segments.

    Args:
        shortest_steps: For each label the least number of steps that it lasts.
        switch_cost: Price of a change of the label, in nats.
        weight: What log probabilities are multiplied with: overlapping windows see the same frames several times.
    """

    def __init__(self, shortest_steps: Sequence[int], switch_cost: float, weight: float) -> None:
        self._lengths = [max(1, steps) for steps in shortest_steps]
        self._switch_cost, self._weight = switch_cost, weight
        self._label_of = np.repeat(np.arange(len(self._lengths)), self._lengths)
        self._last = np.cumsum(self._lengths) - 1
        self._first = self._last - np.array(self._lengths) + 1
        self._scores = np.zeros(0)
        self._nodes: list[_Node] = []
        self._final: _Node | None = None  # the last segment that is final but for its end
        self._step = 0

    def add(self, probabilities: npt.NDArray[np.floating]) -> Iterator[Piece]:
        """Takes the probabilities ``[classes]`` of the next step; yields the segments that are final now."""
        values = np.asarray(probabilities, np.float64)
        emission = self._weight * np.log(np.maximum(values, 1e-12))
        if not self._step:
            # The video may begin in the middle of an activity.
            self._scores = emission[self._label_of]
            starts = [_Node(label, 0, None, None, np.zeros(len(values))) for label in range(len(self._lengths))]
            self._nodes = [starts[label] for label in self._label_of]
        else:
            self._advance(emission)
        for node in {id(node): node for node in self._nodes}.values():
            node.total = node.total + values
        self._step += 1
        yield from self._agreed()

    def finish(self) -> Iterator[Piece]:
        """Yields the rest of the segments, at the end of the video. It may end in the middle of an activity."""
        if self._step:
            best = self._nodes[int(np.argmax(self._scores))]
            path = self._path(best)
            for node, following in pairwise(path):
                yield _piece(node, following)
            yield Piece(best.label, best.start, self._step, best.total / (self._step - best.start))

    def _advance(self, emission: Floats) -> None:
        leaving = self._scores[self._last]
        first, second = np.argsort(-leaving, kind="stable")[: 2 if len(leaving) > 1 else 1][[0, -1]]
        scores, nodes = np.empty_like(self._scores), list(self._nodes)
        for label, (start, last) in enumerate(zip(self._first, self._last, strict=True)):
            came_from = second if label == first else first
            entered = leaving[came_from] - self._switch_cost if came_from != label else -np.inf
            scores[start + 1 : last + 1] = self._scores[start:last]
            nodes[start + 1 : last + 1] = self._nodes[start:last]
            if start == last or self._scores[last] >= scores[last]:
                stays, node = self._scores[last], self._nodes[last]
                if start == last and entered > stays:
                    stays, node = entered, self._enter(label, int(came_from))
                scores[last], nodes[last] = stays, node
            if start < last:
                scores[start], nodes[start] = entered, self._enter(label, int(came_from))
        self._scores = scores + emission[self._label_of]
        self._scores -= self._scores.max()
        self._nodes = nodes

    def _enter(self, label: int, came_from: int) -> _Node:
        before = self._nodes[int(self._last[came_from])]
        return _Node(label, self._step, before, before.total, np.zeros_like(before.total))

    def _path(self, node: _Node) -> list[_Node]:
        """The segments of a sequence, from the one that is final but for its end on."""
        path = [node]
        while path[-1] is not self._final and path[-1].before is not None:
            path.append(path[-1].before)
        return path[::-1]

    def _agreed(self) -> Iterator[Piece]:
        best = self._path(self._nodes[int(np.argmax(self._scores))])
        if self._step - best[min(1, len(best) - 1)].start > _MOST_OPEN_STEPS and len(best) > 1:
            self._give_up_others(best[1])
        possible = {id(node): node for node, score in zip(self._nodes, self._scores, strict=True) if score > -np.inf}
        paths = [self._path(node) for node in possible.values()]
        agreed = 0
        while agreed < len(best) and all(path[agreed : agreed + 1] == [best[agreed]] for path in paths):
            agreed += 1
        for number in range(1, agreed):
            yield _piece(best[number - 1], best[number])
        if agreed:
            self._final = best[agreed - 1]
            self._final.before = None

    def _give_up_others(self, following: _Node) -> None:
        for number, node in enumerate(self._nodes):
            if all(one is not following for one in self._path(node)):
                self._scores[number] = -np.inf


def _piece(node: _Node, following: _Node) -> Piece:
    steps = following.start - node.start
    assert following.total_before is not None
    return Piece(node.label, node.start, following.start, following.total_before / steps)
