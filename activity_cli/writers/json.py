"""JSON: a line for each prediction, a document for an evaluation.

The text is pure ASCII, since other characters become escapes: no name can break a line or fail to be encoded. NaN and
infinity, which JSON lacks, become ``null``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from activity_cli.results import (
    EVALUATION_SCHEMA,
    EvaluationResult,
    Prediction,
    TimelineSegment,
    TimelineWindow,
    rounded,
)

__all__ = ["evaluation_json", "indented_json", "record_json", "segment_lines"]


def record_json(record: Prediction | TimelineSegment | TimelineWindow) -> str:
    """One answer as one line of JSON, without the line break; its key ``schema`` says what it is."""
    return json.dumps(record.to_dict(), allow_nan=False)


def segment_lines(segments: Iterable[TimelineSegment]) -> str:
    """A line of JSON of the schema ``activity.segment/1`` for each segment, gaps included."""
    return "".join(json.dumps(one.to_dict(), allow_nan=False) + "\n" for one in segments)


def evaluation_json(result: EvaluationResult) -> str:
    """An evaluation as indented JSON of the schema ``activity.evaluation/1``; scores have six decimals.

    The keys are the fields of the result: renaming one breaks the schema.
    """
    document = {"schema": EVALUATION_SCHEMA, **asdict(result), "prepared": str(result.prepared)}
    document["confusion"] = {"labels": result.labels, "rows": result.confusion}
    return indented_json(rounded(document, 6))


def indented_json(value: Any) -> str:
    """JSON for people, without a final line break: an object or a short list without others in it takes one line."""

    def joined(match: re.Match[str]) -> str:
        inside = re.sub(r"(?<=[\[{])\n *|\n *(?=[\]}])", "", match[0])
        line = re.sub(r"\n *", " ", inside)
        return line if line[0] == "{" or '"' not in line or len(line) <= 100 else match[0]

    # A string has no line break, so this changes only where lines end, even where a bracket is part of a string.
    return re.sub(r"[\[{][^\[\]{}]*[\]}]", joined, json.dumps(value, indent=2, allow_nan=False))
