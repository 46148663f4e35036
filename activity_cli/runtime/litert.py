"""The trained network in LiteRT. It loads in less than a second and needs no TensorFlow.

The encoder computes the appearance of each frame. Each stream has a head, which computes log probabilities from the
rows of a clip. The softmax of their weighted sum is the answer. The heads read padding as zeros with a mask.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from activity_cli.errors import BundleError
from activity_cli.streams.interpreter import load_interpreter
from activity_cli.streams.views import views_of

__all__ = ["EncoderRuntime", "HeadRuntime", "NetworkRuntime", "StreamHead", "combine", "margin"]

_TRAIN_AGAIN = "Train the model again."

Floats = npt.NDArray[np.float32]
_Tensor = tuple[str, tuple[int, ...], int]


class EncoderRuntime:
    """Computes features of frames. Several threads may use it; one frame is computed at a time.

    Args:
        path: A LiteRT file.
        threads: Number of threads.

    Attributes:
        path: The file.
        frame_size: Height and width of a frame in pixels.
        num_features: Number of features of a frame.

    Raises:
        BundleError: LiteRT cannot run the file, or it is not an encoder.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.path = path
        self._interpreter = load_interpreter(path, threads, accelerated=True)
        self._lock = Lock()
        match _tensors(self._interpreter.get_input_details()), _tensors(self._interpreter.get_output_details()):
            case [("uint8", (1, height, width, 3), frames)], [("float32", (1, *shape), features)] if height == width:
                self._frames, self._features = frames, features
                self.frame_size, self.num_features = height, math.prod(shape)
            case _:
                raise _wrong_kind(path, "an encoder")

    def features(self, frames: npt.NDArray[np.uint8]) -> Floats:
        """Features ``float32 [T, ...]`` of frames ``uint8 [T, H, W, 3]``."""
        # One frame at a time: a batch is not faster, and needs megabytes more for each frame.
        return np.stack([self.features_of_one(frame) for frame in frames])

    def features_of_one(self, frame: npt.NDArray[np.uint8]) -> Floats:
        """Features ``float32 [...]`` of a frame ``uint8 [H, W, 3]``."""
        with self._lock:
            self._interpreter.set_tensor(self._frames, frame[np.newaxis])
            self._interpreter.invoke()
            return np.array(self._interpreter.get_tensor(self._features)[0], np.float32)


class HeadRuntime:
    """Computes log probabilities from the features of a clip.

    Args:
        path: A LiteRT file.

    Attributes:
        path: The file.
        num_frames: Largest number of frames that it reads.
        num_features: Number of features of a frame.
        num_classes: Number of activities.

    Raises:
        BundleError: LiteRT cannot run the file, or it is not a head.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        # The accelerator (XNNPACK) is not faster for such small steps, and would copy the weights.
        self._interpreter = load_interpreter(path, threads=1, accelerated=False)
        match _tensors(self._interpreter.get_input_details()), _tensors(self._interpreter.get_output_details()):
            case [("bool", (1, num_flags), mask), ("float32", (1, steps, width), features)], [
                ("float32", (1, classes), answer)
            ] if num_flags == steps:
                self._mask, self._features, self._answer = mask, features, answer
                self.num_frames, self.num_features, self.num_classes = steps, width, classes
            case _:
                raise _wrong_kind(path, "a head")

    def log_probabilities(self, features: Floats) -> Floats:
        """Log probabilities ``float32 [classes]`` of a clip's features ``[T, D]``, ``T <= num_frames``."""
        padded = np.zeros((1, self.num_frames, self.num_features), np.float32)
        padded[0, : len(features)] = features
        with self._lock:
            self._interpreter.set_tensor(self._features, padded)
            self._interpreter.set_tensor(self._mask, np.arange(self.num_frames)[np.newaxis] < len(features))
            self._interpreter.invoke()
            return np.array(self._interpreter.get_tensor(self._answer)[0], np.float32)


