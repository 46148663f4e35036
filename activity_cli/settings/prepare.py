"""Settings of ``prepare``: which frames make a clip, and which clips are held out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from activity_cli.settings.declare import Setting, Settings

__all__ = ["DEFAULT_PREPARED", "SPLITS", "Fit", "PrepareSettings", "Sampling", "ShortClips", "Split"]

DEFAULT_PREPARED = Path("prepared")
SPLITS = ("train", "val", "test")
Fit = Literal["stretch", "pad", "crop"]
ShortClips = Literal["mask", "repeat_last", "wrap", "drop"]

_CLIPS, _HELD_OUT, _OUTPUT = "Clips", "Held-out clips", "Input and output"


@dataclass(frozen=True, slots=True)
class Sampling(Settings):
    """Which frames of a video make a clip, and how a frame becomes a square of the network's size.

    A bundle stores these settings, so predicting always samples as training did.
    """

    num_frames: Annotated[int, Setting("Frames in a clip at most.", _CLIPS, "N", ge=1, le=512)] = 16
    frames_per_second: Annotated[
        float | None,
        Setting(
            "Take this many frames of each second, num_frames of them, from the middle of the video.",
            _CLIPS,
            "RATE",
            unset="num_frames frames spaced evenly over the whole video",
            gt=0,
            le=1000,
        ),
    ] = None
    frame_size: Annotated[int, Setting("Height and width of a frame.", _CLIPS, "PIXELS", ge=32, le=1024)] = 224
    fit: Annotated[
        Fit,
        Setting("How a frame becomes square: stretch it, pad it with black bars, or crop the middle."),
    ] = "stretch"
    short_clips: Annotated[
        ShortClips,
        Setting(
            "What becomes of a video with fewer than num_frames frames: mask (a shorter clip, padded and masked in the "
            "network), repeat_last (the last frame again), wrap (from the beginning again), or drop (no clip)."
        ),
    ] = "mask"
    clips_per_video: Annotated[
        int,
        Setting(
            "Clips of each training video: the first has the middle frame of each part of the video, each further one "
            "a random frame of each part.",
            ge=1,
            le=100,
        ),
    ] = 1
    window_seconds: Annotated[
        float | None,
        Setting(
            "Make a clip of each window of this length.",
            _CLIPS,
            "SECONDS",
            unset="one clip spans the whole video",
            ge=0.01,
            le=1e6,
        ),
    ] = None
    stride_seconds: Annotated[
        float | None,
        Setting(
            "From the start of one window to the start of the next.",
            _CLIPS,
            "SECONDS",
            unset="window_seconds",
            ge=0.01,
            le=1e6,
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Split(Settings):
    """Which clips are trained on, which validate the training, and which test the model."""

    val_fraction: Annotated[float, Setting("Share of the clips for validation.", ge=0, lt=1)] = 0.2
    test_fraction: Annotated[float, Setting("Share of the clips for the test.", ge=0, lt=1)] = 0.2
    group_by: Annotated[
        str,
        Setting(
            "Regular expression that finds the person or source in a path, such as 'person\\d+': clips of one group "
            "are never in two splits. auto: clips of one recording, or of one place, are a group. none: each video "
            "is a group.",
            _HELD_OUT,
            "REGEX|auto|none",
        ),
    ] = "auto"
    seed: Annotated[int, Setting("Draws the split and the random clips.", _HELD_OUT, "N", ge=0, le=2**32 - 1)] = 0

    @property
    def pattern(self) -> str | None:
        """The regular expression, where ``group_by`` is one."""
        return None if self.group_by in ("auto", "none") else self.group_by


@dataclass(frozen=True, slots=True)
class PrepareSettings(Settings):
    """Settings of :func:`activity_cli.prepare`."""

    videos: Annotated[
        Path,
        Setting("Folder of videos: VIDEOS/<activity>/clip.mp4", metavar="VIDEOS", stored=False, argument=True),
    ]
    out: Annotated[Path, Setting("Folder to write.", _OUTPUT, "DIR", stored=False)] = DEFAULT_PREPARED
    labels: Annotated[
        Path | None,
        Setting(
            "CSV with the columns path,label[,group][,split][,start_seconds][,end_seconds], or the lists of UCF101 or "
            "Kinetics.",
            _OUTPUT,
            "FILE",
            unset="a folder for each activity",
            stored=False,
        ),
    ] = None
    overwrite: Annotated[
        bool, Setting("Replace a folder that was prepared with other settings.", _OUTPUT, stored=False)
    ] = False
    sampling: Sampling = field(default_factory=Sampling)
    split: Split = field(default_factory=Split)
    workers: Annotated[int, Setting("Decoding processes; 0: one for each core.", ge=0, le=1024, stored=False)] = 0
    time_limit_seconds: Annotated[
        float, Setting("Give up a video that takes longer than this to decode.", gt=0, le=1e6, stored=False)
    ] = 600.0
