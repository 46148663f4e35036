"""The invented persons: body, clothes, and the place where each of them was 'filmed'."""

from __future__ import annotations

from dataclasses import dataclass

from drawing import Color, color


@dataclass(frozen=True)
class Person:
    """One person with one place; all of a person's clips share all of this."""

    name: str
    place: str
    skin: Color
    hair: Color
    hair_style: str
    shirt: Color
    trousers: Color
    shoes: Color
    size: float  # Height as a share of the frame's height.
    stripe: Color | None = None
    leg: float = 0.475  # Lengths are shares of the person's height.
    arm: float = 0.320
    build: float = 1.0
    head: float = 1.0
    facing: int = 1
    tempo: float = 1.0
    sway: float = 0.0  # How far a hand-held camera wanders, as a share of the frame's height.
    light: tuple[float, float, float] = (1.0, 1.0, 1.0)  # Gain for blue, green, red.
    light_side: int = -1
    shorts: bool = False
    long_sleeves: bool = False
    beard: bool = False
    glasses: bool = False


def _person(number: int, place: str, skin: str, hair: str, style: str, clothes: str, **traits: object) -> Person:
    """Build a person; clothes are the colors of shirt, trousers and shoes, then perhaps of a stripe."""
    shirt, trousers, shoes, *stripe = (color(code) for code in clothes.split())
    fixed = {
        "name": f"person{number:02d}", "place": place, "skin": color(skin), "hair": color(hair),
        "hair_style": style, "shirt": shirt, "trousers": trousers, "shoes": shoes,
        "stripe": stripe[0] if stripe else None,
    }  # fmt: skip
    return Person(**(fixed | traits))  # type: ignore[arg-type]


PERSONS = (
    _person(1, "living_room", "#F0C4A0", "#5B3A29", "short", "#E4572E #2E4057 #F4F1EA",
            size=0.70, tempo=1.0),
    _person(2, "park", "#8D5A3B", "#211A1D", "curly", "#F6C445 #3D5A80 #FFFFFF",
            size=0.66, facing=-1, build=1.06, sway=0.010, light_side=1, tempo=1.1),
    _person(3, "gym", "#E3AE86", "#2B2024", "tail", "#D6336C #2B2D42 #E9ECEF",
            size=0.71, leg=0.49, build=0.90, tempo=1.2, shorts=True, light=(1.04, 1.02, 1.0)),
    _person(4, "office", "#F3CFB3", "#B8862F", "long", "#F8F9FA #6C4A7E #3B2F2F",
            size=0.68, facing=-1, build=0.92, long_sleeves=True, glasses=True, tempo=0.9),
    _person(5, "street", "#6B4430", "#17130F", "bald", "#2A9D8F #C9ADA7 #F1FAEE #F1FAEE",
            size=0.72, leg=0.485, build=1.10, light=(0.94, 0.99, 1.02), sway=0.008, beard=True, light_side=1),
    _person(6, "beach", "#C98F65", "#4A2C1A", "long", "#FFFFFF #E63946 #7A4B2A #457B9D",
            size=0.64, facing=-1, shorts=True, light=(0.94, 1.02, 1.05), build=0.93, tempo=0.95),
    _person(7, "kitchen", "#F2C9AE", "#C4C1BB", "bun", "#7B9E6B #4B4453 #8C2F39",
            size=0.64, leg=0.46, build=1.12, head=1.06, long_sleeves=True, tempo=0.85, glasses=True),
    _person(8, "mountains", "#E8B68F", "#A63D1F", "short", "#274C77 #8B5E34 #2F2F2F #F2A541",
            size=0.67, facing=-1, build=1.08, long_sleeves=True, beard=True, sway=0.012,
            light=(1.05, 1.0, 0.97)),
    _person(9, "library", "#A66A44", "#241712", "bun", "#9D4EDD #1F2A44 #F2E9E4",
            size=0.71, light=(0.86, 0.95, 1.0), leg=0.48, build=0.90, tempo=1.05),
    _person(10, "night_street", "#EBC09A", "#1D1D22", "short", "#FF7F51 #8093C4 #FFFFFF #FFF3E0",
            size=0.69, facing=-1, light=(0.92, 0.84, 0.82), light_side=1, sway=0.006, tempo=1.15),
    _person(11, "garden", "#70452C", "#2A1B14", "long", "#F4A6C0 #5C6784 #4A3B36",
            size=0.65, head=1.08, leg=0.455, build=0.98, shorts=True, tempo=1.1, light=(0.96, 1.03, 1.02)),
    _person(12, "studio", "#F0BE97", "#3A2A20", "cap", "#3A86FF #3F3F46 #F7F7F7 #FFD166",
            size=0.72, facing=-1, build=1.02, arm=0.33, tempo=0.95, light_side=1),
)  # fmt: skip