class StreamHead(NamedTuple):
    """The head of a stream.

    Attributes:
        runtime: Computes the log probabilities.
        reads: The streams whose rows it reads.
        weight: What its log probabilities are multiplied with in the sum.
    """

    runtime: HeadRuntime
    reads: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class NetworkRuntime:
    """A whole network.

    Attributes:
        encoder: Computes the rows of the appearance stream; None: no head reads them.
        heads: By their stream, in the order of the sum.
        mirrored_labels: For each label the number of the one that a mirrored clip shows; None: nothing is mirrored.
    """

    encoder: EncoderRuntime | None
    heads: Mapping[str, StreamHead]
    mirrored_labels: Sequence[int] | None = None

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams whose rows the heads read."""
        return tuple(dict.fromkeys(name for head in self.heads.values() for name in head.reads))

    def answer(self, rows: Mapping[str, Floats], times_seconds: Sequence[float]) -> Floats:
        """The probabilities ``float32 [classes]`` of a clip.

        Args:
            rows: ``float32 [T, width]`` of each of :attr:`streams`, for any number of frames.
            times_seconds: When each frame is shown, rising.

        Raises:
            BundleError: The answer is not a finite number (``model.not_finite``).
        """
        return combine(self.alone(rows, times_seconds), {name: head.weight for name, head in self.heads.items()})

    def alone(self, rows: Mapping[str, Floats], times_seconds: Sequence[float]) -> dict[str, Floats]:
        """The log probabilities ``float32 [classes]`` of each head alone, by its stream.

        They are those of the mean probabilities of the head's views (:mod:`activity_cli.streams.views`).

        Args:
            rows, times_seconds: As for :meth:`answer`.

        Raises:
            BundleError: One is not a finite number (``model.not_finite``).
        """
        return {name: self._alone(head, rows, times_seconds) for name, head in self.heads.items()}

    def _alone(self, head: StreamHead, rows: Mapping[str, Floats], times_seconds: Sequence[float]) -> Floats:
        mirrored = self.mirrored_labels
        views = views_of(head.reads, rows, times_seconds, head.runtime.num_frames, mirror=mirrored is not None)
        answers = []
        for view in views:
            answer = head.runtime.log_probabilities(view.features).astype(np.float64)
            answers.append(answer[list(mirrored)] if view.is_mirrored and mirrored is not None else answer)
        if not np.isfinite(answers).all():
            raise BundleError(
                f"The model in {head.runtime.path.parent} gives probabilities that are not finite numbers.",
                _TRAIN_AGAIN,
                code="model.not_finite",
            )
        return np.asarray(np.logaddexp.reduce(answers, axis=0) - math.log(len(answers)), np.float32)


def combine(log_probabilities: Mapping[str, npt.NDArray[Any]], weights: Mapping[str, float]) -> Floats:
    """Probabilities ``[..., classes]``: the softmax of the weighted sum of the heads' log probabilities."""
    total = sum(weights[name] * np.asarray(one, np.float64) for name, one in log_probabilities.items())
    powers = np.exp(total - np.max(total, axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def margin(probabilities: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """How far each answer ``[..., classes]`` is ahead: log of the highest probability over the second highest.

    Infinite where there is one class. It is small for what the network has not learned, more reliably than the highest
    probability alone; ``benchmarks/unknown.py`` compares them.
    """
    rising = np.sort(np.asarray(probabilities, np.float64), axis=-1)
    if rising.shape[-1] < 2:
        return np.full(rising.shape[:-1], np.inf)
    return np.asarray(np.log(np.maximum(rising[..., -1], 1e-12) / np.maximum(rising[..., -2], 1e-12)))


def _tensors(details: list[dict[str, Any]]) -> list[_Tensor]:
    """Dtype, shape and index of each tensor, by rank, because conversion does not keep their order."""
    found = [(np.dtype(one["dtype"]).name, tuple(one["shape"].tolist()), int(one["index"])) for one in details]
    return sorted(found, key=lambda tensor: len(tensor[1]))


def _wrong_kind(path: Path, kind: str) -> BundleError:
    return BundleError(f"{path} is not the LiteRT file of {kind}.", _TRAIN_AGAIN, code="model.damaged")
