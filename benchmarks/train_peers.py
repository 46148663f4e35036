"""The CNN with a recurrent head in Keras, ours and as people write it; run by benchmarks/train.py, each in a process.

    python benchmarks/train_peers.py KIND FOLDER

FOLDER holds data.npz (clips, lengths, labels), settings.json, and weights.npz, which KIND ``weights`` writes and
all others begin with. Prints a JSON object.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from activity_cli.model.conversion import encoder_to_litert
from activity_cli.model.heads import RECURRENT, HeadShape, build_head
from activity_cli.model.layers import FrameEncoder
from activity_cli.model.precision import choose_precision
from activity_cli.runtime.litert import EncoderRuntime
from activity_cli.streams.encoders import build_encoder

UNITS = 64
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-4


class Clock(keras.callbacks.Callback):
    """Wall and processor seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._began = time.perf_counter(), time.process_time()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.wall.append(time.perf_counter() - self._began[0])
        self.cpu.append(time.process_time() - self._began[1])


def inputs_of(steps: int, size: int) -> tuple[Any, Any]:
    return keras.Input((steps, size, size, 3), dtype="uint8"), keras.Input((steps,), dtype="bool")


def with_gru(clips: Any, mask: Any, features: Any, classes: int) -> keras.Model:
    """The recurrent head in stock layers: padding is masked."""
    x = keras.layers.Dense(UNITS, activation="relu")(features)
    x = keras.layers.Bidirectional(keras.layers.GRU(UNITS, return_sequences=True))(x, mask=mask)
    average = keras.layers.GlobalAveragePooling1D()(x, mask=mask)
    shown = keras.ops.where(keras.ops.expand_dims(mask, -1), x, -1.0)  # a GRU's outputs are larger
    x = keras.layers.Concatenate()([average, keras.layers.GlobalMaxPooling1D()(shown)])
    return keras.Model([clips, mask], keras.layers.Dense(classes, activation="softmax", dtype="float32")(x))


def ours(steps: int, size: int, classes: int) -> keras.Model:
    return ours_around(build_encoder("small", size, weights="none"), steps, size, classes)


def ours_around(cnn: keras.Model, steps: int, size: int, classes: int) -> keras.Model:
    """Our encoder over time and our recurrent head."""
    clips, mask = inputs_of(steps, size)
    head = build_head(HeadShape(RECURRENT, steps, cnn.output_shape[-1], classes, units=UNITS, dropout=0.0))
    log_probabilities = head([FrameEncoder(cnn)(clips, mask=mask), mask])
    return keras.Model([clips, mask], keras.ops.exp(log_probabilities))


def stock_cnn(size: int) -> keras.Model:
    """The encoder ``small``, with the layers of Keras instead of ours of the same name."""
    small = build_encoder("small", size, weights="none")

    def clone(layer: keras.Layer) -> keras.Layer:
        kind = getattr(keras.layers, type(layer).__name__)
        return kind.from_config(layer.get_config())

    return keras.models.clone_model(small, clone_function=clone)


def time_distributed(steps: int, size: int, classes: int) -> keras.Model:
    """TimeDistributed(cnn)."""
    clips, mask = inputs_of(steps, size)
    return with_gru(clips, mask, keras.layers.TimeDistributed(stock_cnn(size))(clips), classes)


def per_layer(steps: int, size: int, classes: int) -> keras.Model:
    """TimeDistributed around each layer, as in most tutorials."""
    clips, mask = inputs_of(steps, size)
    x, ends = clips, []
    for layer in stock_cnn(size).layers[1:]:
        if layer.name in ("mean", "peak"):
            ends.append(keras.layers.TimeDistributed(layer)(x))
        elif layer.name != "features":
            x = keras.layers.TimeDistributed(layer)(x)
    return with_gru(clips, mask, keras.layers.Concatenate()(ends), classes)


def mobilenet(size: int) -> keras.Model:
    frames = keras.Input((size, size, 3))
    base = keras.applications.MobileNetV2(
        input_tensor=keras.layers.Rescaling(1 / 127.5, -1.0)(frames), weights=None, include_top=False, pooling="avg"
    )
    return keras.Model(frames, base.output, name="mobilenet_v2")


def mobilenet_ours(steps: int, size: int, classes: int) -> keras.Model:
    return ours_around(mobilenet(size), steps, size, classes)


def mobilenet_time_distributed(steps: int, size: int, classes: int) -> keras.Model:
    clips, mask = inputs_of(steps, size)
    return with_gru(clips, mask, keras.layers.TimeDistributed(mobilenet(size))(clips), classes)


