"""CSV for spreadsheets and data frames (RFC 4180): predictions, and the history of a training."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from activity_cli.files import write_bytes
from activity_cli.results import EpochRecord, Prediction

__all__ = ["HISTORY_COLUMNS", "PREDICTION_COLUMNS", "prediction_csv", "prediction_csv_header", "write_history_csv"]

_ANSWER_COLUMNS = ("label", "confidence", "duration_seconds", "frames_used", "model")
PREDICTION_COLUMNS = ("source", "status", *_ANSWER_COLUMNS, "error_code", "error_message", "warnings", "reason")
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
