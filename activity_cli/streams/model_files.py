"""The LiteRT files of MediaPipe that come with this package (``models/``), checked when they are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from activity_cli.errors import BundleError
from activity_cli.files import sha256_of
from activity_cli.streams.interpreter import load_interpreter

__all__ = ["MODEL_FILES", "MODEL_FOLDER", "landmark_model"]

Floats = npt.NDArray[np.float32]

MODEL_FOLDER = Path(__file__).parent / "models"
# SHA-256 of each file. ``tools/get_mediapipe_models.py`` gets them again.
MODEL_FILES = {
    "pose_detection": "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    "pose_landmark_full": "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    "hand_landmark_full": "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
}


def landmark_model(name: str, threads: int) -> Callable[[Floats], list[Floats]]:
    """A model of :data:`MODEL_FILES` as a function: from one picture ``float32 [H, W, 3]`` to its outputs, by name.

    The function serves one thread at a time. ``threads`` changes how fast it is, not what it computes.

    Several threads may call it; it computes one picture at a time.

    Raises:
        BundleError: The file is damaged (``weights.unreadable``).
        MissingDependencyError: LiteRT cannot be loaded.
    """
    path = MODEL_FOLDER / f"{name}.tflite"
    try:
        intact = sha256_of(path) == MODEL_FILES[name]
        reason = "its content was changed"
    except OSError as error:
        intact, reason = False, (error.strerror or str(error)).lower()
    if not intact:
        raise BundleError(f"{path} cannot be used: {reason}.", "Install activity again.", code="weights.unreadable")
    interpreter = load_interpreter(path, threads, accelerated=True)
    source = interpreter.get_input_details()[0]["index"]
    outputs = [one["index"] for one in sorted(interpreter.get_output_details(), key=lambda one: str(one["name"]))]

    lock = Lock()

    def run(picture: Floats) -> list[Floats]:
        with lock:
            interpreter.set_tensor(source, picture[np.newaxis])
            interpreter.invoke()
            return [interpreter.get_tensor(index)[0] for index in outputs]

    return run
