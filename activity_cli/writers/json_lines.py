"""Results as JSON: a line for each prediction, a document for an evaluation.

The text is pure ASCII, whatever a file is called: everything else is escaped, so that no name can
break a line or fail to be encoded. NaN and infinity, which JSON does not have, become ``null``.
"""

from __future__ import annotations

import json
import math

from activity_cli.results import EVALUATION_SCHEMA, PREDICTION_SCHEMA, EvaluationResult, Prediction

__all__ = ["evaluation_document", "indented", "prediction_line", "rounded"]

_LINE_WIDTH = 100


def prediction_line(prediction: Prediction) -> str:
    """One prediction as one line of JSON, without the line break.

    Args:
        prediction: An answer or an error.

    Returns:
        A JSON object of the schema ``activity.prediction/1``; scores have four decimals, times
        three. ``frames`` is there where the model answers for every frame.
    """
    fields: dict[str, object] = {
        "schema": PREDICTION_SCHEMA,
        "source": prediction.source,
        "status": prediction.status,
    }
    if prediction.status == "ok":
        scores = prediction.scores or {}
        fields |= {
            "label": prediction.label,
            "confidence": rounded(prediction.confidence, 4),
            "scores": {label: rounded(score, 4) for label, score in scores.items()},
            "duration_seconds": rounded(prediction.duration_seconds, 3),
            "frames_used": prediction.frames_used,
            "model": prediction.model,
        }
        if prediction.frames is not None:
            fields["frames"] = [
                {
                    "seconds": rounded(frame.seconds, 3),
                    "label": frame.label,
                    "confidence": rounded(frame.confidence, 4),
                }
                for frame in prediction.frames
            ]
    else:
        fields["error"] = {
            "code": prediction.error_code,
            "message": prediction.error_message,
            "hint": prediction.error_hint,
        }
    return _compact(fields)


def evaluation_document(result: EvaluationResult) -> str:
    """An evaluation as indented JSON of the schema ``activity.evaluation/1``.

    Args:
        result: What ``evaluate`` found.

    Returns:
        The document, without a final line break. A class, a baseline and a row of the confusion matrix
        take one line each. Scores have six decimals.
    """
    classes = [
        {
            "label": score.label,
            "precision": rounded(score.precision, 6),
            "recall": rounded(score.recall, 6),
            "f1": rounded(score.f1, 6),
            "support": score.support,
        }
        for score in result.classes
    ]
    baselines = [
        {
            "name": baseline.name,
            "description": baseline.description,
            "accuracy": rounded(baseline.accuracy, 6),
            "macro_f1": rounded(baseline.macro_f1, 6),
            "reason": baseline.reason,
        }
        for baseline in result.baselines
    ]
    document = {
        "schema": EVALUATION_SCHEMA,
        "model": result.model,
        "prepared": str(result.prepared),
        "split": result.split,
        "num_clips": result.num_clips,
        "labels": list(result.labels),
        "accuracy": rounded(result.accuracy, 6),
        "macro_f1": rounded(result.macro_f1, 6),
        "classes": classes,
        "confusion": {"labels": list(result.labels), "rows": [list(row) for row in result.confusion]},
        "baselines": baselines,
        "warnings": list(result.warnings),
    }
    return indented(document)


def rounded(value: float | None, decimals: int) -> float | None:
    """A number that JSON can hold: NaN and infinity become None."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), decimals)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


def indented(value: object, depth: int = 0) -> str:
    """Like ``json.dumps(indent=2)``, but a flat list or object stays on one line.

    The standard layout gives every count of a confusion matrix its own line.
    """
    if not isinstance(value, (dict, list)) or not value:
        return _compact(value)
    children = list(value.values()) if isinstance(value, dict) else value
    flat = not any(isinstance(child, (dict, list)) and child for child in children)
    numbers = flat and all(isinstance(child, (int, float)) for child in children)
    line = _compact(value)
    if depth > 0 and flat and (numbers or isinstance(value, dict) or len(line) <= _LINE_WIDTH):
        return line
    inner = "  " * (depth + 1)
    if isinstance(value, dict):
        lines = [f"{inner}{_compact(key)}: {indented(child, depth + 1)}" for key, child in value.items()]
        opening, closing = "{", "}"
    else:
        lines = [inner + indented(child, depth + 1) for child in value]
        opening, closing = "[", "]"
    return opening + "\n" + ",\n".join(lines) + "\n" + "  " * depth + closing
