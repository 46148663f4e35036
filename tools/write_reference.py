#!/usr/bin/env python3
"""Write docs/commands.md from the --help texts; --check fails where it is stale."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMANDS = ("", "prepare", "train", "evaluate", "predict", "export", "demo")
REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"


def reference() -> str:
    """The whole document, as ``--help`` prints it on a plain terminal of 100 columns."""
    parts = ["# Commands\n", "Written by `make reference` from the help texts.\n"]
    for command in COMMANDS:
        words = ["activity", *([command] if command else []), "--help"]
        text = "\n".join(line.rstrip() for line in _help(words[1:]).strip("\n").splitlines())
        parts.append(f"## {' '.join(words[:-1])}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def _help(words: list[str]) -> str:
    plain = {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "activity_cli", *words]
    return subprocess.run(command, env=os.environ | plain, capture_output=True, check=True, encoding="utf-8").stdout


def main() -> int:
    """Writes the document, or (--check) compares it."""
    text = reference()
    if "--check" in sys.argv[1:]:
        fresh = REFERENCE.is_file() and REFERENCE.read_text(encoding="utf-8") == text
        if not fresh:
            print(f"{REFERENCE.name} is stale: run 'make reference'.", file=sys.stderr)
        return 0 if fresh else 1
    REFERENCE.parent.mkdir(exist_ok=True)
    REFERENCE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
