"""predict: recognizes the activity in videos, without TensorFlow."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from activity_cli.commands.inputs import Feed, Input, expand, open_source, open_video
from activity_cli.commands.timeline import UNKNOWN, Timeline, plan_timeline
from activity_cli.dataset.processes import default_workers
from activity_cli.errors import ActivityError, BundleError, VideoError
from activity_cli.model.bundle import ENCODER_FILE, Bundle, HeadEntry, read_bundle
from activity_cli.progress import Progress, SilentProgress
from activity_cli.reports.text import counted
from activity_cli.results import Notice, Prediction, TimelineSegment, TimelineWindow, video_notices
from activity_cli.runtime.litert import EncoderRuntime, HeadRuntime, NetworkRuntime, StreamHead, margin
from activity_cli.settings import DEFAULT_MODEL, PredictSettings, Sampling
from activity_cli.streams.frames import FrameStreams
from activity_cli.streams.registry import STREAMS
from activity_cli.streams.views import views_of
from activity_cli.video.arrays import ArraySource
from activity_cli.video.live import LiveSource
from activity_cli.video.opencv import FileSource
from activity_cli.video.reader import Clip, ClipReader
from activity_cli.video.rows import FrameRow
from activity_cli.video.source import Source

if TYPE_CHECKING:
    from activity_cli.commands.annotate import Annotator

__all__ = ["Recognizer", "find_model", "open_network", "predict", "predict_timeline"]

# Videos that are decoded in the background while the network classifies an earlier one.
_AHEAD = 2
# Clips that are decoded in one go. A long video is never in memory as a whole.
_CLIPS_AHEAD = 8
# A clip that stands for this many times the longest training clip is warned of: its frames lie too far apart.
_LONG_TIMES = 3
# Readers that share a file where a person is followed. Each has its own model of the pose in memory.
_MOST_READERS = 4
# Threads that describe frames. Each model of a stream reads one frame at a time, so that more would wait.
_MOST_DESCRIBING = 4
_SAMPLE = Path("sample")
_NO_MODEL = f"There is no model in {DEFAULT_MODEL}"


class Recognizer:
    """A trained model, loaded once for many videos. Several threads may use it at once.

    Args:
        model: Path of a bundle; ``sample``: the sample model, unless there is such a path; None: ``models/activity`` if
            it exists, else the sample model, and every prediction has the warning ``model.sample``.
        min_confidence: An answer of less confidence, 0 to 1, has no label; its reason is ``unknown``.
        reject_unknown: So has an answer that is hardly more probable than the next one. How much it must be is part of
            the bundle: 95% of the right answers for clips of other groups are.

    Attributes:
        name: Name and short hash of the bundle.
        labels: The activities that it recognizes.
        background: Those of them that are gaps in a timeline.
        sampling: Which frames of a video it reads.
        folder: Path of the bundle.

    Raises:
        BundleError: There is no such bundle, or it is damaged.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        min_confidence: float = 0.0,
        reject_unknown: bool = False,
    ) -> None:
        self._bundle = bundle = read_bundle(find_model(Path(model) if model is not None else None))
        self._warnings: tuple[Notice, ...] = ()
        if model is None and bundle.folder != DEFAULT_MODEL:
            self._warnings = (Notice("model.sample", f"{_NO_MODEL}, so the sample model gave this answer."),)
        self.name = bundle.name
        self.labels = bundle.labels
        self.background = tuple(bundle.document.background)
        self.sampling: Sampling = bundle.sampling
        self.folder = bundle.folder
        self._min_confidence = min_confidence
        self._least_margin = _least_margin(bundle) if reject_unknown else 0.0
        self._longest_seconds = bundle.document.data.longest_seconds
        self._network = network = open_network(bundle)
        encode = network.encoder.features_of_one if network.encoder else None
        # Only the streams that the model reads are computed, and only their models are loaded.
        self._streams = [FrameStreams(network.streams, encode=encode)]
        self._describing = ThreadPoolExecutor(min(default_workers(), _MOST_DESCRIBING))

    def predict(self, video: str | os.PathLike[str]) -> Prediction:
        """Recognizes the activity in one video file.

        Raises:
            VideoError: The video cannot be used.
            BundleError: The network gives no finite number.
        """
        reader = self._reader(open_video(Path(video)))
        return self._answer(os.fspath(video), reader, reader)

    def predict_frames(self, frames: npt.NDArray[np.uint8], times_seconds: npt.ArrayLike) -> Prediction:
        """Recognizes the activity in the frames of a video.

        The frames are sampled, resized and described as those of a file: the same frames give the same answer. So pass
        every frame of the video, at its full size. The ``source`` of the prediction is ``frames``.

        Args:
            frames: ``uint8 [T, H, W, 3]``, RGB, of square pixels.
            times_seconds: When each frame is shown, rising, from any moment on.

        Raises:
            ValueError: The frames or the times have another shape or type, or the times do not rise.
            BundleError: The network gives no finite number.
        """
        source = ArraySource(frames, times_seconds)
        reader = self._reader(source)
        return self._answer(source.name, reader, reader)

    def timeline(
        self,
        video: str | os.PathLike[str] | Source,
        *,
        stride_seconds: float | None = None,
        see_row: Callable[[FrameRow], None] | None = None,
    ) -> Iterator[TimelineWindow | TimelineSegment]:
        """Recognizes which activity happens when, in a video of any length.

        Args:
            video: A video file; as a string also an address, such as ``rtsp://10.0.0.7/stream1``, or ``camera:0``.
            stride_seconds: From the start of a window to that of the next; None: an eighth of a window.
            see_row: Receives what the streams say of each frame that the model reads.

        Returns:
            Each window as soon as it is decided, and each segment as soon as it is final. A window is half as long as
            the median training clip. Segments cover the video without holes.

        Raises:
            VideoError: The video cannot be used.
            BundleError: The model does not know how long its training clips are, or gives no finite number.
        """
        plan = plan_timeline(self._bundle, stride_seconds)
        source = open_source(video)
        if isinstance(source, FileSource) and self._streams[0].tracks:
            missing = min(default_workers(), _MOST_READERS) - len(self._streams)
            self._streams += [self._streams[0].another() for _ in range(missing)]
        timeline = Timeline(self._bundle, self._network, self._streams, plan, self._describing, self._is_known)
        name = os.fspath(video) if isinstance(video, (str, os.PathLike)) else source.name
        found = timeline.read(source, name, see_row)
        if not isinstance(source, LiveSource):
            return found
        return (replace(one, time=source.wall_time(one.end_seconds)) for one in found)

    def _is_known(self, probabilities: npt.NDArray[np.floating]) -> bool:
        return bool(
            np.max(probabilities) >= self._min_confidence and float(margin(probabilities)) >= self._least_margin
        )

    def _scored(self, probabilities: npt.NDArray[np.floating]) -> dict[str, float]:
        order = np.argsort(-probabilities, kind="stable")
        return {self.labels[number]: float(probabilities[number]) for number in order}

    def _answer(self, source: str, reader: ClipReader, clips: Iterable[Clip]) -> Prediction:
        """Averages the answers for all windows of the video; without windows there is one clip."""
        probabilities: list[npt.NDArray[np.floating]] = []
        frames_used, longest = 0, 0.0
        for clip in clips:
            longest = max(longest, clip.cut.end_seconds - clip.cut.start_seconds)
            probabilities.append(self._network.answer(clip.rows, clip.times_seconds))
            frames_used += len(clip.frames)
        mean: npt.NDArray[np.float64] = np.asarray(np.mean(probabilities, axis=0, dtype=np.float64))
        scores, is_known = self._scored(mean), self._is_known(mean)
        label, confidence = next(iter(scores.items()))
        return Prediction(
            source=source,
            status="ok",
            label=label if is_known else None,
            reason="" if is_known else UNKNOWN,
            confidence=confidence,
            scores=scores,
            duration_seconds=reader.info.duration_seconds,
            frames_used=frames_used,
            model=self.name,
            warnings=(*self._warnings, *video_notices(reader.info), *self._length_notices(longest, frames_used)),
        )

    def _length_notices(self, seconds: float, frames_used: int) -> tuple[Notice, ...]:
        known = self._longest_seconds
        if not known or seconds <= _LONG_TIMES * known:
            return ()
        message = (
            f"one answer for {seconds:.0f} s of video from {counted(frames_used, 'frame')}, but the model was trained "
            f"on clips of up to {known:.1f} s; cut the video into such clips, or train with windows (`window_seconds`)"
        )
        return (Notice("video.long", message),)

    def _answer_all(self, inputs: Iterator[Input]) -> Iterator[Prediction]:
        """Yields answers in the order of the inputs. Decodes ahead while the network computes."""
        feed = Feed(inputs)
        running: deque[tuple[Input, Future[_Decoding]]] = deque()
        decoder = ThreadPoolExecutor(_AHEAD)
        try:
            while True:
                while len(running) <= _AHEAD and (one := feed.get(wait=not running)):
                    running.append((one, decoder.submit(self._open, one)))
                if not running:
                    return
                one, future = running.popleft()
                try:
                    decoding = future.result()
                    yield self._answer(one.name, decoding.reader, decoding.all_clips(decoder))
                except (VideoError, BundleError) as error:
                    yield _failed(one.name, error)
        finally:
            feed.close()
            # A caller that stops early does not wait until a long video is decoded.
            decoder.shutdown(wait=False, cancel_futures=True)

    def _open(self, one: Input) -> _Decoding:
        if one.error is not None:
            raise one.error
        reader = self._reader(open_source(one.place))
        clips = iter(reader)
        return _Decoding(reader, clips, list(islice(clips, _CLIPS_AHEAD)))

    def _reader(self, source: Source) -> ClipReader:
        # Random clips are for training only, and a short video gets an answer, too.
        short = "mask" if self.sampling.short_clips == "drop" else self.sampling.short_clips
        sampling = replace(self.sampling, clips_per_video=1, short_clips=short)
        return ClipReader(source, sampling, describer=self._streams[0], executor=self._describing)


