"""Which clips belong together by their looks: copies of one recording, and recordings of one place.

A clip is reduced to its look (:func:`look_of`, 20 kB); looks are compared in two ways:

- Copies (re-encoded, resized, trimmed, mirrored, brightened): the resting picture must be nearly the same,
  and what moves in front of it must be the same motion. The second keeps apart what one fixed camera
  filmed on two occasions, however still the picture.
- Sources: the colors of the resting picture, as a histogram compared by the Hellinger distance, which
  neither a mirror nor a moving camera changes much.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LOOK_SHAPE", "Kin", "Look", "find_kin", "look_of"]

Look = npt.NDArray[np.float16]
"""float16 [18, 576]: up to 16 gray thumbnails, the resting one, and colors (512 of a histogram, 2 of the tint)."""

_Floats = npt.NDArray[np.float32]

_FRAMES = 16
_SIDE = 24
_BINS = 8  # for each color
LOOK_SHAPE = (_FRAMES + 2, _SIDE * _SIDE)
_TINT = slice(_BINS**3, _BINS**3 + 2)  # behind the histogram
_COLOR_SIDE = 56  # pixels of a side that are looked at
# Mean square distances of thumbnails that have mean 0 and variance 1.
_SAME_PLACE = 0.08
# The part of the motion that may be different: the frames of a trimmed copy lie between those of the other.
_SAME_MOTION = 0.25
# Cosine of the pictures of where something moves; copies have 0.85 or more.
_SAME_WHERE = 0.75
# Differences of the tint, in parts of it and in parts of white, that brightness alone may make.
_SAME_TINT, _NO_TINT = 0.4, 0.03
_TINY = 1e-9
# Of a clip in which nothing moves: what the codec adds.
_NOISE = 0.001
# Measured on 371 tennis clips of 98 sources: 0.35 keeps 89 % of the pairs together, 0.4 99 %, and 0.45
# runs half of all clips together.
_SAME_SOURCE = 0.4
# Groups that leave no choice of sides teach nothing: then there was one place, or too few.
_FEWEST_SOURCES = 5
_LARGEST_SHARE = 0.25
_SIDES = 3  # to learn from, to watch, to test on
_TRIED = 200  # pairs of a large group
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Kin:
    """What belongs together. Groups are numbered by their first clip.

    Attributes:
        recordings: For each clip the group of all that show one recording.
        sources: For each clip the group of all that look filmed in one place; none of a split's sides
            would be left without clips by keeping them whole.
        copies: Pairs of clips that show one recording, as many as it takes to connect each group.
        broken: For each clip whether the source it looks filmed in was too large, or left a label no
            choice of sides; ``sources`` then keeps only its recordings together.
    """

    recordings: tuple[int, ...]
    sources: tuple[int, ...]
    copies: tuple[tuple[int, int], ...]
    broken: tuple[bool, ...]


def look_of(frames: npt.NDArray[np.uint8]) -> Look:
    """Reduces a clip to what is compared.

    Args:
        frames: uint8 [T, H, W, 3], RGB, T >= 1.
    """
    from activity_cli.video.fitting import fit_frame  # here: only what looks at frames pays for OpenCV

    places = np.linspace(0, len(frames) - 1, min(len(frames), _FRAMES)).round().astype(int)
    chosen = frames[places]
    thumbnails = np.stack([fit_frame(frame, _SIDE, "squash") for frame in chosen])
    gray = (thumbnails @ np.array([0.299, 0.587, 0.114], np.float32)).reshape(len(chosen), -1)
    gray = (gray - gray.mean(1, keepdims=True)) / (gray.std(1, keepdims=True) + np.float32(1e-3))
    rows, columns = (max(1, size // _COLOR_SIDE) for size in chosen.shape[1:3])
    levels = np.median(chosen[:, ::rows, ::columns], axis=0).astype(np.intp) * _BINS // 256
    histogram = np.bincount((levels @ np.array([_BINS * _BINS, _BINS, 1])).ravel(), minlength=_BINS**3)
    look = np.full(LOOK_SHAPE, np.nan, np.float16)  # a shorter clip leaves rows empty
    look[: len(gray)] = gray
    look[_FRAMES] = np.median(gray, axis=0)
    look[_FRAMES + 1] = 0
    look[_FRAMES + 1, : _BINS**3] = np.sqrt(histogram / histogram.sum())
    red, green, blue = np.median(thumbnails, axis=0).mean((0, 1)) / 255
    look[_FRAMES + 1, _TINT] = red - green, blue - green
    return look


def find_kin(
    looks: Sequence[Look],
    videos: Sequence[Hashable],
    labels: Sequence[str],
    advance: Callable[[int], None] = lambda clips: None,
) -> Kin:
    """Groups clips by their looks.

    Args:
        looks: One for each clip.
        videos: What each was cut from: clips of one video belong together whatever they look like.
        labels: What each shows.
        advance: Hears of the clips that have been compared with all.
    """
    number = len(looks)
    if not number:
        return Kin((), (), (), ())
    groups = _Groups(number)
    first_of: dict[Hashable, int] = {}
    for clip, video in enumerate(videos):
        groups.join(first_of.setdefault(video, clip), clip)
    owners = groups.numbers()
    pairs = [pair for pair in _candidates(looks, advance) if not groups.joined(*pair) and _joins(groups, looks, pair)]
    recordings = groups.numbers()
    chains = _chains(looks, recordings)
    recordings = [owners[clip] if group in chains else group for clip, group in enumerate(recordings)]
    copies = [(first, second) for first, second in pairs if recordings[first] == recordings[second]]
    for first, second in _akin(np.stack([look[_FRAMES + 1, : _BINS**3] for look in looks]).astype(np.float32)):
        groups.join(first, second)
    sources, broken = _divisible(recordings, groups.numbers(), labels)
    return Kin(tuple(recordings), tuple(sources), tuple(copies), tuple(broken))


def _joins(groups: _Groups, looks: Sequence[Look], pair: tuple[int, int]) -> bool:
    if not _is_copy(looks[pair[0]], looks[pair[1]]):
        return False
    groups.join(*pair)
    return True


def _chains(looks: Sequence[Look], recordings: Sequence[int]) -> set[int]:
    """Large groups in which most are no copies of one another.

    At one fixed place, where many do the same, each clip may pass for a copy of the next.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for clip, group in enumerate(recordings):
        members[group].append(clip)
    found = set()
    for group, clips in members.items():
        if len(clips) > max(2, _LARGEST_SHARE * len(recordings)):
            half = len(clips) // 2
            tried = list(zip(clips, clips[half:] + clips[:half], strict=True))[:: len(clips) // _TRIED + 1]
            if sum(_is_copy(looks[first], looks[second]) for first, second in tried) < len(tried) / 2:
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


def _candidates(looks: Sequence[Look], advance: Callable[[int], None]) -> Iterator[tuple[int, int]]:
    """Pairs whose resting picture is the same, and in which something moves at the same places."""
    resting = np.stack([look[_FRAMES] for look in looks]).astype(np.float32)
    moving = np.stack([_where_it_moves(look) for look in looks])
    for begin in range(0, len(looks), _BLOCK):
        rows, where = resting[begin : begin + _BLOCK], moving[begin : begin + _BLOCK]
        near = (_distances(rows, resting) < _SAME_PLACE) & (where @ moving.T > _SAME_WHERE)
        near |= (_distances(rows, _mirrored(resting)) < _SAME_PLACE) & (where @ _mirrored(moving).T > _SAME_WHERE)
        for row, column in np.argwhere(near):
            if column > row + begin:
                yield int(row) + begin, int(column)
        advance(len(rows))


def _where_it_moves(look: Look) -> _Floats:
    """float32 [576], of length 1; a constant where nothing moves."""
    spread = np.asarray(_frames(look).std(0) + np.sqrt(_NOISE), np.float32)
    return np.asarray(spread / np.linalg.norm(spread), np.float32)


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


def _mirrored(pictures: _Floats) -> _Floats:
    return pictures.reshape(len(pictures), _SIDE, _SIDE)[:, :, ::-1].reshape(len(pictures), -1)


def _distances(first: _Floats, second: _Floats) -> _Floats:
    """Mean square distance of each pair: [A, P], [B, P] -> [A, B]."""
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1)[None] - 2 * first @ second.T
    return np.asarray(squares / first.shape[1], np.float32)


