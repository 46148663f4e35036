"""Near-duplicates: pairs of clips of one recording that was re-encoded, resized, trimmed, mirrored or brightened.

Two clips are near-duplicates if their backgrounds are nearly the same, and if the frames of one lie on the path through
the frames of the other, in the same order. Two recordings by one fixed camera pass the first test, but not the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from activity_cli.leakage.signatures import BACKGROUND, FRAMES, SIDE, TINT, Signature

__all__ = ["SignatureIndex"]

_Floats = npt.NDArray[np.float32]
_Clips = npt.NDArray[np.intp]

# Mean square distance of two backgrounds, as a share of their contrast. Backgrounds have little contrast where the
# camera moves.
_SAME_BACKGROUND = 0.4
# Share of the motion that may differ. Measured: near-duplicates have at most 0.15, others 0.28 or more.
_SAME_MOTION = 0.2
# Cosine of the two maps of where something moves. Measured: near-duplicates have 0.85 or more.
_SAME_REGIONS = 0.75
# Difference of the tint that brightness alone may make: a share of the tint, and a share of white.
_SAME_TINT, _NO_TINT = 0.4, 0.03
_NOISE = 0.001  # variance that the codec adds where nothing moves
_TINY = 1e-9
_BLOCK = 256
_BATCH = 64
_POOL = 4


class SignatureIndex:
    """Signatures of many clips, at least one, in the forms in which they are compared."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        stack = np.stack(signatures)
        self._pictures = stack[:, : FRAMES + 1]  # the thumbnails, then that of the background
        self._background = stack[:, BACKGROUND].astype(np.float32)
        self._tints = stack[:, *TINT].astype(np.float32)
        self._small = np.stack([_pooled(signature) for signature in signatures])
        self._regions = np.empty_like(self._background)
        self._energies = np.empty(len(stack), np.float32)
        for clip, signature in enumerate(signatures):
            frames = signature[:FRAMES].astype(np.float32)
            spread = frames.std(0) + np.float32(np.sqrt(_NOISE))  # a constant where nothing moves
            self._regions[clip] = spread / np.linalg.norm(spread)
            self._energies[clip] = ((frames - self._background[clip]) ** 2).mean() + _NOISE

    def near_duplicates(
        self, wanted: Callable[[int, _Clips], _Clips], advance: Callable[[int], None]
    ) -> Iterator[tuple[int, int]]:
        """All pairs of near-duplicates, the earlier clip first.

        ``wanted`` gets a clip and others, and returns those others whose pairs with the clip matter. It is asked again
        right before each pair is yielded. ``advance`` gets the number of clips that have been compared with all others.
        """
        for begin in range(0, len(self._pictures), _BLOCK):
            end = min(begin + _BLOCK, len(self._pictures))
            for mirrored in (False, True):
                candidates = self._candidates(slice(begin, end), mirrored)
                for clip in range(begin, end):
                    others = np.flatnonzero(candidates[clip - begin, clip + 1 :]) + clip + 1
                    for other in self._duplicates_of(clip, wanted(clip, others), mirrored):
                        if wanted(clip, np.array([other])).size:
                            yield clip, int(other)
            advance(end - begin)

    def is_near_duplicate(self, first: int, second: int) -> bool:
        """Whether two clips are near-duplicates."""
        return any(
            self._candidates(slice(first, first + 1), mirrored)[0, second]
            and self._duplicates_of(first, np.array([second]), mirrored).size
            for mirrored in (False, True)
        )

    def _candidates(self, clips: slice, mirrored: bool) -> npt.NDArray[np.bool_]:
        """Which pairs agree in what is cheap to compare: bool [clips, all]."""
        background, regions = self._background[clips], self._regions[clips]
        if mirrored:
            background, regions = _mirrored(background), _mirrored(regions)
        contrast = (background**2).mean(1)[:, np.newaxis] + (self._background**2).mean(1)
        near = _distances(background, self._background) <= _SAME_BACKGROUND / 2 * contrast
        near = np.asarray(near & (regions @ self._regions.T > _SAME_REGIONS), np.bool_)
        rows, columns = np.nonzero(near)
        one, other = self._tints[clips][rows], self._tints[columns]
        strongest = np.maximum(np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1))
        near[rows, columns] = np.linalg.norm(one - other, axis=1) < _SAME_TINT * strongest + _NO_TINT
        return near

    def _duplicates_of(self, clip: int, others: _Clips, mirrored: bool) -> _Clips:
        """Those of ``others`` that are near-duplicates of a clip."""
        if others.size:
            # Pooling never increases a distance, so the pooled thumbnails rule out most clips.
            others = others[self._same_motion(clip, others, mirrored, pooled=True)]
        batches = [others[begin : begin + _BATCH] for begin in range(0, len(others), _BATCH)]
        return np.concatenate(
            [others[:0], *(batch[self._same_motion(clip, batch, mirrored, pooled=False)] for batch in batches)]
        )

    def _same_motion(self, clip: int, others: _Clips, mirrored: bool, *, pooled: bool) -> npt.NDArray[np.bool_]:
        thumbnails = self._small if pooled else self._pictures
        pictures, theirs = (thumbnails[chosen].astype(np.float32, copy=False) for chosen in (clip, others))
        if mirrored:
            pictures = _mirrored(pictures)
        most = _SAME_MOTION * (self._energies[clip] + self._energies[others]) / 2
        # Compared as they are, and without the background, which alone changes where brightening clips the white.
        same = _path_distance(pictures[:FRAMES], theirs[:, :FRAMES]) < most
        moving, their_moving = pictures[:FRAMES] - pictures[BACKGROUND], theirs[:, :FRAMES] - theirs[:, BACKGROUND:]
        return np.asarray(same | (_path_distance(moving, their_moving) < most), np.bool_)


