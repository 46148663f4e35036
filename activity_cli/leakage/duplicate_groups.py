"""Groups of clips with similar signatures: clips of one recording (near-duplicates), and clips of one place (a source).

Places are compared by the color histogram of the background, with the Hellinger distance. Mirroring or panning changes
it little.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, product
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from activity_cli.dataset.clips import ClipStore, cache_key
from activity_cli.dataset.processes import Lost, call_in_processes
from activity_cli.files import write_text
from activity_cli.leakage.near_duplicates import SignatureIndex
from activity_cli.leakage.signatures import COLORS, Signature, SignatureStore
from activity_cli.progress import Progress

__all__ = ["DuplicateGroups", "SourceId", "find_duplicate_groups", "load_duplicate_groups"]

# Measured on 371 cropped tennis clips of 98 sources: 0.4 joins 93 % of the pairs of one source, 0.42 joins 98 % (the
# largest group has 16 % of the clips), 0.44 joins 99 % (19 %).
_SAME_PLACE = 0.42
# Fewer or larger sources leave the split no choice: then there was one place, or too few of them.
_FEWEST_SOURCES = 5
_LARGEST_SHARE = 0.25
_NUM_SPLITS = 3  # train, val, test
_MANY_DUPLICATES = 8
_TRIED_VIDEOS = 8  # of a group that another would join
_BLOCK = 256

# Every clip is compared with every other: 20,000 clips take about two minutes.
_MOST_CLIPS = 20_000
# Comparing so few takes less time than starting a process.
_FEW_CLIPS = 200
# Part of the key of the cached result: to be raised when the comparison changes.
_METHOD = 4

_Clips = npt.NDArray[np.intp]

SourceId = tuple[str, str]
"""What a clip was cut from: the hash of the video's content, and the given group or an empty text."""


@dataclass(frozen=True, slots=True)
class DuplicateGroups:
    """Which clips are near-duplicates, and which share a place. A group's number is that of its first clip.

    Attributes:
        recordings: For each clip, its group of near-duplicates and of clips of the same video.
        sources: For each clip, its group of clips that seem filmed in one place.
        near_duplicates: Pairs of near-duplicates, as many as it takes to connect each recording.
        rejected_recordings: For each clip, whether its group of near-duplicates had many clips, and all of a label,
            and was therefore not joined.
        rejected_sources: For each clip, whether its place had too many clips, or left a label in too few groups for
            all splits. ``sources`` then joins only the clip's recording.
    """

    recordings: tuple[int, ...]
    sources: tuple[int, ...]
    near_duplicates: tuple[tuple[int, int], ...]
    rejected_recordings: tuple[bool, ...]
    rejected_sources: tuple[bool, ...]


def load_duplicate_groups(
    store: ClipStore, clips: Sequence[str], source_ids: Sequence[SourceId], labels: Sequence[str], progress: Progress
) -> DuplicateGroups | None:
    """Groups the clips of a store, given by name, as :func:`find_duplicate_groups` does.

    The result is cached in ``duplicate_groups.json``. It is None where there are too many clips to compare, or too
    little memory.

    Raises:
        OutputError: The prepared folder cannot be written.
    """
    if len(clips) > _MOST_CLIPS:
        return None
    path = store.folder.with_name("duplicate_groups.json")
    key = cache_key(_METHOD, clips, source_ids, labels)
    if (groups := _read_cache(path, key, len(clips))) is not None:
        return groups
    with progress.stage("Comparing clips", len(clips), "clip") as stage:
        if len(clips) <= _FEW_CLIPS:
            groups = _compare(store, clips, source_ids, labels, stage.advance)
        else:
            compare = partial(_compare, store, clips, source_ids)
            try:
                # Signatures of thousands of clips take much memory, which only the end of a process gives back.
                [(_, answer)] = call_in_processes(compare, [labels], 1, advance=stage.advance)
            except MemoryError:
                return None
            if isinstance(answer, Lost):
                return None
            groups = answer
    write_text(path, msgspec.json.encode(_Cache(key, groups)).decode() + "\n")
    return groups


def _compare(
    store: ClipStore,
    clips: Sequence[str],
    source_ids: Sequence[SourceId],
    labels: Sequence[str],
    advance: Callable[[int], None],
) -> DuplicateGroups:
    return find_duplicate_groups(list(map(SignatureStore(store).read, clips)), source_ids, labels, advance)


@dataclass(frozen=True, slots=True)
class _Cache:
    """The content of ``duplicate_groups.json``; the key changes with the clips and the method."""

    key: str
    groups: DuplicateGroups


def _read_cache(path: Path, key: str, number: int) -> DuplicateGroups | None:
    """The groups that are cached for these ``number`` clips; None where there are none, or they are damaged."""
    try:
        cache = msgspec.json.decode(path.read_bytes(), type=_Cache)
    except (OSError, msgspec.DecodeError):
        return None
    groups = cache.groups
    per_clip = groups.recordings, groups.sources, groups.rejected_recordings, groups.rejected_sources
    named = {*groups.recordings, *groups.sources, *chain.from_iterable(groups.near_duplicates)}
    whole = all(len(values) == number for values in per_clip) and named <= set(range(number))
    return groups if whole and cache.key == key else None


