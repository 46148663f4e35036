"""predict: recognizes the activity in videos, without TensorFlow."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activity_cli.dataset.processes import default_workers
from activity_cli.errors import ActivityError, BundleError, VideoError
from activity_cli.labels.discovery import find_videos
from activity_cli.model.bundle import ENCODER_FILE, Bundle, read_bundle
from activity_cli.progress import Progress, SilentProgress
from activity_cli.results import FrameAnswer, Prediction
from activity_cli.runtime.litert import EncoderRuntime, HeadRuntime, NetworkRuntime
from activity_cli.settings import DEFAULT_MODEL, PredictSettings, Sampling
from activity_cli.video.opencv import FileSource
from activity_cli.video.reader import Clip, ClipReader

__all__ = ["Recognizer", "find_model", "open_network", "predict"]

# Videos that are decoded in the background while the network classifies an earlier one.
_AHEAD = 2
# Clips that are decoded in one go. A long video is never in memory as a whole.
_CLIPS_AHEAD = 8


class Recognizer:
    """A trained model, loaded once for many videos.

    Args:
        model: Path of a bundle; None: ``models/activity`` if it exists, else the sample model.

    Attributes:
        name: Name and short hash of the bundle.
        labels: The activities that it recognizes.
        sampling: Which frames of a video it reads.
        folder: Path of the bundle.

    Raises:
        BundleError: There is no such bundle, or it is damaged.
    """

    def __init__(self, model: str | os.PathLike[str] | None = None) -> None:
        bundle = read_bundle(find_model(Path(model) if model is not None else None))
        self.name = bundle.name
        self.labels = bundle.labels
        self.sampling: Sampling = bundle.sampling
        self.folder = bundle.folder
        self._network = open_network(bundle)

    def predict(self, video: str | os.PathLike[str]) -> Prediction:
        """Recognizes the activity in one video file.

        Raises:
            VideoError: The video cannot be used.
            BundleError: The network gives no finite number.
        """
        reader = self._reader(Path(video))
        return self._answer(os.fspath(video), reader, reader)

    def scores(self, frames: npt.NDArray[np.uint8]) -> dict[str, float]:
        """The score of every activity for the frames of one clip, highest first.

        Args:
            frames: ``uint8 [T, frame_size, frame_size, 3]``, RGB, at most ``sampling.num_frames``.

        Raises:
            ValueError: The frames have another shape or type.
            BundleError: The network gives no finite number.
        """
        size, most = self.sampling.frame_size, self.sampling.num_frames
        fits = frames.ndim == 4 and frames.shape[1:] == (size, size, 3) and 1 <= len(frames) <= most
        if not fits or frames.dtype != np.uint8:
            wanted = f"uint8 [1..{most}, {size}, {size}, 3]"
            raise ValueError(f"frames must be {wanted}, got {frames.dtype}{list(frames.shape)}")
        return self._scored(self._network.answer(self._network.encoder.features(frames)).probabilities)

    def _scored(self, probabilities: npt.NDArray[np.floating]) -> dict[str, float]:
        order = np.argsort(-probabilities, kind="stable")
        return {self.labels[number]: float(probabilities[number]) for number in order}

    def _answer(self, source: str, reader: ClipReader, clips: Iterable[Clip]) -> Prediction:
        """Averages the answers for all windows of the video; without windows there is one clip."""
        probabilities: list[npt.NDArray[np.floating]] = []
        frames: list[FrameAnswer] = []
        frames_used = 0
        for clip in clips:
            answer = self._network.answer(self._network.encoder.features(clip.frames))
            probabilities.append(answer.probabilities)
            frames_used += len(clip.frames)
            if answer.frames is not None:
                frames += [
                    FrameAnswer(seconds, self.labels[int(scores.argmax())], float(scores.max()))
                    for seconds, scores in zip(clip.times_seconds, answer.frames, strict=True)
                ]
        scores = self._scored(np.mean(probabilities, axis=0, dtype=np.float64))
        label, confidence = next(iter(scores.items()))
        return Prediction(
            source=source,
            status="ok",
            label=label,
            confidence=confidence,
            scores=scores,
            duration_seconds=reader.info.duration_seconds,
            frames_used=frames_used,
            model=self.name,
            frames=tuple(frames) or None,  # None: the model classifies clips only
        )

    def _answer_all(self, sources: Sequence[_Source]) -> Iterator[Prediction]:
        """Yields answers in the order of the sources. Decodes ahead while the network computes."""
        waiting = deque(sources)
        running: deque[tuple[_Source, Future[_Decoding]]] = deque()
        decoder = ThreadPoolExecutor(_AHEAD)
        try:
            while waiting or running:
                while waiting and len(running) <= _AHEAD:
                    source = waiting.popleft()
                    running.append((source, decoder.submit(self._open, source)))
                source, future = running.popleft()
                try:
                    decoding = future.result()
                    yield self._answer(source.name, decoding.reader, decoding.all_clips(decoder))
                except (VideoError, BundleError) as error:
                    yield _failed(source.name, error)
        finally:
            # A caller that stops early does not wait until a long video is decoded.
            decoder.shutdown(wait=False, cancel_futures=True)

    def _open(self, source: _Source) -> _Decoding:
        if source.error is not None:
            raise source.error
        reader = self._reader(source.path)
        clips = iter(reader)
        return _Decoding(reader, clips, list(islice(clips, _CLIPS_AHEAD)))

    def _reader(self, path: Path) -> ClipReader:
        # Random clips are for training only, and a short video gets an answer, too.
        short = "mask" if self.sampling.short_clips == "drop" else self.sampling.short_clips
        return ClipReader(FileSource(path), replace(self.sampling, clips_per_video=1, short_clips=short))


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


@dataclass(frozen=True, slots=True)
class _Source:
    """One input: its name as given, and its path, or the reason why it cannot be used."""

    name: str
    path: Path
    error: VideoError | None = None


def predict(settings: PredictSettings, progress: Progress | None = None) -> Iterator[Prediction]:
    """Recognizes the activity in videos. Yields a prediction for each, in their order, as soon as it is ready.

    A folder stands for all videos below it. If a video cannot be used, the status of its prediction is ``error``.

    Args:
        settings: Which videos, and which model.
        progress: Shows a bar and notes.

    Raises:
        BundleError: Before the first prediction: there is no such model, or it is damaged.
    """
    progress = progress or SilentProgress()
    recognizer = Recognizer(settings.model)
    if settings.model is None and recognizer.folder != DEFAULT_MODEL:
        progress.note(
            f"There is no trained model in {DEFAULT_MODEL}. predict uses the sample model, which recognizes only: "
            f"{', '.join(recognizer.labels)}."
        )
    return _predict_all(recognizer, _expand(settings.inputs), progress)


def _predict_all(recognizer: Recognizer, sources: Sequence[_Source], progress: Progress) -> Iterator[Prediction]:
    with progress.stage("Predicting", len(sources), "video") as stage:
        for prediction in recognizer._answer_all(sources):
            yield prediction
            stage.advance()


def open_network(bundle: Bundle) -> NetworkRuntime:
    """Loads the LiteRT files of a bundle.

    Raises:
        BundleError: A file is missing, damaged, or does not fit ``bundle.json``.
    """
    encoder = EncoderRuntime(bundle.file(ENCODER_FILE), default_workers())
    entries, shape = bundle.document.heads, bundle.document.shape
    heads = {head.name: HeadRuntime(bundle.file(head.file)) for head in entries}
    fits = {encoder.path: (encoder.frame_size, encoder.num_features) == (shape.frame_size, shape.num_features)}
    for entry, head in zip(entries, heads.values(), strict=True):
        expected = (shape.num_frames, shape.num_features, shape.num_classes)
        fits[bundle.folder / entry.file] = (head.num_frames, head.num_features, head.num_classes) == expected
    for path, does_fit in fits.items():
        if not does_fit:
            raise BundleError(f"{path} does not fit bundle.json.", "Train the model again.", code="model.damaged")
    return NetworkRuntime(encoder, heads, {head.name: head.weight for head in entries})


def find_model(model: Path | None) -> Path:
    """The path of the bundle to use: the given one, else ``models/activity`` if it exists, else the sample model.

    Raises:
        BundleError: No bundle is given, and there is none.
    """
    if model is not None:
        return model
    if DEFAULT_MODEL.exists():
        return DEFAULT_MODEL
    package = Path(__file__).resolve().parent.parent
    # The sample model is inside an installed package, but beside the package in a clone.
    for place in (package / "models" / "sample", package.parent / "models" / "sample"):
        if (place / "bundle.json").is_file():
            return place
    raise BundleError(
        f"There is no model in {DEFAULT_MODEL}, and no sample model in this installation.",
        "Train one with 'activity train', or name one with --model.",
        code="model.missing",
    )


def _expand(inputs: Sequence[Path]) -> list[_Source]:
    sources = []
    for path in inputs:
        # Path.is_dir raises an error for a name that is too long, or in a folder that cannot be read.
        if not os.path.isdir(path):  # noqa: PTH112
            sources.append(_Source(str(path), path))
            continue
        try:
            found = find_videos(path)
        except ActivityError as error:
            sources.append(_Source(str(path), path, VideoError(error.message, error.hint, code="video.unreadable")))
            continue
        sources += [_Source(str(video), video) for video in found]
        if not found:
            none = VideoError(f"{path}: there are no videos in this folder.", "Check the path.", code="video.none")
            sources.append(_Source(str(path), path, none))
    return sources


def _failed(source: str, error: ActivityError) -> Prediction:
    return Prediction(
        source=source,
        status="error",
        error_code=error.code,
        error_message=error.message,
        error_hint=error.hint,
    )
