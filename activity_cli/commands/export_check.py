"""Compares an exported model with the bundle on real clips."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.errors import BundleError
from activity_cli.progress import Progress
from activity_cli.results import ClipRecord
from activity_cli.runtime.litert import EncoderRuntime, NetworkRuntime

__all__ = ["Answer", "answer_of", "compare", "compare_speed"]

Floats = npt.NDArray[np.float32]
# From the frames of a clip, ``uint8 [T, H, W, 3]``, the rows of the streams other than the appearance, and the time of
# each frame, to the probabilities ``float32 [classes]``.
Answer = Callable[[npt.NDArray[np.uint8], Mapping[str, Floats], Sequence[float]], Floats]

# Of a probability. Rounding causes about 1e-6 in 32 bits and 1e-3 in 16 bits.
_MOST_DIFFERENCE = {"float32": 1e-3, "float16": 2e-2}
# Of the accuracy, with 8 bits.
_MOST_LOST = 0.01
_ROUNDS = 5


def answer_of(network: NetworkRuntime) -> Answer:
    """What a network in LiteRT answers."""

    def answer(frames: npt.NDArray[np.uint8], rows: Mapping[str, Floats], times_seconds: Sequence[float]) -> Floats:
        appearance = {"appearance": network.encoder.features(frames)} if network.encoder else {}
        return network.answer({**rows, **appearance}, times_seconds)

    return answer


def compare(
    before: NetworkRuntime,
    after: Answer,
    precision: str,
    labels: Sequence[str],
    prepared: PreparedFolder,
    records: Sequence[ClipRecord],
    progress: Progress,
) -> dict[str, Any]:
    """Compares the answers of the bundle with those of the exported files.

    Args:
        before, after: The bundle, and the exported files.
        precision: ``float32``, ``float16`` or ``int8``: how much the answers may differ.
        labels: The activities, in the order of the answers.
        prepared, records: The clips. A clip may come from any split.
        progress: Shows a bar.

    Returns:
        The number of clips, the largest difference of a probability, and the accuracy of both.

    Raises:
        BundleError: The answers differ too much (``export.difference``).
    """
    answer, others = answer_of(before), [name for name in before.streams if name != "appearance"]
    pairs = []
    with progress.stage("Comparing with the model", len(records), "clip") as stage:
        for record in records:
            rows = {name: prepared.streams.read(name, record.clip) for name in others}
            times: list[float] = prepared.streams.times(record.clip).tolist()
            frames = np.asarray(prepared.clips.read(record.clip))
            pairs.append([one(frames, rows, times) for one in (answer, after)])
            stage.advance()
    answers = np.array(pairs)  # [clips, 2, classes]
    difference = float(np.abs(answers[:, 0] - answers[:, 1]).max())
    truth = np.array([labels.index(record.label) for record in records])
    right_before, right_after = (int(np.sum(answers[:, one].argmax(axis=1) == truth)) for one in (0, 1))
    if precision == "int8":
        lost = right_before - right_after
        # A single clip says nothing.
        if lost > max(1, _MOST_LOST * len(records)):
            raise BundleError(
                f"With int8, the model is right for {right_after} of {len(records)} clips, in place of {right_before}: "
                f"more than {_MOST_LOST:.0%} are lost.",
                "Use `precision=float16`.",
                code="export.difference",
            )
    elif not difference <= _MOST_DIFFERENCE[precision]:
        raise BundleError(
            f"The probabilities of the exported model differ from those of the model by {difference:.2g}, more than "
            f"{_MOST_DIFFERENCE[precision]:g}.",
            "Use `format=litert` with `precision=float32`, which copies the files of the model.",
            code="export.difference",
        )
    return {
        "clips": len(records),
        "max_abs_difference": difference,
        "accuracy_of_model": right_before / len(records),
        "accuracy": right_after / len(records),
    }


def compare_speed(before: Path, after: Path, frames: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Milliseconds that two encoders take for a frame on one thread: the best of several rounds."""
    encoders = [EncoderRuntime(path, threads=1) for path in (before, after)]
    best = [float("inf")] * 2
    for _ in range(_ROUNDS):
        for number, encoder in enumerate(encoders):
            start = time.perf_counter()
            encoder.features(frames)
            best[number] = min(best[number], (time.perf_counter() - start) * 1000 / len(frames))
    return best[0], best[1]