@dataclass(frozen=True, slots=True)
class _Decoding:
    """A video that is being decoded: its first clips, and those that follow."""

    reader: ClipReader
    following: Iterator[Clip]
    first: list[Clip]

    def all_clips(self, decoder: ThreadPoolExecutor) -> Iterator[Clip]:
        """Yields the clips while ``decoder`` decodes the next ones."""
        clips = self.first
        while len(clips) == _CLIPS_AHEAD:
            future = decoder.submit(lambda: list(islice(self.following, _CLIPS_AHEAD)))
            yield from clips
            clips = future.result()
        yield from clips


def predict(
    settings: PredictSettings, progress: Progress | None = None, inputs: Iterable[Path | Input] | None = None
) -> Iterator[Prediction]:
    """Recognizes the activity in videos. Yields a prediction for each, in their order, as soon as it is ready.

    A folder stands for all videos below it. If a video cannot be used, the status of its prediction is ``error``.

    Args:
        settings: Which videos, and which model.
        progress: Shows a bar and notes.
        inputs: Takes the place of the videos in ``settings``; read as far as needed.

    Raises:
        BundleError: Before the first prediction: there is no such model, or it is damaged.
    """
    progress = progress or SilentProgress()
    recognizer = _recognizer(settings, progress)
    sources, number = _counted(settings.inputs if inputs is None else inputs)
    return _predict_all(recognizer, iter(sources), number, progress)


