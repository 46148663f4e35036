"""activity prepare"""

from __future__ import annotations

import os
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from activity_cli.cli.boundary import SOME_FAILED, handle_errors
from activity_cli.cli.options import Debug, Overwrite, Quiet, Seed
from activity_cli.settings import DEFAULT_PREPARED, FITS, SHORT_POLICIES, PrepareSettings, Sampling, Split

__all__ = ["prepare_command"]

_SAMPLING, _SPLIT = Sampling(), Split()
_TIME_LIMIT_SECONDS = PrepareSettings(Path()).time_limit_seconds

Fit = Enum("Fit", {name: name for name in FITS}, type=str)  # type: ignore[misc]
Short = Enum("Short", {name: name for name in SHORT_POLICIES}, type=str)  # type: ignore[misc]


@handle_errors
def prepare_command(
    # readable=False: whether a place can be read is said by us, in one line like everything else.
    videos: Annotated[
        Path,
        typer.Argument(help="Folder of videos: VIDEOS/<activity>/clip.mp4", metavar="VIDEOS", readable=False),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns path,label[,group][,split][,start_seconds][,end_seconds], or the lists of "
            "UCF101 or Kinetics, instead of folders.",
            metavar="FILE",
            readable=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write.", metavar="DIR", readable=False)] = DEFAULT_PREPARED,
    group_by: Annotated[
        str,
        typer.Option(
            help=r"Pattern that finds the person or source in a path, such as 'person\d+': "
            "clips of one are never in training and test both. "
            "auto: what looks like one recording, or like one place, stays together. "
            "none: each video stands for itself.",
            metavar="REGEX|auto|none",
        ),
    ] = _SPLIT.group_by,
    num_frames: Annotated[int, typer.Option(help="Frames in a clip at most.", metavar="N")] = _SAMPLING.num_frames,
    fps: Annotated[
        float | None,
        typer.Option(
            help="Take this many frames of each second, from the middle of the video, instead of spacing "
            "them evenly over all of it.",
            metavar="RATE",
        ),
    ] = _SAMPLING.frames_per_second,
    frame_size: Annotated[
        int, typer.Option(help="Height and width of a frame.", metavar="PIXELS")
    ] = _SAMPLING.frame_size,
    fit: Annotated[Fit, typer.Option(help="How a frame becomes square.")] = Fit(_SAMPLING.fit),
    short: Annotated[
        Short,
        typer.Option(
            help="A video with fewer frames than a clip: masked inside the network, held on its last frame, "
            "looped, or dropped."
        ),
    ] = Short(_SAMPLING.short),
    clips_per_video: Annotated[
        int,
        typer.Option(
            help="Clips made of each video to learn from; all but the first of frames drawn at random.", metavar="N"
        ),
    ] = _SAMPLING.clips_per_video,
    window: Annotated[
        float | None,
        typer.Option(help="Make a clip of each window of this length, for long videos.", metavar="SECONDS"),
    ] = _SAMPLING.window_seconds,
    stride: Annotated[
        float | None,
        typer.Option(
            help="From the beginning of one window to that of the next; without it, windows touch.", metavar="SECONDS"
        ),
    ] = _SAMPLING.stride_seconds,
    val: Annotated[
        float, typer.Option(help="Share of the clips for validation.", metavar="SHARE")
    ] = _SPLIT.val_fraction,
    test: Annotated[
        float, typer.Option(help="Share of the clips for the test.", metavar="SHARE")
    ] = _SPLIT.test_fraction,
    seed: Seed = _SPLIT.seed,
    workers: Annotated[int, typer.Option(help="Decoding processes; 0: one for each core.", metavar="N")] = 0,
    time_limit: Annotated[
        float, typer.Option(help="Give a file up that takes longer than this.", metavar="SECONDS")
    ] = _TIME_LIMIT_SECONDS,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Read labeled videos into clips to learn from.

    Put each video into a folder named after its activity, then:

    \b
        activity prepare videos/

    Clips of one recording, or of one place, are found by their looks and never stand on both sides of
    the split. Persons are not: if several clips show the same one, say so, or the test score will be
    too good. For videos/wave/person07_a.mp4:

    \b
        activity prepare videos/ --group-by 'person\\d+'

    Files that cannot be used are listed with the reason (and in manifest.csv); the others go on. Run it
    again after adding videos: only the new ones are read.

    Exit codes: 0 all videos used, 1 some could not be, 2 the call is wrong, 130 interrupted.
    """
    config = PrepareSettings(
        videos=videos,
        out=out,
        labels=labels,
        sampling=Sampling(
            num_frames=num_frames,
            frames_per_second=fps,
            frame_size=frame_size,
            fit=fit.value,
            short=short.value,
            clips_per_video=clips_per_video,
            window_seconds=window,
            stride_seconds=stride,
            # Where nothing is drawn, another seed makes the same clips: they are not decoded again.
            seed=seed if clips_per_video > 1 else 0,
        ),
        split=Split(val, test, group_by, seed),
        workers=workers,
        time_limit_seconds=time_limit,
        overwrite=overwrite,
    )
    from rich.console import Console

    from activity_cli.cli.bars import TerminalProgress
    from activity_cli.commands.prepare import prepare
    from activity_cli.reports.console import print_preparation

    result = prepare(config, TerminalProgress(quiet))
    if not quiet:
        # The warnings have been told as they arose.
        print_preparation(Console(stderr=True), replace(result, warnings=()))
    typer.echo(os.fspath(result.folder))
    return SOME_FAILED if result.num_failed else 0
