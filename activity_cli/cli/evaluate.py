"""activity evaluate"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from activity_cli.cli.boundary import handle_errors
from activity_cli.cli.options import Debug, Format, Quiet, choose_format
from activity_cli.settings import DEFAULT_MODEL, SPLITS, EvaluateSettings

__all__ = ["evaluate_command"]

Split = Enum("Split", {name: name for name in (*SPLITS, "all")}, type=str)  # type: ignore[misc]


@handle_errors
def evaluate_command(
    model: Annotated[Path, typer.Argument(help="Model to judge.", metavar="MODEL")] = DEFAULT_MODEL,
    data: Annotated[
        Path | None,
        typer.Option(help="Prepared folder.", metavar="PREPARED", show_default="the one the model was trained from"),
    ] = None,
    split: Annotated[Split, typer.Option(help="Which clips.")] = Split("test"),
    format: Annotated[Format, typer.Option(help="auto: a table on a terminal, JSON in a pipe.")] = Format.auto,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON to a file.", metavar="FILE")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a report page.", metavar="FILE")] = None,
    picture: Annotated[Path | None, typer.Option(help="Also draw the confusion matrix as PNG.", metavar="FILE")] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Judge a model on clips it has not learned from.

    \b
        activity evaluate

    Beside the model's score stand those of simpler judges on the same clips: always the most frequent
    activity, one middle frame, and the average over the frames without their order. What the model
    has above the last is what the LSTM adds.

    Exit codes: 0 done, 2 the call is wrong, 130 interrupted.
    """
    config = EvaluateSettings(model, data, split.value)
    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.commands.evaluate import evaluate
    from activity_cli.files import write_text
    from activity_cli.writers.json import evaluation_json

    result = evaluate(config, TerminalProgress(quiet))
    document = evaluation_json(result) + "\n"
    if out is not None:
        write_text(out, document)
    if html is not None:
        from activity_cli.reports.html import evaluation_html

        write_text(html, evaluation_html(result))
    if picture is not None:
        from activity_cli.reports.charts import confusion_matrix_chart

        confusion_matrix_chart(result.labels, result.confusion, picture)
    if choose_format(format.value) == "json":
        typer.echo(document, nl=False)
    else:
        from rich.console import Console

        from activity_cli.reports.console import print_evaluation

        # The warnings have been told as they arose.
        print_evaluation(Console(), replace(result, warnings=()))
    return 0