def predict_timeline(
    settings: PredictSettings, progress: Progress | None = None, inputs: Iterable[Path | Input] | None = None
) -> Iterator[TimelineSegment | TimelineWindow | Prediction]:
    """Recognizes which activity happens when. Videos follow one another in the order of the inputs.

    Args:
        settings: Which videos, which model, and the windows.
        progress: Shows a bar and notes.
        inputs: Takes the place of the videos in ``settings``; read as far as needed.

    With ``annotate``, the annotated video is complete once the segments of the next video come.

    Returns:
        Segments and, with ``per_window`` and of live sources, windows, as soon as they are known; for a video that
        cannot be used, or not to its end, a prediction with the status ``error``.

    Raises:
        BundleError: Before the first segment: there is no such model, or it is damaged.
        UsageError: ``annotate`` does not fit the videos: before the first segment, as far as they are known.
        OutputError: An annotated video cannot be written.
    """
    progress = progress or SilentProgress()
    recognizer = _recognizer(settings, progress)
    sources, number = _counted(settings.inputs if inputs is None else inputs)
    annotator: Annotator | None = None
    if settings.annotate:
        from activity_cli.commands.annotate import Annotator  # here: PyAV takes a while to load

        annotator = Annotator(settings.annotate, recognizer.labels, sources if isinstance(sources, Sequence) else ())

    def found() -> Iterator[TimelineSegment | TimelineWindow | Prediction]:
        with progress.stage("Predicting", number, "video") as stage:
            for one in sources:
                yield from _timeline_of(recognizer, one, settings, progress, annotator)
                stage.advance()

    return found()


