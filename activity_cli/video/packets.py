"""What a container lists of a video, and what decoding it lost."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from activity_cli.video.source import JumpError

__all__ = ["CUT_SHARE", "RUN_UP_FRAMES", "SAME_SECONDS", "Losses", "Packets", "packets_of"]

# Decoding starts at the key frame before a place this many frames ahead of the wanted one, so that frames which refer
# back over a key frame (open GOP) come out whole.
RUN_UP_FRAMES = 16
# What a jump costs beside decoding, in frames; and how much cheaper jumping must be to be tried.
_JUMP_COST_FRAMES = 20
_WORTHWHILE = 1.5
# Reading a shorter video through takes a second at most.
_LONG_FRAMES = 600
# Time stamps that differ by less are the same.
SAME_SECONDS = 0.0006
# A video that ends this share of its length before the promised end is cut short. Containers round, and sound may last
# a little longer than the pictures.
CUT_SHARE = 0.05
_CUT_FRAMES = 2.5
# Behind the end of an edit list, the list of packets has some that are not shown.
_LIST_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Packets:
    """The packets that a container lists.

    Attributes:
        times_seconds: When each frame is shown, rising from 0; empty where the container does not say.
        key_frames: Indices of the frames that can be decoded without others, rising.
    """

    times_seconds: array[float] = field(default_factory=lambda: array("d"))
    key_frames: array[int] = field(default_factory=lambda: array("q"))

    @property
    def last(self) -> int:
        return len(self.times_seconds) - 1

    def key_before(self, index: int) -> int:
        """The place in ``key_frames`` to decode from, with a run-up."""
        return max(0, bisect_right(self.key_frames, max(0, index - RUN_UP_FRAMES)) - 1)

    def cost(self, before: int, index: int) -> int:
        """Frames to decode to get to a frame from the one before, jumping or reading on."""
        jump = index - self.key_frames[self.key_before(index)] + _JUMP_COST_FRAMES
        return min(jump, index - before)

    def worth_jumping(self, indices: Sequence[int]) -> bool:
        if not indices or not self.key_frames or len(self.times_seconds) < _LONG_FRAMES:
            return False
        steps = zip([-1, *indices], [*indices, self.last], strict=True)
        return sum(self.cost(before, index) for before, index in steps) * _WORTHWHILE < len(self.times_seconds)

    def index_of(self, time: float) -> int:
        """The frame with a time stamp.

        Raises:
            JumpError: There is none.
        """
        index = bisect_left(self.times_seconds, time - SAME_SECONDS)
        if index > self.last or abs(self.times_seconds[index] - time) > SAME_SECONDS:
            raise JumpError
        return index


def packets_of(times: Sequence[float], keys: Sequence[float]) -> Packets | None:
    """The packets with these times, in any order; None where the times are no list of frames from 0 on."""
    rising = array("d", sorted(times))
    if not rising or rising[0] < 0 or any(earlier >= later for earlier, later in pairwise(rising)):
        return None
    return Packets(rising, array("q", sorted(bisect_left(rising, key) for key in keys)))


@dataclass(slots=True)
class Losses:
    """Counts what the decoder refuses while a video is read through.

    Attributes:
        frames: Refused packets, but those after the last frame: the decoder also refuses what follows the end.
        last_seconds: When the last frame is shown.
    """

    frames: int = 0
    last_seconds: float = 0.0
    shown: int = 0
    _refused: int = 0

    @property
    def tried(self) -> int:
        return self.shown + self.frames + self._refused

    def refuse(self) -> None:
        self._refused += 1

    def show(self, time_seconds: float) -> None:
        self.frames, self._refused = self.frames + self._refused, 0
        self.shown += 1
        self.last_seconds = max(self.last_seconds, time_seconds)  # the very last one may have no time stamp

    def missing_seconds(self, listed: Sequence[float], header_frames: int, rate: float) -> float:
        """How much earlier than promised the video ends; 0 where that may be rounding.

        The list of packets promises its last time stamp. A header that counts more frames than the list has promises
        their duration; one with an edit list counts frames on purpose that are not shown, but lists them.
        """
        if not self.shown:
            return 0.0
        frame_seconds = 1 / rate if rate else self.last_seconds / max(1, self.shown - 1)
        promised, least = listed[-1] if listed else 0.0, _LIST_SECONDS
        if rate and header_frames > len(listed):
            promised, least = max(promised, (header_frames - 1) / rate), _CUT_FRAMES * frame_seconds
        missing = promised - self.last_seconds
        return round(missing, 6) if missing > max(CUT_SHARE * promised, least) else 0.0
