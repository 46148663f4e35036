"""How a setting is declared: as one dataclass field, whose metadata holds everything about it.

    num_frames: int = setting(16, "Most frames in a clip.", "Clips", "N", ge=1, le=512)

The command-line option, the range check and its error, the settings file, what prepared folders and bundles store, and
the reference in the documents all come from this field. A setting has one name everywhere: the field ``num_frames`` is
the option ``--num-frames``. Dataclasses may be nested (``sampling.num_frames``). Names are unique within a command, so
users see them flat. msgspec checks types and ranges.

Help texts and errors write settings in backquotes, as `` `mode` `` or `` `mode=joint` ``. The command line replaces
these with what a user types, such as ``--mode joint``.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from activity_cli.errors import ConfigError

__all__ = ["Leaf", "Setting", "Settings", "build", "leaves", "setting"]
__all__ += ["parse_one", "parse_text", "plain_values", "show_value", "suggest"]

_S = TypeVar("_S", bound="Settings")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Setting:
    """The description of a setting, beside its type and default."""

    help: str  # one or two sentences
    group: str = ""  # heading in --help of its option; empty: it has no option, --set and --settings reach it
    metavar: str = ""  # placeholder for the value in --help
    unset: str = ""  # what happens when the value is None, in a few words
    ge: float | None = None  # range of a number
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    stored: bool = True  # whether prepared folders and bundles store it: no paths, no switches of a single run
    argument: bool = False  # whether it is an argument of the command instead of an option

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are given, by msgspec's names."""
        limits = {"ge": self.ge, "gt": self.gt, "le": self.le, "lt": self.lt}
        return {name: limit for name, limit in limits.items() if limit is not None}


def setting(default: _T, *description: Any, **options: Any) -> _T:
    """The dataclass field of a setting: its default, then what describes it, as :class:`Setting` takes it."""
    declared: _T = field(default=default, metadata={"setting": Setting(*description, **options)})
    return declared


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting of a command."""

    name: str  # unique within the command
    path: tuple[str, ...]  # the fields that lead to it, such as ("sampling", "num_frames")
    kind: Any  # its type without None, such as int
    optional: bool  # whether it may be None
    setting: Setting
    default: Any  # None if there is none
    required: bool  # whether there is no default

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of a setting that takes one of a few texts, or a list of them; else nothing."""
        kind = get_args(self.kind)[0] if self.is_list else self.kind
        return get_args(kind) if get_origin(kind) is Literal else ()

    @property
    def is_list(self) -> bool:
        """Whether it takes several values."""
        return get_origin(self.kind) is tuple

    @property
    def allowed(self) -> str:
        """The possible values in words, such as ``1 to 512``."""
        if self.choices:
            return ", ".join(self.choices) + (", each at most once" if self.is_list else "")
        limits = {name: f"{limit:.12g}" for name, limit in self.setting.limits.items()}
        if {"ge", "le"} <= limits.keys():
            return f"{limits['ge']} to {limits['le']}"
        words = {"ge": "{} or more", "gt": "more than {}", "le": "up to {}", "lt": "less than {}"}
        in_words = ", ".join(words[name].format(limit) for name, limit in limits.items())
        return in_words or _NOUNS.get(self.kind, "a list of strings")

    def get(self, settings: Settings) -> Any:
        """Its value in ``settings``."""
        return attrgetter(".".join(self.path))(settings)

    def convert(self, value: Any) -> Any:
        """The value, as Python, JSON or TOML has it, in the type of the setting.

        Raises:
            ConfigError: The value has another type or is out of range.
        """
        if value is None and self.optional:
            return None
        limits: Any = self.setting.limits
        try:
            kind = Annotated[self.kind, msgspec.Meta(**limits)] if limits else self.kind
            converted = msgspec.convert(_plain(value), kind, dec_hook=_to_path)
        except (msgspec.ValidationError, ValueError):
            converted = ""
        if self.is_list and self.choices and (not converted or len(set(converted)) < len(converted)):
            converted = ""
        if converted == "" or (isinstance(converted, float) and not math.isfinite(converted)):
            noun = "whole numbers, " if self.kind is int and not isinstance(value, int) else ""
            empty = value == "" or (isinstance(value, list | tuple) and "" in value)
            unset = "The value is empty. If it comes from a shell variable, check that the variable is set."
            hint = unset if empty else f"Allowed: {noun}{self.allowed}."
            raise ConfigError(f"`{self.name}` cannot be {show_value(value)}.", hint, setting=self.name)
        return converted


