"""activity export"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from activity_cli.cli.boundary import handle_errors
from activity_cli.cli.options import Debug, Overwrite, Quiet
from activity_cli.settings import DEFAULT_MODEL, EXPORT_FORMATS, ExportSettings

__all__ = ["export_command"]

_EXPORT = ExportSettings()

ExportFormat = Enum("ExportFormat", {name: name for name in EXPORT_FORMATS}, type=str)  # type: ignore[misc]


@handle_errors
def export_command(
    model: Annotated[Path, typer.Argument(help="Model to export.", metavar="MODEL")] = DEFAULT_MODEL,
    format: Annotated[
        ExportFormat,
        typer.Option(help="litert: phones and small boards. saved_model: TensorFlow Serving. onnx: ONNX Runtime."),
    ] = ExportFormat(_EXPORT.format),
    out: Annotated[Path, typer.Option(help="Folder to write.", metavar="DIR")] = _EXPORT.out,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Write a trained model in the format of another runtime.

    \b
        activity export --format litert --out exported

    A description.json beside the files tells shapes, types, labels and how frames are sampled.

    Exit codes: 0 done, 2 the call is wrong, 130 interrupted.
    """
    config = ExportSettings(model, out, format.value, overwrite)
    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.quiet import native_output_silenced

    with native_output_silenced():  # TensorFlow greets at length
        from activity_cli.commands.export import export

    typer.echo(os.fspath(export(config, TerminalProgress(quiet))))
    return 0