def _pooled(signature: Signature) -> _Floats:
    """The thumbnails and that of the background at a quarter of their side: float32 [17, 36]."""
    side = SIDE // _POOL
    pictures = signature[: FRAMES + 1].astype(np.float32).reshape(FRAMES + 1, side, _POOL, side, _POOL)
    return np.asarray(pictures.mean((2, 4)).reshape(FRAMES + 1, side * side), np.float32)


def _mirrored(pictures: _Floats) -> _Floats:
    side = round(pictures.shape[1] ** 0.5)
    return pictures.reshape(len(pictures), side, side)[:, :, ::-1].reshape(len(pictures), -1)


def _distances(first: _Floats, second: _Floats) -> _Floats:
    """Mean square distance of each pair: [A, P], [..., B, P] -> [..., A, B]."""
    squares = (first**2).sum(1)[:, np.newaxis] + (second**2).sum(-1)[..., np.newaxis, :]
    products = first @ np.swapaxes(second, -1, -2)
    return np.asarray((squares - 2 * products) / first.shape[1], np.float32)


def _path_distance(frames: _Floats, others: _Floats) -> _Floats:
    """Mean square distance of frames from the path through others, or the reverse if less: [T, P], [K, T, P] -> [K].

    Every frame of a trimmed clip has a partner in the original, but not the other way round. Frames that were sampled
    at other times lie between those of the original.
    """
    apart = _distances(frames, others)
    steps = ((others[:, 1:] - others[:, :-1]) ** 2).mean(-1)[:, np.newaxis]
    own_steps = ((frames[1:] - frames[:-1]) ** 2).mean(-1)
    return np.minimum(_mean_off(apart, steps), _mean_off(apart.swapaxes(1, 2), own_steps))


def _mean_off(apart: _Floats, steps: _Floats) -> _Floats:
    """Mean distance from A to the legs of the path through B, of squared lengths ``steps``: [K, A, B] -> [K].

    The frames take the legs in order, and may skip some: dynamic time warping (Sakoe and Chiba 1978) that may begin and
    end anywhere.
    """
    near, reach = apart[..., :-1], apart[..., :-1] - apart[..., 1:] + steps
    along = np.clip(reach / np.maximum(2 * steps, _TINY), 0, 1)
    off = near - along * (reach - along * steps)
    total = np.zeros_like(off[:, 0])
    for frame in range(off.shape[1]):
        total = np.minimum.accumulate(total + off[:, frame], axis=-1)
    return np.asarray(total[:, -1] / off.shape[1], np.float32)
