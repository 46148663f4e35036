"""The command line: parse, call one command, render, exit. Only this package knows Typer."""

from __future__ import annotations

import time

__all__ = ["STARTED"]

# When the command began, by time.monotonic(): this module is the first to be loaded, before all large libraries.
STARTED = time.monotonic()
