"""Recognizes the activity in videos, without activity and TensorFlow.

    pip install ai-edge-litert numpy opencv-python
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
from ai_edge_litert.interpreter import Interpreter

FOLDER = Path(__file__).resolve().parent
MODEL = json.loads((FOLDER / "description.json").read_text(encoding="utf-8"))
SAMPLING = MODEL["sampling"]
SIZE, MOST = SAMPLING["frame_size"], SAMPLING["num_frames"]


class Network:
    """One of the files."""

    def __init__(self, name: str) -> None:
        self.interpreter = Interpreter(str(FOLDER / name))
        self.interpreter.allocate_tensors()
        inputs = self.interpreter.get_input_details()
        self.places = {one["name"]: one["index"] for one in inputs}
        self.shapes = {one["name"]: one["shape"] for one in inputs}
        self.output = self.interpreter.get_output_details()[0]["index"]
        self.weight = MODEL["files"][name].get("weight")

    def __call__(self, **arrays: Any) -> Any:
        for name, array in arrays.items():
            self.interpreter.set_tensor(self.places[name], array[np.newaxis])
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output)[0].copy()


def answer(head: Network, features: Any, mask: Any) -> Any:
    """The probability of each label for one clip."""
    powers = np.exp(head.weight * head(features=features, mask=mask).astype(np.float64))
    return powers / powers.sum()


def resized(frame: Any, height: int, width: int) -> Any:
    """To a whole multiple of the size first, then to the mean of each area: no pixel is skipped."""
    rows, columns = (
        max(1, -(-have // (2 * want))) * want for have, want in zip(frame.shape, (height, width), strict=False)
    )
    frame = cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)


def square(frame: Any) -> Any:
    """A frame as the network reads it: RGB, SIZE x SIZE."""
    height, width = frame.shape[:2]
    if SAMPLING["fit"] == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        frame = frame[top : top + side, left : left + side]
    if SAMPLING["fit"] == "pad":
        scale = SIZE / max(height, width)
        rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
        top, left = (SIZE - rows) // 2, (SIZE - columns) // 2
        padded = np.zeros((SIZE, SIZE, 3), np.uint8)
        padded[top : top + rows, left : left + columns] = resized(frame, rows, columns)
        frame = padded
    else:
        frame = resized(frame, SIZE, SIZE)
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def evenly(have: int, want: int) -> list[int]:
    """The middle of each of so many equal parts."""
    return [(2 * part + 1) * have // (2 * want) for part in range(want)] if have > want else list(range(have))


def windows(count: int, fps: float) -> list[range]:
    """The frames of each window; without windows, all frames."""
    seconds = SAMPLING["window_seconds"]
    if seconds is None or count / fps < seconds:
        return [range(count)]
    stride = SAMPLING["stride_seconds"] or seconds
    starts = [number * stride for number in range(int((count / fps - seconds + 0.001) / stride) + 1)]
    return [range(math.ceil((start - 0.001) * fps), math.ceil((start + seconds - 0.001) * fps)) for start in starts]


def chosen(frames: range, fps: float) -> list[int]:
    """The frames that the network reads of a window."""
    rate = SAMPLING["frames_per_second"]
    if rate is None:
        places = evenly(len(frames), MOST)
    else:
        last = (len(frames) - 1) / fps
        ticks = min(MOST, int(last * rate + 1e-6) + 1)
        begin = (last - (ticks - 1) / rate) / 2
        places = sorted({math.ceil((begin + tick / rate) * fps - 0.5) for tick in range(ticks)})
    if SAMPLING["short_clips"] == "repeat_last":
        places += places[-1:] * (MOST - len(places))
    elif SAMPLING["short_clips"] == "wrap":
        places = [places[place % len(places)] for place in range(MOST)]
    return [frames[place] for place in places]


def describe(path: str, encoder: Network) -> list[Any]:
    """The features of the chosen frames of each window of a video."""
    capture = cv2.VideoCapture(path)
    fps, count = capture.get(cv2.CAP_PROP_FPS) or 25.0, 0
    while capture.grab():
        count += 1
    if not count:
        sys.exit(f"{path} cannot be read.")
    clips = [chosen(frames, fps) for frames in windows(count, fps) if frames]
    wanted, features = {frame for clip in clips for frame in clip}, {}
    capture = cv2.VideoCapture(path)
    for number in range(max(wanted) + 1):
        capture.grab()
        if number in wanted:
            features[number] = encoder(frames=square(capture.retrieve()[1]))
    return [np.stack([features[number] for number in clip]) for clip in clips]


def probabilities(features: Any, head: Network) -> Any:
    """Of each label, for the features [T, D] of one clip."""
    _, steps, width = head.shapes["features"]
    features = features[evenly(len(features), steps)]
    padded = np.zeros((steps, width), np.float32)
    padded[: len(features)] = features
    return answer(head, padded, np.arange(steps) < len(features))


def main() -> None:
    encoder, head = (Network(name) for name in MODEL["files"])
    for path in sys.argv[1:]:
        found = np.mean([probabilities(clip, head) for clip in describe(path, encoder)], axis=0)
        scores = {MODEL["labels"][number]: round(float(found[number]), 4) for number in np.argsort(-found)}
        print(json.dumps({"source": path, "label": next(iter(scores)), "scores": scores}))


if __name__ == "__main__":
    main()
