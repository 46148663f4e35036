"""The trained network in LiteRT: ready in less than a second, without TensorFlow.

The encoder turns frames into features, the heads turn a clip's features into log probabilities, whose weighted sum is
the answer. Padding never reaches the encoder; the heads get it as zeros with a mask.
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
    """Frames to features.

    Args:
        path: A LiteRT file.
        threads: Cores to use.

    Attributes:
        frame_size: Height and width of a frame in pixels.

    Raises:
        BundleError: The file is not one that LiteRT can run.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self._interpreter = _interpreter(path, threads, accelerated=True)
        inputs = self._interpreter.get_input_details()
        if [len(details["shape"]) for details in inputs] != [4]:
            raise _wrong_kind(path, "frames")
        self._input = inputs[0]
        self.frame_size = int(self._input["shape"][1])
        self._output = self._interpreter.get_output_details()[0]
        with native_output_silenced():  # LiteRT reports its delegates
            self._interpreter.allocate_tensors()

    def features(self, frames: npt.NDArray[np.uint8]) -> Floats:
        """Features ``float32 [T, ...]`` of frames ``uint8 [T, H, W, 3]``."""
        # One by one: several at once are not faster, and each would cost megabytes of activations.
        return np.stack([self._features_of_one(frame) for frame in frames])

    def _features_of_one(self, frame: npt.NDArray[np.uint8]) -> Floats:
        self._interpreter.set_tensor(self._input["index"], frame[np.newaxis].astype(self._input["dtype"]))
        self._interpreter.invoke()
        return np.array(self._interpreter.get_tensor(self._output["index"])[0], np.float32)


class HeadRuntime:
    """Features over time to log probabilities.

    Args:
        path: A LiteRT file.

    Attributes:
        num_frames: Frames that it reads at most.
        num_classes: Activities that it tells apart.

    Raises:
        BundleError: The file is not one that LiteRT can run.
    """

    def __init__(self, path: Path) -> None:
        # The accelerator (XNNPACK) gains nothing on steps this small, and would copy the weights.
        self._interpreter = _interpreter(path, threads=1, accelerated=False)
        inputs = {len(details["shape"]): details for details in self._interpreter.get_input_details()}
        # By rank, because converting does not keep their order: of the clip, and of its frames.
        outputs = {len(details["shape"]): details for details in self._interpreter.get_output_details()}
        if set(inputs) != {2, 3} or 2 not in outputs:
            raise _wrong_kind(path, "features and a mask")
        with native_output_silenced():
            self._interpreter.allocate_tensors()
        self._features, self._mask = inputs[3], inputs[2]
        self._clip, self._frames = outputs[2], outputs.get(3)
        self.num_frames = int(self._features["shape"][1])
        self.num_classes = int(self._clip["shape"][-1])

    def log_probabilities(self, features: Floats) -> tuple[Floats, Floats | None]:
        """Log probabilities ``[classes]`` of a clip's features ``[T, D]``, ``T <= num_frames``.

        Returns:
            And the probabilities of each frame, ``[T, classes]``; None where frames are not classified.
        """
        padded = np.zeros(self._features["shape"], np.float32)
        padded[0, : len(features)] = features
        self._interpreter.set_tensor(self._features["index"], padded)
        self._interpreter.set_tensor(self._mask["index"], np.arange(self.num_frames)[np.newaxis] < len(features))
        self._interpreter.invoke()
        clip = np.array(self._interpreter.get_tensor(self._clip["index"])[0], np.float32)
        if self._frames is None:
            return clip, None
        return clip, np.array(self._interpreter.get_tensor(self._frames["index"])[0, : len(features)], np.float32)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for a clip.

    Attributes:
        probabilities: ``float32 [classes]``.
        frames: Of each frame, ``float32 [T, classes]``; None where frames are not classified.
    """

    probabilities: Floats
    frames: Floats | None


@dataclass(frozen=True, slots=True)
class NetworkRuntime:
    """The whole network.

    Attributes:
        encoder: Frames to features.
        heads: By name.
        weights: Of each head in the sum.
    """

    encoder: EncoderRuntime
    heads: Mapping[str, HeadRuntime]
    weights: Mapping[str, float]

    @property
    def num_frames(self) -> int:
        """Frames that the heads read at most."""
        return next(iter(self.heads.values())).num_frames

    def answer(self, features: Floats) -> Answer:
        """The answer for a clip's features ``float32 [T, D]``, whatever their number.

        The heads have never read more frames than ``num_frames``, so of a longer clip the middle frame of each of so many
        equal parts is read, and every frame gets the answer of its part.
        """
        read = evenly_spaced(len(features), self.num_frames)
        answers = {name: head.log_probabilities(features[list(read)]) for name, head in self.heads.items()}
        probabilities = combine({name: clip for name, (clip, _) in answers.items()}, self.weights)
        frames = next((frames for _, frames in answers.values() if frames is not None), None)
        if frames is not None:
            frames = frames[np.arange(len(features)) * len(read) // len(features)]
        return Answer(probabilities, frames)


def combine(log_probabilities: Mapping[str, npt.NDArray[Any]], weights: Mapping[str, float]) -> Floats:
    """Probabilities ``[..., classes]`` from the log probabilities of each head, weighted and added."""
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
    try:
        with native_output_silenced():
            kernels = OpResolverType.BUILTIN if accelerated else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            return Interpreter(model_path=str(path), num_threads=threads, experimental_op_resolver_type=kernels)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it cannot be read"
        raise BundleError(f"{path} is not a LiteRT model: {reason}.", _TRAIN_AGAIN) from None


def _wrong_kind(path: Path, wanted: str) -> BundleError:
    return BundleError(f"{path} is a LiteRT model, but not one that takes {wanted}.", _TRAIN_AGAIN)
