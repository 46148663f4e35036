"""Recognizes the activity in videos, without activity and TensorFlow.

    pip install onnxruntime numpy opencv-python
    python recognize.py VIDEO...

It lies beside description.json, and prints one JSON object for each video.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

FOLDER = Path(__file__).resolve().parent
MODEL = json.loads((FOLDER / "description.json").read_text(encoding="utf-8"))
SAMPLING = MODEL["sampling"]
SIZE, MOST = SAMPLING["frame_size"], SAMPLING["num_frames"]


class Network:
    """One of the files."""

    def __init__(self, name: str) -> None:
        self.session = onnxruntime.InferenceSession(FOLDER / name)
        self.shapes = {one.name: one.shape for one in self.session.get_inputs()}

    def __call__(self, **arrays: Any) -> Any:
        return self.session.run(None, {name: array[np.newaxis] for name, array in arrays.items()})[0][0]


def answer(head: Network, features: Any, mask: Any) -> Any:
    """The probability of each label for one clip."""
    return head(features=features, mask=mask)
