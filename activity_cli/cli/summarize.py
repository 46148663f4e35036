"""activity summarize"""

from __future__ import annotations

import sys

from activity_cli.cli.command import Quiet, settings_command
from activity_cli.cli.error_handling import print_error
from activity_cli.settings import SummarizeSettings

__all__ = ["command"]


def run_summarize(settings: SummarizeSettings, quiet: Quiet = False) -> int:
    """Count how long, how often and how soon each activity happens.

    \b
        activity summarize segments.jsonl --bin-seconds 60 --out summary.csv

    The table has one row for each video, subject, bin and label. A bout is counted in the bin in which it begins; its
    seconds are counted in each bin. latency_seconds counts from the start of the bin. summarize reads every format
    that convert reads.

    Exit codes: 0 done, 2 usage error, 130 interrupted.
    """
    from activity_cli.commands.summarize import summarize
    from activity_cli.writers.csv import summary_csv

    result = summarize(settings)
    for note in () if quiet else result.notes:
        print_error(f"note: {note}")
    if result.file is None:
        sys.stdout.write(summary_csv(result.rows))
    else:
        print(result.file)
    return 0


command = settings_command("summarize", run_summarize)
