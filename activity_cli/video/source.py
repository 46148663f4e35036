"""What a source of video is: frames with time stamps.

The reader of clips knows no more of a source than this. A further kind of source (another decoder, a pipe, a camera)
is one class with these methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from activity_cli.results import VideoInfo

__all__ = ["Frame", "JumpError", "ReadOnce", "Source"]


class JumpError(Exception):
    """A source does not show what it lists; reading it through works."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of a video.

    Attributes:
        index: Its number in the order in which frames are shown, from 0.
        time_seconds: When it is shown, from the first frame's 0.
        bgr: ``uint8 [H, W, 3]``, blue, green and red, upright; None for a frame that was not wanted.
    """

    index: int
    time_seconds: float
    bgr: npt.NDArray[np.uint8] | None


class Source(Protocol):
    """A video that can be read several times from its beginning."""

    @property
    def name(self) -> str:
        """What errors call it."""

    def list_times(self) -> Sequence[float]:
        """When each frame is shown, rising, as the source says without decoding; empty where it says nothing."""

    def read(self, wants: Callable[[int], bool]) -> Iterator[Frame]:
        """Every frame, decoded one after the other; only those that ``wants`` names have pictures."""

    def worth_jumping(self, indices: Sequence[int]) -> bool:
        """Whether :meth:`jump` to these frames, rising, decodes clearly less than :meth:`read`."""

    def jump(self, indices: Sequence[int]) -> Iterator[Frame]:
        """These frames alone, each proved by its time stamp, once the listed end has proved to be the end.

        Raises:
            JumpError: A time stamp is not the listed one, or the video does not end where the list does.
        """

    def info(self) -> VideoInfo:
        """What the source says of itself, once a frame has been read: header, size, rotation, shape of pixels."""


class ReadOnce:
    """What sources that arrive have in common: nothing is known of what comes, and nothing comes again."""

    def list_times(self) -> Sequence[float]:
        return ()

    def worth_jumping(self, indices: Sequence[int]) -> bool:
        return False

    def jump(self, indices: Sequence[int]) -> Iterator[Frame]:
        raise JumpError
