"""Settings of ``prepare``: which frames, which split."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from activity_cli.errors import ConfigError
from activity_cli.settings.checks import require

__all__ = ["DEFAULT_PREPARED", "FITS", "SHORT_POLICIES", "SPLITS", "PrepareConfig", "SamplingConfig", "SplitConfig"]

DEFAULT_PREPARED = Path("prepared")
SPLITS = ("train", "val", "test")
FITS = ("squash", "pad", "crop")
SHORT_POLICIES = ("mask", "hold", "loop", "drop")


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """Which frames of a video make a clip, and how a frame is fitted to the network's size.

    Training writes these settings into the model bundle and predicting reads them from there, so
    that the two can never disagree.

    Attributes:
        num_frames: Frames in a clip at most; a shorter video gives a shorter clip.
        frames_per_second: None: spread evenly over the whole video. A number: that many frames of
            each second, ``num_frames`` of them from the middle of the video.
        frame_size: Height and width of a frame in pixels.
        fit: How a frame that is not square becomes square: ``squash`` (stretch: all of
            it is seen), ``crop`` (the middle), ``pad`` (black bars).
        short: What becomes of a video with fewer frames than ``num_frames``: ``mask`` (a shorter clip,
            padded and masked inside the network), ``hold`` (the last frame again), ``loop`` (from the
            beginning again), ``drop`` (no clip).
        clips_per_video: Clips made of each video. The first has the middle frame of each part; the
            others a frame drawn at random from each part, and are only learned from.
        window_seconds: None: a clip spans the whole video. A number: each window of this length is
            a clip.
        stride_seconds: From the beginning of a window to that of the next; None: no overlap, no gap.
        seed: Draws the frames of the further clips.
    """

    num_frames: int = 16
    frames_per_second: float | None = None
    frame_size: int = 224
    fit: str = "squash"
    short: str = "mask"
    clips_per_video: int = 1
    window_seconds: float | None = None
    stride_seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        require(1 <= self.num_frames <= 512, "num_frames", self.num_frames, "1 to 512")
        fps = self.frames_per_second
        require(fps is None or 0 < fps <= 1000, "frames_per_second", fps, "more than 0, up to 1000")
        require(32 <= self.frame_size <= 1024, "frame_size", self.frame_size, "32 to 1024 pixels")
        require(self.fit in FITS, "fit", self.fit, ", ".join(FITS))
        require(self.short in SHORT_POLICIES, "short", self.short, ", ".join(SHORT_POLICIES))
        require(1 <= self.clips_per_video <= 100, "clips_per_video", self.clips_per_video, "1 to 100")
        require(self.clips_per_video == 1 or fps is None, "frames_per_second", fps, "none with clips_per_video")
        for name, seconds in (("window_seconds", self.window_seconds), ("stride_seconds", self.stride_seconds)):
            require(seconds is None or 0.01 <= seconds <= 1e6, name, seconds, "0.01 to 1000000 seconds")
        alone = self.stride_seconds is None or self.window_seconds is not None
        require(alone, "stride_seconds", self.stride_seconds, "only together with window_seconds")
        require(0 <= self.seed < 2**32, "seed", self.seed, "0 up to, but not, 4294967296")


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """Who is learned from, who is watched while learning, and who is kept for the test.

    Attributes:
        val_fraction: Share of the clips for validation (early stopping).
        test_fraction: Share of the clips for the test.
        group_by: A regular expression searched in each path (relative, with ``/``); what its first
            group matches (or all of it) names the person or source. Clips of one group are never
            on two sides of a split. ``auto``: where no groups are given with the labels, they are
            found from the videos: copies of one recording, and recordings of one place. ``none``:
            every distinct video is its own group.
        seed: Draws the split.
    """

    val_fraction: float = 0.2
    test_fraction: float = 0.2
    group_by: str = "auto"
    seed: int = 0

    @property
    def pattern(self) -> str | None:
        """The regular expression, where ``group_by`` is one."""
        return None if self.group_by in ("auto", "none") else self.group_by

    def __post_init__(self) -> None:
        for name, value in (("val_fraction", self.val_fraction), ("test_fraction", self.test_fraction)):
            require(0 <= value < 1, name, value, "0 up to, but not, 1")
        total = self.val_fraction + self.test_fraction
        require(total < 1, "val_fraction + test_fraction", total, "less than 1 together")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ConfigError(
                    f"group_by is not a regular expression: {self.group_by!r} ({error}).",
                    r"An example that finds person07 in wave/person07_a.mp4: --group-by 'person\d+'.",
                ) from None
        require(0 <= self.seed < 2**32, "seed", self.seed, "0 up to, but not, 4294967296")


@dataclass(frozen=True, slots=True)
class PrepareConfig:
    """Settings of :func:`activity_cli.prepare`.

    Attributes:
        videos: Folder of the videos: ``<label>/*.mp4``, or any folder with ``labels``.
        out: Folder to write.
        labels: CSV with the columns path (relative to ``videos``) and label, and optionally group,
            split, start_seconds and end_seconds; or the lists of UCF101 or Kinetics. None: what
            stands in ``videos``: folders named after the activities, or such lists.
        sampling: Which frames of a video make its clip.
        split: How the clips are divided.
        workers: Decoding processes; 0: one for each core.
        time_limit_seconds: A file that takes a process longer than this is given up.
        overwrite: Replace a prepared folder that was made with other settings.
    """

    videos: Path
    out: Path = DEFAULT_PREPARED
    labels: Path | None = None
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    workers: int = 0
    time_limit_seconds: float = 600.0
    overwrite: bool = False

    def __post_init__(self) -> None:
        require(self.time_limit_seconds > 0, "time_limit_seconds", self.time_limit_seconds, "more than 0")
        require(self.workers >= 0, "workers", self.workers, "0 (one for each core) or more")
