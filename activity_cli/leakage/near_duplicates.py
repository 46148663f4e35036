"""Near-duplicates: pairs of clips of one recording that was re-encoded, resized, trimmed, mirrored or brightened.

Two clips are near-duplicates if the frames of one lie on the path through the frames of the other, in the same order.
Only the pixels where something moves are compared: two recordings by one camera share all the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from activity_cli.leakage.signatures import BACKGROUND, FRAMES, TINT, Signature

__all__ = ["SignatureIndex"]

_Floats = npt.NDArray[np.float32]
_Clips = npt.NDArray[np.intp]

# The first three only rule out most pairs. Mean square distance of two backgrounds, as a share of their contrast.
# Backgrounds have little contrast where the camera moves.
_SAME_BACKGROUND = 0.4
# Cosine of the two maps of where something moves. Measured: copies of tennis clips have 0.84 or more.
_SAME_REGIONS = 0.7
# Difference of the tint that brightness alone may make: a share of the tint, and a share of white.
_SAME_TINT, _NO_TINT = 0.4, 0.03
# Variance over time of a pixel where something moves. Codecs add less.
_MOVES = 0.001
# Share of the motion that may differ. Measured with _FEW_PIXELS: copies of tennis clips have at most 0.23, different
# takes by one camera (gestures) 0.3 or more.
_SAME_MOTION = 0.25
# Agreement in this many pixels, of 1024, counts half: where next to nothing moves, it may be chance.
_FEW_PIXELS = 8
_TINY = 1e-9
_BLOCK = 256
_BATCH = 64


class SignatureIndex:
    """Signatures of many clips, at least one, in the forms in which they are compared."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        stack = np.stack(signatures)
        self._pictures = stack[:, : FRAMES + 1]  # the thumbnails, then that of the background
        self._background = stack[:, BACKGROUND].astype(np.float32)
        self._tints = stack[:, *TINT].astype(np.float32)
        self._regions = np.empty_like(self._background)
        for clip, pictures in enumerate(self._pictures):
            variance = ((pictures[:FRAMES].astype(np.float32) - self._background[clip]) ** 2).mean(0)
            spread = np.sqrt(np.where(variance > _MOVES, variance, 0))
            self._regions[clip] = spread / max(float(np.linalg.norm(spread)), _TINY)

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

    def any_near_duplicates(self, clips: _Clips, others: _Clips) -> bool:
        """Whether any of some clips is a near-duplicate of any of others."""
        for mirrored in (False, True):
            candidates = self._candidates(clips, mirrored, others)
            for clip, near in zip(clips.tolist(), candidates, strict=True):
                if self._duplicates_of(clip, others[near], mirrored).size:
                    return True
        return False

    def _candidates(
        self, clips: slice | _Clips, mirrored: bool, others: slice | _Clips = slice(None)
    ) -> npt.NDArray[np.bool_]:
        """Which pairs agree in what is cheap to compare: bool [clips, others]."""
        background, regions = self._background[clips], self._regions[clips]
        if mirrored:
            background, regions = _mirrored(background), _mirrored(regions)
        theirs = self._background[others]
        contrast = (background**2).mean(1)[:, np.newaxis] + (theirs**2).mean(1)
        near = _distances(background, theirs) <= _SAME_BACKGROUND / 2 * contrast
        near = np.asarray(near & (regions @ self._regions[others].T > _SAME_REGIONS), np.bool_)
        rows, columns = np.nonzero(near)
        one, other = self._tints[clips][rows], self._tints[others][columns]
        strongest = np.maximum(np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1))
        near[rows, columns] = np.linalg.norm(one - other, axis=1) < _SAME_TINT * strongest + _NO_TINT
        return near

    def _duplicates_of(self, clip: int, others: _Clips, mirrored: bool) -> _Clips:
        """Those of ``others`` that are near-duplicates of a clip."""
        batches = [others[begin : begin + _BATCH] for begin in range(0, len(others), _BATCH)]
        return np.concatenate([others[:0], *(batch[self._same_motion(clip, batch, mirrored)] for batch in batches)])

    def _same_motion(self, clip: int, others: _Clips, mirrored: bool) -> npt.NDArray[np.bool_]:
        pictures, theirs = (self._pictures[chosen].astype(np.float32) for chosen in (clip, others))
        if mirrored:
            pictures = _mirrored(pictures)
        frames, their_frames = pictures[:FRAMES], theirs[:, :FRAMES]
        moving, their_moving = frames - pictures[BACKGROUND], their_frames - theirs[:, BACKGROUND:]
        variance, their_variance = (moving**2).mean(0), (their_moving**2).mean(1)
        mask = np.maximum(variance, their_variance) > _MOVES
        energies = (variance * mask).mean(1) + _TINY, (their_variance * mask).mean(1) + _TINY
        count, mask = mask.sum(1), mask[:, np.newaxis]
        # Compared as they are, and without the background, which alone changes where brightening clips the white.
        same = _path_distance(frames * mask, their_frames * mask, *energies)
        same = np.minimum(same, _path_distance(moving * mask, their_moving * mask, *energies))
        return np.asarray(same * (count + _FEW_PIXELS) < _SAME_MOTION * count, np.bool_)


def _mirrored(pictures: _Floats) -> _Floats:
    side = round(pictures.shape[1] ** 0.5)
    return pictures.reshape(len(pictures), side, side)[:, :, ::-1].reshape(len(pictures), -1)


def _distances(first: _Floats, second: _Floats) -> _Floats:
    """Mean square distance of each pair: [..., A, P], [..., B, P] -> [..., A, B]."""
    squares = (first**2).sum(-1)[..., np.newaxis] + (second**2).sum(-1)[..., np.newaxis, :]
    products = first @ np.swapaxes(second, -1, -2)
    return np.asarray((squares - 2 * products) / first.shape[-1], np.float32)


def _path_distance(frames: _Floats, others: _Floats, energy: _Floats, other_energy: _Floats) -> _Floats:
    """Mean square distance of frames from the path through others, or the reverse if less: [K, T, P] twice -> [K].

    Each as a share of the energy of those frames: a clip in which nobody moves yet lies on the path of any clip.

    Every frame of a trimmed clip has a partner in the original, but not the other way round. Frames that were sampled
    at other times lie between those of the original.
    """
    apart = _distances(frames, others)
    steps, other_steps = (((one[:, 1:] - one[:, :-1]) ** 2).mean(-1)[:, np.newaxis] for one in (frames, others))
    off, other_off = _mean_off(apart, other_steps), _mean_off(apart.swapaxes(1, 2), steps)
    return np.asarray(np.minimum(off / energy, other_off / other_energy), np.float32)


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
