#!/usr/bin/env python3
"""Write docs/commands.md from --help and docs/settings.md from the settings; --check fails if one is stale."""

from __future__ import annotations

import sys
from pathlib import Path

from typer.testing import CliRunner

from activity_cli.cli.app import COMMANDS, app
from activity_cli.cli.settings_file import show_toml
from activity_cli.settings import SETTINGS_OF, Leaf, leaves

DOCS = Path(__file__).resolve().parents[1] / "docs"


def commands_page() -> str:
    """The text of ``--help`` of each command, as on a terminal of 100 columns."""
    parts = ["# Commands\n", "`make reference` generates this page from the help texts. Do not edit it.\n"]
    for command in ("", *COMMANDS):
        words = [command] if command else []
        result = CliRunner().invoke(app, [*words, "--help"], prog_name="activity", terminal_width=98)
        text = "\n".join(line.rstrip() for line in result.stdout.strip("\n").splitlines())
        parts.append(f"## {' '.join(['activity', *words])}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def settings_page() -> str:
    """A table of the settings of each command."""
    parts = [
        "# Settings\n",
        "`make reference` generates this page from the code. Do not edit it.\n",
        "There are three ways to change a setting:\n",
        "- use its option, if it has one: `--num-frames 8`;\n"
        "- use `--set num_frames=8`;\n"
        "- write it into a file. `activity settings prepare > settings.toml` writes one with all defaults, and\n"
        "  `--settings settings.toml` reads it.\n",
        "An option overrides `--set`, and `--set` overrides the file. `activity settings --model MODEL` prints the "
        "settings that a\nmodel was prepared and trained with.\n",
    ]
    for command, cls in SETTINGS_OF.items():
        rows = "\n".join(_row(leaf) for leaf in leaves(cls) if not leaf.setting.argument)
        head = "| setting | option | default | allowed | description |\n| --- | --- | --- | --- | --- |"
        parts.append(f"## {command}\n\n{head}\n{rows}\n")
    return "\n".join(parts)


def _row(leaf: Leaf) -> str:
    option = f"`--{leaf.name.replace('_', '-')}`" if leaf.setting.group else ""
    default = leaf.setting.unset or f"`{show_toml(leaf.default)}`"
    cells = (f"`{leaf.name}`", option, default, leaf.allowed, leaf.setting.help)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def main() -> int:
    """Writes both pages. With --check it only compares them."""
    pages = {DOCS / "commands.md": commands_page(), DOCS / "settings.md": settings_page()}
    for path, text in pages.items():
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            print(f"{path.name} is stale: run 'make reference'.", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
