"""Settings as TOML: what ``activity settings`` prints, ``--settings`` reads."""

from __future__ import annotations

import json
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from activity_cli.errors import ConfigError
from activity_cli.settings import SETTINGS_OF, Leaf, leaves, suggest

__all__ = ["read_table", "show_toml", "table_text"]


def table_text(command: str, values: Mapping[str, Any] | None = None) -> str:
    """The settings of a command as a TOML table with comments. A setting without a value is a comment.

    Only ``values``, by flat name as JSON has them, are written; None: every setting, with its default.
    """
    blocks = [f"[{command}]"]
    for leaf in leaves(SETTINGS_OF[command]):
        if leaf.setting.argument or (values is not None and leaf.name not in values):
            continue
        value = leaf.default if values is None else values[leaf.name]
        line = f"# {leaf.name} =" if value is None else f"{leaf.name} = {show_toml(value)}"
        blocks.append(f"{_comment(leaf)}\n{line}")
    return "\n\n".join(blocks) + "\n"


def read_table(file: Path, command: str, names: Iterable[str]) -> dict[str, Any]:
    """The values in the table of a command, which may have the settings ``names``. Other tables are left alone.

    Raises:
        ConfigError: The file cannot be read, is not TOML, or has a table or a setting that does not exist.
    """
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {str(error.strerror).lower()}.", "Check the path.") from error
    except ValueError as error:  # both of TOML and of UTF-8
        hint = f"'activity settings {command}' prints an example."
        raise ConfigError(f"{file} is not TOML: {error}.", hint) from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{file}: {name!r} is not below a heading in brackets.", f"Move it below [{command}].")
        if name not in SETTINGS_OF:
            raise ConfigError(f"{file}: there is no command [{name}] with settings.", suggest(name, SETTINGS_OF))
    if command not in tables:
        raise ConfigError(f"{file} has no heading [{command}].", f"'activity settings {command}' prints one.")
    names = list(names)
    values: dict[str, Any] = tables[command]
    for name in values:
        if name not in names:
            raise ConfigError(f"{file}, [{command}]: {name!r} is not a setting.", suggest(name, names), setting=name)
    return values


def show_toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(show_toml, value))}]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    # A TOML text has the escapes of a JSON text; in addition it escapes DEL.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(leaf: Leaf) -> str:
    limited = leaf.choices or leaf.setting.limits
    facts = [leaf.setting.help]
    facts += [f"Allowed: {leaf.allowed}."] if limited else []
    facts += [f"Unset: {leaf.setting.unset}."] if leaf.optional else []
    return textwrap.fill(" ".join(facts).replace("`", ""), 100, initial_indent="# ", subsequent_indent="# ")
