"""An articulated figure: joints from poses, their projection, and the picture of body and clothes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drawing import Canvas, Disc, Floats, Point, color, mix, shade
from motions import CHANNELS
from persons import Person

Joints = dict[str, Floats]  # Name to one row per frame: (forward, up, to the person's right), in heights.

HEAD_RADIUS = 0.077
ANKLE = 0.032
_PITCH = 0.13  # The camera looks down a little, so that the ground shows.


@dataclass(frozen=True)
class View:
    """How joints become pixels of a supersampled frame."""

    scale: float  # Pixels per body height.
    origin: Point  # Where the spot on the ground lies.
    yaw: float  # 0 is seen from the side, pi / 2 from the front.
    mirror: int  # 1 faces right, -1 faces left.
    light: Point  # Toward the light, in the picture.

    def project(self, points: Floats, turn: float = 0.0) -> tuple[Floats, Floats]:
        """Pixels and nearness of points in the body's axes."""
        yaw = self.yaw + turn
        forward, up, right = points[..., 0], points[..., 1], points[..., 2]
        near = forward * np.sin(yaw) + right * np.cos(yaw)
        across = (forward * np.cos(yaw) - right * np.sin(yaw)) * self.mirror
        height = up * np.cos(_PITCH) - near * np.sin(_PITCH)
        x, y = self.origin[0] + across * self.scale, self.origin[1] - height * self.scale
        return np.stack([x, y], axis=-1), near


def _bend(start: Floats, end: Floats, first: float, second: float, pole: Floats) -> tuple[Floats, Floats]:
    """Reach from start toward end with two bones: the joint between, on the pole's side, and the end."""
    gap = end - start
    distance = np.maximum(np.linalg.norm(gap, axis=1, keepdims=True), 1e-6)
    along = gap / distance
    reach = np.clip(distance, abs(first - second) + 1e-3, (first + second) * 0.999)
    foot = (first**2 - second**2 + reach**2) / (2 * reach)
    aside = pole - (along @ pole)[:, None] * along
    aside /= np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-6)
    middle = start + along * foot + aside * np.sqrt(np.maximum(first**2 - foot**2, 0.0))
    return middle, start + along * reach


def skeleton(poses: Floats, person: Person) -> Joints:
    """All joints of a person who goes through some poses."""

    def triple(name: str, side: int) -> Floats:
        forward, up, out = (poses[:, CHANNELS[f"{name}_{axis}"]] for axis in ("forward", "up", "out"))
        return np.stack([forward, up, out * side], axis=1)

    leg, arm, torso = person.leg, person.arm, 0.815 - person.leg - ANKLE
    flat = np.zeros(len(poses))
    hip_up = poses[:, CHANNELS["hip_up"]] * leg + ANKLE
    hip = np.stack([poses[:, CHANNELS["hip_forward"]] * leg, hip_up, flat], axis=1)
    lean, nod = poses[:, CHANNELS["lean"]], poses[:, CHANNELS["nod"]]
    spine = np.stack([np.sin(lean), np.cos(lean), flat], axis=1)
    tilt = lean * 0.75 + nod
    chest = hip + spine * torso
    skull = np.stack([np.sin(tilt), np.cos(tilt), flat], axis=1)
    joints = {"hip": hip, "chest": chest, "neck": chest + spine * 0.03, "skull": skull}
    joints["head"] = joints["neck"] + skull * (1 - 0.845 - HEAD_RADIUS * person.head)
    for name, side in (("right", 1), ("left", -1)):
        across = np.array([0.0, 0.0, float(side)])
        joints[f"{name}_hip"] = hip + across * 0.052 * person.build
        joints[f"{name}_shoulder"] = shoulder = chest + across * 0.092 * person.build - spine * 0.012
        ankle = triple(f"{name}_foot", side) * leg + across * 0.052 + np.array([0.0, ANKLE, 0.0])
        knee, ankle = _bend(joints[f"{name}_hip"], ankle, leg / 2, leg / 2, np.array([1.0, 0.0, 0.15 * side]))
        pitch = poses[:, CHANNELS[f"{name}_toe_pitch"]]
        toe = np.stack([np.cos(pitch), np.sin(pitch), flat + 0.18 * side], axis=1) * 0.085
        joints |= {f"{name}_knee": knee, f"{name}_ankle": ankle, f"{name}_toe": ankle + toe}
        joints[f"{name}_toe"][:, 1] -= 0.010
        target = shoulder + triple(f"{name}_hand", side) * arm
        pole = np.array([-0.7, -0.45, 0.5 * side])
        elbow, hand = _bend(shoulder, target, arm * 0.52, arm * 0.48, pole)
        joints |= {f"{name}_elbow": elbow, f"{name}_hand": hand}
    return joints