def _timeline_of(
    recognizer: Recognizer, given: Input, settings: PredictSettings, progress: Progress, annotator: Annotator | None
) -> Iterator[TimelineSegment | TimelineWindow | Prediction]:
    source: Source | None = None
    annotation = annotator.begin(given) if annotator else None
    try:
        if given.error:
            raise given.error
        source = open_source(given.place)
        see_row = annotation.see_row if annotation else None
        for one in recognizer.timeline(source, stride_seconds=settings.stride_seconds, see_row=see_row):
            if annotation and isinstance(one, TimelineSegment):
                annotation.segments.append(one)
            if settings.per_window or one.time or isinstance(one, TimelineSegment):
                yield replace(one, source=given.name)
        if annotation:
            annotation.write(source, progress)
    except VideoError as error:
        yield _failed(given.name, error)
    finally:
        notices = video_notices(source.info()) if source else ()
        if isinstance(source, LiveSource) and source.dropped_frames:
            many = f"{source.dropped_frames} of {counted(source.num_frames, 'frame')}"
            notices = (*notices, Notice("video.dropped", f"{many} were dropped, since they came too fast"))
        for notice in notices:
            progress.warn(f"{given.name}: {notice.message}.")


def _counted(inputs: Iterable[Path | Input]) -> tuple[Iterable[Input], int | None]:
    """The inputs without folders, and their number where all of them are known."""
    if not isinstance(inputs, Sequence):
        return expand(inputs), None
    found = list(expand(inputs))
    return found, len(found)


def _recognizer(settings: PredictSettings, progress: Progress) -> Recognizer:
    recognizer = Recognizer(
        settings.model, min_confidence=settings.min_confidence, reject_unknown=settings.reject_unknown
    )
    if settings.model is None and recognizer.folder != DEFAULT_MODEL:
        progress.warn(
            f"{_NO_MODEL}, so predict uses the sample model, which recognizes only: {', '.join(recognizer.labels)}. "
            "Name your model with --model. --model sample asks for the sample model, without this warning."
        )
    return recognizer


def _predict_all(
    recognizer: Recognizer, inputs: Iterator[Input], number: int | None, progress: Progress
) -> Iterator[Prediction]:
    with progress.stage("Predicting", number, "video") as stage:
        for prediction in recognizer._answer_all(inputs):
            yield prediction
            stage.advance()


