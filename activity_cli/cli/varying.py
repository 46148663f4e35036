"""Options of train that say how clips are varied while learning."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

import typer

from activity_cli.errors import ConfigError
from activity_cli.settings import Augmentation

__all__ = ["Augment", "Color", "Crop", "Cut", "KeepSides", "Mirror", "Views", "varied"]

Augment = Annotated[
    bool,
    typer.Option(
        "--augment/--no-augment",
        help="Vary the clips while learning, as the next options say: in time always, their pictures with --mode "
        "joint or --views.",
    ),
]
Mirror = Annotated[
    bool,
    typer.Option(
        "--mirror/--no-mirror", help="Show half of the clips as in a mirror, where their pictures are varied."
    ),
]
KeepSides = Annotated[
    list[str] | None,
    typer.Option(
        help="A label that is never mirrored, because left and right matter to it; may be repeated. Those that "
        "name a side, such as turn_left, never are.",
        metavar="LABEL",
    ),
]
Cut = Annotated[
    float, typer.Option(help="Most of a clip to leave out at each end; the rest is slower or faster.", metavar="SHARE")
]
Crop = Annotated[float, typer.Option(help="Most of the width and height to cut away.", metavar="SHARE")]
Color = Annotated[float, typer.Option(help="Most to change brightness, contrast and saturation by.", metavar="SHARE")]
Views = Annotated[
    int,
    typer.Option(
        help="What a frozen encoder sees of each clip: the clip itself and N - 1 variations of its pictures.",
        metavar="N",
    ),
]


def varied(augment: bool, wanted: Augmentation) -> Augmentation:
    """How clips are varied.

    Args:
        augment: Whether they are at all.
        wanted: What the other options say.

    Raises:
        ConfigError: They are not, but an option says how.
    """
    if augment:
        return wanted
    # --no-mirror or --cut 0 beside it ask for the same.
    allowed = Augmentation(), Augmentation.none()
    names = [field.name for field in fields(wanted)]
    changed = [name for name in names if getattr(wanted, name) not in [getattr(each, name) for each in allowed]]
    if changed:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in changed)
        raise ConfigError(f"With --no-augment nothing is varied, but {options} says how.", "Leave one of them out.")
    return Augmentation.none()
