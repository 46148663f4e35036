"""The trained network in LiteRT. It loads in less than a second and needs no TensorFlow.

The encoder computes features of each frame. Each head computes log probabilities from the features of a clip. The
softmax of their weighted sum is the answer. The encoder reads no padding; the heads read it as zeros with a mask.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activity_cli.errors import BundleError
from activity_cli.sampling.plan import evenly_spaced
from activity_cli.streams.interpreter import load_interpreter

__all__ = ["Answer", "EncoderRuntime", "HeadRuntime", "NetworkRuntime", "combine"]

_TRAIN_AGAIN = "Train the model again."

Floats = npt.NDArray[np.float32]
_Tensor = tuple[str, tuple[int, ...], int]


class EncoderRuntime:
    """Computes features of frames.

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
        match _tensors(self._interpreter.get_input_details()), _tensors(self._interpreter.get_output_details()):
            case [("uint8", (1, height, width, 3), frames)], [("float32", (1, *shape), features)] if height == width:
                self._frames, self._features = frames, features
                self.frame_size, self.num_features = height, math.prod(shape)
            case _:
                raise _wrong_kind(path, "an encoder")

    def features(self, frames: npt.NDArray[np.uint8]) -> Floats:
        """Features ``float32 [T, ...]`` of frames ``uint8 [T, H, W, 3]``."""
        # One frame at a time: a batch is not faster, and needs megabytes more for each frame.
        return np.stack([self._features_of_one(frame) for frame in frames])

    def _features_of_one(self, frame: npt.NDArray[np.uint8]) -> Floats:
        self._interpreter.set_tensor(self._frames, frame[np.newaxis])
        self._interpreter.invoke()
        return np.array(self._interpreter.get_tensor(self._features)[0], np.float32)


class HeadRuntime:
    """Computes log probabilities from the features of a clip.

    Args:
        path: A LiteRT file.

    Attributes:
        num_frames: Largest number of frames that it reads.
        num_features: Number of features of a frame.
        num_classes: Number of activities.

    Raises:
        BundleError: LiteRT cannot run the file, or it is not a head.
    """

    def __init__(self, path: Path) -> None:
        # The accelerator (XNNPACK) is not faster for such small steps, and would copy the weights.
        self._interpreter = load_interpreter(path, threads=1, accelerated=False)
        match _tensors(self._interpreter.get_input_details()), _tensors(self._interpreter.get_output_details()):
            case [("bool", (1, num_flags), mask), ("float32", (1, steps, width), features)], [
                ("float32", (1, classes), clip),
                *frames,
            ] if num_flags == steps and [one[:2] for one in frames] in ([], [("float32", (1, steps, classes))]):
                self._mask, self._features = mask, features
                self._outputs = [clip, *(index for _, _, index in frames)]
                self.num_frames, self.num_features, self.num_classes = steps, width, classes
            case _:
                raise _wrong_kind(path, "a head")

    def log_probabilities(self, features: Floats) -> tuple[Floats, Floats | None]:
        """Log probabilities ``[classes]`` of a clip's features ``[T, D]``, ``T <= num_frames``.

        Returns:
            The log probabilities, and the probabilities of each frame, ``[T, classes]``; None: the head classifies
            clips only.
        """
        padded = np.zeros((1, self.num_frames, self.num_features), np.float32)
        padded[0, : len(features)] = features
        self._interpreter.set_tensor(self._features, padded)
        self._interpreter.set_tensor(self._mask, np.arange(self.num_frames)[np.newaxis] < len(features))
        self._interpreter.invoke()
        clip, *frames = (np.array(self._interpreter.get_tensor(index)[0], np.float32) for index in self._outputs)
        return clip, frames[0][: len(features)] if frames else None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for a clip.

    Attributes:
        probabilities: ``float32 [classes]``.
        frames: Probabilities of each frame, ``float32 [T, classes]``; None: the network classifies clips only.
    """

    probabilities: Floats
    frames: Floats | None


@dataclass(frozen=True, slots=True)
class NetworkRuntime:
    """A whole network.

    Attributes:
        encoder: Computes features of frames.
        heads: Classify clips by these features, by name.
        weights: The weight of each head in the sum.
    """

    encoder: EncoderRuntime
    heads: Mapping[str, HeadRuntime]
    weights: Mapping[str, float]

    def answer(self, features: Floats) -> Answer:
        """The answer for a clip's features ``float32 [T, D]``, for any number of frames.

        The heads were trained on at most ``num_frames`` frames. Of a longer clip they read the middle frame of each of
        ``num_frames`` equal parts, and every frame gets the answer of its part.

        Raises:
            BundleError: The answer is not a finite number (``model.not_finite``).
        """
        num_frames = next(iter(self.heads.values())).num_frames
        read = evenly_spaced(len(features), num_frames)
        answers = {name: head.log_probabilities(features[list(read)]) for name, head in self.heads.items()}
        if not all(np.isfinite(clip).all() for clip, _ in answers.values()):
            raise BundleError(
                f"The model in {self.encoder.path.parent} gives probabilities that are not finite numbers.",
                _TRAIN_AGAIN,
                code="model.not_finite",
            )
        probabilities = combine({name: clip for name, (clip, _) in answers.items()}, self.weights)
        frames = next((frames for _, frames in answers.values() if frames is not None), None)
        if frames is not None:
            frames = frames[np.arange(len(features)) * len(read) // len(features)]
        return Answer(probabilities, frames)


def combine(log_probabilities: Mapping[str, npt.NDArray[Any]], weights: Mapping[str, float]) -> Floats:
    """Probabilities ``[..., classes]``: the softmax of the weighted sum of the heads' log probabilities."""
    total = sum(weights[name] * np.asarray(one, np.float64) for name, one in log_probabilities.items())
    powers = np.exp(total - np.max(total, axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def _tensors(details: list[dict[str, Any]]) -> list[_Tensor]:
    """Dtype, shape and index of each tensor, by rank, because conversion does not keep their order."""
    found = [(np.dtype(one["dtype"]).name, tuple(one["shape"].tolist()), int(one["index"])) for one in details]
    return sorted(found, key=lambda tensor: len(tensor[1]))


def _wrong_kind(path: Path, kind: str) -> BundleError:
    return BundleError(f"{path} is not the LiteRT file of {kind}.", _TRAIN_AGAIN, code="model.damaged")
