"""One clip before it is stored: a person in a place, the props, the camera, and the frames they make."""

from __future__ import annotations

import cv2
import numpy as np

from clips import Clip, seeded
from drawing import SUPERSAMPLE, Canvas, Floats, Image
from figure import Figure, Joints, View, skeleton
from motions import CHANNELS, REVERSED, Tempo, trajectory
from places import paint_place
from props import Box, Chair, Umbrella

MARGIN = 0.02  # Everything stays this far inside of the picture, as a share of its height.
_GROUND = 0.925
_SLACK = 0.04  # How much larger than the frame a place is painted on each side.

# Seen from: near 0 is from the side, near pi / 2 from the front.
_YAW = {
    "sit_down": 0.50,
    "pick_up": 0.45,
    "open_umbrella": 0.85,
    "wave": 1.25,
    "jumping_jack": 1.38,
    "walk": 0.30,
}


def _wobble(random: np.random.Generator, seconds: Floats, channels: int, amount: float) -> Floats:
    """Slow, small, smooth movement that nobody makes twice."""
    rates = random.uniform(0.25, 0.9, (2, channels))
    phases = random.uniform(0, 2 * np.pi, (2, channels))
    waves = np.sin(2 * np.pi * rates * seconds[:, None, None] + phases).mean(axis=1)
    return np.asarray(waves * amount)


