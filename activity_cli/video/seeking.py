"""Jumping in a long video, without ever believing a jump.

The container is taken apart first: the time stamp of every packet, and which ones are key frames. That
gives all frame times without decoding, and the cost of a jump: the frames from the key frame before.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from activity_cli.errors import VideoError
from activity_cli.video.opening import cv2, frame_rate, opened

__all__ = ["PacketList", "SeekingFailedError", "list_packets", "seek_frames", "worth_seeking"]

# OpenCV starts decoding at the key frame before a place this many frames ahead of the wanted one, so
# that frames which refer back over a key frame (open GOP) come out whole.
_RUN_UP_FRAMES = 16
# What a jump costs beside decoding, in frames; and how much cheaper jumping must look to be tried.
_JUMP_COST_FRAMES = 20
_WORTHWHILE = 1.5
_SAME_SECONDS = 0.0006


class SeekingFailedError(Exception):
    """The file does not do what its packets promise."""


@dataclass(frozen=True, slots=True)
class PacketList:
    """What the container says.

    Attributes:
        times_seconds: When each frame is shown, rising from 0; empty where that cannot be told.
        key_frames: Numbers of the frames that can be decoded without others, rising.
    """

    times_seconds: array[float]
    key_frames: array[int]


def list_packets(path: Path) -> PacketList:
    """Lists the frames of a video without decoding any; an empty list where that is not possible."""
    times, keys = array("d"), array("d")
    try:
        with opened(path, 1, packets=True) as capture:
            while capture.grab():
                time = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                times.append(time)
                if capture.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME):
                    keys.append(time)
    except VideoError:
        return PacketList(array("d"), array("q"))
    times = array("d", sorted(times))
    if not times or times[0] < 0 or any(times[i] >= times[i + 1] for i in range(len(times) - 1)):
        return PacketList(array("d"), array("q"))
    return PacketList(times, array("q", sorted(bisect_left(times, key) for key in keys)))


def worth_seeking(listed: PacketList, wanted: Sequence[int]) -> bool:
    """Whether jumping to the wanted frames decodes clearly less than reading through."""
    if not wanted or not listed.key_frames:
        return False
    cost = sum(
        _cost(listed, before, index) for before, index in zip([-1, *wanted], [*wanted, _last(listed)], strict=True)
    )
    return cost * _WORTHWHILE < len(listed.times_seconds)


def seek_frames(
    capture: cv2.VideoCapture,
    listed: PacketList,
    wanted: Sequence[int],
    variant: Callable[[int, cv2.VideoCapture], bool],
) -> None:
    """Jumps to each wanted frame, reads on where that is nearer, and checks every time stamp on the way.

    Args:
        capture: Freshly opened.
        listed: The frames as the container lists them.
        wanted: Frame numbers, rising.
        take: Called with each wanted frame when it has been grabbed.

    Raises:
        SeekingFailedError: A time stamp is not the listed one, or the video does not end where the list does.
    """
    place = _Place(capture, listed)
    place.go_on_to(0)
    for index in wanted:
        place.reach(index)
        if not variant(index, capture):
            raise SeekingFailedError
    # A list that is longer than what can be decoded (edit lists, cut files) shows at the end.
    place.reach(_last(listed))
    if capture.grab():
        raise SeekingFailedError


class _Place:
    """Where a capture stands, as told by its time stamps."""

    def __init__(self, capture: cv2.VideoCapture, listed: PacketList) -> None:
        self._capture, self._listed = capture, listed
        self._rate = frame_rate(capture) or 25.0
        self._index = -1

    def reach(self, index: int) -> None:
        if index == self._index:
            return
        if index < self._index or _cost(self._listed, self._index, index) < index - self._index:
            self._jump(index)
        self.go_on_to(index)

    def go_on_to(self, index: int) -> None:
        while self._index < index:
            if not self._capture.grab() or self._told() != self._index + 1:
                raise SeekingFailedError
            self._index += 1

    def _jump(self, index: int) -> None:
        times = self._listed.times_seconds
        place = bisect_right(self._listed.key_frames, index) - 1
        # OpenCV counts frames from the key frame on, at the nominal rate: where frames are sparser than
        # that it must be asked for an earlier one, or it would run past.
        while True:
            key = self._listed.key_frames[max(0, place)]
            ahead = min(index - key, int((times[index] - times[key]) * self._rate))
            if ahead > _RUN_UP_FRAMES or place <= 0:
                break
            place -= 1  # with its run-up, OpenCV would start from this one
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, max(0, round(times[key] * self._rate) + ahead - 1))
        if not self._capture.grab():
            raise SeekingFailedError
        self._index = self._told()
        if self._index > index:
            raise SeekingFailedError

    def _told(self) -> int:
        """The number of the frame that was just grabbed, by its time stamp."""
        times, time = self._listed.times_seconds, self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        index = bisect_left(times, time - _SAME_SECONDS)
        if index == len(times) or abs(times[index] - time) > _SAME_SECONDS:
            raise SeekingFailedError
        return index


def _last(listed: PacketList) -> int:
    return len(listed.times_seconds) - 1


def _cost(listed: PacketList, before: int, index: int) -> int:
    """Frames to decode to get to a frame from the one before, jumping or reading on."""
    begin = max(0, bisect_right(listed.key_frames, max(0, index - _RUN_UP_FRAMES)) - 1)
    jump = index - listed.key_frames[begin] + _JUMP_COST_FRAMES
    return min(jump, index - before)
