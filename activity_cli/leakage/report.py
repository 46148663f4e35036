"""The leak report: how many test clips have a near-duplicate or a clip of the same source in training, and examples."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

from activity_cli.leakage.duplicate_groups import DuplicateGroups
from activity_cli.leakage.grouping import Grouping
from activity_cli.leakage.metadata_shortcuts import find_shortcuts
from activity_cli.results import ClipRecord, LeakReport, RelatedPair
from activity_cli.settings import Split

__all__ = ["find_leaks"]

_MOST_DUPLICATES = 1000
_MOST_SOURCES = 12  # one pair of each, as an example


def find_leaks(
    clips: Sequence[ClipRecord],
    duplicates: DuplicateGroups | None,
    grouping: Grouping,
    splits: Sequence[str],
    settings: Split,
) -> LeakReport:
    """Reports which clips are related, and whether their splits separate them.

    ``duplicates`` is None where the clips were not compared.
    """
    pairs = [(clips[first], clips[second]) for first, second in duplicates.near_duplicates] if duplicates else []
    # Two labels for one recording are most likely a mistake, so they come first.
    pairs.sort(key=lambda pair: pair[0].label == pair[1].label)
    sizes = Counter(grouping.groups)
    examples = islice(_source_examples(clips, duplicates, grouping), _MOST_SOURCES)
    return LeakReport(
        grouping=grouping.kind,
        clips_compared=duplicates is not None,
        num_clips=len(clips),
        num_groups=len(sizes),
        largest_group_share=max(sizes.values()) / len(clips),
        num_near_duplicates=len(pairs),
        num_label_conflicts=sum(first.label != second.label for first, second in pairs),
        shared_place_share=sum(duplicates.rejected_sources) / len(clips) if duplicates else 0.0,
        leaked_share_random_split=_leaked_share_random_split(clips, grouping.related, settings),
        leaked_share=_leaked_share(clips, grouping.related, splits),
        pairs=(
            *(RelatedPair("near_duplicate", first, second) for first, second in pairs[:_MOST_DUPLICATES]),
            *(RelatedPair("same_source", clips[first], clips[second]) for first, second in examples),
        ),
        shortcuts=find_shortcuts(clips, grouping.groups, settings.seed),
    )


def _source_examples(
    clips: Sequence[ClipRecord], duplicates: DuplicateGroups | None, grouping: Grouping
) -> Iterator[tuple[int, int]]:
    """Two videos of each of the largest groups that were found by similarity, and that are no near-duplicates."""
    if duplicates is None or grouping.kind == "given":
        return
    clips_of: dict[str, list[int]] = defaultdict(list)
    for clip, group in enumerate(grouping.related):
        clips_of[group].append(clip)
    duplicated = {clip for pair in duplicates.near_duplicates for clip in pair}
    for found in sorted(clips_of.values(), key=lambda found: (-len(found), found)):
        first, *rest = found
        others = [c for c in rest if c not in duplicated and clips[c].content_hash != clips[first].content_hash]
        if others:
            yield first, others[-1]


def _leaked_share_random_split(clips: Sequence[ClipRecord], related: Sequence[str], settings: Split) -> float | None:
    """Expected share of test clips with a related video in training, if single videos were split at random."""
    if not settings.test_fraction:
        return None
    videos: dict[str, set[str]] = defaultdict(set)
    for clip, group in zip(clips, related, strict=True):
        videos[group].add(clip.content_hash)
    held_out = settings.val_fraction + settings.test_fraction
    return sum(1 - held_out ** (len(videos[group]) - 1) for group in related) / len(clips)


def _leaked_share(clips: Sequence[ClipRecord], related: Sequence[str], splits: Sequence[str]) -> float | None:
    """Share of test clips with a related clip in training; None without test clips."""
    in_training = {group for group, split in zip(related, splits, strict=True) if split == "train"}
    tested = [group for group, split in zip(related, splits, strict=True) if split == "test"]
    return sum(group in in_training for group in tested) / len(tested) if tested else None
