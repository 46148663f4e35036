"""The numbers behind the reports: counts, minima, maxima and mistakes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from statistics import median

from activity_cli.results import ClipAnswer, ClipRecord, EvaluationResult, LayerRow
from activity_cli.settings import SPLITS

__all__ = ["LabelSummary", "Mistake", "clip_name", "mistakes", "num_correct", "parameter_totals", "summarize_labels"]
__all__ += ["unused_files", "wrong_clips"]

Spread = tuple[float, float, float]
"""Minimum, median and maximum."""


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """The clips of one activity."""

    label: str
    splits: tuple[int, ...]  # clips in train, val and test
    num_groups: int  # different groups (persons or sources)
    # Of the parts of videos that the clips stand for.
    frames: Spread | None  # None without clips
    seconds: Spread | None  # None where no duration is known


@dataclass(frozen=True, slots=True)
class Mistake:
    """Clips of activity ``truth`` for which the model predicted ``answer``; ``share``: of all clips of ``truth``."""

    truth: str
    answer: str
    count: int
    share: float


def summarize_labels(labels: Sequence[str], records: Iterable[ClipRecord]) -> tuple[LabelSummary, ...]:
    """Summarizes the clips of each activity, in the order of ``labels``."""
    clips: dict[str, list[ClipRecord]] = {label: [] for label in labels}
    for record in records:
        if record.status == "ok" and record.label in clips:
            clips[record.label].append(record)
    return tuple(_summarize(label, rows) for label, rows in clips.items())


def _summarize(label: str, rows: Sequence[ClipRecord]) -> LabelSummary:
    return LabelSummary(
        label=label,
        splits=tuple(sum(row.split == split for row in rows) for split in SPLITS),
        num_groups=len({row.group for row in rows}),
        frames=_spread([_num_frames(row) for row in rows]),
        seconds=_spread([row.part_seconds for row in rows if row.duration_seconds > 0]),
    )


def _num_frames(row: ClipRecord) -> float:
    share = row.part_seconds / row.duration_seconds if row.duration_seconds > 0 else 1.0
    return row.num_frames * min(1.0, share)


def _spread(values: Sequence[float]) -> Spread | None:
    return (min(values), median(values), max(values)) if values else None


def unused_files(records: Iterable[ClipRecord]) -> tuple[ClipRecord, ...]:
    """The files that are not used: first the rejected ones, then the duplicates, then those that are no videos."""
    order = {"rejected": 0, "duplicate": 1, "ignored": 2}
    unused = [record for record in records if record.status in order]
    return tuple(sorted(unused, key=lambda record: (order[record.status], record.path)))


def parameter_totals(rows: Sequence[LayerRow]) -> tuple[int, int]:
    """Counts the trainable and the frozen parameters of a network.

    A row before a deeper row is a container: its number is the sum of the rows in it, and does not count.
    """
    single = [row for row, after in zip_longest(rows, rows[1:]) if after is None or after.depth <= row.depth]
    trainable = sum(row.parameters for row in single if row.trainable)
    return trainable, sum(row.parameters for row in single) - trainable


def num_correct(result: EvaluationResult) -> int:
    """Clips that the model classified correctly: the diagonal of the confusion matrix."""
    return sum(row[index] for index, row in enumerate(result.confusion))


def mistakes(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> tuple[Mistake, ...]:
    """Lists the wrong cells of a confusion matrix (true activities in rows, predicted in columns), most clips first."""
    found = [
        Mistake(truth, answer, count, count / sum(row))
        for truth, row in zip(labels, confusion, strict=True)
        for answer, count in zip(labels, row, strict=True)
        if count and answer != truth
    ]
    return tuple(sorted(found, key=lambda mistake: (-mistake.count, -mistake.share, mistake.truth)))


def wrong_clips(clips: Iterable[ClipAnswer]) -> tuple[ClipAnswer, ...]:
    """The clips that the model classified incorrectly, most confident answer first."""
    found = (clip for clip in clips if clip.answer != clip.truth)
    return tuple(sorted(found, key=lambda clip: (-clip.confidence, clip.path, clip.start_seconds or 0.0)))


def clip_name(clip: ClipAnswer) -> str:
    """The path of a clip's video; if the clip is a part of it, also which: ``match.mp4, 3.0 to 5.5 s``."""
    if clip.start_seconds is None:
        return clip.path
    return f"{clip.path}, {clip.start_seconds:.1f} to {clip.end_seconds:.1f} s"
