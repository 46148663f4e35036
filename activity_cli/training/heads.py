"""The heads of a network, as training sees them: each has ``fit``, ``predict`` and ``save``.

A new kind of head, or one for another stream, is one class here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt

from activity_cli.dataset.batches import Examples, batches
from activity_cli.model.conversion import head_to_litert
from activity_cli.model.heads import PROJECTION, SCALE
from activity_cli.model.network import LINEAR, NetworkShape, build_head
from activity_cli.progress import Progress
from activity_cli.training.ridge import solve_linear
from activity_cli.training.runner import FitResult, FitState, Hyperparameters, OnEpoch, fit

__all__ = ["Head", "LinearHead", "RecurrentHead", "measured_shape"]

# Clips that principal components are measured on, and numbers in all.
_MAX_MEASURED, _MAX_MEASURED_NUMBERS = 1000, 100_000_000
_MAX_PCA_ROWS = 3000
# Clips that the linear head is solved for: their products are a square of so many rows. And numbers in all.
_MAX_SOLVED, _MAX_SOLVED_NUMBERS = 4000, 50_000_000
_BATCH_SIZE = 16

Floats = npt.NDArray[np.float32]


class Head(Protocol):
    """What reads a clip's features.

    Attributes:
        name: Unique in a network.
        model: From features ``[B, T, D]`` and mask to log probabilities ``[B, classes]``.
    """

    name: str
    model: keras.Model

    def predict(self, examples: Examples) -> Floats:
        """Log probabilities ``[N, classes]`` of clips by their features."""

    def save(self, path: Path, shape: NetworkShape) -> None:
        """Writes the head as a LiteRT file that reads clips of ``shape``."""


class _KerasHead:
    def __init__(self, name: str, shape: NetworkShape) -> None:
        self.name, self.shape = name, shape
        self.model = build_head(shape, name)

    def predict(self, examples: Examples) -> Floats:
        data = batches(examples, self.shape.num_frames, _BATCH_SIZE)
        return np.asarray(self.model.predict(data, verbose=0), np.float32)

    def save(self, path: Path, shape: NetworkShape) -> None:
        head_to_litert(self.model, self.name, shape, path)


class RecurrentHead(_KerasHead):
    """The recurrent head: trained by gradient descent, on the principal components of the training clips."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__(shape.settings.sequence, shape)

    def fit(
        self,
        train: Examples,
        val: Examples | None,
        hyperparameters: Hyperparameters,
        progress: Progress,
        *,
        resumed: FitState | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> FitResult:
        """Trains it on features, from random weights; see :func:`activity_cli.training.runner.fit`."""
        if resumed is None:
            self.measure(train)
        return fit(
            self.model,
            train,
            val,
            self.shape.num_frames,
            hyperparameters,
            progress,
            resumed=resumed,
            on_epoch=on_epoch,
        )

    def measure(self, examples: Examples) -> None:
        """Sets the principal components, or the scale, of the features of some clips."""
        names = [layer.name for layer in self.model.layers]
        if PROJECTION in names:
            projection = self.model.get_layer(PROJECTION)
            projection.set_weights(_principal_components(_rows(examples, self.shape), projection.units))
        elif SCALE in names:
            rows = _rows(examples, self.shape)
            self.model.get_layer(SCALE).set_weights([rows.mean(), rows.var() or 1.0, np.zeros((), np.int64)])


class LinearHead(_KerasHead):
    """The linear head: solved for by ridge regression."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__(LINEAR, shape)

    def fit(self, train: Examples, groups: Sequence[str], label_smoothing: float) -> None:
        """Solves for its weights.

        Args:
            train: Clips by their features.
            groups: The group of each.
            label_smoothing: Of the targets.
        """
        places = self._places(len(train.paths))
        some = _subset(train, places)
        statistics = keras.Model(self.model.inputs, self.model.get_layer("statistics").output)
        values = statistics.predict(batches(some, self.shape.num_frames, _BATCH_SIZE), verbose=0)
        kernel, bias = solve_linear(
            np.asarray(values, np.float32),
            some.targets,
            some.weights,
            [groups[place] for place in places],
            label_smoothing,
        )
        self.model.get_layer("classes").set_weights([kernel, bias])

    def _places(self, count: int) -> npt.NDArray[np.int64]:
        width: int = self.model.get_layer("statistics").output.shape[-1]
        most = min(count, _MAX_SOLVED, max(1, _MAX_SOLVED_NUMBERS // width))
        # Evenly from the first to the last: clips stand label by label.
        return np.linspace(0, count - 1, most).round().astype(np.int64)


def measured_shape(shape: NetworkShape, num_rows: int) -> NetworkShape:
    """The shape with no more principal components than features, or frames to measure them on."""
    settings, width = shape.settings, shape.num_read or shape.num_features
    components = min(settings.pca_components or 0, width, max(1, min(num_rows, _MAX_PCA_ROWS)))
    return replace(shape, settings=replace(settings, pca_components=components))


def _subset(examples: Examples, places: npt.NDArray[np.int64]) -> Examples:
    return Examples(
        [examples.paths[place] for place in places],
        examples.targets[places],
        examples.weights[places],
        examples.kept_frames[places],
        examples.may_flip[places],
    )


def _rows(examples: Examples, shape: NetworkShape) -> Floats:
    """Features of frames ``[N, D]`` from all over the clips; memory does not grow with the data."""
    count, width = len(examples.paths), shape.num_read or shape.num_features
    most = max(1, min(_MAX_MEASURED, _MAX_MEASURED_NUMBERS // (shape.num_frames * shape.num_features)))
    places = np.linspace(0, count - 1, min(most, count)).round().astype(int)
    return np.concatenate(
        [np.asarray(np.load(examples.paths[place], allow_pickle=False)[:, :width], np.float32) for place in places]
    )


def _principal_components(rows: Floats, components: int) -> list[npt.NDArray[Any]]:
    """Kernel ``[D, components]`` and bias of the projection to principal components (Pearson 1901).

    Not whitened: one scale serves all, so that what varies little stays small. Dropout on components hides whole ways
    in which clips differ, such as their places. Dropout on features hides little, since other features say the same.
    By measurement, that is what makes the recurrent network generalize.
    """
    from sklearn.decomposition import PCA  # here, because it takes a second to load

    # From the first to the last: as many as tell the directions, in seconds with any encoder.
    chosen = rows[np.linspace(0, len(rows) - 1, min(_MAX_PCA_ROWS, len(rows))).astype(int)].astype(np.float64)
    pca = PCA(min(components, *chosen.shape), svd_solver="covariance_eigh").fit(chosen)
    usual = float(pca.explained_variance_.mean())
    kernel = np.zeros((chosen.shape[1], components))
    if usual > np.finfo(np.float32).tiny:
        kernel[:, : len(pca.components_)] = pca.components_.T / np.sqrt(usual)
    return [kernel, -pca.mean_ @ kernel]
