"""Compares an exported model with the bundle on real clips."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.errors import BundleError
from activity_cli.progress import Progress
from activity_cli.results import ClipRecord
from activity_cli.runtime.litert import EncoderRuntime, NetworkRuntime

__all__ = ["Answer", "Comparison", "answer_of", "check", "compare", "compare_speed"]

Floats = npt.NDArray[np.float32]
# From the frames of a clip, ``uint8 [T, H, W, 3]``, the rows of the streams other than the appearance, and the time of
# each frame, to the probabilities ``float32 [classes]``.
Answer = Callable[[npt.NDArray[np.uint8], Mapping[str, Floats], Sequence[float]], Floats]

# Of a probability. Rounding causes about 1e-6 in 32 bits and 1e-3 in 16 bits. With 8 bits, the accuracy counts: any
# number will do, and NaN will not.
_MOST_DIFFERENCE = {"float32": 1e-3, "float16": 2e-2, "int8": 1.0}
# Of the clips, with 8 bits.
_MOST_LOST = 0.01
# How many times as fast int8 must be to be worth its difference.
_LEAST_SPEEDUP = 1.5
_FRAMES_TIMED = 100


@dataclass(frozen=True, slots=True)
class Comparison:
    """How an exported model compares with the model on clips.

    Attributes:
        split: Of the clips: ``test`` or ``all``.
        clips: Number of clips.
        right_of_model, right: Number of clips that the model and the exported model recognize.
        max_abs_difference: Largest difference of a probability.
        ms_of_model, ms: Milliseconds per frame on one thread that the original's encoder and the exported one take; 0:
            not measured.
        warnings: Why the accuracy may say little.
    """

    split: str
    clips: int
    right_of_model: int
    right: int
    max_abs_difference: float
    ms_of_model: float = 0.0
    ms: float = 0.0
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For ``description.json``."""
        result: dict[str, Any] = {
            "split": self.split,
            "clips": self.clips,
            "max_abs_difference": self.max_abs_difference,
            "accuracy_of_model": self.right_of_model / self.clips,
            "accuracy": self.right / self.clips,
        }
        if self.ms:
            result |= {
                "encoder_ms_of_model": round(self.ms_of_model, 3),
                "encoder_ms": round(self.ms, 3),
                "warnings": list(self.warnings),
            }
        return result

    def __str__(self) -> str:
        where = "test clips" if self.split == "test" else "clips"
        text = (
            f"On {self.clips} {where}, the probabilities of the exported model differ from those of the original by at "
            f"most {self.max_abs_difference:.2g}."
        )
        if self.ms:
            text += (
                f" It is right for {self.right} of them, the original for {self.right_of_model}. Its encoder takes "
                f"{self.ms:.3g} ms per frame on one thread, that of the original {self.ms_of_model:.3g} ms: "
                f"{self.ms_of_model / self.ms:.2f} times as fast."
            )
        return text


def answer_of(network: NetworkRuntime) -> Answer:
    """What a network in LiteRT answers."""

    def answer(frames: npt.NDArray[np.uint8], rows: Mapping[str, Floats], times_seconds: Sequence[float]) -> Floats:
        appearance = {"appearance": network.encoder.features(frames)} if network.encoder else {}
        return network.answer({**rows, **appearance}, times_seconds)

    return answer


def compare(
    before: NetworkRuntime,
    after: Answer,
    labels: Sequence[str],
    prepared: PreparedFolder,
    split: str,
    records: Sequence[ClipRecord],
    progress: Progress,
) -> Comparison:
    """Compares the answers of a model with those of the exported files.

    Args:
        before, after: The model, and the exported files.
        labels: The activities, in the order of the answers.
        prepared, split, records: The clips, and the split that they are from.
        progress: Shows a bar.
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
    truth = np.array([labels.index(record.label) for record in records])
    right_of_model, right = (int(np.sum(answers[:, one].argmax(axis=1) == truth)) for one in (0, 1))
    difference = float(np.abs(answers[:, 0] - answers[:, 1]).max())
    return Comparison(split, len(records), right_of_model, right, difference)


def compare_speed(before: Path, after: Path, frames: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Milliseconds of processor time that two encoders take for a frame on one thread.

    They take turns, frame by frame, so that other programs slow both down alike.
    """
    encoders = [EncoderRuntime(path, threads=1) for path in (before, after)]
    for encoder in encoders:
        encoder.features(frames)  # the first frame takes longer
    seconds = [0.0, 0.0]
    for frame in islice(cycle(frames), _FRAMES_TIMED):
        for number, encoder in enumerate(encoders):
            start = time.thread_time()
            encoder.features_of_one(frame)
            seconds[number] += time.thread_time() - start
    return seconds[0] * 1000 / _FRAMES_TIMED, seconds[1] * 1000 / _FRAMES_TIMED


def check(precision: str, compared: Comparison) -> None:
    """Checks that an exported model may be used in place of the model.

    Probabilities may differ by 0.001 (``float32``) or 0.02 (``float16``); those of ``int8`` have no limit. ``int8`` may
    lose 1% of the clips, and always one clip, as a single clip says nothing. Its encoder must be 1.5 times as fast.

    Args:
        precision: ``float32``, ``float16`` or ``int8``.
        compared: What was measured.

    Raises:
        BundleError: The answers differ too much (``export.difference``), or ``int8`` is too slow (``export.slow``).
    """
    difference, most = compared.max_abs_difference, _MOST_DIFFERENCE[precision]
    if not difference <= most:
        raise BundleError(
            f"The probabilities of the exported model differ from those of the original by {difference:.2g}, more "
            f"than {most:g}.",
            "Use `format=litert` with `precision=float32`, which copies the files of the model.",
            code="export.difference",
        )
    if precision != "int8":
        return
    lost, allowed = compared.right_of_model - compared.right, max(1, int(_MOST_LOST * compared.clips))
    if lost > allowed:
        code = "export.difference"
        problem = f"int8 loses {lost} of {compared.clips} clips, and at most {allowed} may be lost"
    elif compared.ms_of_model < compared.ms * _LEAST_SPEEDUP:
        code = "export.slow"
        problem = f"int8 is not {_LEAST_SPEEDUP:g} times as fast as float32 on this processor"
    else:
        return
    raise BundleError(f"{problem}. {compared}", "Use `precision=float16`.", code=code)
