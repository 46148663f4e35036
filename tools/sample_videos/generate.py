#!/usr/bin/env python3
"""Draw the sample videos: `python tools/sample_videos/generate.py [--out DIR] [--only PATTERN] [--overview]`."""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Before OpenCV is loaded: its video writer reports container quirks that say nothing to whoever runs this.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np

from clips import Clip, Format, plan
from drawing import Image
from motions import LABELS
from persons import PERSONS
from scene import Scene

HERE = Path(__file__).resolve().parents[2] / "sample_videos"
OVERVIEW = "overview.jpg"


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hide what OpenCV prints about webm tags, straight to the file descriptor, whatever its log level."""
    sys.stderr.flush()
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(null)
        os.close(kept)


def write_clip(clip: Clip, folder: Path) -> Path:
    """Draw one clip into its place below a folder; never leaves half a file under its name."""
    target = folder / clip.path
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.stem}.part{target.suffix}")
    size = (clip.format.width, clip.format.height)
    code = cv2.VideoWriter.fourcc(*clip.format.codec)
    with _quiet_stderr():
        writer = cv2.VideoWriter(str(aside), cv2.CAP_FFMPEG, code, float(clip.format.fps), size)
    if not writer.isOpened():
        raise SystemExit(f"This OpenCV cannot write {clip.format.codec} into .{clip.format.container} files.")
    try:
        for frame in Scene(clip).render():
            writer.write(frame)
        writer.release()
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def overview() -> Image:
    """A contact sheet: one row for each label, one column for each person, each at a later moment."""
    shape = Format(container="", codec="", width=104, height=104, fps=12)
    rows = []
    for label in LABELS:
        row = []
        for i, person in enumerate(PERSONS):
            frames = Scene(Clip(person, label, 1, shape, seconds=1.5)).render()
            row.append(frames[round((len(frames) - 1) * i / (len(PERSONS) - 1))])
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows, axis=0)


def main() -> None:
    """Draw the clips that the command line asks for."""
    parser = argparse.ArgumentParser(description="Draw the sample videos again.")
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="folder to draw into")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="names to draw, such as 'person01_*'")
    parser.add_argument("--overview", action="store_true", help="draw the contact sheet instead of the clips")
    arguments = parser.parse_args()
    out: Path = arguments.out
    if arguments.overview:
        out.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(out / OVERVIEW), overview(), [cv2.IMWRITE_JPEG_QUALITY, 86])
        return
    chosen = [clip for clip in plan() if fnmatch.fnmatchcase(clip.name, arguments.only)]
    if not chosen:
        raise SystemExit(f"No clip has a name like {arguments.only!r}.")
    for clip in chosen:
        write_clip(clip, out)
    print(f"Drew {len(chosen)} clips into {out}.")


if __name__ == "__main__":
    main()
