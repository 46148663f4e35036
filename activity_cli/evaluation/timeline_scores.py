"""How well segments agree with those that a person labeled: the scores of action segmentation (Lea et al. 2017).

A gap is a label of its own for the accuracy; the other scores count activities alone. All scores are 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from activity_cli.results import LabelScore, TimelineScores, TimelineSegment

__all__ = ["OVERLAPS", "score_timelines"]

OVERLAPS = (0.1, 0.25, 0.5)
"""Least overlaps (intersection over union) at which a segment counts as found."""


def score_timelines(
    truth: Mapping[str, Sequence[TimelineSegment]], answers: Mapping[str, Sequence[TimelineSegment]]
) -> TimelineScores:
    """Compares the segments of videos.

    Args:
        truth: The labeled segments of each video. Where nothing is labeled, there is no activity.
        answers: The predicted segments of the same videos. The time until the end of the last one is compared.
    """
    hits: dict[float, list[tuple[str, bool]]] = {overlap: [] for overlap in OVERLAPS}
    errors, edits = list[tuple[float, float]](), list[float]()
    right = seconds = 0.0
    true_labels = [one.label for video in answers for one in truth[video] if one.label is not None]
    for video, predicted in answers.items():
        end = max((one.end_seconds for one in predicted), default=0.0)
        right += _agreeing_seconds(truth[video], predicted, end)
        seconds += end
        actual = [one for one in truth[video] if one.label is not None]
        found = [one for one in predicted if one.label is not None]
        edits.append(_edit_score([one.label for one in actual], [one.label for one in found]))
        for overlap in OVERLAPS:
            matched = _matches(actual, found, overlap)
            hits[overlap] += [(str(one.label), number in matched) for number, one in enumerate(found)]
            if overlap == OVERLAPS[0]:
                errors += [
                    (
                        abs(actual[place].start_seconds - found[number].start_seconds),
                        abs(actual[place].end_seconds - found[number].end_seconds),
                    )
                    for number, place in matched.items()
                ]
    hours = seconds / 3600

    def f1(overlap: float, label: str | None = None) -> float:
        ours = [hit for name, hit in hits[overlap] if label in (None, name)]
        count = len(true_labels) if label is None else true_labels.count(label)
        return 2 * sum(ours) / (len(ours) + count) if ours or count else 1.0

    def false_alarms(label: str | None = None) -> float:
        wrong = sum(not hit for name, hit in hits[OVERLAPS[0]] if label in (None, name))
        return wrong / hours if hours else 0.0

    names = [name for name, _ in hits[OVERLAPS[0]]]
    labels = sorted({*true_labels, *names})
    starts, ends = (np.array([error[side] for error in errors]) for side in (0, 1))
    return TimelineScores(
        seconds=seconds,
        accuracy=right / seconds if seconds else 0.0,
        f1={overlap: f1(overlap) for overlap in OVERLAPS},
        edit=float(np.mean(edits)) if edits else 0.0,
        start_error_seconds=float(starts.mean()) if errors else None,
        end_error_seconds=float(ends.mean()) if errors else None,
        borders_within_half_second=float(np.mean(np.concatenate([starts, ends]) <= 0.5)) if errors else None,
        false_alarms_per_hour=false_alarms(),
        labels=tuple(
            LabelScore(
                label,
                {overlap: f1(overlap, label) for overlap in OVERLAPS},
                true_labels.count(label),
                names.count(label),
                false_alarms(label),
            )
            for label in labels
        ),
    )


def _agreeing_seconds(truth: Sequence[TimelineSegment], predicted: Sequence[TimelineSegment], end: float) -> float:
    borders = {0.0, end}
    for one in (*truth, *predicted):
        borders |= {min(max(moment, 0.0), end) for moment in (one.start_seconds, one.end_seconds)}
    rising = sorted(borders)
    total = 0.0
    for start, stop in pairwise(rising):
        middle = (start + stop) / 2
        total += (stop - start) * (_labels_at(truth, middle) == _labels_at(predicted, middle))
    return total


def _labels_at(segments: Sequence[TimelineSegment], moment: float) -> set[str | None]:
    here = {one.label for one in segments if one.start_seconds <= moment < one.end_seconds}
    return here - {None}


def _matches(
    actual: Sequence[TimelineSegment], found: Sequence[TimelineSegment], least_overlap: float
) -> dict[int, int]:
    """For each predicted segment that finds a true one, the number of that; each true one is found once."""
    matched: dict[int, int] = {}
    for number, one in enumerate(found):
        free = [place for place, other in enumerate(actual) if other.label == one.label]
        best = max(free, key=lambda place: _overlap(one, actual[place]), default=None)
        taken = best is None or best in matched.values()
        if not taken and best is not None and _overlap(one, actual[best]) >= least_overlap:
            matched[number] = best
    return matched


def _overlap(one: TimelineSegment, other: TimelineSegment) -> float:
    """Intersection over union."""
    both = min(one.end_seconds, other.end_seconds) - max(one.start_seconds, other.start_seconds)
    either = max(one.end_seconds, other.end_seconds) - min(one.start_seconds, other.start_seconds)
    return max(0.0, both) / either if either > 0 else 0.0


def _edit_score(actual: Sequence[str | None], found: Sequence[str | None]) -> float:
    row = list(range(len(found) + 1))
    for number, label in enumerate(actual, 1):
        previous, row[0] = row[0], number
        for place, other in enumerate(found, 1):
            cost = min(row[place] + 1, row[place - 1] + 1, previous + (label != other))
            previous, row[place] = row[place], cost
    longest = max(len(actual), len(found))
    return 1 - row[-1] / longest if longest else 1.0
