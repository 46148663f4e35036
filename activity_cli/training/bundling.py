"""A trained network -> a bundle whose LiteRT files are proven equal to Keras."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activity_cli.dataset.processes import default_workers
from activity_cli.errors import TrainingError
from activity_cli.model.bundle import ENCODER_FILE, SEQUENCE_FILE, WEIGHTS_FILE, Bundle, read_bundle, write_bundle
from activity_cli.model.conversion import encoder_fingerprint, encoder_to_litert, sequence_to_litert
from activity_cli.model.network import Network
from activity_cli.runtime.litert import EncoderRuntime, SequenceRuntime
from activity_cli.settings import NetworkSettings, Sampling

__all__ = ["MAX_LITERT_DIFFERENCE", "litert_difference", "pack"]

# Of a probability. Rounding gives about 1e-6; more than this is a wrong conversion.
MAX_LITERT_DIFFERENCE = 1e-3


def pack(
    network: Network,
    folder: Path,
    labels: tuple[str, ...],
    sampling: Sampling,
    config: NetworkSettings,
    clips: Sequence[npt.NDArray[np.uint8]],
    rest: Mapping[str, Any],
    litert_encoder: Path | None = None,
) -> Bundle:
    """Writes a whole bundle into an empty folder and checks it.

    Args:
        network: The trained network.
        folder: Where the bundle goes.
        labels, sampling, config: What it knows, what it wants, how it is shaped.
        clips: Real clips, ``uint8 [T, H, W, 3]`` of different lengths, to compare Keras and LiteRT on.
        rest: Whatever else the bundle should remember.
        litert_encoder: The encoder's LiteRT file where it has been converted already.

    Raises:
        TrainingError: LiteRT differs from Keras by more than ``MAX_LITERT_DIFFERENCE``.
        OutputError: The folder cannot be written.
    """
    network.whole.save(folder / WEIGHTS_FILE)
    if litert_encoder is None:
        encoder_to_litert(network.encoder, folder / ENCODER_FILE)
    else:
        shutil.copyfile(litert_encoder, folder / ENCODER_FILE)
    sequence_to_litert(network, config, folder / SEQUENCE_FILE)
    difference = litert_difference(network, folder, sampling, clips)
    if not difference <= MAX_LITERT_DIFFERENCE:
        raise TrainingError(
            f"The LiteRT files differ from Keras by {difference:.2g}, more than {MAX_LITERT_DIFFERENCE:g}.",
            "The model was not saved. Please report this with your versions of tensorflow and ai-edge-litert.",
            code="training.conversion",
        )
    write_bundle(
        folder,
        labels,
        sampling,
        config,
        **rest,
        encoder_fingerprint=encoder_fingerprint(network.encoder),
        litert={"max_abs_difference": difference, "clips_compared": len(clips)},
    )
    return read_bundle(folder)


def litert_difference(
    network: Network, folder: Path, sampling: Sampling, clips: Sequence[npt.NDArray[np.uint8]]
) -> float:
    """Largest absolute difference of a probability between Keras and the LiteRT files in ``folder``."""
    encoder = EncoderRuntime(folder / ENCODER_FILE, default_workers())
    sequence = SequenceRuntime(folder / SEQUENCE_FILE)
    largest = 0.0
    for clip in clips:
        padded = np.zeros((1, sampling.num_frames, *clip.shape[1:]), np.uint8)
        padded[0, : len(clip)] = clip
        mask = np.arange(sampling.num_frames)[np.newaxis] < len(clip)
        keras_says = np.asarray(network.whole([padded, mask], training=False))[0]
        litert_says = sequence.probabilities(encoder.features(clip))
        # A NaN on either side must not look like agreement.
        difference = np.nan_to_num(np.abs(keras_says - litert_says), nan=np.inf).max()
        largest = max(largest, float(difference))
    return largest
