"""A trained network -> a bundle whose LiteRT files were compared with Keras."""

from __future__ import annotations

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
from activity_cli.errors import TrainingError
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

# Of a probability. Rounding gives about 1e-6; more than this is a wrong conversion.
MAX_LITERT_DIFFERENCE = 1e-3
_CLIPS_COMPARED = 4


def write_network_files(
    network: Network, folder: Path, clips: Sequence[npt.NDArray[np.uint8]], litert_encoder: Path | None
) -> float:
    """Writes the Keras and LiteRT files of a network and compares them.

    Args:
        network: The trained network, computing in float32.
        folder: Where they go.
        clips: Real clips, ``uint8 [T, H, W, 3]`` of different lengths, to compare on.
        litert_encoder: The encoder's LiteRT file, where it has been converted already.

    Returns:
        The largest absolute difference of a probability.

    Raises:
        TrainingError: It is more than ``MAX_LITERT_DIFFERENCE``.
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
            f"The LiteRT files differ from Keras by {difference:.2g}, more than {MAX_LITERT_DIFFERENCE:g}.",
            "The model was not saved. Please report this with your versions of tensorflow and ai-edge-litert.",
            code="training.conversion",
        )
    return difference


def litert_difference(network: Network, folder: Path, clips: Sequence[npt.NDArray[np.uint8]]) -> float:
    """The largest absolute difference of a probability between Keras and the LiteRT files in ``folder``."""
    encoder = EncoderRuntime(folder / ENCODER_FILE, default_workers())
    heads = {name: HeadRuntime(folder / head_file(name)) for name in network.heads}
    runtime, whole = NetworkRuntime(encoder, heads, network.weights), network.whole()
    steps, largest = network.shape.num_frames, 0.0
    for clip in clips:
        frames = clip[:steps]
        padded = np.zeros((1, steps, *frames.shape[1:]), np.uint8)
        padded[0, : len(frames)] = frames
        mask = np.arange(steps)[np.newaxis] < len(frames)
        keras_says = np.asarray(whole.predict_on_batch([padded, mask]))[0]
        litert_says = runtime.answer(encoder.features(frames)).probabilities
        # A NaN on either side must not look like agreement.
        difference = np.nan_to_num(np.abs(keras_says - litert_says), nan=np.inf).max()
        largest = max(largest, float(difference))
    return largest


def compared_clips(prepared: PreparedFolder) -> list[npt.NDArray[np.uint8]]:
    """A few real clips, the shortest and the longest among them, and one frame alone."""
    records = sorted(prepared.in_split("train"), key=lambda record: (record.clip_frames, record.path))
    places = np.linspace(0, len(records) - 1, min(_CLIPS_COMPARED, len(records))).astype(int)
    clips = [np.asarray(prepared.clips.read(records[place].clip)) for place in places]
    return [*clips, clips[-1][:1]]


def trained_on(prepared: PreparedFolder, out: Path, splits: Sequence[str]) -> Data:
    """What a bundle at ``out`` remembers of its clips."""
    return Data(
        # From the bundle to the clips, so that a project can be moved as a whole.
        prepared=os.path.relpath(prepared.folder, out),
        fingerprint=prepared.fingerprint,
        # By content: evaluate warns where it is given clips that the model knows.
        trained_on=sorted(
            {
                record.content_hash[:TRAINED_ON_DIGITS]
                # Validation clips chose the best epoch, so they are known, too.
                for split in {*splits, "val"}
                for record in prepared.in_split(split)
            }
        ),
        splits=list(splits),
        clips={split: len(prepared.in_split(split)) for split in ("train", "val", "test")},
    )


def package_versions() -> dict[str, str]:
    """Of what a training depends on."""
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
        return "unknown"  # installed under another name, such as tensorflow-cpu
