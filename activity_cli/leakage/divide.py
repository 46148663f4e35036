"""Kept clips -> groups, sides of the split, and a report of what the split could have leaked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from activity_cli.dataset.clips import ClipStore
from activity_cli.errors import DatasetError
from activity_cli.leakage.grouping import group_clips
from activity_cli.leakage.report import find_leaks
from activity_cli.leakage.signature_index import SourceId, load_duplicate_groups
from activity_cli.leakage.splits import SplitItem, assign_splits, split_warnings
from activity_cli.progress import Progress
from activity_cli.results import ClipRecord, LeakReport
from activity_cli.settings import Split

__all__ = ["SplitResult", "divide"]


@dataclass(frozen=True, slots=True)
class SplitResult:
    """The records with their groups and splits, what a person should know of them, and what leaks."""

    records: tuple[ClipRecord, ...]
    warnings: tuple[str, ...]
    leaks: LeakReport


def divide(records: Sequence[ClipRecord], config: Split, store: ClipStore, progress: Progress) -> SplitResult:
    """Says who is learned from, who is watched, and who is tested on.

    Args:
        records: A row for every file that was found, with what is given of its group and split.
        config: How the sides are drawn.
        store: The clips.
        progress: Who listens.

    Raises:
        DatasetError: Fewer than two labels have a usable video.
        OutputError: The prepared folder cannot be written.
    """
    kept = [record for record in records if record.status == "ok"]
    if len({record.label for record in kept}) < 2:
        rejected = Counter(record.reason for record in records if record.status == "rejected")
        why = rejected.most_common(1)[0][0] if rejected else "no video could be used"
        raise DatasetError(
            f"Fewer than two labels have a usable video: of {len(records)} files {len(kept)} can be used.",
            f"The most common reason: {why}",
            code="dataset.one_label",
        )
    # A further clip of a video goes where its first one goes.
    clips = [record for record in kept if record.variant == 0]
    source_ids = [_owner(clip) for clip in clips]
    duplicates = load_duplicate_groups(
        store, [clip.clip for clip in clips], source_ids, [clip.label for clip in clips], progress
    )
    grouping = group_clips(clips, duplicates, config)
    group_of = dict(zip(source_ids, grouping.groups, strict=True))

    items = [SplitItem(record.label, group_of[_owner(record)], record.split) for record in kept]
    splits = assign_splits(items, config)
    placed = {
        id(record): _placed(record, member.group, split)
        for record, member, split in zip(kept, items, splits, strict=True)
    }
    sides = [split for record, split in zip(kept, splits, strict=True) if record.variant == 0]
    leaks = find_leaks(clips, duplicates, grouping, sides, config)
    doubts = split_warnings(items, splits, config, by_looks=grouping.kind == "looks")
    return SplitResult(
        records=tuple(placed.get(id(record)) or replace(record, split="") for record in records),
        warnings=(*grouping.warnings, *doubts, *_tell_warnings(leaks)),
        leaks=leaks,
    )


def _owner(record: ClipRecord) -> SourceId:
    return record.content_hash, record.group


def _placed(record: ClipRecord, group: str, split: str) -> ClipRecord:
    if record.variant and split != "train":
        # One answer for a video: a second clip of it would only count the same video twice.
        return replace(record, group=group, split="", status="unused", clip="", clip_frames=0)
    return replace(record, group=group, split=split)


def _tell_warnings(leaks: LeakReport) -> list[str]:
    found = [tell for tell in leaks.shortcuts if tell.suspicious]
    if not found:
        return []
    best = max(found, key=lambda tell: tell.accuracy)
    what = "Length, frame rate, size and type" if best.name == "all together" else f"The {best.name}"
    return [
        f"{what} of the files alone, without a look at a frame, names the activity of {best.accuracy:.0%} of the clips "
        f"(guessing: {best.chance:.0%}). A network may learn that instead: film or export all activities alike."
    ]
