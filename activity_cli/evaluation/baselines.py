"""Baselines on the same clips, which show how much the network adds.

The majority class ignores the video. The middle frame ignores motion. The frame average ignores the order of the
frames, and the frame statistics know a little of it. The last three are logistic regressions with fixed settings. They
read the numbers of all streams that the network could read, and are fitted to the training clips of the model. The
frame statistics of each stream alone show which stream tells the activities apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from activity_cli.evaluation.metrics import class_scores, macro_f1
from activity_cli.results import Baseline

__all__ = ["score_baselines"]

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
_Described = Mapping[tuple[str, str], Floats]

_MAX_ITERATIONS = 1000


def score_baselines(
    train: Iterable[Mapping[str, Floats]],
    train_numbers: Numbers,
    clips: Iterable[Mapping[str, Floats]],
    numbers: Numbers,
    labels: Sequence[str],
) -> tuple[Baseline, ...]:
    """Fits the baselines to the training clips and scores them on other clips.

    Args:
        train: What a head reads of each training clip, ``float32 [T, D]`` by the stream's name; without any clip, no
            baseline has a score. Each clip is read once.
        train_numbers: The numbers of their labels, ``int64 [N]``.
        clips: Of the clips to score on.
        numbers: The numbers of their labels.
        labels: The labels, in the order of their numbers.
    """
    described, fitted = _described(clips), _described(train)
    streams = list(dict.fromkeys(stream for _, stream in described))
    found = []

    def add(name: str, text: str, answers: Numbers | None) -> None:
        if answers is None:
            found.append(Baseline(name, text, None, None, "there are no training clips"))
            return
        scores = class_scores(numbers, answers, labels)
        found.append(Baseline(name, text, float(np.mean(answers == numbers)), macro_f1(scores)))

    def regression(kind: str, some: Sequence[str]) -> Numbers | None:
        if not len(train_numbers):
            return None
        both = (np.concatenate([of[kind, stream] for stream in some], axis=1) for of in (fitted, described))
        train_columns, columns = both
        return _regression(train_columns, train_numbers, columns)

    majority = np.full(len(numbers), np.bincount(train_numbers).argmax()) if len(train_numbers) else None
    add("majority_class", "always predicts the most frequent activity of the training clips", majority)
    for kind, (text, _) in _BASELINES.items():
        add(kind, text, regression(kind, streams))
    if len(streams) > 1:
        for stream in streams:
            add(f"{stream}_statistics", f"frame statistics of the stream {stream} alone", regression(_BEST, [stream]))
    return tuple(found)


def _described(clips: Iterable[Mapping[str, Floats]]) -> _Described:
    """What each baseline reads of each stream of the clips, ``[N, F]``."""
    found: dict[tuple[str, str], list[Floats]] = defaultdict(list)
    for rows in clips:
        for stream, frames in rows.items():
            for kind, (_, describe) in _BASELINES.items():
                found[kind, stream].append(describe(frames))
    return {key: np.stack(each) for key, each in found.items()}


def _statistics(frames: Floats) -> Floats:
    half = len(frames) // 2
    change = frames[-half:].mean(axis=0) - frames[:half].mean(axis=0) if half else np.zeros_like(frames[0])
    return np.concatenate([frames.mean(axis=0), frames.std(axis=0), change])


_BEST = "frame_statistics"
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


def _regression(train: Floats, train_numbers: Numbers, test: Floats) -> Numbers:
    if len(np.unique(train_numbers)) == 1:
        return np.full(len(test), train_numbers[0])
    from sklearn.linear_model import LogisticRegression  # takes a second to load
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MAX_ITERATIONS))
    return np.asarray(model.fit(train, train_numbers).predict(test), np.int64)
