"""predict --annotate: each video again, with its timeline in the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activity_cli.commands.inputs import Input
from activity_cli.commands.timeline import NO_FRAMES
from activity_cli.errors import UsageError
from activity_cli.files import VIDEO_SUFFIXES, remove_stale, translate_os_error
from activity_cli.progress import Progress
from activity_cli.reports.overlay import Overlay, Skeletons
from activity_cli.results import TimelineSegment
from activity_cli.streams.hands import split_hands
from activity_cli.streams.pose import split_pose
from activity_cli.video.rows import FrameRow
from activity_cli.video.source import Frame, ReadOnce, Source
from activity_cli.video.writing import write_video
from activity_cli.writers.segments import file_for

__all__ = ["Annotator"]

_SUFFIX = ".mp4"


class Annotator:
    """Writes annotated videos.

    Args:
        out: An MP4 file for one video, or a folder.
        labels: All labels of the model.
        videos: Those that are known.

    Raises:
        UsageError: A file is no MP4 file, or is for several videos; or a video can be read only once.
        OutputError: The folder cannot be made.
    """

    def __init__(self, out: Path, labels: Sequence[str], videos: Sequence[Input]) -> None:
        is_folder, suffix = out.is_dir(), out.suffix.lower()
        self._out, self._labels = out, labels
        self._is_file = suffix == _SUFFIX and not is_folder
        self._written: dict[Path, str] = {}
        if not is_folder and suffix in VIDEO_SUFFIXES - {_SUFFIX}:
            hint = f"Name {out.with_suffix(_SUFFIX)}, or a folder."
            raise UsageError(f"`annotate` {out}: annotated videos are MP4 files.", hint, code="usage.output")
        if self._is_file and len(videos) > 1:
            raise self._for_one_video()
        for video in videos:
            _check_reread(video)
        _make(out.parent if self._is_file else out)  # a place that cannot be written shows before the first video

    def begin(self, video: Input) -> Annotation:
        """The annotation of the next video, before it is read.

        Raises:
            UsageError: It can be read only once, or the file would replace it, another one, or a file beside it.
        """
        _check_reread(video)
        if self._is_file and self._written:
            raise self._for_one_video()
        path = self._out if self._is_file else file_for(video.name, self._out, _SUFFIX)
        if path in self._written:
            problem = f"{self._written[path]} and {video.name} would have the same annotated video, {path}."
            raise UsageError(problem, "Annotate them in two calls, into two folders.", code="usage.output")
        if isinstance(video.place, Path) and path.exists():
            one, other = (path, video.place) if self._is_file else (path.parent, video.place.parent)
            if other.exists() and one.samefile(other):
                problem = f"`annotate` {self._out}: {path} would be replaced, which may be an input."
                raise UsageError(problem, "Choose another folder.", code="usage.output")
        self._written[path] = video.name
        return Annotation(path, self._labels)

    def _for_one_video(self) -> UsageError:
        problem = f"`annotate` {self._out} is one file, but there are several videos."
        return UsageError(problem, "Name a folder.", code="usage.output")


class Annotation:
    """What is known of one video, and then its annotated video.

    Args:
        path: The file to write.
        labels: All labels of the model.

    Attributes:
        segments: Those of the video, to be filled one after the other.
    """

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        self._path, self._labels = path, labels
        self._times: list[float] = []
        self._joints: list[npt.NDArray[np.float32] | None] = []
        self.segments: list[TimelineSegment] = []

    def see_row(self, row: FrameRow) -> None:
        """Keeps the joints, where the model reads the pose."""
        if "pose" in row.rows:
            pose = split_pose(row.rows["pose"][None])
            joints = pose.picture[0]
            if "hands" in row.rows:
                hands = split_hands(row.rows["hands"][None]).drawn()
                joints = np.concatenate([joints, hands.reshape(-1, 2)])
            self._times.append(row.time_seconds)
            self._joints.append(joints.copy() if pose.found[0] > 0 else None)

    def write(self, source: Source, progress: Progress) -> None:
        """Reads the video again, and writes it with its timeline.

        Raises:
            VideoError: It cannot be decoded.
            OutputError: The file cannot be written, or the disk is full.
        """
        _make(self._path.parent)
        remove_stale(self._path)
        with progress.stage("Annotating", len(source.list_times()) or None, "frame") as stage:
            frames = source.read(lambda _: True)
            first = next(frames)  # a source without frames raises an error
            assert first.bgr is not None
            height, width = first.bgr.shape[:2]
            info = source.info()
            # Joints are in heights of the frame as it is shown.
            scale = np.array([height / info.sample_aspect_ratio, height], np.float32)
            joints = [None if one is None else one * scale for one in self._joints]
            # A video of very few frames has no segment.
            segments = self.segments or [TimelineSegment(source.name, None, 0.0, 0.0, reason=NO_FRAMES)]
            overlay = Overlay(segments, self._labels, width, height, Skeletons(self._times, joints))
            drawn = _drawn(chain([first], frames), overlay, stage.advance)
            write_video(drawn, self._path, info.sample_aspect_ratio, info.frames_per_second)


def _make(folder: Path) -> None:
    with translate_os_error(folder, "`annotate`"):
        folder.mkdir(parents=True, exist_ok=True)


def _check_reread(video: Input) -> None:
    if isinstance(video.place, ReadOnce):
        problem = f"`annotate` reads a video twice, but {video.name} can be read only once."
        raise UsageError(problem, "Save the video to a file, or leave out `annotate`.", code="usage.input")


def _drawn(frames: Iterator[Frame], overlay: Overlay, advance: Callable[[], None]) -> Iterator[Frame]:
    for frame in frames:
        assert frame.bgr is not None
        yield replace(frame, bgr=overlay.draw(frame.bgr, frame.time_seconds))
        advance()
