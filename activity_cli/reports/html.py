"""An evaluation as one HTML file without scripts, fonts or network access."""

from __future__ import annotations

import base64
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from activity_cli.reports.charts import confusion_matrix_svg
from activity_cli.reports.summaries import clip_name, mistakes, num_correct, wrong_clips
from activity_cli.reports.text import escape_control, percent, points
from activity_cli.results import EvaluationResult

__all__ = ["evaluation_html"]

_MAX_MISTAKES = 10


def evaluation_html(result: EvaluationResult) -> str:
    """The evaluation as a page to read, print or send: a whole HTML document, in which every name is escaped."""
    environment = Environment(
        loader=PackageLoader("activity_cli.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_without_control_characters,
    )
    environment.filters |= {"clip_name": clip_name, "points": points}
    environment.filters["percent"] = lambda share: "–" if share is None else percent(share)
    chart = base64.b64encode(confusion_matrix_svg(result.labels, result.confusion)).decode("ascii")
    return environment.get_template("evaluation.html").render(
        result=result,
        num_correct=num_correct(result),
        mistakes=mistakes(result.labels, result.confusion)[:_MAX_MISTAKES],
        wrong=wrong_clips(result.clips),
        chart=f"data:image/svg+xml;base64,{chart}",
    )


def _without_control_characters(value: Any) -> Any:
    is_name = isinstance(value, str) and not hasattr(value, "__html__")  # which marks the output of a macro
    return escape_control(value) if is_name else value
