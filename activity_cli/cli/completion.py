"""Completion of ``--set NAME=VALUE`` in Bash."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

__all__ = ["joined_bash_words"]


@contextmanager
def joined_bash_words() -> Iterator[None]:
    """Joins NAME=VALUE for Typer. Bash splits it at the equals sign, and completes only the part behind."""
    if os.environ.get("_ACTIVITY_COMPLETE") != "complete_bash":
        yield
        return
    words, current = os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"])
    equals = current - (words[current - 1] == "=")
    if words[equals - 2 : equals + 1 : 2] != ["--set", "="]:
        yield
        return
    value = words[current] if equals < current else ""
    start = f"{words[equals - 1]}="
    os.environ["COMP_WORDS"] = "\n".join([*words[: equals - 1], start + value])
    os.environ["COMP_CWORD"] = str(equals - 1)
    completions = StringIO()
    try:
        with redirect_stdout(completions):
            yield
    finally:  # Typer leaves with SystemExit
        for line in completions.getvalue().splitlines():
            print(line.removeprefix(start))
