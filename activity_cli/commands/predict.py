"""predict: a video -> its activity, without TensorFlow."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activity_cli.dataset.processes import default_workers
from activity_cli.errors import ActivityError, BundleError, VideoError
from activity_cli.labels.discovery import find_videos
from activity_cli.model.bundle import ENCODER_FILE, Bundle, read_bundle
from activity_cli.progress import Progress, SilentProgress
from activity_cli.results import FrameAnswer, Prediction, VideoInfo
from activity_cli.runtime.litert import EncoderRuntime, HeadRuntime, NetworkRuntime
from activity_cli.settings import DEFAULT_MODEL, PredictSettings, Sampling
from activity_cli.video.opencv import FileSource
from activity_cli.video.reader import Clip, ClipReader

__all__ = ["Recognizer", "find_model", "open_network", "predict"]

# Videos that are decoded while the network is busy with an earlier one.
_AHEAD = 2


class Recognizer:
    """A trained model that is loaded once and answers many times.

    Args:
        model: A bundle; None: ``models/activity``, or else the sample model of the project.

    Attributes:
        name: Name and short hash of the bundle.
        labels: The activities it knows.
        sampling: Which frames of a video it wants.

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
        """
        return self._answer(os.fspath(video), self._clips(Path(video)))

    def scores(self, frames: npt.NDArray[np.uint8]) -> dict[str, float]:
        """Score of every activity for the frames of one clip, highest first.

        Args:
            frames: ``uint8 [T, frame_size, frame_size, 3]``, RGB, at most ``sampling.num_frames``.

        Raises:
            ValueError: The frames have another shape or type.
        """
        size, most = self.sampling.frame_size, self.sampling.num_frames
        fits = frames.ndim == 4 and frames.shape[1:] == (size, size, 3) and 1 <= len(frames) <= most
        if not fits or frames.dtype != np.uint8:
            wanted = f"uint8 [1..{most}, {size}, {size}, 3]"
            raise ValueError(f"frames must be {wanted}, got {frames.dtype}{list(frames.shape)}")
        return self._scored(self._network.answer(self._network.encoder.features(frames)).probabilities)

    def _scored(self, probabilities: npt.NDArray[np.float32]) -> dict[str, float]:
        order = np.argsort(-probabilities, kind="stable")
        return {self.labels[number]: float(probabilities[number]) for number in order}

    def _answer(self, source: str, video: _Video) -> Prediction:
        """Where the model learned from windows, a video's answer is the mean of those of its windows."""
        answers = [self._network.answer(self._network.encoder.features(clip.frames)) for clip in video.clips]
        each = [self._scored(answer.probabilities) for answer in answers]
        mean = {label: sum(scores[label] for scores in each) / len(each) for label in each[0]}
        scores = dict(sorted(mean.items(), key=lambda item: -item[1]))
        label, confidence = next(iter(scores.items()))
        return Prediction(
            source=source,
            status="ok",
            label=label,
            confidence=confidence,
            scores=scores,
            duration_seconds=video.info.duration_seconds,
            frames_used=sum(len(clip.frames) for clip in video.clips),
            model=self.name,
            frames=self._frames(video.clips, [answer.frames for answer in answers if answer.frames is not None]),
        )

    def _frames(
        self, clips: Sequence[Clip], answers: Sequence[npt.NDArray[np.float32]]
    ) -> tuple[FrameAnswer, ...] | None:
        """The answers for the frames of all windows, in a row."""
        if not answers:
            return None
        return tuple(
            FrameAnswer(seconds, self.labels[int(scores.argmax())], float(scores.max()))
            for clip, rows in zip(clips, answers, strict=True)
            for seconds, scores in zip(clip.times_seconds, rows, strict=True)
        )

    def _answer_all(self, sources: Sequence[_Source]) -> Iterator[Prediction]:
        """Answers in the order of the sources; decodes ahead while the network works."""
        waiting = deque(sources)
        running: deque[tuple[_Source, Future[_Video]]] = deque()
        decoder = ThreadPoolExecutor(_AHEAD)
        try:
            while waiting or running:
                while waiting and len(running) <= _AHEAD:
                    source = waiting.popleft()
                    running.append((source, decoder.submit(self._read, source)))
                source, future = running.popleft()
                try:
                    yield self._answer(source.name, future.result())
                except VideoError as error:
                    yield _failed(source.name, error)
        finally:
            # Whoever leaves early does not wait for a long video to be decoded to its end.
            decoder.shutdown(wait=False, cancel_futures=True)

    def _read(self, source: _Source) -> _Video:
        if source.error is not None:
            raise source.error
        return self._clips(source.path)

    def _clips(self, path: Path) -> _Video:
        # Drawn clips are for learning, and whoever asks about a short video wants an answer.
        short = "mask" if self.sampling.short_clips == "drop" else self.sampling.short_clips
        sampling = replace(self.sampling, clips_per_video=1, short_clips=short)
        reader = ClipReader(FileSource(path), sampling)
        clips = list(reader)
        return _Video(reader.info, clips)


