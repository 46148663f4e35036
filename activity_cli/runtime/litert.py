"""The trained network in LiteRT: it starts in less than a second.

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

_TRAIN_AGAIN = "Train the model again."


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
        with native_output_silenced():  # LiteRT greets
            self._interpreter.allocate_tensors()

    def features(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Features ``float32 [T, D]`` of frames ``uint8 [T, H, W, 3]``."""
        # One by one: several at once are not faster here, and each would cost megabytes of activations.
        return np.stack([self._features_of_one(frame) for frame in frames])

    def _features_of_one(self, frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        self._interpreter.set_tensor(self._input["index"], frame[np.newaxis].astype(self._input["dtype"]))
        self._interpreter.invoke()
        return np.array(self._interpreter.get_tensor(self._output["index"])[0], np.float32)


class SequenceRuntime:
    """Features over time to probabilities.

    Args:
        path: A LiteRT file.

    Attributes:
        num_frames: Frames of a clip at most.
        num_classes: Activities that it tells apart.
        per_frame: Whether it also answers for every frame.

    Raises:
        BundleError: The file is not one that LiteRT can run.
    """

    def __init__(self, path: Path) -> None:
        # The accelerator (XNNPACK) would keep a copy of the LSTM's weights for each unrolled step: 47 MB
        # for nothing, since a step is too small to gain.
        self._interpreter = _interpreter(path, threads=1, accelerated=False)
        inputs = {len(details["shape"]): details for details in self._interpreter.get_input_details()}
        if set(inputs) != {2, 3}:
            raise _wrong_kind(path, "features and a mask")
        with native_output_silenced():
            self._interpreter.allocate_tensors()
        self._features, self._mask = inputs[3], inputs[2]
        # By rank, because converting does not keep their order: of the clip, and of its frames.
        outputs = {len(details["shape"]): details for details in self._interpreter.get_output_details()}
        if 2 not in outputs:
            raise _wrong_kind(path, "features and a mask")
        self._clip, self._frames = outputs[2], outputs.get(3)
        self.num_frames = int(self._features["shape"][1])
        self.num_classes = int(self._clip["shape"][-1])
        self.per_frame = self._frames is not None

    def probabilities(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probabilities ``float32 [classes]`` of one clip's features ``float32 [T, D]``."""
        return self.answers(features)[0]

    def answers(
        self, features: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """The same, and those of each frame, ``float32 [T, classes]``; None where frames are not classified."""
        padded = np.zeros(self._features["shape"], np.float32)
        padded[0, : len(features)] = features
        self._interpreter.set_tensor(self._features["index"], padded)
        self._interpreter.set_tensor(self._mask["index"], np.arange(self.num_frames)[np.newaxis] < len(features))
        self._interpreter.invoke()
        clip = np.asarray(self._interpreter.get_tensor(self._clip["index"])[0], np.float32)
        if self._frames is None:
            return clip, None
        frames = self._interpreter.get_tensor(self._frames["index"])[0, : len(features)]
        return clip, np.asarray(frames, np.float32)


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
