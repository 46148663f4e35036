"""The pose sheet: joints and optical flow, drawn over the frames; and in how many frames somebody was found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from activity_cli.reports.canvas import ORANGE, Color, Pixels
from activity_cli.reports.sheet import Strip, draw_sheet
from activity_cli.results import ClipRecord

__all__ = ["PoseStrip", "draw_poses", "draw_skeleton", "find_person_gaps"]

Floats = npt.NDArray[np.float32]

# Of the person, not of the picture.
_LEFT: Color = (37, 99, 235)
_RIGHT: Color = (220, 38, 38)
_MIDDLE: Color = (250, 204, 21)
_HALO: Color = (255, 255, 255)
_FLOW: Color = (22, 163, 74)
# A frame is drawn this large, and then made smaller, which smooths the lines.
_LONG_SIDE = 480

# An arrow shows the flow this many times as long, in shares of the frame's longer side, but never longer than the most.
# Shorter flow is noise.
_FLOW_SCALE, _MAX_ARROW, _MIN_ARROW = 30 / 256, 0.2, 0.012

# Joints of BlazePose: an arm and a leg, left; the right ones are one higher. Then what joins both sides.
_LEFT_BONES = ((11, 13), (13, 15), (15, 17), (15, 19), (11, 23), (23, 25), (25, 27), (27, 29), (27, 31), (7, 11))
_MIDDLE_BONES = ((11, 12), (23, 24), (0, 7), (0, 8))
_BONES = (
    *((start, end, _LEFT) for start, end in _LEFT_BONES),
    *((start + 1, end + 1, _RIGHT) for start, end in _LEFT_BONES),
    *((start, end, _MIDDLE) for start, end in _MIDDLE_BONES),
)
_BODY_JOINTS, _HAND_JOINTS = 33, 21
# Joints of a hand: the wrist is 0; each finger has four.
_HAND_BONES = tuple((0 if joint % 4 == 1 else joint - 1, joint) for joint in range(1, 21))

# Below this share of frames with a person, a label is warned of; below the next, of all frames, the stream is.
_MIN_LABEL_SHARE, _MIN_SHARE = 0.5, 0.1
# Labels that a warning names.
_MAX_LABELS = 5


@dataclass(frozen=True, slots=True, eq=False)
class PoseStrip:
    """A clip, and the joints that were found in it.

    Attributes:
        label, caption: What stands beside it.
        frames: ``uint8 [T, H, W, 3]``, RGB.
        aspect: Height of the video's frames over their width, as they are shown.
        fit: How the frames became those of the clip, see :class:`activity_cli.settings.Sampling`.
        joints: 33 joints in heights of the video's frame, from its top left corner, ``[T, 33, 2]``.
        found: Whether somebody was found, ``[T]``.
        hands: 21 joints of each hand, likewise, ``[T, 2, 21, 2]``, NaN where one was not found; None: hands were not
            computed.
        flow: Of the motion stream, see :func:`activity_cli.streams.motion.mean_flow`; None: it was not computed.
    """

    label: str
    caption: str
    frames: Pixels
    aspect: float
    fit: str
    joints: Floats
    found: npt.NDArray[np.bool_]
    hands: Floats | None = None
    flow: Floats | None = None

    def picture(self, index: int) -> Pixels:
        """A frame with its flow and joints; with an orange border where nobody was found."""
        # A stretched frame is shown in its true shape; else it is square already.
        aspect = self.shown_aspect
        size = tuple(max(1, round(_LONG_SIDE * share)) for share in (min(1.0, 1 / aspect), min(1.0, aspect)))
        picture = np.ascontiguousarray(cv2.resize(self.frames[index], size, interpolation=cv2.INTER_LINEAR), np.uint8)
        self._draw_flow(picture, index, size)
        if not self.found[index]:
            cv2.rectangle(picture, (0, 0), (size[0] - 1, size[1] - 1), ORANGE, thickness=24)
            return picture
        hands = np.zeros((0, _HAND_JOINTS, 2), np.float32) if self.hands is None else self.hands[index]
        _draw_lines(picture, _lines(self._places(self.joints[index]) * size, self._places(hands) * size, 1.0))
        return picture

    def _draw_flow(self, picture: Pixels, index: int, size: tuple[int, ...]) -> None:
        if self.flow is None:
            return
        width = 1 / self.aspect
        rows, columns = self.flow.shape[1:3]
        middles = np.stack(
            np.meshgrid((np.arange(columns) + 0.5) / columns * width, (np.arange(rows) + 0.5) / rows), -1
        )
        arrows = self.flow[index] * _FLOW_SCALE
        lengths = np.linalg.norm(arrows, axis=-1, keepdims=True)
        arrows = arrows / np.maximum(lengths, 1e-9) * np.minimum(lengths, _MAX_ARROW) * max(width, 1.0)
        ends = self._places(np.asarray(middles + arrows, np.float32)) * size
        starts = self._places(np.asarray(middles, np.float32)) * size
        for place in np.argwhere(lengths[..., 0] > _MIN_ARROW):
            start, end = (tuple(int(value) for value in of[tuple(place)].round()) for of in (starts, ends))
            for color, thickness in ((_HALO, 6), (_FLOW, 3)):
                cv2.arrowedLine(picture, start, end, color, thickness, cv2.LINE_AA, tipLength=0.35)

    @property
    def shown_aspect(self) -> float:
        """Height of a picture over its width."""
        return self.aspect if self.fit == "stretch" else 1.0

    def _places(self, joints: Floats) -> Floats:
        """Places ``[..., 2]`` in heights of the video's frame -> in shares of the clip's frame, across and down."""
        width = 1 / self.aspect
        if self.fit == "stretch":
            return np.asarray(joints / (width, 1), np.float32)
        side = max(width, 1.0) if self.fit == "pad" else min(width, 1.0)
        return np.asarray((joints - (width / 2, 0.5)) / side + 0.5, np.float32)


def draw_skeleton(picture: Pixels, joints: Floats) -> None:
    """Draws joints into a picture ``uint8 [H, W, 3]``, RGB.

    Args:
        picture: The picture.
        joints: In pixels: 33 of the body, and 21 of each hand where hands were computed, ``[33 or 75, 2]``. A hand that
            was not found is NaN.
    """
    scale = max(picture.shape[:2]) / _LONG_SIDE / 2
    _draw_lines(picture, _lines(joints[:_BODY_JOINTS], joints[_BODY_JOINTS:].reshape(-1, _HAND_JOINTS, 2), scale))


def _lines(joints: Floats, hands: Floats, scale: float) -> list[tuple[Floats, Floats, Color, int]]:
    """The bones of the body ``[33, 2]``, and of the hands that were found, of ``[hands, 21, 2]``."""
    lines = [(joints[start], joints[end], color, max(1, round(5 * scale))) for start, end, color in _BONES]
    for hand, color in zip(hands, (_LEFT, _RIGHT), strict=False):
        if np.isfinite(hand).all():
            lines += [(hand[start], hand[end], color, max(1, round(2 * scale))) for start, end in _HAND_BONES]
    return lines


def draw_poses(strips: Sequence[PoseStrip], path: Path, num_frames: int | None = None) -> None:
    """Draws what the motion, pose and hands streams found, a strip for each clip, as the contact sheet.

    Args:
        strips: Sorted by label. Of more than 40, 40 evenly spaced ones are drawn.
        path: PNG to write or replace.
        num_frames: Length that clips are padded to; None: the length of the longest clip.

    Raises:
        OutputError: The picture cannot be written.
    """
    rows = [Strip(one.label, one.caption, len(one.frames), one.shown_aspect, one.picture) for one in strips]
    flow = (("optical flow", _FLOW),) if any(one.flow is not None for one in strips) else ()
    legend = (("left of the person", _LEFT), ("right", _RIGHT), ("nobody found", ORANGE), *flow)
    draw_sheet(rows, path, "with the joints that were found", num_frames, legend)


def find_person_gaps(records: Iterable[ClipRecord]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Warnings and notes about clips in which nobody was found; none where the pose was not computed.

    A warning names labels in which somebody is found in less than half of the frames, though not in all other labels.
    A note says that somebody is found in less than a tenth of all frames.
    """
    found: dict[str, int] = {}
    frames: dict[str, int] = {}
    for record in records:
        if record.status == "ok" and record.person_frames is not None:
            found[record.label] = found.get(record.label, 0) + record.person_frames
            frames[record.label] = frames.get(record.label, 0) + record.clip_frames
    if not frames:
        return (), ()
    share = sum(found.values()) / sum(frames.values())
    if share < _MIN_SHARE:
        return (), (f"Somebody was found in {share:.0%} of all frames, so the pose stream has little to read.",)
    shares = {label: found[label] / count for label, count in frames.items()}
    few = sorted(label for label, one in shares.items() if one < _MIN_LABEL_SHARE)
    if not few or len(few) == len(shares):
        return (), ()
    named = ", ".join(f"{label!r} ({1 - shares[label]:.0%})" for label in few[:_MAX_LABELS])
    more = f", and {len(few) - _MAX_LABELS} more" if len(few) > _MAX_LABELS else ""
    return (f"In more than half of the frames, nobody was found: {named}{more}. Check pose_sheet.png.",), ()


def _draw_lines(picture: Pixels, lines: Sequence[tuple[Floats, Floats, Color, int]]) -> None:
    """From, to, color and width of each."""
    for wider, is_halo in ((3, True), (0, False)):
        for start, end, color, width in lines:
            _line(picture, start, end, _HALO if is_halo else color, width + wider)


def _line(picture: Pixels, start: Floats, end: Floats, color: Color, width: int) -> None:
    # Joints may lie far outside of the picture.
    places = [tuple(int(value) for value in np.clip(place, -10_000, 10_000).round()) for place in (start, end)]
    cv2.line(picture, places[0], places[1], color, width, cv2.LINE_AA)
