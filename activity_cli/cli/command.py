"""Commands whose options come from the declaration of their settings.

An option goes before ``--set``, ``--set`` before ``--settings``, and ``--settings`` before the default.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from activity_cli.cli.error_handling import handle_errors
from activity_cli.cli.settings_file import read_table
from activity_cli.errors import ActivityError, ConfigError, UsageError
from activity_cli.settings import SETTINGS_OF, Leaf, Settings, build, leaves, parse_one, parse_text, suggest

__all__ = ["Quiet", "SectionedCommand", "choose_format", "format_option", "make_command", "output_option"]
__all__ += ["settings_command"]
__all__ += ["spell", "spelled_errors", "typed_name"]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors: no progress bars, notes or warnings.")]
output_option = partial(typer.Option, rich_help_panel="Output")
_other_option = partial(typer.Option, show_default=False, rich_help_panel="Other settings")
_Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
# In --help, names up to this width share one column; longer ones stand on a line of their own.
_NAME_WIDTH = 26


class SectionedCommand(TyperCommand):
    """A command whose ``--help`` shows each ``rich_help_panel`` as a section of plain text."""

    set_names: Mapping[str, str] = {}  # the settings without an option, by the option that a user may expect

    def format_options(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if parameter.param_type_name == "argument":
                name, help_text, heading = str(parameter.metavar), getattr(parameter, "help", ""), "Arguments"
            else:
                name, help_text = parameter.get_help_record(ctx) or ("", "")
                heading = getattr(parameter, "rich_help_panel", None) or "Options"
            sections.setdefault(heading, []).append((name, help_text))
        sections["Options"] = sections.pop("Options")  # last
        names = [name for rows in sections.values() for name, _ in rows]
        width = max(len(name) for name in names if len(name) <= _NAME_WIDTH)
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), text) for name, text in rows], col_max=width)


def make_command(name: str, function: Callable[..., int]) -> SectionedCommand:
    """The command ``name``: it calls ``function`` with its options, and exits with the code that this returns."""
    signature = inspect.signature(function, eval_str=True)
    run: Any = handle_errors(function)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), _keyword("debug", _Debug, False)])
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name, cls=SectionedCommand)(run)
    command = typer.main.get_command(app)
    assert isinstance(command, SectionedCommand)
    return command


def settings_command(name: str, function: Callable[..., int]) -> SectionedCommand:
    """The command ``name``: it calls ``function`` with its settings first, then with its other options.

    ``SETTINGS_OF[name]`` gives the settings. Those with a ``group`` have an option.
    """
    cls = SETTINGS_OF[name]
    declared = [_parameter(leaf, cls) for leaf in leaves(cls) if leaf.setting.argument or leaf.setting.group]
    names = [parameter.name for parameter in declared]
    _, *others = inspect.signature(function, eval_str=True).parameters.values()

    def run(*, set_: list[str] | None, settings: Path | None, **options: Any) -> int:
        typed = {name: value for name in names if (value := options.pop(name)) is not None}
        values, sources = _collect(name, cls, typed, set_ or (), settings)
        with spelled_errors(cls, sources):
            return function(build(cls, values), **options)

    file_text = f"Read settings from a TOML file in the format that 'activity settings {name}' prints."
    run.__doc__ = function.__doc__
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            *declared,
            *(_keyword(other.name, other.annotation, other.default) for other in others),
            _keyword("set_", _set_option(name, cls)),
            _keyword("settings", Annotated[Path, _other_option(help=file_text, metavar="FILE")]),
        ]
    )
    command = make_command(name, run)
    without_option = [leaf.name for leaf in leaves(cls) if not leaf.setting.group and not leaf.setting.argument]
    command.set_names = {f"--{name.replace('_', '-')}": name for name in without_option}
    return command


def format_option(*formats: str, help: str) -> Any:
    """An option that chooses one of these formats; :func:`choose_format` checks it, as settings are checked."""
    return output_option("--format", help=help, metavar="|".join(formats), autocompletion=lambda: list(formats))


def choose_format(wanted: str, formats: Sequence[str]) -> str:
    """The format of a result: ``auto`` is a table on a terminal and JSON in a pipe.

    Raises:
        UsageError: It is not one of ``formats``.
    """
    if wanted not in formats:
        raise UsageError(f"--format cannot be {wanted!r}.", f"Allowed: {', '.join(formats)}.", code="usage.format")
    if wanted != "auto":
        return wanted
    return "table" if sys.stdout.isatty() else "json"


def typed_name(leaf: Leaf) -> str:
    """What a user types to name a setting, such as ``--num-frames`` or ``--set fit``."""
    if leaf.setting.argument:
        return leaf.setting.metavar
    return f"--{leaf.name.replace('_', '-')}" if leaf.setting.group else f"--set {leaf.name}"


def spell(text: str, cls: type[Settings], sources: Mapping[str, str] | None = None) -> str:
    """Replaces settings in backticks, as `` `mode` `` or `` `mode=joint` ``, by what a user types.

    ``sources`` has, for each setting that the user gave, where: an option, ``--set``, or a place in a file.
    """
    known = {leaf.name: leaf for leaf in leaves(cls)}

    def replaced(match: re.Match[str]) -> str:
        name, value = match.groups()
        if name not in known:
            return match[0]
        if value is None:
            return (sources or {}).get(name) or typed_name(known[name])
        option = typed_name(known[name])
        if option.startswith("--set"):
            return f"{option}={value}"
        return {"true": option, "false": f"--no-{option[2:]}"}.get(value, f"{option} {value}")

    return re.sub(r"`(\w+)(?:=([^`]*))?`", replaced, text)


@contextmanager
def spelled_errors(cls: type[Settings], sources: Mapping[str, str] | None = None) -> Iterator[None]:
    """Lets an error pass with its settings as :func:`spell` writes them."""
    try:
        yield
    except ActivityError as error:
        error.message, error.hint = (spell(text, cls, sources) for text in (error.message, error.hint))
        raise


def _collect(
    command: str, cls: type[Settings], typed: Mapping[str, Any], assignments: Sequence[str], file: Path | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values that the user gave, and where each was given."""
    known = {leaf.name: leaf for leaf in leaves(cls)}
    settable = [name for name, leaf in known.items() if not leaf.setting.argument]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    if file is not None:
        for name, value in read_table(file, command, settable).items():
            values[name], sources[name] = value, f"{file}, [{command}] {name}"
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if name not in settable:
            raise ConfigError(f"--set {assignment}: {name!r} is not a setting.", suggest(name, settable), setting=name)
        if not equals:
            raise ConfigError(f"--set {name} has no value.", f"Use --set {name}=VALUE.", setting=name)
        values[name], sources[name] = parse_text(known[name], text), f"--set {name}"
    for name, value in typed.items():
        leaf = known[name]
        # The values of a repeatable option are a list already.
        parse = parse_text if leaf.is_list else parse_one
        values[name] = value if isinstance(value, bool | list) else parse(leaf, value)
        sources[name] = typed_name(leaf)
    return values, sources


