"""Workbooks of spreadsheet programs (``.xlsx``): summaries."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from activity_cli.errors import MissingDependencyError
from activity_cli.files import atomic_write
from activity_cli.results import SummaryRow
from activity_cli.writers.csv import SUMMARY_COLUMNS
from activity_cli.writers.text import without_control

__all__ = ["write_summary_xlsx"]


def write_summary_xlsx(path: Path, rows: Iterable[SummaryRow]) -> None:
    """Writes the rows below the names of the columns. A text is never a formula.

    Raises:
        MissingDependencyError: The package openpyxl is missing.
        OutputError: The file cannot be written.
    """
    try:
        from openpyxl import Workbook
        from openpyxl.cell import WriteOnlyCell
    except ImportError:
        raise MissingDependencyError(
            "XLSX files need the package openpyxl.",
            "Install it with: pip install 'activity-cli[xlsx]'. Or write a .csv file.",
        ) from None
    book = Workbook(write_only=True)
    sheet = book.create_sheet("summary")
    sheet.append(SUMMARY_COLUMNS)
    for row in rows:
        values = (without_control(value) if isinstance(value, str) else value for value in row.cells())
        cells = [WriteOnlyCell(sheet, value) for value in values]
        for cell in cells:
            if cell.data_type == "f":
                cell.data_type = "s"
        sheet.append(cells)
    with atomic_write(path) as aside:
        book.save(aside)
