"""activity evaluate"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from activity_cli.cli.command import Quiet, choose_format, format_option, output_option, settings_command
from activity_cli.cli.error_handling import SOME_FAILED
from activity_cli.errors import UsageError
from activity_cli.settings import EvaluateSettings

__all__ = ["command"]

_FORMATS = ("auto", "table", "json")


def run_evaluate(
    settings: EvaluateSettings,
    format: Annotated[str, format_option(*_FORMATS, help="auto: a table on a terminal, JSON in a pipe.")] = "auto",
    out: Annotated[Path | None, output_option(help="Also write the JSON to this file.", metavar="FILE")] = None,
    html: Annotated[Path | None, output_option(help="Also write an HTML report to this file.", metavar="FILE")] = None,
    picture: Annotated[
        Path | None, output_option(help="Also draw the confusion matrix, as .png or .svg.", metavar="FILE")
    ] = None,
    quiet: Quiet = False,
) -> int:
    """Test a model on clips that it was not trained on.

    \b
        activity evaluate
        activity evaluate --timeline long_videos --truth labels.boris

    With --timeline, evaluate compares the timelines of videos with segments that a person labeled: share of the time
    with the right label, F1 of segments that overlap a labeled one by 10, 25 and 50 percent, the edit score of the
    sequence (Lea et al. 2017), errors of starts and ends, and false alarms per hour. --picture draws both.

    evaluate also scores baselines (simpler classifiers) on the same clips. The first
    ignores the video. The others see the middle frame, the mean over all frames, or statistics over all frames, of all
    streams that the model could read, and of each stream alone. The difference between the model and the best baseline
    shows what the network adds. The first evaluation fits the baselines; later ones reuse their answers.

    The tables end with the clips whose prediction is wrong. The JSON has path, truth, answer and confidence of every
    clip.

    Exit codes: 0 done, 2 usage error, 130 interrupted.
    """
    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.commands.evaluate import evaluate
    from activity_cli.files import write_text
    from activity_cli.writers.json import evaluation_json

    wanted = choose_format(format, _FORMATS)
    if settings.timeline or settings.truth:
        return _evaluate_timeline(settings, wanted, out, html, picture, quiet)
    result = evaluate(settings, TerminalProgress(quiet))
    document = evaluation_json(result) + "\n"
    if out is not None:
        write_text(out, document)
    if html is not None:
        from activity_cli.reports.html import evaluation_html

        write_text(html, evaluation_html(result))
    if picture is not None:
        from activity_cli.reports.charts import confusion_matrix_chart

        confusion_matrix_chart(result.labels, result.confusion, picture)
    if wanted == "json":
        print(document, end="")
    else:
        from rich.console import Console

        from activity_cli.reports.console import print_evaluation

        # The progress has shown the warnings already.
        print_evaluation(Console(), replace(result, warnings=()))
    return 0


def _evaluate_timeline(
    settings: EvaluateSettings, wanted: str, out: Path | None, html: Path | None, picture: Path | None, quiet: bool
) -> int:
    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.commands.evaluate_timeline import evaluate_timeline
    from activity_cli.files import write_text
    from activity_cli.writers.json import indented_json

    if html is not None:
        raise UsageError("--html is not for timelines.", "Use --picture or --out.", code="usage.option")
    result = evaluate_timeline(settings, TerminalProgress(quiet))
    document = indented_json(result.to_dict()) + "\n"
    if out is not None:
        write_text(out, document)
    if picture is not None:
        from activity_cli.reports.charts import timeline_chart

        timeline_chart(result.truth, result.answers, picture)
    if wanted == "json":
        print(document, end="")
    else:
        from rich.console import Console

        from activity_cli.reports.console import print_timeline_evaluation

        print_timeline_evaluation(Console(), result)
    return SOME_FAILED if result.failed else 0


command = settings_command("evaluate", run_evaluate)
