"""Settings of augmentation: how clips are varied while learning, without changing what they show."""

from __future__ import annotations

from dataclasses import dataclass

from activity_cli.settings.checks import require

__all__ = ["AugmentConfig"]


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How much a clip may be varied; every draw holds for all frames of a clip.

    Attributes:
        mirror: Show half of the clips as in a mirror.
        keep_sides: Labels whose clips are never mirrored, because left and right matter to them; those
            that name a side in their words (``turn_left``) never are.
        cut: Share of a clip, 0 up to 0.5, that may be left out at its beginning and at its end: the
            motion is then shown slower. The order of the frames always stays.
        crop: Share of the width and height, 0 up to 0.5, that may be cut away; what is left is
            shown larger.
        color: Most that brightness, contrast and saturation are changed by, as a share, 0 up to 1.
        views: Variations of each clip that are kept where an encoder, or its first part, is frozen,
            the clip as it is among them. One of them is drawn in each epoch. Each costs another look at
            every frame, and from few clips more is learned without.
    """

    mirror: bool = True
    keep_sides: tuple[str, ...] = ()
    cut: float = 0.15
    crop: float = 0.15
    color: float = 0.4
    views: int = 1

    def __post_init__(self) -> None:
        require(0 <= self.cut < 0.5, "cut", self.cut, "0 up to, but not, 0.5")
        require(0 <= self.crop < 0.5, "crop", self.crop, "0 up to, but not, 0.5")
        require(0 <= self.color < 1, "color", self.color, "0 up to, but not, 1")
        require(1 <= self.views <= 16, "views", self.views, "1 to 16")

    @classmethod
    def none(cls) -> AugmentConfig:
        """Every clip as it is, always."""
        return cls(mirror=False, cut=0.0, crop=0.0, color=0.0, views=1)
