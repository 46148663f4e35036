"""CSV for spreadsheets and data frames (RFC 4180): predictions, segments, and the history of a training."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from activity_cli.files import write_bytes
from activity_cli.results import EpochRecord, Prediction, SummaryRow, TimelineSegment

__all__ = ["HISTORY_COLUMNS", "PREDICTION_COLUMNS", "SEGMENT_COLUMNS", "SEGMENT_HEADER"]
__all__ += ["SUMMARY_COLUMNS", "summary_csv"]
__all__ += ["prediction_csv", "prediction_csv_header", "segment_rows", "write_history_csv"]

SUMMARY_COLUMNS = tuple(one.name for one in fields(SummaryRow))
_ANSWER_COLUMNS = ("label", "confidence", "duration_seconds", "frames_used", "model")
PREDICTION_COLUMNS = ("source", "status", *_ANSWER_COLUMNS, "error_code", "error_message", "warnings", "reason")
SEGMENT_COLUMNS = ("source", "label", "start_seconds", "end_seconds", "confidence", "reason", "subject", "model")
HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds", "stage")


def prediction_csv_header(labels: Sequence[str]) -> str:
    """The names of the columns as one CSV record, without the line break.

    A column ``scores.LABEL`` for each of the model's labels follows those of ``PREDICTION_COLUMNS``.
    """
    return _record((*PREDICTION_COLUMNS, *(f"scores.{label}" for label in labels)))


def prediction_csv(prediction: Prediction, labels: Sequence[str]) -> str:
    """One prediction as one CSV record of the columns of :func:`prediction_csv_header`, without the line break.

    A cell without a value is empty. A name with a line break is quoted.
    """
    cells: dict[str, object] = {"source": prediction.source, "status": prediction.status}
    scores = prediction.scores or {}
    if prediction.status == "ok":
        cells |= {
            "label": prediction.label or "",
            "reason": prediction.reason,
            "confidence": _number(prediction.confidence, 4),
            "duration_seconds": _number(prediction.duration_seconds, 3),
            "frames_used": prediction.frames_used,
            "model": prediction.model,
            "warnings": "; ".join(f"[{warning.code}] {warning.message}" for warning in prediction.warnings),
        }
    else:
        cells |= {"error_code": prediction.error_code, "error_message": prediction.error_message}
    cells["warnings"] = " ".join(f"[{one.code}] {one.message}" for one in prediction.warnings)
    return _record(
        (
            *(cells.get(name, "") for name in PREDICTION_COLUMNS),
            *(_number(scores[label], 4) if label in scores else "" for label in labels),
        )
    )


def segment_rows(segments: Iterable[TimelineSegment]) -> str:
    """A CSV record of ``SEGMENT_COLUMNS`` for each segment; the label of a gap is empty."""
    rows = []
    for one in segments:
        cells = one.to_dict()
        rows.append(_record("" if (cell := cells.get(name)) is None else cell for name in SEGMENT_COLUMNS) + "\n")
    return "".join(rows)


def summary_csv(rows: Iterable[SummaryRow]) -> str:
    """A summary: the names of the columns, and a record for each row. What does not exist is an empty cell."""
    records = (_record("" if cell is None else cell for cell in row.cells()) for row in rows)
    return "".join(f"{record}\n" for record in (_record(SUMMARY_COLUMNS), *records))


def write_history_csv(path: Path, history: Sequence[EpochRecord]) -> None:
    """Writes a row for each epoch of every stage, in the order of the training. NaN and infinity are empty cells.

    Raises:
        OutputError: The file cannot be written.
    """
    lines = [_record(HISTORY_COLUMNS)]
    for one in history:
        scores = (_number(score, 6) for score in (one.loss, one.accuracy, one.val_loss, one.val_accuracy))
        lines.append(_record((one.epoch, *scores, _number(one.seconds, 3), one.stage)))
    write_bytes(path, "".join(line + "\n" for line in lines).encode("utf-8"))


def _number(value: float, decimals: int) -> str:
    return str(round(float(value), decimals)) if math.isfinite(value) else ""


def _record(cells: Iterable[object]) -> str:
    buffer = io.StringIO(newline="")
    # Undecodable bytes of a file name become escapes: UTF-8 cannot encode them.
    encodable = [str(cell).encode("utf-8", "backslashreplace").decode("utf-8") for cell in cells]
    csv.writer(buffer).writerow(encodable)
    return buffer.getvalue().removesuffix("\r\n")


SEGMENT_HEADER = _record(SEGMENT_COLUMNS) + "\n"
