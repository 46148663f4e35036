"""Options that several commands share, spelled and explained once."""

from __future__ import annotations

import sys
from enum import Enum
from typing import Annotated

import typer

__all__ = ["Debug", "Format", "Overwrite", "PredictionFormat", "Quiet", "Seed", "choose_format"]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No bars, notes or warnings; errors only.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what stands at --out.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed gives the same result.", metavar="N")]


class Format(str, Enum):
    """How a result is written."""

    auto = "auto"
    json = "json"
    table = "table"


class PredictionFormat(str, Enum):
    """How predictions are written."""

    auto = "auto"
    json = "json"
    table = "table"
    csv = "csv"


def choose_format(wanted: str) -> str:
    """``auto`` is a table on a terminal and JSON in a pipe."""
    if wanted != "auto":
        return wanted
    return "table" if sys.stdout.isatty() else "json"