BUILDERS = {
    "ours": ours,
    "ours_float32": ours,
    "time_distributed": time_distributed,
    "time_distributed_batches": time_distributed,
    "per_layer": per_layer,
    "per_layer_batches": per_layer,
    "mobilenet_ours": mobilenet_ours,
    "mobilenet_time_distributed": mobilenet_time_distributed,
}


def padded(data: Any, steps: int) -> tuple[Any, Any, Any]:
    mask = np.arange(steps)[np.newaxis] < data["lengths"][:, np.newaxis]
    return data["clips"], mask, np.eye(data["labels"].max() + 1, dtype=np.float32)[data["labels"]]


def fit(model: keras.Model, inputs: Any, targets: Any, settings: dict[str, Any], kind: str) -> dict[str, Any]:
    """Trains as we do, or as people write it: ``model.fit`` on arrays."""
    clock = Clock()
    optimizer = keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    model.compile(optimizer, "categorical_crossentropy", jit_compile=False)
    data: dict[str, Any] = {"x": inputs, "y": targets, "batch_size": settings["batch"]}
    if "ours" in kind or "batches" in kind:
        data = {"x": batches(inputs, targets, settings["batch"])}
    history = model.fit(**data, epochs=settings["epochs"], verbose=0, shuffle=False, callbacks=[clock])
    return {"wall": clock.wall, "cpu": clock.cpu, "losses": history.history["loss"]}


def batches(inputs: Any, targets: Any, size: int) -> tf.data.Dataset:
    """With the options of our data path: the end of a pass does not wait for the thread that tunes tf.data."""
    options = tf.data.Options()
    options.autotune.enabled = False
    data = tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(size).prefetch(2)
    return data.with_options(options)


def run(kind: str, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Builds the network and trains it; ``first`` is from before the building to the end of the first epoch."""
    clips, mask, targets = padded(np.load(folder / "data.npz"), settings["steps"])
    policy = choose_precision("auto") if kind in ("ours", "mobilenet_ours") else "float32"
    keras.config.set_dtype_policy(policy)
    began = time.perf_counter()
    model = BUILDERS[kind](settings["steps"], settings["size"], targets.shape[1])
    if not kind.startswith("mobilenet"):
        give_weights(model, folder / "weights.npz")
    result = fit(model, (clips, mask), targets, settings, kind)
    result["first"] = time.perf_counter() - began - sum(result["wall"][1:])
    return result | {"policy": policy}


def give_weights(model: keras.Model, path: Path) -> None:
    """In the order in which they were saved: that of the layers, which all ways of writing the network share."""
    with np.load(path) as weights:
        for variable, name in zip(model.trainable_variables, sorted(weights.files), strict=True):
            variable.assign(weights[name])


def write_weights(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    keras.utils.set_random_seed(settings["seed"])
    classes = int(np.load(folder / "data.npz")["labels"].max()) + 1
    model = ours(settings["steps"], settings["size"], classes)
    np.savez(folder / "weights.npz", **{f"{n:02}": np.asarray(v) for n, v in enumerate(model.trainable_variables)})
    return {}


def frozen(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Epochs on cached features, and epochs that run the frozen encoder again, in Keras and in LiteRT."""
    clips, mask, targets = padded(np.load(folder / "data.npz"), settings["steps"])
    encoder = build_encoder("efficientnet_lite0", settings["size"], weights="none", truncate_blocks=1, pyramid=4)
    encoder.trainable = False
    whole = ours_around(encoder, settings["steps"], settings["size"], targets.shape[1])
    again = fit(whole, (clips, mask), targets, settings | {"epochs": 2}, "batches")
    encoder_to_litert(encoder, folder / "encoder.tflite")
    runtime = EncoderRuntime(folder / "encoder.tflite", 2)
    features = np.zeros((*mask.shape, encoder.output_shape[-1]), np.float32)
    began = time.perf_counter()
    for row, length in enumerate(mask.sum(axis=1)):
        features[row, :length] = runtime.features(clips[row, :length])
    seconds = time.perf_counter() - began
    steps, width = features.shape[1:]
    shape = HeadShape(RECURRENT, steps, width, targets.shape[1], num_read=960, components=256, subtract_mean=True)
    head = build_head(shape)
    cached = keras.Model(head.inputs, keras.ops.exp(head.output))
    kept = fit(cached, (features, mask), targets, settings, "ours")
    return {"kept": float(np.median(kept["wall"][1:])), "litert": seconds, "keras": again["wall"][1]}


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    settings = json.loads((folder / "settings.json").read_text())
    if kind == "weights":
        result = write_weights(folder, settings)
    elif kind == "frozen":
        result = frozen(folder, settings)
    else:
        result = run(kind, folder, settings)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result | {"peak_megabytes": peak}))


if __name__ == "__main__":
    main()