def find_duplicate_groups(
    signatures: Sequence[Signature],
    source_ids: Sequence[Hashable],
    labels: Sequence[str],
    advance: Callable[[int], None] = lambda clips: None,
) -> DuplicateGroups:
    """Groups clips by their signatures, of which each has one; clips with the same source id are always joined.

    ``advance`` is called with the number of clips that have been compared with all others.
    """
    if not len(signatures):
        return DuplicateGroups((), (), (), (), ())
    groups = _Groups(len(signatures))
    first_of: dict[Hashable, int] = {}
    for clip, source in enumerate(source_ids):
        groups.join(first_of.setdefault(source, clip), clip)
    videos = groups.numbers()
    index = SignatureIndex(signatures)
    pairs = []
    for pair in index.near_duplicates(groups.not_with, advance):
        if _is_one_recording(index, groups.with_clip(pair[0]), groups.with_clip(pair[1]), np.array(videos)):
            groups.join(*pair)
            pairs.append(pair)
    recordings = groups.numbers()
    implausible = _implausible(recordings, labels)
    rejected = tuple(group in implausible for group in recordings)
    recordings = [videos[clip] if rejected[clip] else group for clip, group in enumerate(recordings)]
    near_duplicates = tuple((first, second) for first, second in pairs if recordings[first] == recordings[second])
    for pair in _same_place(np.stack([one[COLORS] for one in signatures]).astype(np.float32)):
        groups.join(*pair)
    places = groups.numbers()
    too_large = _indivisible(recordings, places, labels)
    rejected_sources = tuple(place in too_large for place in places)
    sources = tuple(recordings[clip] if rejected_sources[clip] else place for clip, place in enumerate(places))
    return DuplicateGroups(tuple(recordings), sources, near_duplicates, rejected, rejected_sources)


def _is_one_recording(index: SignatureIndex, clips: _Clips, others: _Clips, videos: _Clips) -> bool:
    """Whether two groups are one recording, as two of their clips are: half of the pairs of their videos have to agree.

    Otherwise, a chain of pairs would join clips that have little in common.
    """
    some, more = (
        [group[videos[group] == video] for video in np.unique(videos[group])[:_TRIED_VIDEOS]]
        for group in (clips, others)
    )
    if len(some) == len(more) == 1:
        return True
    agree = [index.any_near_duplicates(one, other) for one, other in product(some, more)]
    return 2 * sum(agree) >= len(agree)


def _implausible(recordings: Sequence[int], labels: Sequence[str]) -> set[int]:
    """Groups of near-duplicates that cannot be true, as where one camera sees a machine do the same all day.

    They have many clips, and all clips of a label, so that nothing of it would be left to test.
    """
    sizes = Counter(recordings)
    groups_of: dict[str, set[int]] = defaultdict(set)
    for group, label in zip(recordings, labels, strict=True):
        groups_of[label].add(group)
    only_groups = {group for groups in groups_of.values() if len(groups) == 1 for group in groups}
    return {group for group in only_groups if sizes[group] >= _MANY_DUPLICATES}


def _indivisible(recordings: Sequence[int], places: Sequence[int], labels: Sequence[str]) -> set[int]:
    """Places that would leave the split no choice if their clips stayed together."""
    sizes = np.bincount(places)
    if np.count_nonzero(sizes) < _FEWEST_SOURCES:
        return set(places)
    found = set(np.flatnonzero(sizes > _LARGEST_SHARE * len(places)).tolist())
    groups_of: dict[str, set[int]] = defaultdict(set)
    recordings_of: dict[str, set[int]] = defaultdict(set)
    for label, place, recording in zip(labels, places, recordings, strict=True):
        groups_of[label].add(recording if place in found else place)
        recordings_of[label].add(recording)
    scarce = {label for label, groups in groups_of.items() if len(groups) < min(_NUM_SPLITS, len(recordings_of[label]))}
    return found | {place for label, place in zip(labels, places, strict=True) if label in scarce}


def _same_place(colors: npt.NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Pairs that connect all clips with similar colors; each clip is reached once.

    A breadth-first search needs no list of all pairs, as a function of SciPy would: in one place, all clips are pairs.
    """
    waiting = np.arange(len(colors))
    frontier = waiting[:0]
    while len(waiting):
        if not len(frontier):
            frontier, waiting = waiting[:1], waiting[1:]
            continue
        seen, frontier = frontier[:_BLOCK], frontier[_BLOCK:]
        close = 1 - colors[seen] @ colors[waiting].T < _SAME_PLACE**2
        reached = close.any(0)
        yield from zip(seen[close.argmax(0)[reached]].tolist(), waiting[reached].tolist(), strict=True)
        frontier, waiting = np.append(frontier, waiting[reached]), waiting[~reached]


class _Groups:
    """Disjoint sets of clips, each named by its first clip, of which many clips can be looked up at once."""

    def __init__(self, number: int) -> None:
        self._group = np.arange(number)

    def join(self, first: int, second: int) -> None:
        one, other = sorted((self._group[first], self._group[second]))
        self._group[self._group == other] = one

    def with_clip(self, clip: int) -> _Clips:
        """The group of a clip."""
        return np.flatnonzero(self._group == self._group[clip])

    def not_with(self, clip: int, others: _Clips) -> _Clips:
        """Those of ``others`` that are not in the group of a clip."""
        return np.asarray(others[self._group[others] != self._group[clip]], np.intp)

    def numbers(self) -> list[int]:
        return list(map(int, self._group))
