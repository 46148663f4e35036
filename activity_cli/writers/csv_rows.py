"""Results as CSV, for spreadsheets and data frames (quoting as in RFC 4180)."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from activity_cli.files import write_bytes
from activity_cli.results import EpochRecord, Prediction

__all__ = [
    "HISTORY_COLUMNS",
    "PREDICTION_COLUMNS",
    "prediction_header",
    "prediction_row",
    "write_history_csv",
]

PREDICTION_COLUMNS = (
    "source",
    "status",
    "label",
    "confidence",
    "duration_seconds",
    "frames_used",
    "model",
    "error_code",
    "error_message",
)
HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds", "encoder")

_LINE_END = "\r\n"


def prediction_header() -> str:
    """The names of the columns as one CSV line, without the line break."""
    return _line(PREDICTION_COLUMNS)


def prediction_row(prediction: Prediction) -> str:
    """One prediction as one CSV record, without the line break at its end.

    Args:
        prediction: An answer or an error; the cells that it has no value for are empty.

    Returns:
        The cells of ``PREDICTION_COLUMNS``. A name with a line break is quoted, as CSV allows; bytes of
        a name that are not text are written as escapes, since they cannot be encoded.
    """
    if prediction.status == "ok":
        answer = (
            prediction.label,
            _number(prediction.confidence, 4),
            _number(prediction.duration_seconds, 3),
            str(prediction.frames_used),
            prediction.model,
        )
        return _line((prediction.source, prediction.status, *answer, "", ""))
    nothing = ("",) * 5
    error = (prediction.error_code, prediction.error_message)
    return _line((prediction.source, prediction.status, *nothing, *error))


def write_history_csv(path: Path, history: Sequence[EpochRecord]) -> None:
    """Writes a row for each epoch.

    Args:
        path: File to write or replace.
        history: In their order: those in which the sequence part learned alone are counted by themselves. A value
            that is not finite gives an empty cell.

    Raises:
        OutputError: The file cannot be written.
    """
    lines = [_line(HISTORY_COLUMNS)]
    for record in history:
        values = (record.loss, record.accuracy, record.val_loss, record.val_accuracy)
        cells = [_number(value, 6) for value in values]
        encoder = record.stage
        lines.append(_line((str(record.epoch), *cells, _number(record.seconds, 3), encoder)))
    write_bytes(path, "".join(line + "\n" for line in lines).encode("utf-8"))


def _number(value: float, decimals: int) -> str:
    return str(round(float(value), decimals)) if math.isfinite(value) else ""


def _line(cells: Iterable[str]) -> str:
    # The writer quotes the characters of its own line end: with an empty one it would let a line break
    # through as it is.
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator=_LINE_END).writerow(_encodable(cell) for cell in cells)
    return buffer.getvalue().removesuffix(_LINE_END)


def _encodable(cell: str) -> str:
    return cell.encode("utf-8", "backslashreplace").decode("utf-8")
