"""What one fold of benchmarks/accuracy.py gave, and the rows of its table: arithmetic on answers, no training."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activity_cli.files import write_text
from activity_cli.model.heads import LINEAR, RECURRENT
from activity_cli.training.cross_validation import Candidate, Scorer, choose

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

DEFAULT, NO_RACE, LINEAR_ONLY, RECURRENT_ONLY = "all", "all, no race", "linear only", "recurrent only"
_DIGITS = 5  # of the log probabilities in a file


@dataclass
class Fold:
    """The answers for the clips of one fold, and what they were chosen by.

    Attributes:
        seed, number: Which fold it is.
        clips, groups, truth: Paths of the tested clips, their groups, and the numbers of their labels, ``[N]``.
        tested: Log probabilities ``[N, classes]`` of every head, fitted to all training clips.
        inner_groups, inner_truth, inner_weights: Of the training clips, ``[M]``.
        inner: Out-of-fold log probabilities ``[M, classes]`` of every head for the training clips.
        raced: The heads that ``activity train`` chooses from.
        baselines: Answers of each baseline, ``[N]``.
        further: Accuracies of trainings that were asked for besides.
        seconds: How long each part took.
    """

    seed: int
    number: int
    clips: list[str]
    groups: list[str]
    truth: Numbers
    tested: dict[Candidate, Floats]
    inner_groups: list[str]
    inner_truth: Numbers
    inner_weights: Floats
    inner: dict[Candidate, Floats]
    raced: list[Candidate]
    baselines: dict[str, Numbers] = field(default_factory=dict)
    further: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def weights(self, candidates: Iterable[Candidate]) -> Mapping[Candidate, float]:
        """What training would choose among some heads, and their weights."""
        return choose({one: self.inner[one] for one in candidates}, self.inner_truth, self.inner_weights).weights

    def summed(self, weights: Mapping[Candidate, float]) -> Floats:
        """Log probabilities ``[N, classes]`` of the weighted sum of heads."""
        total = np.sum([weight * self.tested[one] for one, weight in weights.items()], axis=0)
        return np.asarray(total - np.logaddexp.reduce(total, axis=1, keepdims=True), np.float32)

    def rows(self) -> dict[str, Floats]:
        """Log probabilities ``[N, classes]`` of every row that networks give."""
        kinds = {kind: [one for one in self.tested if one.kind == kind] for kind in (LINEAR, RECURRENT)}
        among = {LINEAR_ONLY: kinds[LINEAR], RECURRENT_ONLY: kinds[RECURRENT]}
        reads = dict.fromkeys(one.reads for one in self.tested)
        if len(kinds[RECURRENT]) == len(reads):
            among[NO_RACE] = list(self.tested)
        else:
            del among[RECURRENT_ONLY]
        rows = {DEFAULT: self.summed(self.weights(self.raced))}
        rows |= {name: self.summed(self.weights(candidates)) for name, candidates in among.items() if candidates}
        rows |= {one.name: self.summed({one: 1.0}) for one in self.tested}
        scorer = Scorer(self.inner_truth, self.inner_weights)
        # Of each set of streams the better head, and what makes it as certain as it is right.
        better = {some: next(iter(self.weights(one for one in self.tested if one.reads == some))) for some in reads}
        factors = {one: scorer.factor(self.inner[one]) for one in better.values()}
        for size in (1, 2, 3):
            for several in itertools.combinations(better, size):
                if len({some[0] for some in several}) == size:
                    name = " & ".join("+".join(some) for some in several)
                    rows[name] = self.summed({better[some]: factors[better[some]] for some in several})
        return rows

    def answers(self) -> dict[str, Numbers]:
        """The number of the label that each row and each baseline answers for each clip, ``[N]``."""
        return {name: logs.argmax(axis=1) for name, logs in self.rows().items()} | self.baselines


def write_folds(path: Path, sets: Mapping[str, tuple[tuple[str, ...], list[Fold]]]) -> None:
    """Writes the labels and folds of sets as JSON."""
    document = {
        name: {"labels": list(labels), "folds": [_plain(fold) for fold in folds]}
        for name, (labels, folds) in sets.items()
    }
    write_text(path, json.dumps({"sets": document}) + "\n")


def read_folds(path: Path) -> dict[str, tuple[tuple[str, ...], list[Fold]]]:
    """Reads the labels and folds of sets from JSON."""
    document = json.loads(path.read_text(encoding="utf-8"))["sets"]
    return {
        name: (tuple(one["labels"]), [_fold(dict(fold)) for fold in one["folds"]]) for name, one in document.items()
    }


def _plain(fold: Fold) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in vars(fold).items():
        if isinstance(value, dict):
            found[name] = {getattr(key, "name", key): _rounded(one) for key, one in value.items()}
        else:
            found[name] = [one.name for one in value] if name == "raced" else _rounded(value)
    # For readers without this script; it computes them anew.
    return found | {"rows": {name: _rounded(logs) for name, logs in fold.rows().items()}}


def _fold(found: dict[str, Any]) -> Fold:
    del found["rows"]
    for name in ("tested", "inner"):
        found[name] = {_candidate(key): np.asarray(value, np.float32) for key, value in found[name].items()}
    found["raced"] = [_candidate(name) for name in found["raced"]]
    found["baselines"] = {key: np.asarray(value, np.int64) for key, value in found["baselines"].items()}
    for name, kind in (("truth", np.int64), ("inner_truth", np.int64), ("inner_weights", np.float32)):
        found[name] = np.asarray(found[name], kind)
    return Fold(**found)


def _candidate(name: str) -> Candidate:
    reads, kind = name.split(" ")
    return Candidate(reads.split("+")[0], tuple(reads.split("+")), kind)


def _rounded(value: Any) -> Any:
    return np.round(value.astype(np.float64), _DIGITS).tolist() if isinstance(value, np.ndarray) else value
