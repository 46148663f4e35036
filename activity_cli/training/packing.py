"""Writes the files of a trained network, and compares the LiteRT files with Keras."""

from __future__ import annotations

import math
import os
import platform
import shutil
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activity_cli._version import __version__
from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.dataset.processes import default_workers
from activity_cli.errors import BundleError, TrainingError
from activity_cli.model.bundle import (
    ENCODER_FILE,
    TRAINED_ON_DIGITS,
    WEIGHTS_FILE,
    Data,
    head_file,
)
from activity_cli.model.conversion import encoder_to_litert, head_to_litert
from activity_cli.model.network import Network
from activity_cli.runtime.litert import EncoderRuntime, HeadRuntime, NetworkRuntime

__all__ = [
    "MAX_LITERT_DIFFERENCE",
    "compared_clips",
    "litert_difference",
    "package_versions",
    "trained_on",
    "write_network_files",
]

# Of a probability. Rounding causes about 1e-6; a larger difference is a wrong conversion.
MAX_LITERT_DIFFERENCE = 1e-3
_CLIPS_COMPARED = 4


def write_network_files(
    network: Network, folder: Path, clips: Sequence[npt.NDArray[np.uint8]], litert_encoder: Path | None
) -> float:
    """Writes the Keras and LiteRT files of a network and compares them.

    Args:
        network: The trained network, which computes in float32.
        folder: The folder to write to.
        clips: Real clips of different lengths, ``uint8 [T, H, W, 3]``, to compare on.
        litert_encoder: The encoder's LiteRT file; None: it is converted here.

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
        shutil.copyfile(litert_encoder, folder / ENCODER_FILE)
    for name, head in network.heads.items():
        head_to_litert(head, name, network.shape, folder / head_file(name))
    difference = litert_difference(network, folder, clips)
    if not difference <= MAX_LITERT_DIFFERENCE:
        raise TrainingError(
            f"The probabilities in LiteRT differ from those in Keras by {difference:.2g}, more than "
            f"{MAX_LITERT_DIFFERENCE:g}.",
            "The model was not saved. Please report this with your versions of tensorflow and ai-edge-litert.",
            code="training.conversion",
        )
    return difference


def litert_difference(network: Network, folder: Path, clips: Sequence[npt.NDArray[np.uint8]]) -> float:
    """The largest absolute difference of a probability between Keras and the LiteRT files in ``folder``.

    It is NaN or infinite if the network gives no finite numbers.
    """
    encoder = EncoderRuntime(folder / ENCODER_FILE, default_workers())
    heads = {name: HeadRuntime(folder / head_file(name)) for name in network.heads}
    runtime, whole = NetworkRuntime(encoder, heads, network.weights), network.whole()
    steps, largest = network.shape.num_frames, 0.0
    for clip in clips:
        frames = clip[:steps]
        padded = np.zeros((1, steps, *frames.shape[1:]), np.uint8)
        padded[0, : len(frames)] = frames
        mask = np.arange(steps)[np.newaxis] < len(frames)
        expected = np.asarray(whole.predict_on_batch([padded, mask]))[0]
        try:
            found = runtime.answer(encoder.features(frames)).probabilities
        except BundleError:  # not finite numbers
            return math.inf
        # Unlike Python's max, NumPy's keeps a NaN.
        largest = float(np.maximum(largest, np.abs(expected - found).max()))
    return largest


def compared_clips(prepared: PreparedFolder) -> list[npt.NDArray[np.uint8]]:
    """A few training clips, with the shortest and the longest, and a clip of one frame."""
    records = sorted(prepared.in_split("train"), key=lambda record: (record.clip_frames, record.path))
    places = np.linspace(0, len(records) - 1, min(_CLIPS_COMPARED, len(records))).astype(int)
    clips = [np.asarray(prepared.clips.read(records[place].clip)) for place in places]
    return [*clips, clips[-1][:1]]


def trained_on(prepared: PreparedFolder, out: Path, splits: Sequence[str]) -> Data:
    """The description of the training data for a bundle at ``out``."""
    return Data(
        # Relative, so that the folder of a project can be moved.
        prepared=os.path.relpath(prepared.folder, out),
        fingerprint=prepared.fingerprint,
        # evaluate warns if it scores the model on these videos.
        trained_on=sorted(
            {
                record.content_hash[:TRAINED_ON_DIGITS]
                # Validation clips chose the best epoch, so the model has seen them, too.
                for split in {*splits, "val"}
                for record in prepared.in_split(split)
            }
        ),
        splits=list(splits),
        clips={split: len(prepared.in_split(split)) for split in ("train", "val", "test")},
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