class Figure:
    """One frame's projected person, painted part by part, the far parts first."""

    def __init__(self, joints: Joints, frame: int, turn: float, person: Person, view: View) -> None:
        self.person, self.view, self.yaw = person, view, view.yaw + turn
        self.at: dict[str, Point] = {}
        self.near: dict[str, float] = {}
        for name, points in joints.items():
            pixel, near = view.project(points[frame], turn)
            self.at[name], self.near[name] = (float(pixel[0]), float(pixel[1])), float(near)
        skull = joints["skull"][frame]
        self.tilt = float(np.arctan2(skull[0], skull[1]) * np.cos(self.yaw)) * view.mirror

    def _disc(self, joint: str, radius: float) -> Disc:
        return self.at[joint], radius * self.view.scale

    def _head_disc(self, across: float, down: float, radius: float) -> Disc:
        """A disc in the head's own axes, in head radii; across is the way that the person faces."""
        size = HEAD_RADIUS * self.person.head * self.view.scale
        cos, sin = np.cos(self.tilt), np.sin(self.tilt)
        x, y = across * self.view.mirror, down
        cx, cy = self.at["head"]
        return (cx + size * (x * cos - y * sin), cy + size * (x * sin + y * cos)), radius * size

    def leg(self, canvas: Canvas, side: str) -> None:
        """Shoe, trousers, and skin where they are short."""
        person, light = self.person, self.view.light
        wide = person.build
        dim = 0.86 if self.near[f"{side}_hip"] < self.near["hip"] else 1.0
        trousers, shoe = shade(person.trousers, dim), shade(person.shoes, dim)
        ankle, toe = self.at[f"{side}_ankle"], self.at[f"{side}_toe"]
        sole = self.view.scale * 0.012
        heel = ((ankle[0] - (toe[0] - ankle[0]) * 0.25, ankle[1] + sole), 0.024 * self.view.scale)
        shin = [self._disc(f"{side}_knee", 0.043 * wide), self._disc(f"{side}_ankle", 0.029 * wide)]
        canvas.lit_blob(shin, shade(person.skin, dim) if person.shorts else trousers, light)
        canvas.lit_blob([heel, ((toe[0], toe[1] + sole), 0.020 * self.view.scale)], shoe, light)
        thigh = [self._disc(f"{side}_hip", 0.060 * wide), self._disc(f"{side}_knee", 0.044 * wide)]
        canvas.lit_blob(thigh, trousers, light)

    def torso(self, canvas: Canvas) -> None:
        """Shirt over hips, with a stripe for some, and the neck."""
        person, light = self.person, self.view.light
        wide = person.build
        hips = [self._disc(f"{side}_hip", 0.058 * wide) for side in ("left", "right")]
        shoulders = [self._disc(f"{side}_shoulder", 0.044 * wide) for side in ("left", "right")]
        canvas.blob([self._disc("chest", 0.034), self._disc("head", 0.034)], shade(person.skin, 0.82))
        canvas.lit_blob(hips, person.trousers, light)

        def between(share: float, shrink: float) -> list[Disc]:
            pairs = zip(shoulders, hips, strict=True)
            return [
                ((x + (hip_x - x) * share, y + (hip_y - y) * share), radius * shrink)
                for ((x, y), radius), ((hip_x, hip_y), _) in pairs
            ]

        canvas.lit_blob([*shoulders, *between(0.84, 1.16)], person.shirt, light)
        if person.stripe is not None:
            self._stripe(canvas, between(0.30, 0.98), between(0.48, 1.0))

    def _stripe(self, canvas: Canvas, upper: list[Disc], lower: list[Disc]) -> None:
        """A band across the chest, from edge to edge; each list holds the discs of both sides."""
        (hip_x, hip_y), (chest_x, chest_y) = self.at["hip"], self.at["chest"]
        spine = np.array([chest_x - hip_x, chest_y - hip_y])
        aside = np.array([-spine[1], spine[0]]) / max(float(np.linalg.norm(spine)), 1e-6)
        corners: list[Point] = []
        for discs, order in ((upper, 1), (lower, -1)):
            ends = sorted(discs, key=lambda disc: float(np.dot(aside, disc[0])))[::order]
            for (x, y), sign in ((ends[0][0], -order), (ends[1][0], order)):
                reach = discs[0][1] * 0.90 * sign
                corners.append((float(x + aside[0] * reach), float(y + aside[1] * reach)))
        assert self.person.stripe is not None
        canvas.polygon(corners, self.person.stripe)

    def arm(self, canvas: Canvas, side: str) -> None:
        """Sleeve, forearm and hand."""
        person, light = self.person, self.view.light
        dim = 0.86 if self.near[f"{side}_shoulder"] < self.near["chest"] else 0.94
        wide = 0.5 + 0.5 * person.build
        skin, sleeve = shade(person.skin, min(1.0, dim + 0.06)), shade(person.shirt, dim)
        forearm = [self._disc(f"{side}_elbow", 0.030 * wide), self._disc(f"{side}_hand", 0.023 * wide)]
        canvas.lit_blob([self._disc(f"{side}_hand", 0.031)], skin, light)
        canvas.lit_blob(forearm, sleeve if person.long_sleeves else skin, light)
        upper = [self._disc(f"{side}_shoulder", 0.040 * wide), self._disc(f"{side}_elbow", 0.032 * wide)]
        canvas.lit_blob(upper, sleeve, light)

    def arm_in_front(self, side: str) -> bool:
        """Whether an arm hides the torso rather than the other way around."""
        arm = (self.near[f"{side}_shoulder"] + self.near[f"{side}_elbow"] + self.near[f"{side}_hand"]) / 3
        return arm >= self.near["chest"] - 0.01

    def back_hair(self, canvas: Canvas) -> None:
        """The hair that falls behind the shoulders."""
        gaze, hair = float(np.cos(self.yaw)), shade(self.person.hair, 0.85)
        if self.person.hair_style == "long":
            canvas.blob([self._head_disc(-gaze * 0.2, 0.0, 1.08), self._head_disc(-gaze * 0.5, 1.3, 0.72)], hair)
        elif self.person.hair_style == "bun":
            canvas.blob([self._head_disc(-gaze * 0.75, -0.95, 0.46)], hair)
        elif self.person.hair_style == "tail":
            canvas.blob([self._head_disc(-gaze * 0.9, -0.4, 0.34), self._head_disc(-gaze * 1.5, 0.8, 0.2)], hair)

    def head(self, canvas: Canvas) -> None:
        """Skull, face and front hair."""
        person, light = self.person, self.view.light
        gaze = float(np.cos(self.yaw))
        bald = person.hair_style == "bald"
        crown = person.skin if bald else person.hair
        canvas.lit_blob([self._head_disc(-gaze * 0.12, -0.08, 1.0 if bald else 1.05)], crown, light)
        if person.hair_style == "curly":
            for across, down in ((-0.8, -0.45), (-0.3, -0.95), (0.35, -0.95), (0.8, -0.45)):
                canvas.blob([self._head_disc(across - gaze * 0.15, down, 0.42)], crown)
        face = [self._head_disc(gaze * 0.26, 0.10, 0.80), self._head_disc(gaze * 0.34, 0.52, 0.50)]
        canvas.blob(face, person.skin)
        if person.beard:
            canvas.blob([self._head_disc(gaze * 0.30 + d, 0.70, 0.34) for d in (-0.24, 0.24)], person.hair)
        if person.hair_style == "cap":
            cap = shade(person.stripe or person.shoes, 0.95)
            canvas.lit_blob([self._head_disc(-gaze * 0.1 + d, -0.52, 0.62) for d in (-0.42, 0.42)], cap, light)
            canvas.blob([self._head_disc(gaze * 0.5, -0.36, 0.14), self._head_disc(gaze * 1.45, -0.30, 0.1)], cap)
        elif not bald:
            canvas.blob([self._head_disc(gaze * 0.60, -0.66, 0.27), self._head_disc(-gaze * 0.4, -0.6, 0.42)], crown)
        if abs(gaze) > 0.4:
            canvas.blob([self._head_disc(-gaze * 0.22, 0.22, 0.19)], shade(person.skin, 0.88))
        self._face(canvas)

    def _face(self, canvas: Canvas) -> None:
        gaze, front = float(np.cos(self.yaw)), float(np.sin(self.yaw))
        ink = color("#2B2230")
        for side in (-0.42, 0.42):
            if np.cos(side) * front + np.sin(side) * gaze < -0.2:
                continue
            across = 0.86 * (np.cos(side) * gaze - np.sin(side) * front)
            if self.person.glasses:
                canvas.blob([self._head_disc(across, 0.12, 0.25)], ink)
                canvas.blob([self._head_disc(across, 0.12, 0.18)], mix(self.person.skin, (255, 255, 255), 0.5))
            canvas.blob([self._head_disc(across, 0.12, 0.11)], ink)
        nose = shade(self.person.skin, 0.86)
        canvas.blob([self._head_disc(0.92 * gaze, 0.34, 0.12)], nose)
        mouth = 0.72 * gaze
        wide = 0.22 * front + 0.08
        for end in (-wide, wide):
            smile = [self._head_disc(mouth + end, 0.56, 0.055), self._head_disc(mouth, 0.66, 0.065)]
            canvas.blob(smile, color("#B04A45"))
