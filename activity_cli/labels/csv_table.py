"""A table from a CSV file: separated by comma, semicolon or tab, in UTF-8, or UTF-16 with its byte order mark."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from activity_cli.errors import DatasetError
from activity_cli.labels.files import read_error
from activity_cli.labels.spelling import clean_text, is_broken

__all__ = ["COLUMNS_HINT", "SAVE_AGAIN", "Table", "decode", "read_table"]

# What else people hand over, by its first bytes.
_NO_CSV = {
    b"PK\x03\x04": "an Excel or LibreOffice workbook (or another zip file)",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"\x1f\x8b": "a compressed file",
    b"%PDF": "a PDF",
    b"{\\rtf": "an RTF document",
}
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before that of UTF-16, which it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SAVE_AGAIN = "Save it as 'CSV UTF-8'."
COLUMNS_HINT = "The first line must name the columns: path,label[,group][,split][,start_seconds][,end_seconds]"


@dataclass(frozen=True, slots=True)
class Table:
    """The cells of a CSV file.

    Attributes:
        path: The file.
        columns: Their names, as typed.
        rows: Those that are not empty, each with its line number and a cell for each column.
        has_decimal_point: Whether a comma cannot be a decimal comma, since it separates the cells.
    """

    path: Path
    columns: list[str]
    rows: list[tuple[int, list[str]]]
    has_decimal_point: bool

    def cells(self, column: int) -> list[str]:
        """What is not empty in a column."""
        return [row[column] for _, row in self.rows if row[column]]

    def where(self, line: int) -> str:
        """What errors call a line."""
        return f"{self.path}, line {line}"


def read_table(path: Path) -> Table:
    """The columns and rows of a CSV file. Bytes that are not UTF-8 become surrogates: they may be a file's name.

    Raises:
        DatasetError: The file cannot be read, or is no CSV; where a line is wrong, the error names it.
    """
    try:
        text = decode(path, path.read_bytes())
    except OSError as error:
        raise read_error("labels", path, error, "Check --labels.") from None
    stream, separator, skipped = io.StringIO(text, newline=""), "", 0
    first = ""
    for first in stream:
        if named := re.fullmatch(r'"?sep=(.)"?\s*', first, re.IGNORECASE):  # Excel writes and reads such a line
            separator = named[1]
        elif first.strip(" \t\r\n,;"):
            break
        skipped += 1
        first = ""
    separator = separator or max(",;\t", key=first.count)
    lines = itertools.chain([first] if first else [], stream)
    # Strict: a quote that is never closed would swallow all rows after it.
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    rows = []
    try:
        columns = [clean_text(name) for name in next(reader, [])]
        for cells in reader:
            line, values = skipped + reader.line_num, [cell.strip() for cell in cells]
            if any(values[len(columns) :]):
                raise DatasetError(
                    f"{path}, line {line}: {len(cells)} cells, but the first line names {len(columns)} columns.",
                    f"Put quotes around a cell that contains {separator!r}.",
                    code="labels.cells",
                )
            if any(values):
                rows.append((line, [*values, *[""] * (len(columns) - len(values))][: len(columns)]))
    except csv.Error as error:
        raise DatasetError(
            f"{path} is not a CSV file: line {skipped + reader.line_num}: {error}.",
            "Check the quotes: each must be closed before the next separator.",
        ) from None
    _check_columns(path, columns)
    return Table(path, columns, rows, separator == ",")


def decode(path: Path, raw: bytes) -> str:
    """The text of a file. Bytes that are not UTF-8 become surrogates.

    Raises:
        DatasetError: It is no text, or its encoding is damaged or not known.
    """
    for begin, what in _NO_CSV.items():
        if raw.startswith(begin):
            raise DatasetError(f"{path} is {what}, not a text file.", SAVE_AGAIN, code="labels.encoding")
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if raw.startswith(mark)), "")
    # Every end of a line in UTF-16 has a zero byte beside it, also in scripts that have no others.
    if not encoding and (0 in raw[:4] or re.search(rb"[\r\n]\0|\0[\r\n]", raw)):
        what = "is UTF-16 or UTF-32 without a byte order mark"
        raise DatasetError(f"{path} {what}.", SAVE_AGAIN, code="labels.encoding")
    try:
        return raw.decode(encoding) if encoding else raw.decode("utf-8-sig", errors="surrogateescape")
    except UnicodeError as error:
        raise DatasetError(
            f"{path} is damaged {encoding.upper()}: {error}.", SAVE_AGAIN, code="labels.encoding"
        ) from None


def _check_columns(path: Path, columns: list[str]) -> None:
    for number, name in enumerate(columns):
        if is_broken(name):
            raise DatasetError(
                f"{path}: the name of column {number + 1} is not UTF-8.", SAVE_AGAIN, code="labels.encoding"
            )
        if name and name.casefold() in (other.casefold() for other in columns[:number]):
            raise DatasetError(f"{path} has two columns {name!r}.", "Rename or delete one.", code="labels.columns")