def _is_copy(first: Look, second: Look) -> bool:
    rest, other_rest = (look[_FRAMES : _FRAMES + 1].astype(np.float32) for look in (first, second))
    frames, others = (_frames(look) for look in (first, second))
    if not _tinted_alike(first, second):
        return False
    for turned in (False, True):
        if turned:
            others, other_rest = _mirrored(others), _mirrored(other_rest)
        if _distances(rest, other_rest)[0, 0] >= _SAME_PLACE:
            continue
        # Less the resting picture: brightness that was clipped changes that, and not what moves.
        moving, other_moving = frames - rest, others - other_rest
        energy = ((moving**2).mean() + (other_moving**2).mean()) / 2 + _NOISE
        # Of the longer one some frames have no partner in a trimmed copy, whose own all have one.
        if min(_off_the_path(moving, other_moving), _off_the_path(other_moving, moving)) < _SAME_MOTION * energy:
            return True
    return False


def _tinted_alike(first: Look, second: Look) -> bool:
    tints = np.stack([look[_FRAMES + 1, _TINT] for look in (first, second)]).astype(np.float32)
    strongest = np.linalg.norm(tints, axis=1).max()
    return bool(np.linalg.norm(tints[0] - tints[1]) < _SAME_TINT * strongest + _NO_TINT)


def _off_the_path(frames: _Floats, others: _Floats) -> float:
    """Median mean square distance of frames from the path through the others: [A, P], [B, P].

    A copy that was cut or sampled differently has frames from between those of the other.
    """
    apart = _distances(frames, others)
    if len(others) == 1:
        return float(np.median(apart))
    near, far = apart[:, :-1], apart[:, 1:]
    steps = ((others[1:] - others[:-1]) ** 2).mean(1)
    along = np.clip((near - far + steps) / 2 / np.maximum(steps, _TINY), 0, 1)
    off = near - along * (near - far + steps) + along**2 * steps
    return float(np.median(off.min(1)))


def _frames(look: Look) -> _Floats:
    frames = look[:_FRAMES]
    return frames[~np.isnan(frames[:, 0])].astype(np.float32)


class _Groups:
    """Connected components, each named by its first member."""

    def __init__(self, number: int) -> None:
        self._parent = list(range(number))

    def join(self, first: int, second: int) -> None:
        one, other = sorted((self._root(first), self._root(second)))
        self._parent[other] = one

    def joined(self, first: int, second: int) -> bool:
        return self._root(first) == self._root(second)

    def numbers(self) -> list[int]:
        return [self._root(one) for one in range(len(self._parent))]

    def _root(self, one: int) -> int:
        while self._parent[one] != one:
            self._parent[one] = self._parent[self._parent[one]]
            one = self._parent[one]
        return one
