"""activity export"""

from __future__ import annotations

from activity_cli.cli.command import Quiet, settings_command
from activity_cli.settings import ExportSettings

__all__ = ["command"]


def run_export(settings: ExportSettings, quiet: Quiet = False) -> int:
    """Write a trained model in the format of another runtime.

    \b
        activity export --format litert --out exported

    README.md says how to run the files, for some models with a complete program. description.json has the labels, the
    sampling of frames, and the inputs and outputs. export compares the exported model with the original on prepared
    clips, says the largest difference, and fails if it is too large.

    Exit codes: 0 done, 2 usage error, 130 interrupted.
    """
    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.quiet import native_output_silenced

    progress = TerminalProgress(quiet)
    # TensorFlow takes seconds to start, and prints a lot.
    with progress.stage("Starting TensorFlow", None, ""), native_output_silenced():
        from activity_cli.commands.export import export

    print(export(settings, progress))
    return 0


command = settings_command("export", run_export)