@dataclass(frozen=True, slots=True)
class _Video:
    info: VideoInfo
    clips: Sequence[Clip]


@dataclass(frozen=True, slots=True)
class _Source:
    """One input: its name as it was given, and where it is, or why it cannot be used."""

    name: str
    path: Path
    error: VideoError | None = None


def predict(config: PredictSettings, progress: Progress | None = None) -> Iterator[Prediction]:
    """Recognizes the activity in videos, one answer for each, in their order, as they are ready.

    A folder stands for all videos below it. A video that cannot be used is answered with an error;
    the others are not held up.

    Args:
        config: Which videos, and which model.
        progress: Who listens.

    Raises:
        BundleError: There is no such model, or it is damaged; before the first answer.
    """
    progress = progress or SilentProgress()
    recognizer = Recognizer(config.model)
    if config.model is None and recognizer.folder != DEFAULT_MODEL:
        progress.note(
            f"No trained model in {DEFAULT_MODEL}: using the sample model, which knows only: "
            f"{', '.join(recognizer.labels)}."
        )
    return _predict_all(recognizer, _expand(config.inputs), progress)


def _predict_all(recognizer: Recognizer, sources: Sequence[_Source], progress: Progress) -> Iterator[Prediction]:
    with progress.stage("Predicting", len(sources), "video") as stage:
        for prediction in recognizer._answer_all(sources):
            yield prediction
            stage.advance()


def open_network(bundle: Bundle) -> NetworkRuntime:
    """The files of a bundle that predicting uses, ready to run.

    Raises:
        BundleError: One is missing, damaged, or does not fit the bundle's description.
    """
    encoder = EncoderRuntime(bundle.file(ENCODER_FILE), default_workers())
    entries, shape = bundle.document.heads, bundle.document.shape
    heads = {head.name: HeadRuntime(bundle.file(head.file)) for head in entries}
    fits = encoder.frame_size == bundle.sampling.frame_size == shape.frame_size and all(
        (head.num_frames, head.num_classes) == (shape.num_frames, shape.num_classes) for head in heads.values()
    )
    if not fits:
        raise BundleError(
            f"{bundle.folder / 'bundle.json'} is damaged: its sampling and labels do not fit its LiteRT files.",
            "Train the model again.",
            code="model.damaged",
        )
    return NetworkRuntime(encoder, heads, {head.name: head.weight for head in entries})


def find_model(model: Path | None) -> Path:
    """The bundle to use: the one that is named, or the trained one, or the sample model.

    Raises:
        BundleError: None is named and there is none.
    """
    if model is not None:
        return model
    if DEFAULT_MODEL.exists():
        return DEFAULT_MODEL
    package = Path(__file__).resolve().parent.parent
    # In an installed package the sample model lies inside it, in a clone beside it.
    for place in (package / "models" / "sample", package.parent / "models" / "sample"):
        if (place / "bundle.json").is_file():
            return place
    raise BundleError(
        f"No model in {DEFAULT_MODEL}, and no sample model in this installation.",
        "Train one with 'activity train', or name one with --model.",
        code="model.missing",
    )


def _expand(inputs: Sequence[Path]) -> list[_Source]:
    sources = []
    for path in inputs:
        # Unlike Path.is_dir, this has no exceptions: a name may be too long or its folder locked.
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
            missing = VideoError(f"{path}: no videos in this folder.", "Check the path.", code="video.none")
            sources.append(_Source(str(path), path, missing))
    return sources


def _failed(source: str, error: VideoError) -> Prediction:
    return Prediction(
        source=source,
        status="error",
        error_code=error.code,
        error_message=error.message,
        error_hint=error.hint,
    )
