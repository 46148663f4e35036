"""The CNN LSTM that the tutorials build, as they build it: the peer of benchmarks/accuracy.py.

Four convolutions with pooling and dropout on every frame of 64 pixels, LSTM of 32 units, softmax; Adam,
batches of 4, at most 70 epochs, stopped 15 epochs after the lowest validation loss. No mask: a clip that
is too short is filled up with its last frame. Mathematically it is TimeDistributed around each layer;
FrameEncoder only computes it faster.
"""

from __future__ import annotations

import cv2
import keras
import numpy as np
import numpy.typing as npt

from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.model.layers import FrameEncoder

SIZE, EPOCHS, PATIENCE, BATCH = 64, 70, 15, 4
Arrays = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


def tutorial_accuracy(prepared: PreparedFolder, seed: int) -> tuple[float, float]:
    """Accuracy on the validation and on the test clips after training on the training clips."""
    train, val, test = (_arrays(prepared, split) for split in ("train", "val", "test"))
    keras.utils.set_random_seed(seed)
    model = _network(train[0].shape[1], len(prepared.labels))
    stop = keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)
    model.fit(*_fed(train), validation_data=_fed(val), epochs=EPOCHS, batch_size=BATCH, callbacks=[stop], verbose=0)
    scores = [float(model.evaluate(*_fed(split), verbose=0)[1]) for split in (val, test)]
    return scores[0], scores[1]


def _network(steps: int, num_classes: int) -> keras.Model:
    frames = keras.Input((SIZE, SIZE, 3), dtype="float32")
    x = keras.layers.Rescaling(1 / 255)(frames)
    for channels, pool in ((16, 4), (32, 4), (64, 2), (64, 2)):
        x = keras.layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D(pool)(x)
        x = keras.layers.Dropout(0.25)(x) if channels < 64 or pool == 2 else x
    cnn = keras.Model(frames, keras.layers.Flatten()(x))
    clips = keras.Input((steps, SIZE, SIZE, 3), dtype="uint8")
    mask = keras.Input((steps,), dtype="bool")
    x = keras.layers.LSTM(32)(FrameEncoder(cnn)(clips, mask=mask))
    model = keras.Model([clips, mask], keras.layers.Dense(num_classes, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _fed(side: Arrays) -> tuple[list[npt.NDArray[np.generic]], npt.NDArray[np.int64]]:
    clips, numbers = side
    return [clips, np.ones(clips.shape[:2], np.bool_)], numbers


def _arrays(prepared: PreparedFolder, split: str) -> Arrays:
    records = prepared.in_split(split)
    steps = prepared.sampling.num_frames
    clips = np.empty((len(records), steps, SIZE, SIZE, 3), np.uint8)
    for row, record in zip(clips, records, strict=True):
        frames = [
            cv2.resize(frame, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for frame in prepared.clips.read(record.clip)
        ]
        row[:] = np.stack(frames + [frames[-1]] * (steps - len(frames)))
    return clips, np.array([prepared.labels.index(record.label) for record in records])
