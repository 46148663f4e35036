"""The heads of a network, as training sees them: each has ``fit``, ``predict`` and ``save``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from activity_cli.errors import TrainingError
from activity_cli.model.conversion import head_to_litert
from activity_cli.model.heads import PROJECTION, SCALE, HeadShape, build_head
from activity_cli.progress import Progress
from activity_cli.training.inputs import HeadInputs
from activity_cli.training.ridge import solve_linear
from activity_cli.training.runner import FitResult, FitState, Hyperparameters, OnEpoch, fit

__all__ = ["LinearHead", "RecurrentHead", "measured_shape"]

# Clips that principal components and scales are measured on, and numbers in all.
_MAX_MEASURED, _MAX_MEASURED_NUMBERS = 1000, 100_000_000
_MAX_PCA_ROWS = 3000
# Clips, mirrored ones included, that the linear head is solved for: their products are a square of so many rows. And
# numbers in all.
_MAX_SOLVED, _MAX_SOLVED_NUMBERS = 4000, 50_000_000
_BATCH_SIZE = 64
# Added to a standard deviation, so that what hardly varies in training does not count for much.
_LEAST_DEVIATION = 0.02

Floats = npt.NDArray[np.float32]


class _Head:
    """A head.

    Attributes:
        shape: What it is built from.
        model: From features ``[B, T, D]`` and mask to log probabilities ``[B, classes]``.
    """

    def __init__(self, shape: HeadShape) -> None:
        self.shape = shape
        self.model = build_head(shape)

    def predict(self, inputs: HeadInputs) -> Floats:
        """Log probabilities ``[N, classes]`` of clips: of the mean over their views."""
        answers = []
        for data, mirrored_labels in inputs.views(_BATCH_SIZE):
            probabilities = np.exp(self.model.predict(data, verbose=0))
            answers.append(probabilities if mirrored_labels is None else probabilities[:, list(mirrored_labels)])
        return np.asarray(np.log(np.maximum(np.mean(answers, axis=0), np.finfo(np.float32).tiny)), np.float32)

    def save(self, path: Path, shape: HeadShape) -> None:
        """Writes the head as a LiteRT file that reads clips of ``shape``."""
        head_to_litert(self.model, shape, path)

    def measure(self, inputs: HeadInputs) -> None:
        """Sets the principal components, or the scale, of the features of some clips."""
        names = [layer.name for layer in self.model.layers]
        if PROJECTION in names:
            projection = self.model.get_layer(PROJECTION)
            projection.set_weights(_principal_components(self._rows(inputs), projection.units))
        elif SCALE in names:
            scale = self.model.get_layer(SCALE)
            rows = self._rows(inputs)
            variance = (rows.std(axis=0) + _LEAST_DEVIATION) ** 2
            scale.set_weights([rows.mean(axis=0), variance])

    def _rows(self, inputs: HeadInputs) -> Floats:
        """Features of frames ``[N, D]`` from all over the clips; memory does not grow with the data."""
        count, width = len(inputs.targets), self.shape.num_read or self.shape.num_features
        most = max(1, min(_MAX_MEASURED, _MAX_MEASURED_NUMBERS // (self.shape.num_frames * self.shape.num_features)))
        places = np.linspace(0, count - 1, min(most, count)).round().astype(np.int64)
        data = inputs.take(places).batches(_BATCH_SIZE)
        rows = [np.asarray(features)[np.asarray(mask)][:, :width] for (features, mask), _, _ in data]
        return _finite(np.concatenate(rows).astype(np.float32))


class RecurrentHead(_Head):
    """The recurrent head: trained by gradient descent."""

    def fit(
        self,
        train: HeadInputs,
        val: HeadInputs | None,
        hyperparameters: Hyperparameters,
        progress: Progress,
        *,
        resumed: FitState | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> FitResult:
        """Trains it on features, from random weights; see :func:`activity_cli.training.runner.fit`."""
        if resumed is None:
            self.measure(train)
        return fit(self.model, train, val, hyperparameters, progress, resumed=resumed, on_epoch=on_epoch)


class LinearHead(_Head):
    """The linear head: solved for by ridge regression."""

    def fit(self, train: HeadInputs, groups: Sequence[str], label_smoothing: float) -> None:
        """Solves for its weights.

        Args:
            train: Clips.
            groups: The group of each.
            label_smoothing: Of the targets.
        """
        self.measure(train)
        places = self._places(train)
        some = train.take(places)
        statistics = keras.Model(self.model.inputs, self.model.get_layer("statistics").output)
        values, targets = [], []
        # A mirrored clip is a further clip of its label's partner.
        for data, mirrored_labels in some.views(_BATCH_SIZE, whole=True):
            values.append(np.asarray(statistics.predict(data, verbose=0), np.float32))
            targets.append(some.targets if mirrored_labels is None else some.targets[:, list(mirrored_labels)])
        together = [groups[place] for place in places]
        if len(set(together)) == 1:  # each clip stands for itself, together with its mirrored self
            together = [str(place) for place in places]
        kernel, bias = solve_linear(
            _finite(np.concatenate(values)),
            np.concatenate(targets),
            np.tile(some.weights, len(values)),
            together * len(values),
            label_smoothing,
        )
        self.model.get_layer("classes").set_weights([kernel, bias])

    def _places(self, train: HeadInputs) -> npt.NDArray[np.int64]:
        count, width = len(train.targets), self.model.get_layer("statistics").output.shape[-1]
        num_views = len(list(train.take(np.arange(1)).views(_BATCH_SIZE, whole=True)))
        most = min(count, min(_MAX_SOLVED, _MAX_SOLVED_NUMBERS // width) // num_views)
        # Evenly from the first to the last: clips stand label by label.
        return np.linspace(0, count - 1, max(1, most)).round().astype(np.int64)


def _finite(numbers: Floats) -> Floats:
    if not np.isfinite(numbers).all():
        raise TrainingError(
            "What describes the frames are not finite numbers.",
            "The `weights` of the encoder are damaged or do not fit, or the prepared folder is damaged.",
            code="training.features",
        )
    return numbers


def measured_shape(shape: HeadShape, num_rows: int) -> HeadShape:
    """The shape with no more principal components than features, or frames to measure them on."""
    width = shape.num_read or shape.num_features
    return replace(shape, components=min(shape.components, width, max(1, min(num_rows, _MAX_PCA_ROWS))))


def _principal_components(rows: Floats, components: int) -> list[npt.NDArray[Any]]:
    """Kernel ``[D, components]`` and bias of the projection to principal components (Pearson 1901).

    Not whitened: one scale serves all, so that what varies little stays small.
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
