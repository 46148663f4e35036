"""Heads on rows that do not change while they are trained: all of them with a frozen encoder.

Cross-validation chooses what the network reads; then every chosen head is fitted to all clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import msgspec
import numpy as np
import numpy.typing as npt

from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.errors import TrainingError
from activity_cli.labels.flip import mirrored_labels
from activity_cli.model.heads import LINEAR, RECURRENT, HeadShape
from activity_cli.progress import Progress
from activity_cli.results import EpochRecord
from activity_cli.settings import TrainPlan, TrainSettings
from activity_cli.streams.skeleton import read_skeleton, stack
from activity_cli.training.checkpoint import FitStore
from activity_cli.training.cross_validation import Candidate, Scorer
from activity_cli.training.data import ClipSet
from activity_cli.training.frozen_backbone import FrozenBackbone
from activity_cli.training.heads import LinearHead, RecurrentHead, measured_shape
from activity_cli.training.inputs import HeadInputs, RowInputs, SkeletonInputs
from activity_cli.training.runner import Hyperparameters

__all__ = ["FittedHead", "StreamHeads", "appearance_shape", "candidates_of"]

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

# Longest gradient: longer ones are shortened to it.
_CLIPNORM = 1.0


@dataclass(frozen=True, slots=True)
class FittedHead:
    """A head that was fitted, and the epochs that it took; none: it was solved for."""

    head: RecurrentHead | LinearHead
    records: tuple[EpochRecord, ...] = ()


def candidates_of(streams: Sequence[str], head: str, *, trained: Sequence[str] = ()) -> list[Candidate]:
    """The heads to choose from.

    Args:
        streams: The streams that there are.
        head: ``auto``, ``recurrent`` or ``linear``.
        trained: Streams that are left out, because an encoder is trained for them.
    """
    kinds = (RECURRENT, LINEAR) if head == "auto" else (head,)
    reads: list[tuple[str, ...]] = [
        (stream,) for stream in ("appearance", "motion", "pose") if stream in streams and stream not in trained
    ]
    if "hands" in streams and "pose" in streams:
        reads.append(("pose", "hands"))
    return [Candidate(read[0], read, kind) for read in reads for kind in kinds]


def appearance_shape(shape: HeadShape, plan: TrainPlan, num_read: int, num_rows: int) -> HeadShape:
    """The shape of a recurrent head that reads an encoder's features.

    Args:
        shape: With its sizes.
        plan: Of the training.
        num_read: Features of the larger cells of the encoder's pyramid; of the small cells, the head would memorize
            what is where.
        num_rows: Frames that principal components are measured on.
    """
    network = plan.network
    wanted = replace(
        shape, num_read=num_read, components=network.pca_components or 0, subtract_mean=network.subtract_mean
    )
    return measured_shape(wanted, num_rows)


class StreamHeads:
    """Fits heads to the rows of clips.

    Args:
        settings, plan: How they are trained.
        prepared: The clips' rows.
        clips: All clips that are trained on.
        encoder: Computes the appearance; None: it is not read.
        num_read: See :func:`appearance_shape`.
        store: Keeps finished fits, for a run that is repeated after a kill.
        progress: Shows bars.
    """

    def __init__(
        self,
        settings: TrainSettings,
        plan: TrainPlan,
        prepared: PreparedFolder,
        clips: ClipSet,
        encoder: FrozenBackbone | None,
        num_read: int,
        store: FitStore,
        progress: Progress,
    ) -> None:
        self._settings, self._plan, self._prepared, self._clips = settings, plan, prepared, clips
        self._encoder, self._num_read, self._store, self._progress = encoder, num_read, store, progress
        self._mirrored = mirrored_labels(prepared.labels, plan.augmentation)
        self._inputs: dict[tuple[str, ...], HeadInputs] = {}

    def inputs(self, reads: tuple[str, ...]) -> HeadInputs:
        """All clips, as a head that reads these streams gets them.

        Raises:
            DatasetError: Rows are missing or damaged.
        """
        if reads not in self._inputs:
            self._inputs[reads] = self._read(reads)
        return self._inputs[reads]

    def _read(self, reads: tuple[str, ...]) -> HeadInputs:
        clips, store = self._clips, self._prepared.streams
        if reads[0] == "pose":
            skeletons = [
                read_skeleton(
                    store.read("pose", record.clip),
                    store.read("hands", record.clip) if "hands" in reads else None,
                    store.times(record.clip),
                    self._prepared.sampling.num_frames,
                )
                for record in clips.records
            ]
            return SkeletonInputs(stack(skeletons), clips.targets, clips.weights, self._mirrored)
        if reads == ("appearance",):
            assert self._encoder
            paths = self._encoder.files(clips.records)
        else:
            for record in clips.records:
                store.read(reads[0], record.clip)  # raises the error that says what to do
            paths = [store.path(reads[0], record.clip) for record in clips.records]
        width = int(np.load(paths[0], mmap_mode="r", allow_pickle=False).shape[-1])
        return RowInputs(clips.examples(paths), int(clips.kept_frames.max()), width)

    def shape(self, candidate: Candidate) -> HeadShape:
        """What the head is built from."""
        inputs, network = self.inputs(candidate.reads), self._plan.network
        appearance = candidate.stream == "appearance"
        assert isinstance(inputs, RowInputs | SkeletonInputs)
        shape = HeadShape(
            kind=candidate.kind,  # type: ignore[arg-type]
            num_frames=inputs.num_frames if isinstance(inputs, RowInputs) else self._prepared.sampling.num_frames,
            num_features=inputs.width,
            num_classes=len(self._prepared.labels),
            units=network.units,
            dropout=network.dropout,
            standardized=not appearance,
        )
        if not appearance or candidate.kind == LINEAR:
            return shape
        return appearance_shape(shape, self._plan, self._num_read, int(self._clips.kept_frames.sum()))

    def cross_fit(
        self, candidates: Sequence[Candidate], folds: Sequence[tuple[Numbers, Numbers]]
    ) -> dict[Candidate, Floats]:
        """Answers of every candidate for the clips that it has not seen: log probabilities ``[N, classes]``.

        Linear heads are solved for in a second, and come first. Where they make no mistake together, recurrent heads
        can add nothing, and are not tried. One that is clearly behind the linear head of its streams is given up after
        a fold (a race: Maron and Moore 1997).

        Args:
            candidates: The heads to choose from.
            folds: For each the clips to train on, and those to answer for. Others have no answer.
        """
        clips = self._clips
        scorer = Scorer(clips.targets.argmax(axis=1), clips.weights)
        answered = np.concatenate([test for _, test in folds])
        done = self._cross_fit_linear([one for one in candidates if one.kind == LINEAR], folds)
        if done and scorer.make_no_mistake(list(done.values()), answered):
            return done
        for candidate in (one for one in candidates if one.kind == RECURRENT):
            answers = self._no_answers()
            linear = done.get(replace(candidate, kind=LINEAR))
            for number, (train, test) in enumerate(folds):
                if not len(test):
                    continue
                answers[test] = self._fold(candidate, number, train, test)
                if linear is not None and scorer.is_far_behind(answers, linear, test):
                    break
            else:
                done[candidate] = answers
        return done

    def _cross_fit_linear(
        self, candidates: Sequence[Candidate], folds: Sequence[tuple[Numbers, Numbers]]
    ) -> dict[Candidate, Floats]:
        for candidate in candidates:
            self.inputs(candidate.reads)  # which shows a bar of its own where it takes long
        done = {candidate: self._no_answers() for candidate in candidates}
        if not candidates:
            return done
        with self._progress.stage("Fitting linear heads", len(candidates) * len(folds), "head") as stage:
            for candidate, answers in done.items():
                for number, (train, test) in enumerate(folds):
                    if len(test):
                        answers[test] = self._fold(candidate, number, train, test)
                    stage.advance()
        return done

    def _no_answers(self) -> Floats:
        return np.zeros((len(self._clips.records), len(self._prepared.labels)), np.float32)

    def _fold(self, candidate: Candidate, number: int, train: Numbers, test: Numbers) -> Floats:
        name = f"{candidate.name} fold {number}"
        kept = self._store.read(name)
        shape = len(test), len(self._prepared.labels)
        if kept is None or "answers" not in kept or kept["answers"].shape != shape or not _are_finite(kept):
            inputs = self.inputs(candidate.reads)
            fitted = self._fit(candidate, inputs.take(train), train, seed=number + 1)
            kept = {"answers": fitted.head.predict(inputs.take(test))}
            self._store.write(name, kept)
        return kept["answers"]

    def fit(self, candidate: Candidate, numbers: Numbers | None = None) -> FittedHead:
        """The head, fitted to all clips, or to some."""
        every = np.arange(len(self._clips.records)) if numbers is None else numbers
        kept = self._store.read(candidate.name)
        if kept is not None and (restored := _restored(self.shape(candidate), kept)):
            return restored
        fitted = self._fit(candidate, self.inputs(candidate.reads).take(every), every, seed=0)
        self._store.write(candidate.name, _kept(fitted))
        return fitted

    def _fit(self, candidate: Candidate, inputs: HeadInputs, numbers: Numbers, seed: int) -> FittedHead:
        shape = self.shape(candidate)
        if candidate.kind == LINEAR:
            groups = self._clips.groups
            linear = LinearHead(shape)
            linear.fit(inputs, [groups[number] for number in numbers], self._settings.label_smoothing)
            return FittedHead(linear)
        # The first weights depend on nothing that went before: a killed training goes on to the same ones.
        keras.utils.set_random_seed((self._settings.seed + seed) % 2**32)
        recurrent = RecurrentHead(shape)
        result = recurrent.fit(inputs, None, self._hyperparameters(candidate, len(numbers), seed), self._progress)
        if result.interrupted:
            raise KeyboardInterrupt
        if result.failure:
            raise TrainingError(result.failure, code=result.failure_code)
        return FittedHead(recurrent, result.records)

    def _hyperparameters(self, candidate: Candidate, num_clips: int, seed: int) -> Hyperparameters:
        heads = self._plan.heads
        return Hyperparameters(
            stage="+".join(candidate.reads),
            title=f"{'Training' if not seed else 'Cross-validating'} {'+'.join(candidate.reads)}",
            epochs=heads.epochs,
            patience=heads.epochs,
            batch_size=min(heads.batch_size, num_clips),
            learning_rate=heads.learning_rate,
            rate_setting="learning_rate",
            weight_decay=heads.weight_decay,
            label_smoothing=self._settings.label_smoothing,
            seed=self._settings.seed + seed,
            augmentation=self._plan.augmentation,
            clipnorm=_CLIPNORM,
            tensorboard=None if seed else self._settings.tensorboard,
        )


def _kept(fitted: FittedHead) -> dict[str, npt.NDArray[Any]]:
    """A fitted head as arrays."""
    records = np.frombuffer(msgspec.msgpack.encode(fitted.records), np.uint8)
    weights = fitted.head.model.get_weights()
    return {"records": records, **{f"weight{number}": weight for number, weight in enumerate(weights)}}


def _restored(shape: HeadShape, kept: Mapping[str, npt.NDArray[Any]]) -> FittedHead | None:
    """A head that was kept; None: it is of another shape, or damaged."""
    try:
        records = msgspec.msgpack.decode(kept["records"].tobytes(), type=tuple[EpochRecord, ...])
    except (KeyError, msgspec.MsgspecError):
        return None
    head = RecurrentHead(shape) if shape.kind == RECURRENT else LinearHead(shape)
    weights = [kept[name] for name in kept if name != "records"]
    if not _are_finite(kept) or [one.shape for one in weights] != [tuple(one.shape) for one in head.model.weights]:
        return None
    head.model.set_weights(weights)
    return FittedHead(head, records)


def _are_finite(kept: Mapping[str, npt.NDArray[Any]]) -> bool:
    return all(one.dtype.kind in "fiu" and bool(np.isfinite(one).all()) for one in kept.values())
