"""What people write instead of ``activity predict``: one script for each library, run by benchmarks/predict.py.

Each reads the frames that ``activity`` reads, and prints a line of JSON with the label of each video. ``decode`` is the
floor: it imports NumPy and OpenCV, and reads the frames, but has no network.

    python benchmarks/predict_peers.py keras|onnx|decode BUNDLE EXPORT < videos.txt
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

# Clips in memory at a time, and in one step of Keras.
CLIPS_AT_A_TIME, BATCH = 40, 4


def read(video: str, num_frames: int, size: int) -> Any:
    """The middle frame of each of ``num_frames`` equal parts, ``uint8 [T, size, size, 3]``, RGB."""
    capture = cv2.VideoCapture(video)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    places = range(count)
    if count > num_frames:
        places = [(2 * part + 1) * count // (2 * num_frames) for part in range(num_frames)]
    wanted, frames = set(places), []
    for index in range(count):
        if not capture.grab():
            break
        if index in wanted:
            frames.append(fit(capture.retrieve()[1], size))
    return np.stack(frames)


def fit(frame: Any, size: int) -> Any:
    """First to a whole multiple of the size, then to the mean of each area: faster than in one step."""
    rows, columns = (max(1, -(-have // (2 * size))) * size for have in frame.shape[:2])
    frame = cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_LINEAR)
    if (rows, columns) != (size, size):
        frame = cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def pad(rows: Any, num_frames: int) -> tuple[Any, Any]:
    """Zeros behind the rows of a clip, and the mask."""
    padded = np.zeros((num_frames, *rows.shape[1:]), rows.dtype)
    padded[: len(rows)] = rows
    return padded, np.arange(num_frames) < len(rows)


def with_keras(bundle: Path, videos: list[str], num_frames: int, size: int) -> Any:
    """Reads some clips, and predicts them in batches."""
    import keras

    import activity_cli.model.network  # noqa: F401  # registers the layers

    model = keras.models.load_model(bundle / "model.keras")
    for start in range(0, len(videos), CLIPS_AT_A_TIME):
        clips = [pad(read(one, num_frames, size), num_frames) for one in videos[start : start + CLIPS_AT_A_TIME]]
        inputs = [np.stack(part) for part in zip(*clips, strict=True)]
        yield from model.predict(inputs, batch_size=BATCH, verbose=0)


def with_onnx(export: Path, videos: list[str], num_frames: int, size: int) -> Any:
    """Runs the encoder on all frames of a clip, then the head."""
    import onnxruntime

    encoder, head = (onnxruntime.InferenceSession(export / name) for name in ("encoder.onnx", "classifier.onnx"))
    for video in videos:
        [features] = encoder.run(None, {"frames": read(video, num_frames, size)})
        padded, mask = pad(features, num_frames)
        yield head.run(None, {"features": padded[np.newaxis], "mask": mask[np.newaxis]})[0][0]


def main() -> None:
    peer, folder, export = sys.argv[1:]
    videos = sys.stdin.read().splitlines()
    bundle = json.loads(Path(folder, "bundle.json").read_text(encoding="utf-8"))
    shape = bundle["appearance"]["num_frames"], bundle["settings"]["prepare"]["frame_size"]
    if peer == "decode":
        for video in videos:
            read(video, *shape)
        return
    run, place = (with_keras, folder) if peer == "keras" else (with_onnx, export)
    for video, scores in zip(videos, run(Path(place), videos, *shape), strict=True):
        print(json.dumps({"source": video, "label": bundle["labels"][int(scores.argmax())]}))


if __name__ == "__main__":
    main()
