"""Lines and tables on a terminal, with names that come from users and files."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from activity_cli.reports.text import visible

__all__ = ["name_text", "new_table", "print_error", "say_path", "show"]

# Characters that a column of names keeps, however many numbers stand beside it.
_MIN_TEXT_WIDTH = 8


def new_table(*headers: str, text_columns: int = 1) -> Table:
    """A table whose first columns hold text, and whose others hold numbers, on the right."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for index, header in enumerate(headers):
        text = index < text_columns
        table.add_column(
            header,
            justify="left" if text else "right",
            overflow="fold",
            no_wrap=not text,
            min_width=_MIN_TEXT_WIDTH if text else None,
        )
    return table


def show(console: Console, table: Table) -> None:
    """Prints a table with a blank line around it."""
    console.print()
    console.print(table)
    console.print()


def name_text(console: Console, text: str, style: str = "") -> Text:
    """A name as it is, its control characters made visible."""
    shown = visible(text)
    if console.options.ascii_only:
        shown = shown.encode("ascii", "backslashreplace").decode("ascii")
    return Text(shown, style=style)


def print_error(console: Console, text: str, style: str = "") -> None:
    """Prints a line, wrapped where the console ends."""
    console.print(name_text(console, text, style))


def say_path(console: Console, what: str, path: str) -> None:
    """Prints what a path is, and the path."""
    # Not wrapped: a path with a line break in it cannot be copied.
    console.print(Text(f"{what} ") + name_text(console, path, "bold"), soft_wrap=True)