def _parameter(leaf: Leaf, cls: type[Settings]) -> inspect.Parameter:
    """An option or an argument. None as its default means that the user did not type it.

    Its value is the text that the user typed: only :class:`~activity_cli.settings.Settings` checks it.
    """
    setting, choices = leaf.setting, "|".join(leaf.choices)
    is_repeatable = leaf.is_list and not choices  # choices are separated by commas instead
    kind: Any = bool if leaf.kind is bool else list[str] if is_repeatable else str
    option = typed_name(leaf)
    help_text = setting.help
    if len(choices) > _NAME_WIDTH and not leaf.is_list:
        help_text += f" One of {', '.join(leaf.choices)}."
        choices = "NAME"
    if is_repeatable and not setting.argument:
        help_text += " Repeatable."
    default = setting.unset
    if leaf.default is True:
        default = option
    elif leaf.default is not None and leaf.default is not False and leaf.default != ():
        default = ",".join(leaf.default) if leaf.is_list else str(leaf.default)
    shown: dict[str, Any] = {
        "help": spell(f"{help_text}  [default: {default}]" if default else help_text, cls),
        "metavar": setting.metavar or choices or None,
        "show_default": False,
        "autocompletion": (lambda: list(leaf.choices)) if choices else None,
    }
    names = [f"{option}/--no-{option[2:]}" if leaf.kind is bool and leaf.default is not False else option]
    names += ["-o"] if leaf.name == "out" else []
    option_info = partial(typer.Option, *names, rich_help_panel=setting.group)
    declared: Any = typer.Argument(**shown) if setting.argument else option_info(**shown)
    return _keyword(leaf.name, Annotated[kind, declared], inspect.Parameter.empty if leaf.required else None)


def _keyword(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _set_option(command: str, cls: type[Settings]) -> Any:
    def complete(incomplete: str) -> list[str]:
        name, equals, _ = incomplete.partition("=")
        settable = {leaf.name: leaf for leaf in leaves(cls) if not leaf.setting.argument}
        if not equals:
            return [f"{name}=" for name in settable]
        leaf = settable.get(name)
        values = () if leaf is None else ("true", "false") if leaf.kind is bool else leaf.choices
        return [f"{name}={value}" for value in values]

    text = f"Change a setting. 'activity settings {command}' prints all settings. Repeatable."
    return Annotated[list[str], _other_option("--set", help=text, metavar="NAME=VALUE", autocompletion=complete)]
