"""Pairs of clips that show one recording: re-encoded, resized, trimmed, mirrored, brightened.

The resting picture must be nearly the same, and what moves in front of it the same motion: the frames of
one lie on the path through the frames of the other, in the same order. That keeps apart what one fixed
camera filmed on two occasions, however still the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from activity_cli.leakage.signatures import FRAMES, RESTING, SIDE, TINT, Signature

__all__ = ["SignatureIndex"]

_Floats = npt.NDArray[np.float32]
_Clips = npt.NDArray[np.intp]

# Mean square distance of two resting pictures, in parts of what they have: a camera that moves leaves little.
_SAME_PLACE = 0.4
# The part of the motion that may be different. Measured: copies have at most 0.15, others 0.28 or more.
_SAME_MOTION = 0.2
# Cosine of the pictures of where something moves; copies have 0.85 or more.
_SAME_WHERE = 0.75
# Differences of the tint, in parts of it and in parts of white, that brightness alone may make.
_SAME_TINT, _NO_TINT = 0.4, 0.03
_NOISE = 0.001  # that the codec adds where nothing moves
_TINY = 1e-9
_BLOCK = 256
_BATCH = 64
_POOL = 4


class SignatureIndex:
    """Looks of many clips, in the forms in which they are compared.

    Args:
        looks: One for each clip; at least one.
    """

    def __init__(self, looks: Sequence[Signature]) -> None:
        stack = np.stack(looks)
        self._frames = stack[:, :FRAMES]
        self._resting = stack[:, RESTING].astype(np.float32)
        self._tints = stack[:, *TINT].astype(np.float32)
        self._small = np.stack([_pooled(look) for look in looks])
        self._where = np.empty_like(self._resting)
        self._energies = np.empty(len(stack), np.float32)
        for clip, look in enumerate(looks):
            frames = look[:FRAMES].astype(np.float32)
            spread = frames.std(0) + np.float32(np.sqrt(_NOISE))  # a constant where nothing moves
            self._where[clip] = spread / np.linalg.norm(spread)
            self._energies[clip] = ((frames - self._resting[clip]) ** 2).mean() + _NOISE

    def __len__(self) -> int:
        return len(self._frames)

    def copies(
        self, wanted: Callable[[int, _Clips], _Clips], advance: Callable[[int], None]
    ) -> Iterator[tuple[int, int]]:
        """All pairs that show one recording, the earlier clip first.

        Args:
            wanted: Of a clip and others, says with which others a pair is of interest. It is asked again
                right before each pair is told.
            advance: Hears of the clips that have been compared with all.
        """
        for begin in range(0, len(self), _BLOCK):
            end = min(begin + _BLOCK, len(self))
            for mirrored in (False, True):
                near = self._near(slice(begin, end), mirrored)
                for clip in range(begin, end):
                    others = np.flatnonzero(near[clip - begin, clip + 1 :]) + clip + 1
                    for other in self._copies_of(clip, wanted(clip, others), mirrored):
                        if wanted(clip, np.array([other])).size:
                            yield clip, int(other)
            advance(end - begin)

    def is_copy(self, first: int, second: int) -> bool:
        """Whether two clips show one recording."""
        return any(
            self._near(slice(first, first + 1), mirrored)[0, second]
            and self._copies_of(first, np.array([second]), mirrored).size
            for mirrored in (False, True)
        )

    def _near(self, clips: slice, mirrored: bool) -> npt.NDArray[np.bool_]:
        """Which look alike in what is cheap to compare: [clips, all]."""
        resting, where = self._resting[clips], self._where[clips]
        if mirrored:
            resting, where = _mirrored(resting), _mirrored(where)
        contrast = (resting**2).mean(1)[:, np.newaxis] + (self._resting**2).mean(1)
        near = _distances(resting, self._resting) <= _SAME_PLACE / 2 * contrast
        near = np.asarray(near & (where @ self._where.T > _SAME_WHERE), np.bool_)
        rows, columns = np.nonzero(near)
        one, other = self._tints[clips][rows], self._tints[columns]
        strongest = np.maximum(np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1))
        near[rows, columns] = np.linalg.norm(one - other, axis=1) < _SAME_TINT * strongest + _NO_TINT
        return near

    def _copies_of(self, clip: int, others: _Clips, mirrored: bool) -> _Clips:
        """Which of others are copies of a clip. Smaller pictures are never further apart: they rule out most."""
        if others.size:
            others = others[self._same_motion(clip, others, mirrored, small=True)]
        batches = [others[begin : begin + _BATCH] for begin in range(0, len(others), _BATCH)]
        return np.concatenate(
            [others[:0], *(batch[self._same_motion(clip, batch, mirrored, small=False)] for batch in batches)]
        )

    def _same_motion(self, clip: int, others: _Clips, mirrored: bool, *, small: bool) -> npt.NDArray[np.bool_]:
        if small:
            pictures = self._small[clip]
            theirs = self._small[others]
        else:
            pictures = np.concatenate([self._frames[clip].astype(np.float32), self._resting[clip, np.newaxis]])
            theirs = np.concatenate(
                [self._frames[others].astype(np.float32), self._resting[others, np.newaxis]], axis=1
            )
        if mirrored:
            pictures = _mirrored(pictures)
        most = _SAME_MOTION * (self._energies[clip] + self._energies[others]) / 2
        # Once as they are, and once less the resting picture, which alone changes where brightness was clipped.
        same = _off_the_path(pictures[:FRAMES], theirs[:, :FRAMES]) < most
        moving, their_moving = pictures[:FRAMES] - pictures[RESTING], theirs[:, :FRAMES] - theirs[:, RESTING:]
        return np.asarray(same | (_off_the_path(moving, their_moving) < most), np.bool_)


def _pooled(look: Signature) -> _Floats:
    """Thumbnails and the resting one at a quarter of the side: [17, 36]."""
    side = SIDE // _POOL
    pictures = look[: FRAMES + 1].astype(np.float32).reshape(FRAMES + 1, side, _POOL, side, _POOL)
    return np.asarray(pictures.mean((2, 4)).reshape(FRAMES + 1, side * side), np.float32)


def _mirrored(pictures: _Floats) -> _Floats:
    side = round(pictures.shape[1] ** 0.5)
    return pictures.reshape(len(pictures), side, side)[:, :, ::-1].reshape(len(pictures), -1)


def _distances(first: _Floats, second: _Floats) -> _Floats:
    """Mean square distance of each pair: [A, P], [..., B, P] -> [..., A, B]."""
    squares = (first**2).sum(1)[:, np.newaxis] + (second**2).sum(-1)[..., np.newaxis, :]
    products = first @ np.swapaxes(second, -1, -2)
    return np.asarray((squares - 2 * products) / first.shape[1], np.float32)


def _off_the_path(frames: _Floats, others: _Floats) -> _Floats:
    """How far frames are from the path through the others, or those from the path through these.

    Of the longer clip some frames have no partner in a trimmed copy, whose own all have one; those that
    were sampled elsewhere lie between those of the other.

    Args:
        frames: float32 [T, P].
        others: float32 [K, T, P].

    Returns:
        float32 [K]: the smaller of the two mean square distances.
    """
    apart = _distances(frames, others)
    steps = ((others[:, 1:] - others[:, :-1]) ** 2).mean(-1)[:, np.newaxis]
    own_steps = ((frames[1:] - frames[:-1]) ** 2).mean(-1)
    return np.minimum(_mean_off(apart, steps), _mean_off(apart.swapaxes(1, 2), own_steps))


def _mean_off(apart: _Floats, steps: _Floats) -> _Floats:
    """Mean distance from A to the legs of the path through B, of lengths ``steps``: [K, A, B] -> [K].

    The frames take the legs in order, some of them none: dynamic time warping (Sakoe and Chiba 1978)
    that may begin and end anywhere.
    """
    near, reach = apart[..., :-1], apart[..., :-1] - apart[..., 1:] + steps
    along = np.clip(reach / np.maximum(2 * steps, _TINY), 0, 1)
    off = near - along * (reach - along * steps)
    total = np.zeros_like(off[:, 0])
    for frame in range(off.shape[1]):
        total = np.minimum.accumulate(total + off[:, frame], axis=-1)
    return np.asarray(total[:, -1] / off.shape[1], np.float32)
