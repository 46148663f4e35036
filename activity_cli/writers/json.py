"""JSON: a line for each prediction, a document for an evaluation.

The text is pure ASCII, since other characters become escapes: no name can break a line or fail to be encoded. NaN and
infinity, which JSON lacks, become ``null``.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict
from typing import Any

from activity_cli.results import EVALUATION_SCHEMA, PREDICTION_SCHEMA, EvaluationResult, Prediction

__all__ = ["evaluation_json", "indented_json", "prediction_json", "rounded"]


def prediction_json(prediction: Prediction) -> str:
    """One prediction as one line of JSON of the schema ``activity.prediction/1``, without the line break.

    Scores have four decimals, times three.
    """
    document: dict[str, Any] = {"schema": PREDICTION_SCHEMA, "source": prediction.source, "status": prediction.status}
    if prediction.status == "ok":
        document |= {
            "label": prediction.label,
            "confidence": rounded(prediction.confidence, 4),
            "scores": rounded(dict(prediction.scores or {}), 4),
            "duration_seconds": rounded(prediction.duration_seconds, 3),
            "frames_used": prediction.frames_used,
            "model": prediction.model,
            "warnings": [asdict(warning) for warning in prediction.warnings],
        }
    else:
        code, message, hint = prediction.error_code, prediction.error_message, prediction.error_hint
        document["error"] = {"code": code, "message": message, "hint": hint}
    return json.dumps(document, allow_nan=False)


def evaluation_json(result: EvaluationResult) -> str:
    """An evaluation as indented JSON of the schema ``activity.evaluation/1``; scores have six decimals.

    The keys are the fields of the result: renaming one breaks the schema.
    """
    document = {"schema": EVALUATION_SCHEMA, **asdict(result), "prepared": str(result.prepared)}
    document["confusion"] = {"labels": result.labels, "rows": result.confusion}
    return indented_json(rounded(document, 6))


def rounded(value: Any, decimals: int) -> Any:
    """A value with all its numbers rounded; NaN and infinity become None."""
    if isinstance(value, float):
        return round(value, decimals) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: rounded(part, decimals) for name, part in value.items()}
    return [rounded(part, decimals) for part in value] if isinstance(value, (list, tuple)) else value


def indented_json(value: Any) -> str:
    """JSON for people, without a final line break: an object or a short list without others in it takes one line."""

    def joined(match: re.Match[str]) -> str:
        inside = re.sub(r"(?<=[\[{])\n *|\n *(?=[\]}])", "", match[0])
        line = re.sub(r"\n *", " ", inside)
        return line if line[0] == "{" or '"' not in line or len(line) <= 100 else match[0]

    # A string has no line break, so this changes only where lines end, even where a bracket is part of a string.
    return re.sub(r"[\[{][^\[\]{}]*[\]}]", joined, json.dumps(value, indent=2, allow_nan=False))
