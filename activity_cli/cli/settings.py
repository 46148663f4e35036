"""activity settings"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from activity_cli.cli.command import make_command
from activity_cli.cli.settings_file import table_text
from activity_cli.errors import BundleError, UsageError
from activity_cli.settings import SETTINGS_OF, leaves, suggest

__all__ = ["command"]

_COMMAND_HELP = f"Command whose settings to print: {', '.join(SETTINGS_OF)}.  [default: all]"


def run_settings(
    name: Annotated[
        str | None,
        typer.Argument(help=_COMMAND_HELP, metavar="COMMAND", autocompletion=lambda: list(SETTINGS_OF)),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="Print the settings that this model was prepared and trained with.", metavar="MODEL"),
    ] = None,
) -> int:
    """Print all settings and their defaults, as a file for --settings.

    \b
        activity settings train > settings.toml
        activity train --settings settings.toml

    The file is TOML: lines such as epochs = 40 below a heading such as [train]. A command reads only the lines below
    its own heading. A # at the start of a line leaves that setting unset.

    Exit codes: 0 done, 2 usage error, 130 interrupted.
    """
    values = dict.fromkeys(SETTINGS_OF) if model is None else _stored_settings(model)
    if name is not None and name not in values:
        raise UsageError(f"There are no settings for {name!r}.", suggest(name, values))
    print("\n".join(table_text(one, values[one]) for one in ([name] if name else values)), end="")
    return 0


def _stored_settings(model: Path) -> dict[str, dict[str, Any]]:
    """The settings in a bundle: for ``prepare`` and ``train`` flat names and values."""
    path = model / "bundle.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
        stored = {command: dict(settings[command]) for command in ("prepare", "train")}
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {str(error.strerror).lower()}.", "Check the path.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} has no settings.", "Train the model again.", code="model.damaged") from error
    for command, values in stored.items():
        if unknown := values.keys() - {leaf.name for leaf in leaves(SETTINGS_OF[command])}:
            message = f"{path} has settings of {command} that this version does not know: {', '.join(sorted(unknown))}."
            raise BundleError(message, "Use the version of activity that trained the model.")
    return stored


command = make_command("settings", run_settings)
