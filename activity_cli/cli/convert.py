"""activity convert"""

from __future__ import annotations

import sys

from activity_cli.cli.command import Quiet, settings_command
from activity_cli.cli.error_handling import print_error
from activity_cli.settings import ConvertSettings

__all__ = ["command"]


def run_convert(settings: ConvertSettings, quiet: Quiet = False) -> int:
    """Write labels or segments in another format.

    \b
        activity convert labels.boris labels.csv
        activity convert segments.jsonl subtitles/ --format srt

    convert reads labels of BORIS, ELAN, Praat, VIA 3, CVAT, Label Studio, ActivityNet, Create ML and SimBA, subtitles,
    lists of times, and the segments of activity. It recognizes the format by the content. It writes json, csv, boris,
    srt, vtt, eaf and textgrid. The last four have one file for each video.

    Exit codes: 0 done, 2 usage error, 130 interrupted.
    """
    from activity_cli.commands.convert import convert, converted_text

    result = convert(settings)
    for note in () if quiet else result.notes:
        print_error(f"note: {note}")
    if not result.files:
        sys.stdout.write(converted_text(result))
    for path in result.files:
        print(path)
    return 0


command = settings_command("convert", run_convert)
