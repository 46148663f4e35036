"""Usable clips -> groups, splits, and the leak report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from activity_cli.dataset.clips import ClipStore
from activity_cli.errors import DatasetError
from activity_cli.leakage.duplicate_groups import SourceId, load_duplicate_groups
from activity_cli.leakage.grouping import group_clips
from activity_cli.leakage.report import find_leaks
from activity_cli.leakage.splits import SplitItem, assign_splits, split_warnings
from activity_cli.progress import Progress
from activity_cli.results import ClipRecord, LeakReport
from activity_cli.settings import Split

__all__ = ["SplitResult", "split_dataset"]


@dataclass(frozen=True, slots=True)
class SplitResult:
    """The records with their groups and splits, what to know before training, and the leak report."""

    records: tuple[ClipRecord, ...]
    warnings: tuple[str, ...]
    leaks: LeakReport


def split_dataset(records: Sequence[ClipRecord], settings: Split, store: ClipStore, progress: Progress) -> SplitResult:
    """Groups the usable clips, assigns them to train, val and test, and reports what leaks.

    ``records`` has a row for every file that was found, with its given group and split, or none.

    Raises:
        DatasetError: Fewer than two labels have a usable video.
        OutputError: The prepared folder cannot be written.
    """
    usable = [record for record in records if record.status == "ok"]
    if len({record.label for record in usable}) < 2:
        rejected = Counter(record.reason for record in records if record.status == "rejected")
        why = rejected.most_common(1)[0][0] if rejected else "no video could be used"
        raise DatasetError(
            f"Training needs usable videos of two or more labels. {len(usable)} of {len(records)} files can be used.",
            f"The most common reason why a file cannot be used: {why}",
            code="dataset.one_label",
        )
    # Further clips of a video go where its first one goes.
    clips = [record for record in usable if record.variant == 0]
    source_ids = [_source_id(clip) for clip in clips]
    labels = [clip.label for clip in clips]
    duplicates = load_duplicate_groups(store, [clip.clip for clip in clips], source_ids, labels, progress)
    grouping = group_clips(clips, duplicates, settings)
    group_of = dict(zip(source_ids, grouping.groups, strict=True))
    items = [SplitItem(record.label, group_of[_source_id(record)], record.split) for record in usable]
    splits = assign_splits(items, settings)
    clip_splits = [split for record, split in zip(usable, splits, strict=True) if record.variant == 0]
    leaks = find_leaks(clips, duplicates, grouping, clip_splits, settings)
    assigned = map(_assigned, usable, items, splits)  # in the order of the usable records
    return SplitResult(
        records=tuple(next(assigned) if record.status == "ok" else replace(record, split="") for record in records),
        warnings=(
            *grouping.warnings,
            *split_warnings(items, splits, settings, by_similarity=grouping.kind == "similarity"),
            *_shortcut_warnings(leaks),
        ),
        leaks=leaks,
    )


def _source_id(record: ClipRecord) -> SourceId:
    return record.content_hash, record.group


def _assigned(record: ClipRecord, item: SplitItem, split: str) -> ClipRecord:
    if record.variant and split != "train":
        # Further clips of a validation or test video would count that video more than once.
        return replace(record, group=item.group, split="", status="unused", clip="", clip_frames=0)
    return replace(record, group=item.group, split=split)


def _shortcut_warnings(leaks: LeakReport) -> list[str]:
    best = max((one for one in leaks.shortcuts if one.suspicious), key=lambda one: one.accuracy, default=None)
    if best is None:
        return []
    what = "length, frame rate, size and type" if best.name == "all together" else best.name
    return [
        f"The {what} of the files alone predicts the label of {best.accuracy:.0%} of the clips. Always predicting the "
        f"most frequent label is right for {best.baseline_accuracy:.0%}. A network may learn this difference between "
        "the files instead of the activity. Film or export all activities in the same way."
    ]
