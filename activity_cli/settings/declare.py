"""How a setting is declared: one dataclass field, whose annotation says all that is known of it.

    num_frames: Annotated[int, Setting("Frames in a clip at most.", ge=1, le=512, metavar="N")] = 16

From the field come the option of the command line, the check and its error, the TOML file, what prepared folders and
bundles store, and the tables in the documents. A setting has one name everywhere: the field ``num_frames`` is the
option ``--num-frames``. Dataclasses may be nested (``sampling.num_frames``); names are unique within a command, so
people see them flat. Types and limits are checked by msgspec.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from activity_cli.errors import ConfigError

__all__ = ["Leaf", "Setting", "Settings", "build", "leaves", "parse_text", "plain_values"]

_S = TypeVar("_S", bound="Settings")


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of a setting beside its type and default.

    Attributes:
        help: One or two sentences.
        group: Heading of ``--help`` under which it has an option. Empty: only ``--set`` and ``--settings`` reach it.
        metavar: What stands for its value in ``--help``.
        unset: For a setting whose default is None: what is chosen then, in words.
        ge, gt, le, lt: Limits of a number.
        stored: Whether prepared folders and bundles store it; places and switches of a single run are not.
        argument: Whether it is an argument of the command instead of an option.
    """

    help: str
    group: str = ""
    metavar: str = ""
    unset: str = ""
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    stored: bool = True
    argument: bool = False

    @property
    def limits(self) -> str:
        """The possible numbers in words, such as ``1 to 512``; empty where there are no limits."""
        low = f"{self.ge:g}" if self.ge is not None else f"more than {self.gt:g}" if self.gt is not None else ""
        high = f"{self.le:.12g}" if self.le is not None else f"less than {self.lt:.12g}" if self.lt is not None else ""
        if not high:
            return f"{low} or more" if self.ge is not None else low
        if not low:
            return high if self.lt is not None else f"up to {high}"
        if self.gt is not None and self.le is not None:
            high = f"up to {high}"
        return f"{low} to {high}" if self.ge is not None and self.le is not None else f"{low}, {high}"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting of a command.

    Attributes:
        name: Unique within the command.
        path: The fields that lead to it, such as ``("sampling", "num_frames")``.
        kind: Its type without None, such as ``int``.
        optional: Whether None is possible.
        setting: What else is known of it.
        default: None where there is none.
        required: Whether there is no default.
    """

    name: str
    path: tuple[str, ...]
    kind: Any
    optional: bool
    setting: Setting
    default: Any
    required: bool

    @property
    def option(self) -> str:
        """Its name as an option, such as ``--num-frames``."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of a setting that has a few; else none."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def allowed(self) -> str:
        """The possible values in words."""
        if self.choices:
            return ", ".join(self.choices)
        usual = {bool: "true or false", int: "a whole number", float: "a number"}
        return self.setting.limits or usual.get(self.kind, "a text that is not empty")

    def get(self, settings: Settings) -> Any:
        """Its value in some settings."""
        value: Any = settings
        for name in self.path:
            value = getattr(value, name)
        return value

    def convert(self, value: Any, *, strict: bool = True) -> Any:
        """The value in the setting's own type.

        Args:
            value: As Python, JSON or TOML has it.
            strict: Whether a number must be one, and not its digits.

        Raises:
            ConfigError: The value is not possible.
        """
        if value is None and self.optional:
            return None
        try:
            number = self.setting
            limits = {name: limit for name in ("ge", "gt", "le", "lt") if (limit := getattr(number, name)) is not None}
            kind = Annotated[self.kind, msgspec.Meta(**limits)] if limits else self.kind
            converted = msgspec.convert(plain(value), kind, strict=strict, dec_hook=_decode)
        except (msgspec.ValidationError, ValueError):
            raise self.impossible(value) from None
        if converted == "" or (isinstance(converted, float) and not math.isfinite(converted)):
            raise self.impossible(value)
        return converted

    def impossible(self, value: object) -> ConfigError:
        """The error that tells of a value that is not possible."""
        shown = repr(value) if isinstance(value, str) else str(plain(value))
        return ConfigError(f"{self.name} cannot be {shown}.", f"Allowed: {self.allowed}.", setting=self.name)


class Settings:
    """Base of all settings: frozen dataclasses that check the type and the limits of every value.

    Rules between several settings are in :mod:`activity_cli.settings.resolve`.

    Raises:
        ConfigError: A value is not possible; the error names the setting, the value, and what is allowed.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        for leaf in leaves(type(self)):
            if len(leaf.path) == 1:
                object.__setattr__(self, leaf.name, leaf.convert(getattr(self, leaf.name)))


@cache
def leaves(cls: Any) -> tuple[Leaf, ...]:
    """All settings of a command, those of nested dataclasses in their place."""
    hints = get_type_hints(cls, include_extras=True)
    found: list[Leaf] = []
    for field in fields(cls):  # type: ignore[arg-type]
        hint = hints[field.name]
        if is_dataclass(hint):
            found += [replace(leaf, path=(field.name, *leaf.path)) for leaf in leaves(hint)]  # type: ignore[arg-type]
        else:
            found.append(_leaf(field, hint))
    return tuple(found)


def build(cls: type[_S], values: Mapping[str, Any]) -> _S:
    """Settings from flat names and values, as JSON and TOML have them; what is not named has its default.

    Raises:
        ConfigError: A value is not possible, or no setting has this name.
    """
    known = {leaf.name: leaf for leaf in leaves(cls)}
    nested: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise ConfigError(f"There is no setting {name!r}.", f"Settings: {', '.join(known)}.", setting=name)
        *above, last = known[name].path
        place = nested
        for step in above:
            place = place.setdefault(step, {})
        place[last] = value
    return _construct(cls, nested)


def plain_values(settings: Settings, *, stored_only: bool = False) -> dict[str, Any]:
    """Flat names and values as JSON has them: paths as texts, tuples as lists."""
    kept = [leaf for leaf in leaves(type(settings)) if leaf.setting.stored or not stored_only]
    return {leaf.name: plain(leaf.get(settings)) for leaf in kept}


def parse_text(leaf: Leaf, text: str) -> Any:
    """The value that a person typed; several values are separated by commas, and nothing leaves a setting open.

    Raises:
        ConfigError: The text is no possible value.
    """
    if not text and leaf.optional:
        return None
    if get_origin(leaf.kind) is tuple:
        return leaf.convert([part.strip() for part in text.split(",") if part.strip()], strict=False)
    return leaf.convert(text, strict=False)


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise ValueError


def _construct(cls: type[_S], nested: Mapping[str, Any]) -> _S:
    hints = get_type_hints(cls)
    is_part = {name: is_dataclass(hints[name]) for name in nested}
    return cls(**{name: _construct(hints[name], value) if is_part[name] else value for name, value in nested.items()})


def _leaf(field: Field[Any], hint: Any) -> Leaf:
    kind, setting = get_args(hint)
    optional = get_origin(kind) in (Union, types.UnionType)
    if optional:
        (kind,) = (one for one in get_args(kind) if one is not type(None))
    required = field.default is MISSING
    return Leaf(field.name, (field.name,), kind, optional, setting, None if required else field.default, required)
