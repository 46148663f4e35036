"""The trained network in LiteRT: one start in half a second, no TensorFlow.

Two files: the encoder (frames to features) and the sequence part (features over time to
probabilities). Padding never reaches the encoder; the sequence part gets it as zeros with a mask.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activity_cli.errors import BundleError, MissingDependencyError
from activity_cli.quiet import native_output_silenced

__all__ = ["EncoderRuntime", "SequenceRuntime"]

# More frames at once are not faster, and each costs megabytes of activations.
_FRAMES_AT_ONCE = 4


class EncoderRuntime:
    """Frames to features.

    Args:
        path: A LiteRT file.
        threads: Cores to use.

    Raises:
        BundleError: The file is not one that LiteRT can run.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self._interpreter = _interpreter(path, threads)
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        self._batch = 0

    def features(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Features ``float32 [T, D]`` of frames ``uint8 [T, H, W, 3]``."""
        parts = [self._run(frames[start : start + _FRAMES_AT_ONCE]) for start in range(0, len(frames), _FRAMES_AT_ONCE)]
        return np.concatenate(parts)

    def _run(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        if len(frames) != self._batch:
            self._interpreter.resize_tensor_input(self._input["index"], frames.shape, strict=True)
            with native_output_silenced():
                self._interpreter.allocate_tensors()
            self._batch = len(frames)
        self._interpreter.set_tensor(self._input["index"], frames.astype(self._input["dtype"]))
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output["index"]), np.float32)


class SequenceRuntime:
    """Features over time to probabilities.

    Args:
        path: A LiteRT file.

    Raises:
        BundleError: The file is not one that LiteRT can run.
    """

    def __init__(self, path: Path) -> None:
        self._interpreter = _interpreter(path, threads=1)
        with native_output_silenced():
            self._interpreter.allocate_tensors()
        inputs = {len(details["shape"]): details for details in self._interpreter.get_input_details()}
        self._features, self._mask = inputs[3], inputs[2]
        self._output = self._interpreter.get_output_details()[0]

    def probabilities(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probabilities ``float32 [classes]`` of one clip's features ``float32 [T, D]``."""
        num_frames = int(self._features["shape"][1])
        padded = np.zeros(self._features["shape"], np.float32)
        padded[0, : len(features)] = features
        self._interpreter.set_tensor(self._features["index"], padded)
        self._interpreter.set_tensor(self._mask["index"], np.arange(num_frames)[np.newaxis] < len(features))
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output["index"])[0], np.float32)


def _interpreter(path: Path, threads: int) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingDependencyError(
            f"LiteRT cannot be loaded: {error}.", "Install it: pip install ai-edge-litert", code="dependency.litert"
        ) from error
    try:
        with native_output_silenced():
            return Interpreter(model_path=str(path), num_threads=threads)
    except (ValueError, RuntimeError) as error:
        raise BundleError(f"{path} is not a LiteRT model: {error}", "Train the model again.") from None
