"""Writes the files of a trained network, and compares the LiteRT files with Keras."""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from activity_cli._version import __version__
from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.dataset.processes import default_workers
from activity_cli.errors import TrainingError
from activity_cli.files import write_bytes
from activity_cli.model.bundle import (
    ENCODER_FILE,
    TRAINED_ON_DIGITS,
    WEIGHTS_FILE,
    Data,
    head_file,
)
from activity_cli.model.conversion import encoder_to_litert, head_to_litert
from activity_cli.model.heads import HeadShape
from activity_cli.model.network import Network
from activity_cli.results import valid_text
from activity_cli.runtime.litert import EncoderRuntime, HeadRuntime
from activity_cli.training.inputs import HeadInputs

__all__ = [
    "MAX_LITERT_DIFFERENCE",
    "compared_clips",
    "package_versions",
    "trained_on",
    "write_appearance_files",
    "write_head_file",
]

# Of a probability. Rounding causes about 1e-6; a larger difference is a wrong conversion.
MAX_LITERT_DIFFERENCE = 1e-3
_CLIPS_COMPARED = 4
# The very shortest clip of a label may be cut badly.
_SHORT_QUANTILE = 0.1


def write_appearance_files(
    network: Network, folder: Path, clips: Sequence[npt.NDArray[np.uint8]], litert_encoder: bytes | None
) -> float:
    """Writes the Keras and LiteRT files of the appearance stream's network and compares them.

    Args:
        network: The trained network, which computes in float32.
        folder: The folder to write to.
        clips: Real clips of different lengths, ``uint8 [T, H, W, 3]``, to compare on.
        litert_encoder: Content of the encoder's LiteRT file; None: it is converted here.

    Returns:
        The largest absolute difference of a probability.

    Raises:
        TrainingError: The difference is more than ``MAX_LITERT_DIFFERENCE``, or not a finite number.
        OutputError: The folder cannot be written.
    """
    network.whole().save(folder / WEIGHTS_FILE)
    if litert_encoder is None:
        encoder_to_litert(network.encoder, folder / ENCODER_FILE)
    else:
        write_bytes(folder / ENCODER_FILE, litert_encoder)
    head_to_litert(network.head, network.shape.head, folder / head_file("appearance"))
    encoder, head = (
        EncoderRuntime(folder / ENCODER_FILE, default_workers()),
        HeadRuntime(folder / head_file("appearance")),
    )
    whole, steps, largest = network.whole(), network.shape.head.num_frames, 0.0
    for clip in clips:
        frames = clip[:steps]
        padded = np.zeros((1, steps, *frames.shape[1:]), np.uint8)
        padded[0, : len(frames)] = frames
        expected = np.asarray(whole.predict_on_batch([padded, np.arange(steps)[np.newaxis] < len(frames)]))[0]
        # Unlike Python's max, NumPy's keeps a NaN.
        largest = float(np.maximum(largest, _difference(expected, head.log_probabilities(encoder.features(frames)))))
    return _checked(largest)


def write_head_file(head: keras.Model, shape: HeadShape, path: Path, inputs: HeadInputs) -> float:
    """Writes the LiteRT file of a head and compares it with Keras on some clips.

    Returns, raises:
        As :func:`write_appearance_files`.
    """
    head_to_litert(head, shape, path)
    runtime, largest = HeadRuntime(path), 0.0
    places = np.linspace(0, len(inputs.targets) - 1, min(_CLIPS_COMPARED, len(inputs.targets))).astype(np.int64)
    for (features, mask), _, _ in inputs.take(places).batches(1):
        expected = np.exp(np.asarray(head([features, mask], training=False)))[0]
        found = runtime.log_probabilities(np.asarray(features)[0][np.asarray(mask)[0]])
        largest = float(np.maximum(largest, _difference(expected, found)))
    return _checked(largest)


def _difference(probabilities: npt.NDArray[Any], log_probabilities: npt.NDArray[Any]) -> float:
    return float(np.abs(probabilities - np.exp(log_probabilities)).max())


def _checked(difference: float) -> float:
    if not difference <= MAX_LITERT_DIFFERENCE:
        raise TrainingError(
            f"The probabilities in LiteRT differ from those in Keras by {difference:.2g}, more than "
            f"{MAX_LITERT_DIFFERENCE:g}.",
            "The model was not saved. Please report this with your versions of tensorflow and ai-edge-litert.",
            code="training.conversion",
        )
    return difference


def compared_clips(prepared: PreparedFolder) -> list[npt.NDArray[np.uint8]]:
    """A few training clips, with the shortest and the longest, and a clip of one frame."""
    records = sorted(prepared.in_split("train"), key=lambda record: (record.clip_frames, record.path))
    places = np.linspace(0, len(records) - 1, min(_CLIPS_COMPARED, len(records))).astype(int)
    clips = [np.asarray(prepared.clips.read(records[place].clip)) for place in places]
    return [*clips, clips[-1][:1]]


def trained_on(prepared: PreparedFolder, out: Path, splits: Sequence[str]) -> Data:
    """The description of the training data for a bundle at ``out``."""
    # Validation clips chose the best epoch, so the model has seen them, too.
    learned = [record for split in {*splits, "val"} for record in prepared.in_split(split)]
    seconds: dict[str, list[float]] = defaultdict(list)
    for record in learned:
        seconds[record.label].append(record.end_seconds - record.start_seconds)
    every = [one for many in seconds.values() for one in many] or [0.0]
    return Data(
        # Relative, so that the folder of a project can be moved. A path that is not UTF-8 cannot be kept: evaluate then
        # asks for --data.
        prepared=valid_text(os.path.relpath(prepared.folder, out)),
        fingerprint=prepared.fingerprint,
        # evaluate warns if it scores the model on these videos.
        trained_on=sorted({record.content_hash[:TRAINED_ON_DIGITS] for record in learned}),
        splits=list(splits),
        clips={split: len(prepared.in_split(split)) for split in ("train", "val", "test")},
        longest_seconds=round(max(every), 3),
        median_seconds=round(float(np.median(every)), 3),
        shortest_seconds={
            label: round(float(np.quantile(many, _SHORT_QUANTILE)), 3) for label, many in sorted(seconds.items())
        },
    )


def package_versions() -> dict[str, str]:
    """The versions of the packages that a training depends on."""
    packages = ("tensorflow", "keras", "numpy", "opencv-python", "ai-edge-litert")
    return {
        "activity": __version__,
        "python": platform.python_version(),
        "processor": platform.machine(),
        **{package: _version(package) for package in packages},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"  # it has another name, such as tensorflow-cpu
