"""The arithmetic behind the reports: what is counted, compared and listed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from activity_cli.results import ClipRecord, EvaluationResult, LayerRow

__all__ = [
    "Comparison",
    "LabelSummary",
    "Mistake",
    "Spread",
    "compare",
    "left_out",
    "mistakes",
    "num_right",
    "parameter_totals",
    "summarize_labels",
]


@dataclass(frozen=True, slots=True)
class Spread:
    """Smallest, middle and largest of some values."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """The kept clips of one activity.

    Attributes:
        label: The activity.
        splits: Clips in train, val and test.
        num_groups: Different persons or sources.
        frames: Of the videos; None where none is kept.
        seconds: Of the videos; None where no duration is known.
    """

    label: str
    splits: tuple[int, int, int]
    num_groups: int
    frames: Spread | None
    seconds: Spread | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The model beside one simpler judge, on the same clips.

    Attributes:
        name: As a person reads it.
        description: What it does.
        accuracy, macro_f1: 0 to 1; None where there is none.
        ahead: By how much the model's accuracy is higher, -1 to 1; None where it cannot be said.
        reason: Empty, or why there is no score.
    """

    name: str
    description: str
    accuracy: float | None
    macro_f1: float | None
    ahead: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """Clips of one activity that were taken for another, and their share of the clips of the first."""

    truth: str
    answer: str
    count: int
    share: float


def summarize_labels(labels: Sequence[str], records: Iterable[ClipRecord]) -> tuple[LabelSummary, ...]:
    """Counts the kept clips of each activity.

    Args:
        labels: The activities, in the order wanted.
        records: All rows of a manifest.

    Returns:
        One summary for each label, also for one without clips.
    """
    kept: dict[str, list[ClipRecord]] = {label: [] for label in labels}
    for record in records:
        if record.status == "ok" and record.label in kept:
            kept[record.label].append(record)
    return tuple(_summarize(label, rows) for label, rows in kept.items())


def _summarize(label: str, rows: Sequence[ClipRecord]) -> LabelSummary:
    train, val, test = (sum(row.split == split for row in rows) for split in ("train", "val", "test"))
    return LabelSummary(
        label=label,
        splits=(train, val, test),
        num_groups=len({row.group for row in rows}),
        frames=_spread([row.num_frames for row in rows]),
        seconds=_spread([row.duration_seconds for row in rows if row.duration_seconds > 0]),
    )


def _spread(values: Sequence[float]) -> Spread | None:
    return Spread(min(values), median(values), max(values)) if values else None


def left_out(records: Iterable[ClipRecord]) -> tuple[ClipRecord, ...]:
    """The files that are not used, those first that were meant to be."""
    order = {"rejected": 0, "duplicate": 1, "ignored": 2}
    return tuple(
        sorted(
            (record for record in records if record.status in order),
            key=lambda record: (order[record.status], record.path),
        )
    )


def parameter_totals(rows: Sequence[LayerRow]) -> tuple[int, int]:
    """Counts the parameters of a network.

    Args:
        rows: The layers, a container directly before what it contains.

    Returns:
        The trainable and the frozen ones. A row with a deeper row directly after it is a container:
        its number is the sum of those inside, and is not counted again.
    """
    trainable = frozen = 0
    for index, row in enumerate(rows):
        if index + 1 < len(rows) and rows[index + 1].depth > row.depth:
            continue
        if row.trainable:
            trainable += row.parameters
        else:
            frozen += row.parameters
    return trainable, frozen


def num_right(result: EvaluationResult) -> int:
    """How many clips were answered right: the diagonal of the confusion matrix."""
    return sum(row[index] for index, row in enumerate(result.confusion))


def compare(result: EvaluationResult) -> tuple[Comparison, ...]:
    """Puts the model beside each baseline, in the order of the result."""
    return tuple(
        Comparison(
            name=baseline.name.replace("_", " "),
            description=baseline.description,
            accuracy=baseline.accuracy,
            macro_f1=baseline.macro_f1,
            ahead=None if baseline.accuracy is None else result.accuracy - baseline.accuracy,
            reason=baseline.reason,
        )
        for baseline in result.baselines
    )


def mistakes(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> tuple[Mistake, ...]:
    """Lists what was taken for what, the most clips first.

    Args:
        labels: The activities, in the order of the matrix.
        confusion: Rows are the truth, columns the answer.

    Returns:
        Every cell beside the diagonal that is not zero.
    """
    found = []
    for truth, row in zip(labels, confusion, strict=True):
        support = sum(row)
        for answer, count in zip(labels, row, strict=True):
            if count and answer != truth:
                found.append(Mistake(truth, answer, count, count / support))
    return tuple(sorted(found, key=lambda mistake: (-mistake.count, -mistake.share, mistake.truth)))
