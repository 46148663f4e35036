"""activity demo"""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from activity_cli.cli.command import Quiet, make_command, spelled_errors
from activity_cli.errors import TrainingError, UsageError
from activity_cli.settings import EvaluateSettings, PredictSettings, PrepareSettings, Split, TrainSettings

__all__ = ["command"]

_GROUP_BY = r"person\d+"


@spelled_errors(TrainSettings)
def run_demo(
    out: Annotated[Path, typer.Option(help="Folder to write.", metavar="DIR")] = Path("demo"), quiet: Quiet = False
) -> int:
    """Try prepare, train, evaluate and predict on the sample videos.

    \b
        activity demo

    demo runs the four commands on the videos that come with the project, and shows each command line. It takes a few
    minutes without a GPU. At the end, it classifies a video of a person who is not in the training clips, and prints
    the prediction to stdout as JSON.

    Exit codes: 0 done, 1 training failed, 2 usage error, 130 interrupted.
    """
    from rich.console import Console

    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.commands.evaluate import evaluate
    from activity_cli.commands.predict import predict
    from activity_cli.commands.prepare import prepare
    from activity_cli.quiet import native_output_silenced
    from activity_cli.reports.console import print_evaluation, print_preparation, print_training
    from activity_cli.writers.json import record_json

    videos = _sample_videos()
    prepared, model = out / "prepared", out / "model"
    progress = TerminalProgress(quiet)
    console = Console(stderr=True, quiet=quiet)

    def show(*words: object) -> None:
        line = f"\n$ activity {shlex.join(map(str, words))}"
        console.print(line, markup=False, style="bold", soft_wrap=True)

    show("prepare", videos, "--group-by", _GROUP_BY, "--out", prepared)
    split = Split(group_by=_GROUP_BY)
    preparation = prepare(PrepareSettings(videos, prepared, split=split, overwrite=True), progress)
    print_preparation(console, replace(preparation, warnings=()))

    show("train", prepared, "--out", model)
    began = time.monotonic()
    with progress.stage("Starting TensorFlow", None, ""), native_output_silenced():
        from activity_cli.commands.train import train
    training = train(TrainSettings(prepared, model, overwrite=True), progress)
    print_training(console, training, time.monotonic() - began)
    if training.interrupted:
        raise KeyboardInterrupt
    if training.diverged:
        raise TrainingError(training.diverged)

    show("evaluate", model)
    print_evaluation(console, replace(evaluate(EvaluateSettings(model), progress), warnings=()))

    clip = next(record for record in preparation.records if record.split == "test")
    show("predict", videos / clip.path, "--model", model)
    for answer in predict(PredictSettings((videos / clip.path,), model), progress):
        print(record_json(answer))
    if not quiet:
        pictures = (preparation.contact_sheet, preparation.pose_sheet, training.history_picture)
        print(f"Images: {', '.join(str(picture) for picture in pictures if picture)}", file=sys.stderr)
    return 0


def _sample_videos() -> Path:
    package = Path(__file__).resolve().parent.parent
    # An installed package has them inside, a clone beside itself.
    for place in (package / "sample_videos", package.parent / "sample_videos"):
        if place.is_dir():
            return place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place
    raise UsageError("This installation has no sample videos.", "Run the demo in a clone of the repository.")


command = make_command("demo", run_demo)
