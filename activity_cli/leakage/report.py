"""What a split that knows nothing of persons and sources would have leaked, and what this one does."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from activity_cli.leakage.duplicate_groups import DuplicateGroups
from activity_cli.leakage.grouping import Grouping
from activity_cli.leakage.metadata_shortcuts import find_shortcuts
from activity_cli.results import ClipRecord, LeakReport, RelatedPair
from activity_cli.settings import Split

__all__ = ["find_leaks"]

# Pairs of sources are examples, one of each; of copies each counts.
_SOURCE_PAIRS = 12
_COPY_PAIRS = 1000


def find_leaks(
    clips: Sequence[ClipRecord],
    duplicates: DuplicateGroups | None,
    grouping: Grouping,
    splits: Sequence[str],
    config: Split,
) -> LeakReport:
    """Says what belongs together, and on which sides of the split it stands.

    Args:
        clips: One record for each clip.
        kin: Which of them belong together by their looks; None where that is not known.
        grouping: The groups that were used.
        splits: The side of each clip.
        config: How the sides were drawn.
    """
    copies = [(clips[first], clips[second]) for first, second in duplicates.copies] if duplicates else []
    # What is most likely a mistake in the labels comes first.
    copies.sort(key=lambda pair: pair[0].label == pair[1].label)
    sizes = Counter(grouping.groups)
    pairs = [RelatedPair("copy", first, second) for first, second in copies[:_COPY_PAIRS]]
    pairs += [
        RelatedPair("source", clips[first], clips[second]) for first, second in _examples(clips, duplicates, grouping)
    ]
    return LeakReport(
        grouping=grouping.kind,
        compared=duplicates is not None,
        num_clips=len(clips),
        num_groups=len(sizes),
        largest_share=max(sizes.values()) / len(clips),
        num_copies=len(copies),
        num_two_labels=sum(first.label != second.label for first, second in copies),
        one_place_share=sum(duplicates.broken) / len(clips) if duplicates else 0.0,
        exposed_by_video=_exposed_by_video(clips, grouping.related, config),
        exposed=_exposed(clips, grouping.related, splits),
        pairs=tuple(pairs),
        shortcuts=find_shortcuts(clips, grouping.groups, config.seed),
    )


def _examples(
    clips: Sequence[ClipRecord], duplicates: DuplicateGroups | None, grouping: Grouping
) -> Iterator[tuple[int, int]]:
    """Two videos of each of the largest groups that were found by looks."""
    if duplicates is None or grouping.kind == "given":
        return
    items: dict[str, list[int]] = defaultdict(list)
    for clip, group in enumerate(grouping.related):
        items[group].append(clip)
    copied = Counter(clip for pair in duplicates.copies for clip in pair)
    shown = 0
    for found in sorted(items.values(), key=lambda found: (-len(found), found)):
        others = [clip for clip in found if clips[clip].content_hash != clips[found[0]].content_hash]
        others = [clip for clip in others if not copied[clip]]
        if others and shown < _SOURCE_PAIRS:
            shown += 1
            yield found[0], others[-1]


def _exposed_by_video(clips: Sequence[ClipRecord], related: Sequence[str], config: Split) -> float | None:
    """Expected share of the test clips with a relative in training, were the sides drawn by video alone."""
    if not config.test_fraction:
        return None
    videos: dict[str, set[str]] = defaultdict(set)
    for clip, group in zip(clips, related, strict=True):
        videos[group].add(clip.content_hash)
    elsewhere = config.val_fraction + config.test_fraction
    return sum(1 - elsewhere ** (len(videos[group]) - 1) for group in related) / len(clips)


def _exposed(clips: Sequence[ClipRecord], related: Sequence[str], splits: Sequence[str]) -> float | None:
    """Share of the test clips with a relative in training, as the sides are."""
    learned: dict[str, set[str]] = defaultdict(set)
    for clip, group, split in zip(clips, related, splits, strict=True):
        if split == "train":
            learned[group].add(clip.content_hash)
    tested = [group for group, split in zip(related, splits, strict=True) if split == "test"]
    return sum(bool(learned[group]) for group in tested) / len(tested) if tested else None