class Scene:
    """A clip before it is stored: its poses, its props and its camera."""

    def __init__(self, clip: Clip) -> None:
        self.clip, person = clip, clip.person
        self._random = seeded("clip", person.name, clip.label, clip.take)
        self.motion = REVERSED.get(clip.label, clip.label)
        self._unit = clip.format.height * SUPERSAMPLE  # The frame's height in supersampled pixels.
        self._scale = person.size * self._unit
        yaw = _YAW[self.motion] + self._random.uniform(-0.10, 0.10)
        self.poses = self._jittered_poses(yaw)
        self._joints: Joints = skeleton(self.poses, person)
        self._joints = {name: points.round(7) for name, points in self._joints.items()}
        self._chair = Chair(person) if self.motion == "sit_down" else None
        self._box = Box(self.poses, self._joints) if self.motion == "pick_up" else None
        self._umbrella = Umbrella(self.poses, self._joints) if self.motion == "open_umbrella" else None
        seconds = np.arange(clip.frames) / clip.format.fps
        # By whole pixels of the stored clip: a background that slides between pixels would double the file.
        wander = _wobble(self._random, seconds, 2, person.sway * clip.format.height * 1.5)
        self._sway = np.round(wander).astype(int) * SUPERSAMPLE
        side = person.light_side
        self.view = View(self._scale, (0.0, 0.0), yaw, person.facing, (0.16 * side, -0.14))
        self.view = View(self._scale, self._place_person(), yaw, person.facing, self.view.light)

    def _jittered_poses(self, yaw: float) -> Floats:
        clip, random = self.clip, self._random
        width = clip.format.width * SUPERSAMPLE
        # What the body itself takes of the width does not count as room to walk in.
        room = (width - 0.62 * self._scale - 0.1 * self._unit) / (clip.person.leg * self._scale)
        tempo = Tempo(
            rate=clip.person.tempo * random.uniform(0.92, 1.08),
            phase=random.uniform(0, 2 * np.pi),
            rest=random.uniform(0.08, 0.16),
            amplitude=random.uniform(0.9, 1.05),
            room=max(room * random.uniform(0.75, 1.0), 0.2),
            walk_yaw=yaw,
        )
        poses = trajectory(clip.label, clip.frames, clip.format.fps, tempo)
        seconds = np.arange(clip.frames) / clip.format.fps
        for part, amount in (("hand", 0.022), ("nod", 0.05), ("lean", 0.02)):
            columns = [i for name, i in CHANNELS.items() if part in name]
            poses[:, columns] += _wobble(random, seconds, len(columns), amount)
        return poses

    def _prop_extent(self, frame: int) -> Floats:
        for prop in (self._chair, self._box, self._umbrella):
            if prop is not None:
                return prop.extent(frame)
        return np.zeros((0, 3))

    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of everything that is drawn in any frame, in frame heights."""
        boxes = []
        pad = 0.035 * self._scale
        names = [name for name in self._joints if name not in ("skull", "head")]
        for frame in range(self.clip.frames):
            turn = float(self.poses[frame, CHANNELS["turn"]])
            body = np.stack([self._joints[name][frame] for name in names])
            pixels = self.view.project(body, turn)[0]
            head = self.view.project(self._joints["head"][frame], turn)[0]
            curl = 0.115 * self._scale
            prop = self.view.project(self._prop_extent(frame))[0]
            points = np.concatenate([pixels - pad, pixels + pad, [head - curl, head + curl], prop])
            points[:, 0] += self._travel(frame)
            points += self._sway[frame]
            boxes.append(np.concatenate([points.min(axis=0), points.max(axis=0)]))
        left, top = np.min([box[:2] for box in boxes], axis=0) / self._unit
        right, bottom = np.max([box[2:] for box in boxes], axis=0) / self._unit
        return float(left), float(top), float(right), float(bottom)

    def _travel(self, frame: int) -> float:
        travel = self.poses[frame, CHANNELS["travel"]]
        return float(travel) * self.clip.person.leg * self._scale * self.clip.person.facing

    def _place_person(self) -> tuple[float, float]:
        """Stand near the middle, so that nothing leaves the picture in any frame."""
        left, _, right, _ = self.bounds()
        wide = self.clip.format.width / self.clip.format.height
        slack = wide - 2 * MARGIN - (right - left)
        aside = self._random.uniform(-0.5, 0.5) * min(max(slack, 0.0), 0.16)
        x = (wide / 2 - (left + right) / 2 + aside) * self._unit
        return round(x, 3), round(_GROUND * self._unit, 3)

    def render(self) -> list[Image]:
        """Draw all frames."""
        form, person = self.clip.format, self.clip.person
        width, height = form.width * SUPERSAMPLE, form.height * SUPERSAMPLE
        slack = round(_SLACK * self._unit)
        place = paint_place(person.place, width + 2 * slack, height + 2 * slack, self._unit)
        table = np.arange(256)[:, None] * np.array(person.light)
        light = np.clip(np.round(table), 0, 255).astype(np.uint8).reshape(1, 256, 3)
        frames = []
        for frame in range(self.clip.frames):
            dx, dy = (int(step) for step in self._sway[frame])
            large = place[slack - dy : slack - dy + height, slack - dx : slack - dx + width].copy()
            self._draw(Canvas(large), frame, (dx, dy))
            small = cv2.resize(large, (form.width, form.height), interpolation=cv2.INTER_AREA)
            frames.append(np.asarray(cv2.LUT(small, light), dtype=np.uint8))
        return frames

    def _draw(self, canvas: Canvas, frame: int, sway: tuple[int, int]) -> None:
        x, y = self.view.origin
        origin = (x + self._travel(frame) + sway[0], y + sway[1])
        view = View(self.view.scale, origin, self.view.yaw, self.view.mirror, self.view.light)
        turn = float(self.poses[frame, CHANNELS["turn"]])
        figure = Figure(self._joints, frame, turn, self.clip.person, view)
        self._draw_shadows(canvas, view, figure, frame)
        if self._chair is not None:
            self._chair.draw(canvas, view)
        figure.back_hair(canvas)
        for side in sorted(("right", "left"), key=lambda side: figure.near[f"{side}_hip"]):
            figure.leg(canvas, side)
        arms = sorted(("right", "left"), key=lambda side: figure.near[f"{side}_shoulder"])
        behind = [side for side in arms if not figure.arm_in_front(side)]
        for side in behind:
            figure.arm(canvas, side)
        figure.torso(canvas)
        figure.head(canvas)
        front = [side for side in arms if side not in behind]
        if self._box is not None:
            # Held between both hands: the far arm goes behind it even where it is ahead of the torso.
            for side in front[:-1]:
                figure.arm(canvas, side)
            self._box.draw(canvas, view, frame)
            front = front[-1:]
        if self._umbrella is not None:
            self._umbrella.draw(canvas, view, frame)
        for side in front:
            figure.arm(canvas, side)

    def _draw_shadows(self, canvas: Canvas, view: View, figure: Figure, frame: int) -> None:
        def shade_below(points: Floats, high: float) -> None:
            flat = points * np.array([1.0, 0.0, 1.0])
            pixels = view.project(flat, float(self.poses[frame, CHANNELS["turn"]]))[0]
            left, right = pixels[:, 0].min() - 0.07 * view.scale, pixels[:, 0].max() + 0.07 * view.scale
            middle = (left + right) / 2 - self.clip.person.light_side * 0.04 * view.scale
            canvas.shadow((middle, float(pixels[:, 1].mean())), ((right - left) / 2, 0.035 * view.scale), high)

        names = ("hip", "right_ankle", "left_ankle", "right_toe", "left_toe")
        shade_below(np.stack([self._joints[name][frame] for name in names]), 0.30)
        if self._box is not None:
            corners = self._box.extent(frame)
            shade_below(corners, float(0.25 * np.clip(1 - corners[:, 1].min() / 0.5, 0.2, 1.0)))
