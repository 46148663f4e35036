"""Which clips belong together by their looks: copies of one recording, and recordings of one place.

Copies are told by their motion (see ``copies``); sources by the colors of the resting picture, as a
histogram compared by the Hellinger distance, which neither a mirror nor a moving camera changes much.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activity_cli.leakage.near_duplicates import SignatureIndex
from activity_cli.leakage.signatures import COLORS, Signature

__all__ = ["DuplicateGroups", "find_duplicate_groups"]

_Floats = npt.NDArray[np.float32]

# Measured on 371 tennis clips of 98 sources, cropped: 0.4 keeps 93 % of the pairs together, 0.42 98 % with at
# most 16 % of the clips in a group, 0.44 99 % with 19 %.
_SAME_SOURCE = 0.42
# Groups that leave no choice of sides teach nothing: then there was one place, or too few.
_FEWEST_SOURCES = 5
_LARGEST_SHARE = 0.25
_SIDES = 3  # to learn from, to watch, to test on
_MANY_COPIES = 8
_TRIED = 200  # pairs of a large group
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class DuplicateGroups:
    """What belongs together. Groups are numbered by their first clip.

    Attributes:
        recordings: For each clip the group of all that show one recording.
        sources: For each clip the group of all that look filmed in one place; none of a split's sides
            would be left without clips by keeping them whole.
        copies: Pairs of clips that show one recording, as many as it takes to connect each group.
        doubted: For each clip whether it looks like a copy of so many that this is not believed.
        broken: For each clip whether the source it looks filmed in was too large, or left a label no
            choice of sides; ``sources`` then keeps only its recordings together.
    """

    recordings: tuple[int, ...]
    sources: tuple[int, ...]
    copies: tuple[tuple[int, int], ...]
    doubted: tuple[bool, ...]
    broken: tuple[bool, ...]


def find_duplicate_groups(
    looks: Sequence[Signature],
    videos: Sequence[Hashable],
    labels: Sequence[str],
    advance: Callable[[int], None] = lambda clips: None,
) -> DuplicateGroups:
    """Groups clips by their looks.

    Args:
        looks: One for each clip.
        videos: What each was cut from: clips of one video belong together whatever they look like.
        labels: What each shows.
        advance: Hears of the clips that have been compared with all.
    """
    number = len(looks)
    if not number:
        return DuplicateGroups((), (), (), (), ())
    groups = _Groups(number)
    first_of: dict[Hashable, int] = {}
    for clip, video in enumerate(videos):
        groups.join(first_of.setdefault(video, clip), clip)
    source_ids = groups.numbers()
    album = SignatureIndex(looks)
    pairs = []
    for first, second in album.copies(groups.not_with, advance):
        groups.join(first, second)
        pairs.append((first, second))
    recordings = groups.numbers()
    doubted = _doubtful(album, recordings, labels)
    alike = tuple(group in doubted for group in recordings)
    recordings = [source_ids[clip] if group in doubted else group for clip, group in enumerate(recordings)]
    copies = [(first, second) for first, second in pairs if recordings[first] == recordings[second]]
    for first, second in _akin(np.stack([look[COLORS] for look in looks]).astype(np.float32)):
        groups.join(first, second)
    sources, broken = _divisible(recordings, groups.numbers(), labels)
    return DuplicateGroups(tuple(recordings), tuple(sources), tuple(copies), alike, tuple(broken))


def _doubtful(album: SignatureIndex, recordings: Sequence[int], labels: Sequence[str]) -> set[int]:
    """Groups of copies that are hardly that: where one camera sees a machine do the same all day.

    They are large, and either chains, in which most are no copies of one another, or all there is of a
    label, so that nothing could be tested.
    """
    items: dict[int, list[int]] = defaultdict(list)
    groups_of: dict[str, set[int]] = defaultdict(set)
    for clip, (group, label) in enumerate(zip(recordings, labels, strict=True)):
        items[group].append(clip)
        groups_of[label].add(group)
    found = {group for groups in groups_of.values() if len(groups) == 1 for group in groups}
    found = {group for group in found if len(items[group]) >= _MANY_COPIES}
    for group, clips in items.items():
        if len(clips) > max(2, _LARGEST_SHARE * len(recordings)):
            half = len(clips) // 2
            tried = list(zip(clips, clips[half:] + clips[:half], strict=True))[:: len(clips) // _TRIED + 1]
            if sum(album.is_copy(first, second) for first, second in tried) < len(tried) / 2:
                found.add(group)
    return found


def _divisible(recordings: list[int], sources: list[int], labels: Sequence[str]) -> tuple[list[int], list[bool]]:
    """Breaks sources that cannot be put on one side into their recordings."""
    sizes = np.bincount(sources)
    broken = set(np.flatnonzero(sizes > _LARGEST_SHARE * len(sources)).tolist())
    if np.count_nonzero(sizes) < _FEWEST_SOURCES:
        broken = set(sources)
    found: dict[str, set[int]] = defaultdict(set)
    possible: dict[str, set[int]] = defaultdict(set)
    for label, source, recording in zip(labels, sources, recordings, strict=True):
        found[label].add(recording if source in broken else source)
        possible[label].add(recording)
    for label in found:
        if len(found[label]) < min(_SIDES, len(possible[label])):
            broken |= {source for other, source in zip(labels, sources, strict=True) if other == label}
    pairs = zip(recordings, sources, strict=True)
    return [recording if source in broken else source for recording, source in pairs], [
        source in broken for source in sources
    ]


def _akin(colors: _Floats) -> Iterator[tuple[int, int]]:
    """Pairs that connect all whose colors are alike, each clip reached once."""
    waiting = np.arange(len(colors))
    frontier = waiting[:0]
    while len(waiting):
        if not len(frontier):
            frontier, waiting = waiting[:1], waiting[1:]
            continue
        seen, frontier = frontier[:_BLOCK], frontier[_BLOCK:]
        close = 1 - colors[seen] @ colors[waiting].T < _SAME_SOURCE**2
        reached = close.any(0)
        yield from zip(seen[close.argmax(0)[reached]].tolist(), waiting[reached].tolist(), strict=True)
        frontier, waiting = np.append(frontier, waiting[reached]), waiting[~reached]


class _Groups:
    """What has been joined so far; each group is named by its first member."""

    def __init__(self, number: int) -> None:
        self._group = np.arange(number)

    def join(self, first: int, second: int) -> None:
        one, other = sorted((self._group[first], self._group[second]))
        self._group[self._group == other] = one

    def not_with(self, clip: int, others: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Those of others that are not in the group of a clip."""
        return np.asarray(others[self._group[others] != self._group[clip]], np.intp)

    def numbers(self) -> list[int]:
        return list(map(int, self._group))
