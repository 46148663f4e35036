"""The plan of all clips: who does what, how long, and in which format it is stored."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from motions import LABELS
from persons import PERSONS, Person

TAKES = 2


@dataclass(frozen=True)
class Format:
    """How a clip is stored."""

    container: str
    codec: str
    width: int
    height: int
    fps: int


FORMATS = (
    Format("mp4", "mp4v", 160, 120, 25),
    Format("mp4", "mp4v", 176, 144, 15),
    Format("avi", "XVID", 160, 120, 24),
    Format("avi", "MJPG", 120, 90, 10),
    Format("webm", "VP80", 160, 120, 30),
    Format("webm", "VP80", 192, 144, 12),
    Format("mp4", "mp4v", 120, 160, 20),
    Format("avi", "XVID", 224, 128, 15),
    Format("webm", "VP90", 176, 144, 12),
    Format("mp4", "mp4v", 208, 156, 10),
    Format("avi", "XVID", 112, 144, 15),
    Format("mp4", "mp4v", 256, 144, 12),
)

# One level for each person of a label's take, in seconds.
_SECONDS = np.geomspace(0.9, 2.7, len(PERSONS))


@dataclass(frozen=True)
class Clip:
    """One clip to draw."""

    person: Person
    label: str
    take: int
    format: Format
    seconds: float

    @property
    def name(self) -> str:
        """File name, with the person in it."""
        return f"{self.person.name}_{self.label}_{self.take}.{self.format.container}"

    @property
    def path(self) -> str:
        """Where it lies below the folder of all clips."""
        return f"{self.label}/{self.name}"

    @property
    def frames(self) -> int:
        """Number of frames."""
        return round(self.seconds * self.format.fps)


def seeded(*words: object) -> np.random.Generator:
    """Make a generator from names, the same in every run (as `hash` is not)."""
    return np.random.default_rng(zlib.crc32("/".join(map(str, words)).encode()))


def plan() -> list[Clip]:
    """All clips, in order.

    Over the persons, each take of each label has every format once and every level of length once: so neither
    gives a label away.
    """
    clips = []
    for label in LABELS:
        for take in range(1, TAKES + 1):
            random = seeded("plan", label, take)
            formats, levels = random.permutation(len(FORMATS)), random.permutation(len(_SECONDS))
            for i, person in enumerate(PERSONS):
                seconds = _SECONDS[levels[i]] + seeded("length", person.name, label, take).uniform(-0.08, 0.08)
                clips.append(Clip(person, label, take, FORMATS[formats[i]], float(seconds)))
    return clips
