"""Settings of ``prepare``: which frames of a video make a clip, what describes them, and which clips the test keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from activity_cli.settings.declare import Setting, Settings, setting

__all__ = ["DEFAULT_PREPARED", "SPLITS", "STREAM_NAMES"]
__all__ += ["Fit", "LabelOptions", "PrepareSettings", "Sampling", "Split", "StreamName"]

DEFAULT_PREPARED = Path("prepared")
SPLITS = ("train", "val", "test")
Fit = Literal["stretch", "pad", "crop"]
TimeOrigin = Literal["first_frame", "file"]
ShortClips = Literal["mask", "repeat_last", "wrap", "drop"]
StreamName = Literal["appearance", "motion", "pose", "hands"]
STREAM_NAMES: tuple[StreamName, ...] = get_args(StreamName)

_CLIPS, _SPLITS, _FILES = "Clips", "Splits", "Input and output"


@dataclass(frozen=True, slots=True)
class Sampling(Settings):
    """Which frames of a video make a clip, and how a frame becomes a square of the network's size.

    A bundle stores these settings, so predicting always samples as training did.
    """

    num_frames: int = setting(16, "Largest number of frames in a clip.", _CLIPS, "N", ge=1, le=512)
    frames_per_second: float | None = setting(
        None,
        "Frames to sample per second, around the middle of the video. A clip has at most `num_frames` frames.",
        _CLIPS,
        "RATE",
        unset="frames evenly spaced over the whole video",
        gt=0,
        le=1000,
    )
    frame_size: int = setting(224, "Height and width of a frame.", _CLIPS, "PIXELS", ge=32, le=1024)
    fit: Fit = setting("stretch", "How a frame becomes square: stretch it, pad it with black bars, or crop its middle.")
    short_clips: ShortClips = setting(
        "mask",
        "What to do if a video has fewer than `num_frames` frames. mask: make a shorter clip; the network ignores the "
        "missing frames. repeat_last: repeat the last frame. wrap: start the video again. drop: make no clip.",
    )
    clips_per_video: int = setting(
        1,
        "Number of clips to make of each training video. prepare divides the video into `num_frames` equal parts. "
        "The first clip has the middle frame of each part. Each further clip has a random frame of each part.",
        ge=1,
        le=100,
    )
    window_seconds: float | None = setting(
        None,
        "Cut each video into windows of this length, and make a clip of each window.",
        _CLIPS,
        "SECONDS",
        unset="one clip of the whole video",
        ge=0.01,
        le=1e6,
    )
    stride_seconds: float | None = setting(
        None,
        "Time from the start of one window to the start of the next.",
        _CLIPS,
        "SECONDS",
        unset="the length of a window",
        ge=0.01,
        le=1e6,
    )


@dataclass(frozen=True, slots=True)
class Split(Settings):
    """Which clips train the model, which validate the training, and which test the model."""

    val_fraction: float = setting(0.2, "Share of the clips to use for validation.", ge=0, lt=1)
    test_fraction: float = setting(0.2, "Share of the clips to use for the test.", ge=0, lt=1)
    group_by: str = setting(
        "auto",
        "Regular expression that finds the person or the source in each path, such as 'person\\d+'. Videos with "
        "the same match are a group; all its clips are in the same split. auto: clips that look like one recording or "
        "one place are a group. none: each video is a group. FILE.csv: a table with the columns path,group, such as "
        "the groups.csv in the prepared folder, once you have filled it in.",
        _SPLITS,
        "REGEX|FILE.csv|auto|none",
    )
    seed: int = setting(
        0, "Random seed of the splits and of the further clips (`clips_per_video`).", _SPLITS, "N", ge=0, le=2**32 - 1
    )

    @property
    def pattern(self) -> str | None:
        """The regular expression, if ``group_by`` is one."""
        return None if self.group_by in ("auto", "none") or self.table else self.group_by

    @property
    def table(self) -> Path | None:
        """The table of groups, if ``group_by`` names one."""
        return Path(self.group_by) if self.group_by.lower().endswith(".csv") else None


@dataclass(frozen=True, slots=True)
class LabelOptions(Settings):
    """How labels of parts of videos are read from the files of other programs."""

    event_seconds: float | None = setting(
        None,
        "How long an event without a length lasts, around its moment.",
        metavar="SECONDS",
        unset="such events are left out",
        gt=0,
        le=1e4,
    )
    until_next: bool = setting(False, "In a list of times, a time without an end lasts until the next one.")
    gaps_are: str | None = setting(
        None,
        "Label of the gaps between the labeled parts of a video, such as background.",
        metavar="LABEL",
        unset="gaps are not used",
    )


@dataclass(frozen=True, slots=True)
class PrepareSettings(Settings):
    """Settings of :func:`activity_cli.prepare`."""

    videos: Path = field(
        metadata={
            "setting": Setting(
                "Folder of videos, such as VIDEOS/<activity>/clip.mp4.", metavar="VIDEOS", stored=False, argument=True
            )
        }
    )
    out: Path = setting(DEFAULT_PREPARED, "Folder to write.", _FILES, "DIR", stored=False)
    labels: Path | None = setting(
        None,
        "CSV file with the columns path,label[,group][,split][,start_seconds][,end_seconds], the lists of UCF101 or "
        "Kinetics, or labels of BORIS, ELAN and other programs: a file, or a folder of them.",
        _FILES,
        "FILE",
        unset="each folder is an activity",
        stored=False,
    )
    time_origin: TimeOrigin = setting(
        "first_frame",
        "What second 0 of labeled segments is. first_frame: the first frame of the video. file: the start of the file, "
        "from which many annotation tools count; the sound may begin there before the first frame.",
    )
    label_options: LabelOptions = field(default_factory=LabelOptions)
    overwrite: bool = setting(False, "Replace a folder that was prepared with other settings.", _FILES, stored=False)
    sampling: Sampling = field(default_factory=Sampling)
    streams: tuple[StreamName, ...] = setting(
        STREAM_NAMES,
        "What describes the frames of a clip. appearance: features of a CNN. motion: optical flow. pose: the joints of "
        "a person. hands: the joints of the hands; prepare leaves them out if a sample of the videos shows few hands.",
        _CLIPS,
        "NAME,...",
    )
    split: Split = field(default_factory=Split)
    workers: int = setting(0, "Processes that decode videos. 0: one for each core.", ge=0, le=1024, stored=False)
    time_limit_seconds: float = setting(
        600.0, "Reject a video if decoding one of its clips takes longer than this.", gt=0, le=1e6, stored=False
    )