_NOUNS = {bool: "true or false", int: "whole numbers", float: "numbers", str: "text", Path: "a path"}


class Settings:
    """Base of all settings: frozen dataclasses that check the type and the range of every value.

    :mod:`activity_cli.settings.resolve` has the rules between settings.

    Raises:
        ConfigError: A value is not possible. The error names the setting, the value and what is allowed.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        for leaf in leaves(type(self)):
            if len(leaf.path) == 1:
                object.__setattr__(self, leaf.name, leaf.convert(getattr(self, leaf.name)))


def leaves(cls: Any) -> tuple[Leaf, ...]:
    """All settings of a subclass of :class:`Settings`, in order; a nested dataclass's settings stand at its place."""
    return _leaves(cls)  # mypy holds that a class of settings cannot be the key of a cache


@cache
def _leaves(cls: Any) -> tuple[Leaf, ...]:
    hints = get_type_hints(cls)
    found: list[Leaf] = []
    for one in fields(cls):
        kind = hints[one.name]
        if is_dataclass(kind):
            found += [replace(leaf, path=(one.name, *leaf.path)) for leaf in leaves(kind)]
        else:
            found.append(_leaf(one, kind))
    return tuple(found)


def _leaf(declared: Field[Any], kind: Any) -> Leaf:
    name, default = declared.name, declared.default
    optional = get_origin(kind) in (Union, types.UnionType)
    if optional:
        (kind,) = (one for one in get_args(kind) if one is not type(None))
    required = default is MISSING
    return Leaf(name, (name,), kind, optional, declared.metadata["setting"], None if required else default, required)


def build(cls: type[_S], values: Mapping[str, Any]) -> _S:
    """Makes settings from flat names and values, as JSON and TOML have them. What is not named gets its default.

    Raises:
        ConfigError: A value is not possible, or there is no such setting.
    """
    names = [leaf.name for leaf in leaves(cls)]
    for name in values:
        if name not in names:
            raise ConfigError(f"{name!r} is not a setting.", suggest(name, names), setting=name)
    made: _S = _construct(cls, values)
    return made


def _construct(cls: Any, values: Mapping[str, Any]) -> Any:
    hints = get_type_hints(cls)
    nested = {name: _construct(hint, values) for name, hint in hints.items() if is_dataclass(hint)}
    return cls(**nested, **{name: values[name] for name in hints.keys() & values.keys()})


def plain_values(settings: Settings, *, stored_only: bool = False) -> dict[str, Any]:
    """Flat names and values as JSON has them: paths as texts, tuples as lists."""
    kept = [leaf for leaf in leaves(type(settings)) if leaf.setting.stored or not stored_only]
    return {leaf.name: _plain(leaf.get(settings)) for leaf in kept}


def parse_text(leaf: Leaf, text: str) -> Any:
    """The value that a user typed as NAME=VALUE, without any check.

    Commas separate several values. Nothing after the equals sign means None, where the setting may be None.
    """
    if not text and leaf.optional:
        return None
    if leaf.is_list:
        return [part.strip() for part in text.split(",") if part.strip()]
    return parse_one(leaf, text)


def parse_one(leaf: Leaf, text: str) -> Any:
    """The number or switch in ``text``, for a setting that takes one, else the text."""
    if leaf.kind is bool:
        return {"true": True, "false": False}.get(text, text)
    if leaf.kind in (int, float):
        for number in (int, float):
            with suppress(ValueError):
                return number(text)
    return text


def show_value(value: object) -> str:
    """A value as an error shows it: texts in quotes, ``true`` and ``false`` as in a settings file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.12g}"
    return repr(str(value)) if isinstance(value, str | Path) else str(_plain(value))


def suggest(name: str, known: Iterable[str]) -> str:
    """The hint for a mistyped name: the closest of the ``known`` ones, or all of them."""
    from difflib import get_close_matches  # here, since few runs need it

    known = list(known)
    close = get_close_matches(name, known, 1)
    return f"Did you mean {close[0]!r}?" if close else f"Known names: {', '.join(known)}."


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _to_path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise ValueError
