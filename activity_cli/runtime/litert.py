"""The trained network in LiteRT. It loads in less than a second and needs no TensorFlow.

The encoder computes features of each frame. Each head computes log probabilities from the features of a clip. The
softmax of their weighted sum is the answer. The encoder reads no padding; the heads read it as zeros with a mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activity_cli.errors import BundleError, MissingDependencyError
from activity_cli.quiet import native_output_silenced
from activity_cli.sampling.plan import evenly_spaced

__all__ = ["Answer", "EncoderRuntime", "HeadRuntime", "NetworkRuntime", "combine"]

_TRAIN_AGAIN = "Train the model again."

Floats = npt.NDArray[np.float32]


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
        self._interpreter = _interpreter(path, threads, accelerated=True)
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        size = int(inputs[0]["shape"][1]) if inputs and len(inputs[0]["shape"]) == 4 else 0
        _check(path, "an encoder", inputs, [("uint8", (1, size, size, 3))])
        _check(path, "an encoder", outputs, [("float32", (1, *outputs[0]["shape"][1:]) if outputs else ())])
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]
        self.frame_size = size
        self.num_features = int(np.prod(outputs[0]["shape"]))

    def features(self, frames: npt.NDArray[np.uint8]) -> Floats:
        """Features ``float32 [T, ...]`` of frames ``uint8 [T, H, W, 3]``."""
        # One frame at a time: a batch is not faster, and needs megabytes more for each frame.
        return np.stack([self._features_of_one(frame) for frame in frames])

    def _features_of_one(self, frame: npt.NDArray[np.uint8]) -> Floats:
        self._interpreter.set_tensor(self._input, frame[np.newaxis])
        self._interpreter.invoke()
        return np.array(self._interpreter.get_tensor(self._output)[0], np.float32)


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
        self._interpreter = _interpreter(path, threads=1, accelerated=False)
        # Sorted by rank, because conversion does not keep their order.
        inputs, outputs = (
            sorted(details, key=lambda one: len(one["shape"]))
            for details in (self._interpreter.get_input_details(), self._interpreter.get_output_details())
        )
        steps, width = inputs[-1]["shape"][1:] if inputs and len(inputs[-1]["shape"]) == 3 else (0, 0)
        classes = outputs[0]["shape"][-1] if outputs and len(outputs[0]["shape"]) else 0
        _check(path, "a head", inputs, [("bool", (1, steps)), ("float32", (1, steps, width))])
        each_frame = [("float32", (1, steps, classes))] if len(outputs) > 1 else []
        _check(path, "a head", outputs, [("float32", (1, classes)), *each_frame])
        self._mask, self._features = (details["index"] for details in inputs)
        self._outputs = [details["index"] for details in outputs]
        self.num_frames, self.num_features, self.num_classes = int(steps), int(width), int(classes)

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


def _interpreter(path: Path, threads: int, *, accelerated: bool) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError as error:
        raise MissingDependencyError(
            f"LiteRT cannot be loaded: {error}.", "Install it: pip install ai-edge-litert", code="dependency.litert"
        ) from error
    kernels = OpResolverType.BUILTIN if accelerated else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        with native_output_silenced():  # LiteRT prints its delegates
            interpreter = Interpreter(model_path=str(path), num_threads=threads, experimental_op_resolver_type=kernels)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or ["it cannot be read"])[0].rstrip(".")
        raise BundleError(f"{path} is not a LiteRT model: {reason}.", _TRAIN_AGAIN, code="model.damaged") from None
    return interpreter


def _check(path: Path, kind: str, details: list[dict[str, Any]], expected: list[tuple[str, Any]]) -> None:
    """Checks the dtypes and shapes of the inputs or outputs of a LiteRT file."""
    found = [(np.dtype(one["dtype"]).name, tuple(one["shape"])) for one in details]
    if found != [(dtype, tuple(shape)) for dtype, shape in expected] or not all(all(shape) for _, shape in found):
        raise BundleError(f"{path} is not the LiteRT file of {kind}.", _TRAIN_AGAIN, code="model.damaged")