def open_network(bundle: Bundle) -> NetworkRuntime:
    """Loads the LiteRT files of a bundle.

    Raises:
        BundleError: A stream has another version now (``model.schema``), or a file is missing, damaged, or does not fit
            ``bundle.json``.
    """
    document = bundle.document
    for name, version in document.streams.items():
        if STREAMS[name].version != version:
            raise BundleError(
                f"{bundle.folder} reads version {version} of the {name} stream, but this version of activity computes "
                f"version {STREAMS[name].version}.",
                "Prepare the videos and train the model again, or update activity if the model is newer.",
                code="model.schema",
            )
    encoder, head = None, document.appearance
    if head is not None:
        # Beside other streams, the encoder runs while other threads run their models.
        encoder = EncoderRuntime(bundle.file(ENCODER_FILE), 1 if len(document.streams) > 1 else default_workers())
        if (encoder.frame_size, encoder.num_features) != (bundle.sampling.frame_size, head.num_features):
            raise _does_not_fit(encoder.path)
    heads: dict[str, StreamHead] = {}
    for entry in document.heads:
        runtime = HeadRuntime(bundle.file(entry.file))
        num_frames = head.num_frames if head and entry.stream == "appearance" else runtime.num_frames
        expected = num_frames, _width(entry, encoder), len(bundle.labels)
        found = runtime.num_frames, runtime.num_features, runtime.num_classes
        if found != expected or runtime.num_frames > bundle.sampling.num_frames:
            raise _does_not_fit(runtime.path)
        heads[entry.stream] = StreamHead(runtime, tuple(entry.reads), entry.weight)
    return NetworkRuntime(encoder, heads, document.mirrored_labels)


def _width(entry: HeadEntry, encoder: EncoderRuntime | None) -> int:
    """Number of features that a head reads of each frame."""
    if encoder and entry.stream == "appearance":
        return encoder.num_features
    rows: dict[str, npt.NDArray[np.float32]] = {
        name: np.zeros((1, STREAMS[name].width), np.float32) for name in entry.reads
    }
    return int(views_of(entry.reads, rows, [0.0], 1, mirror=False)[0].features.shape[1])


def _does_not_fit(path: Path) -> BundleError:
    return BundleError(f"{path} does not fit bundle.json.", "Train the model again.", code="model.damaged")


def find_model(model: Path | None) -> Path:
    """The path of the bundle to use: the given one, else ``models/activity`` if it exists, else the sample model.

    ``sample``, if there is no such path, is the sample model.

    Raises:
        BundleError: There is no such bundle.
    """
    asks_for_sample = model == _SAMPLE and not os.path.lexists(_SAMPLE)
    if model is not None and not asks_for_sample:
        return model
    # A link that leads nowhere is a mistake to report, and no reason to use another model.
    if not asks_for_sample and os.path.lexists(DEFAULT_MODEL):
        return DEFAULT_MODEL
    package = Path(__file__).resolve().parent.parent
    # The sample model is inside an installed package, but beside the package in a clone.
    for place in (package / "models" / "sample", package.parent / "models" / "sample"):
        if (place / "bundle.json").is_file():
            return place
    missing = "There is" if asks_for_sample else f"{_NO_MODEL}, and there is"
    raise BundleError(
        f"{missing} no sample model in this installation.",
        "Train one with 'activity train', or name one with --model.",
        code="model.missing",
    )


def _least_margin(bundle: Bundle) -> float:
    least = bundle.document.least_margin
    if least is None:
        raise BundleError(
            f"{bundle.folder} does not know how sure its right answers are, so it cannot reject unknown activities.",
            "Train the model again with validation clips, or use `min_confidence` instead.",
            code="model.schema",
        )
    return least


def _failed(source: str, error: ActivityError) -> Prediction:
    return Prediction(
        source=source,
        status="error",
        error_code=error.code,
        error_message=error.message,
        error_hint=error.hint,
    )
