"""Baselines on the same clips, which show how much the network adds.

The majority class ignores the video. The middle frame ignores motion. The frame average ignores the order of the
frames, and the frame statistics know a little of it. The last three are logistic regressions with fixed settings. They
read the numbers of all streams that the network could read, and are fitted to the training clips of the model. The
frame statistics of each stream alone show by which stream the activities can be told apart.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activity_cli.dataset.clips import cache_key, load_array, write_array
from activity_cli.dataset.proofs import is_proved, write_proof
from activity_cli.evaluation.metrics import class_scores, macro_f1
from activity_cli.files import remove_stale_files
from activity_cli.progress import Progress, SilentProgress, Stage
from activity_cli.results import Baseline

__all__ = ["baseline_answers", "score_baselines"]

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
_Described = Mapping[tuple[str, str], Floats]

_MAX_ITERATIONS = 1000
# Raised when a baseline answers otherwise for the same numbers: answers that were cached before are not used any more.
_VERSION = 1


def score_baselines(
    train: Iterable[Mapping[str, Floats]],
    train_numbers: Numbers,
    clips: Iterable[Mapping[str, Floats]],
    numbers: Numbers,
    labels: Sequence[str],
    cache: Path | None = None,
    progress: Progress | None = None,
) -> tuple[Baseline, ...]:
    """Fits the baselines to the training clips and scores them on other clips.

    Args:
        train, train_numbers, clips: As for :func:`baseline_answers`; without any training clip, no baseline has a
            score.
        numbers: The numbers of the labels of the clips to score on, ``int64 [N]``.
        labels: The labels, in the order of their numbers.
        cache, progress: As for :func:`baseline_answers`.
    """
    found = []
    for name, answers in baseline_answers(train, train_numbers, clips, cache, progress).items():
        if name in _BASELINES:
            text = _BASELINES[name][0]
        elif name == _MAJORITY:
            text = "always predicts the most frequent activity of the training clips"
        else:
            text = f"frame statistics of the stream {name.removesuffix(_OF_STREAM)} alone"
        if answers is None:
            found.append(Baseline(name, text, None, None, "there are no training clips"))
        else:
            scores = class_scores(numbers, answers, labels)
            found.append(Baseline(name, text, float(np.mean(answers == numbers)), macro_f1(scores)))
    return tuple(found)


def baseline_answers(
    train: Iterable[Mapping[str, Floats]],
    train_numbers: Numbers,
    clips: Iterable[Mapping[str, Floats]],
    cache: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Numbers | None]:
    """The number of the label that each baseline answers for each clip, ``int64 [N]``; None without training clips.

    Args:
        train: What a head reads of each training clip, ``float32 [T, D]`` by the stream's name. Each clip is read once.
        train_numbers: The numbers of their labels.
        clips: Of the clips to answer for.
        cache: Folder that keeps the answers, by the SHA-256 of all numbers that they depend on; None: none.
        progress: Shows bars.

    Raises:
        OutputError: The answers cannot be cached.
    """
    progress = progress or SilentProgress()
    with progress.stage("Reading clips", None, "clip") as stage:
        described, fitted = _described(clips, stage), _described(train, stage)
    streams = list(dict.fromkeys(stream for _, stream in described))
    wanted = {kind: (kind, streams) for kind in _BASELINES}
    if len(streams) > 1:
        wanted |= {f"{stream}{_OF_STREAM}": (_BEST, [stream]) for stream in streams}
    if not len(train_numbers):
        return dict.fromkeys([_MAJORITY, *wanted])
    count = len(next(iter(described.values())))
    found: dict[str, Numbers | None] = {_MAJORITY: np.full(count, np.bincount(train_numbers).argmax())}
    with progress.stage("Fitting baselines", len(wanted), "baseline") as stage:
        for name, (kind, some) in wanted.items():
            blocks = [(fitted[kind, stream], described[kind, stream]) for stream in some]
            found[name] = _cached(cache, blocks, train_numbers) if cache else _regression(blocks, train_numbers)
            stage.advance()
    return found


def _cached(cache: Path, blocks: Sequence[tuple[Floats, Floats]], train_numbers: Numbers) -> Numbers:
    """The answers of a regression, from the cache if it was fitted to the same numbers before."""
    arrays: list[npt.NDArray[Any]] = [train_numbers, *(array for block in blocks for array in block)]
    digests = [[str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()] for array in arrays]
    path = cache / f"{cache_key(_VERSION, version('scikit-learn'), digests)}.npy"
    if is_proved(path):
        return np.array(load_array(path))
    answers = _regression(blocks, train_numbers)
    write_array(path, answers)
    write_proof(path)
    remove_stale_files(cache)
    return answers


def _described(clips: Iterable[Mapping[str, Floats]], stage: Stage) -> _Described:
    """What each baseline reads of each stream of the clips, ``[N, F]``."""
    found: dict[tuple[str, str], list[Floats]] = defaultdict(list)
    for rows in clips:
        for stream, frames in rows.items():
            for kind, (_, describe) in _BASELINES.items():
                found[kind, stream].append(describe(frames))
        stage.advance()
    return {key: np.stack(each) for key, each in found.items()}


def _statistics(frames: Floats) -> Floats:
    half = len(frames) // 2
    change = frames[-half:].mean(axis=0) - frames[:half].mean(axis=0) if half else np.zeros_like(frames[0])
    return np.concatenate([frames.mean(axis=0), frames.std(axis=0), change])


_MAJORITY, _BEST, _OF_STREAM = "majority_class", "frame_statistics", "_statistics"
_BASELINES: dict[str, tuple[str, Callable[[Floats], Floats]]] = {
    "middle_frame": ("sees only the middle frame of the clip", lambda frames: frames[len(frames) // 2]),
    "frame_average": (
        "the mean of each number over all frames; ignores their order",
        lambda frames: frames.mean(axis=0),
    ),
    _BEST: (
        "mean and standard deviation of each number, and the difference between the two halves of the clip",
        _statistics,
    ),
}


def _regression(blocks: Sequence[tuple[Floats, Floats]], train_numbers: Numbers) -> Numbers:
    """Answers for other clips; each block has the columns of a stream, for training clips and for the others.

    Each column is standardized. Then each block is scaled so that all streams count the same, however many columns they
    have: a stronger baseline than without.
    """
    num_clips, num_columns = len(blocks[0][1]), sum(train.shape[1] for train, _ in blocks)
    if len(np.unique(train_numbers)) == 1:
        return np.full(num_clips, train_numbers[0])
    from sklearn.linear_model import LogisticRegression  # takes a second to load
    from sklearn.preprocessing import StandardScaler

    scaled_train, scaled = [], []
    for train, others in blocks:
        scaler, factor = StandardScaler().fit(train), (num_columns / len(blocks) / train.shape[1]) ** 0.5
        scaled_train.append(scaler.transform(train) * factor)
        scaled.append(scaler.transform(others) * factor)
    model = LogisticRegression(max_iter=_MAX_ITERATIONS).fit(np.concatenate(scaled_train, axis=1), train_numbers)
    return np.asarray(model.predict(np.concatenate(scaled, axis=1)), np.int64)
