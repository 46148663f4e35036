"""activity prepare"""

from __future__ import annotations

from dataclasses import replace

from activity_cli.cli.command import Quiet, settings_command
from activity_cli.cli.error_handling import SOME_FAILED
from activity_cli.settings import PrepareSettings

__all__ = ["command"]


def run_prepare(settings: PrepareSettings, quiet: Quiet = False) -> int:
    """Read labeled videos into clips for training.

    Put each video into a folder named after its activity, then:

    \b
        activity prepare videos/

    prepare keeps clips that look like one recording or one place in the same split, so that the test is fair. It does
    not recognize people. If several clips show the same person, tell prepare which clips belong to which person;
    otherwise, the test score will be too high. For videos/wave/person07_a.mp4:

    \b
        activity prepare videos/ --group-by 'person\\d+'

    If prepare cannot use a file, it prints the reason, writes it to manifest.csv, and continues with the other files.
    After you add videos, run it again: it reads only the new ones.

    Exit codes: 0 done, 1 some videos were rejected, 2 usage error, 130 interrupted.
    """
    from rich.console import Console

    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.commands.prepare import prepare
    from activity_cli.reports.console import print_preparation

    result = prepare(settings, TerminalProgress(quiet))
    if not quiet:
        # The progress has shown the warnings already.
        print_preparation(Console(stderr=True), replace(result, warnings=()))
    print(result.folder)
    return SOME_FAILED if result.num_failed else 0


command = settings_command("prepare", run_prepare)
