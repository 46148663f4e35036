"""train: prepared clips -> a bundle.

Streams describe every frame in numbers, and a head for each stream reads these over time.
:mod:`activity_cli.training.stream_heads` fits heads, :mod:`activity_cli.training.cross_validation` chooses among them,
and :mod:`activity_cli.training.stages` trains an encoder together with its head.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli._version import __version__
from activity_cli.dataset.features import note_feature_cache
from activity_cli.dataset.manifest import PreparedFolder, read_prepared
from activity_cli.errors import BundleError, ConfigError, DatasetError, OutputError, UsageError
from activity_cli.files import atomic_folder, path_lock, remove_stale, sha256_of, translate_os_error
from activity_cli.labels.flip import mirrored_labels
from activity_cli.model.bundle import (
    OUT_OF_FOLD_FILE,
    Document,
    HeadEntry,
    HeadNumbers,
    head_file,
    read_bundle,
    write_bundle,
)
from activity_cli.model.heads import LINEAR, RECURRENT, HeadShape, build_head
from activity_cli.model.network import Network, NetworkShape, build_encoder_for, layer_rows
from activity_cli.model.precision import choose_precision
from activity_cli.progress import Progress, SilentProgress
from activity_cli.reports.charts import training_curves
from activity_cli.results import EpochRecord, HeadScore, LayerRow, TrainResult
from activity_cli.runtime.litert import margin
from activity_cli.settings import (
    Augmentation,
    TrainPlan,
    TrainSettings,
    plain_values,
    resolve_train,
    settings_of_recurrent_heads,
)
from activity_cli.settings.encoders import spec_of
from activity_cli.streams.pyramid import num_larger_features
from activity_cli.streams.registry import STREAMS
from activity_cli.streams.truncation import set_trainable
from activity_cli.training.checkpoint import Checkpoint, FitStore, checkpoint_path, read_checkpoint
from activity_cli.training.cross_validation import Candidate, Choice, answerable, choose, group_folds
from activity_cli.training.data import ClipSet, report_matched_lengths, training_clips
from activity_cli.training.devices import on_device
from activity_cli.training.frozen_backbone import FrozenBackbone
from activity_cli.training.heads import LinearHead, RecurrentHead
from activity_cli.training.memory import translate_memory_error
from activity_cli.training.packing import (
    compared_clips,
    package_versions,
    trained_on,
    write_appearance_files,
    write_head_file,
)
from activity_cli.training.runner import require_tensorboard
from activity_cli.training.stages import Outcome, plan_stages, run_stages
from activity_cli.training.stream_heads import StreamHeads, appearance_shape, candidates_of
from activity_cli.training.trainee import CnnLstm
from activity_cli.writers.csv import write_history_csv

__all__ = ["network_layers", "train"]

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

# What may differ when a training goes on: when it is enough, not what is learned.
_FREE_SETTINGS = ("patience",)
# What else must be the same besides settings.
_IN_WORDS = {
    "data": "the prepared clips",
    "defaults": "values that train chose",
    "labels": "the labels",
    "version": "the version of activity",
}
# Share of the right answers that predict --reject-unknown keeps.
_RECALL = 0.95
# The head that is trained together with an encoder.
_JOINT_HEAD = Candidate("appearance", ("appearance",), RECURRENT)


@translate_memory_error()
def train(settings: TrainSettings, progress: Progress | None = None) -> TrainResult:
    """Trains a CNN LSTM and writes it as a bundle.

    With a frozen encoder, cross-validation chooses heads and streams, and the chosen heads are fitted to the training
    and validation clips together. ``train`` keeps every finished fit beside the model.

    If an encoder is trained, the bundle has the weights of the epoch with the lowest validation loss, also if a person
    interrupts the training or the loss is not a finite number. With ``refit``, ``train`` then trains again on the
    training and validation clips together, and the bundle has the last weights of this second training. After every
    epoch, ``train`` writes a checkpoint beside the model.

    If the training was killed, the same call continues it and ends with the same weights.

    Args:
        settings: The prepared folder, the network and the training.
        progress: Shows bars, notes and warnings.

    Raises:
        DatasetError: The prepared folder is missing, unfinished, damaged or cannot be used for training.
        ConfigError: Settings contradict each other, or do not fit these clips.
        OutputError: There is a bundle already, or it cannot be written.
        TrainingError: The loss is not finite, or memory is too small; while an encoder is trained, before the first
            epoch ended.
        KeyboardInterrupt: A person interrupted; while an encoder is trained, before the first epoch ended.
    """
    progress = progress or SilentProgress()
    prepared = read_prepared(settings.prepared)
    plan = resolve_train(settings, len(prepared.in_split("train")), prepared.labels, prepared.stream_names)
    _check(settings, plan, prepared, progress)
    _warn_of_idle_settings(settings, plan, progress)
    with path_lock(settings.out), on_device(settings.device):
        return _train(settings, plan, prepared, progress)


def network_layers(settings: TrainSettings) -> list[LayerRow]:
    """Every layer of the network of the appearance stream with a recurrent head, those of the CNN included.

    Raises:
        DatasetError: The prepared folder is missing, unfinished or damaged.
        ConfigError: Settings are not possible together, or with these clips.
    """
    prepared = read_prepared(settings.prepared)
    plan = resolve_train(settings, len(prepared.in_split("train")), prepared.labels, prepared.stream_names)
    encoder = build_encoder_for(plan.network, prepared.sampling.frame_size, weights=plan.weights)
    set_trainable(encoder, spec_of(plan.network), plan.trained_blocks, pretrained=plan.pretrained)
    shape = _appearance_network(plan, prepared, encoder)
    return layer_rows(Network(shape, encoder, build_head(shape.head)))


def _train(settings: TrainSettings, plan: TrainPlan, prepared: PreparedFolder, progress: Progress) -> TrainResult:
    # Keras must not print to stdout, which is for data.
    keras.config.disable_interactive_logging()
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(settings.seed)
    tf.get_logger().setLevel("ERROR")  # a training has several small networks; TensorFlow warns that each is traced
    report_matched_lengths(training_clips(prepared, ("train",), settings, plan), progress)
    if "appearance" in plan.streams and plan.pretrained:
        note_feature_cache(prepared, progress)
    train_heads = _train_heads if plan.mode == "frozen" else _train_encoder
    return train_heads(settings, plan, prepared, progress)


def _train_heads(settings: TrainSettings, plan: TrainPlan, prepared: PreparedFolder, progress: Progress) -> TrainResult:
    """Trains with a frozen encoder: cross-validation chooses among heads, which then are fitted to all clips."""
    identity = _identity(settings, plan, prepared, "float32")
    store = FitStore(settings.out, identity)
    encoder, backbone, num_read = None, None, 0
    if "appearance" in plan.streams:
        encoder = build_encoder_for(plan.network, prepared.sampling.frame_size, weights=plan.weights)
        num_read = num_larger_features(encoder)
    _start_or_resume(settings, store, progress)
    if encoder:
        backbone = FrozenBackbone(encoder, prepared, progress)
    splits = ("train", "val")
    clips = training_clips(prepared, splits, settings, plan)
    heads = StreamHeads(settings, plan, prepared, clips, backbone, num_read, store, progress)
    labels = [record.label for record in clips.records]
    folds = _folds(labels, clips.groups, settings.seed, progress)
    answered = np.sort(np.concatenate([test for _, test in folds]))
    candidates = candidates_of(plan.streams, plan.network.head)
    answers = heads.cross_fit(candidates, folds)
    truth = clips.targets.argmax(axis=1)
    choice = choose({one: logs[answered] for one, logs in answers.items()}, truth[answered], clips.weights[answered])
    fitted = {candidate: heads.fit(candidate) for candidate in choice.weights}
    network = None
    if encoder and (appearance := next((one for one in fitted if one.stream == "appearance"), None)):
        head = fitted[appearance].head
        shape = NetworkShape(plan.network, prepared.sampling.frame_size, head.shape)
        network = Network(shape, encoder, head.model)
    trained = _Trained(
        settings,
        plan,
        prepared,
        {candidate: one.head for candidate, one in fitted.items()},
        choice,
        clips.take(answered),
        splits,
        identity,
        heads=heads,
        network=network,
        encoder_file=backbone.content if backbone else None,
        history=tuple(record for one in fitted.values() for record in one.records),
    )
    result = trained.save()
    store.remove()
    checkpoint_path(settings.out).unlink(missing_ok=True)  # of a training in another mode
    return result


def _train_encoder(
    settings: TrainSettings, plan: TrainPlan, prepared: PreparedFolder, progress: Progress
) -> TrainResult:
    """Trains an encoder together with its head, and the heads of the other streams beside it."""
    policy = choose_precision(settings.precision)
    identity = _identity(settings, plan, prepared, policy)
    checkpoint = checkpoint_path(settings.out)
    remove_stale(checkpoint)
    resumed = _resumed(settings, identity, checkpoint, progress)
    encoder = build_encoder_for(plan.network, prepared.sampling.frame_size, weights=plan.weights, policy=policy)
    set_trainable(encoder, spec_of(plan.network), plan.trained_blocks, pretrained=plan.pretrained)
    plain_encoder = encoder
    if policy != "float32":
        plain_encoder = build_encoder_for(plan.network, prepared.sampling.frame_size)
        plain_encoder.set_weights(encoder.get_weights())
    shape = _appearance_network(plan, prepared, encoder)
    trainee = CnnLstm(settings, plan, prepared, encoder, plain_encoder, shape, policy, progress)
    stages = plan_stages(plan, validates=bool(prepared.in_split("val")))
    outcome = run_stages(stages, trainee, checkpoint, identity, resumed, progress)
    assert outcome.stage
    splits = outcome.stage.splits
    store = FitStore(settings.out, identity)
    store.start()
    others = _OtherStreams(settings, plan, prepared, store, progress)
    validated = None if outcome.interrupted else trainee.validated(outcome.validated)
    choice = others.choose(validated, outcome)
    plain_encoder.set_weights(encoder.get_weights())
    fitted = {one: others.fit(one, splits) for one in choice.weights if one != _JOINT_HEAD}
    heads = {one: trainee.head if one == _JOINT_HEAD else fitted[one] for one in choice.weights}
    # The network reads as many frames as it was trained on.
    clips = training_clips(prepared, splits, settings, plan)
    read = replace(shape.head, num_frames=int(clips.kept_frames.max()))
    head = build_head(read)
    head.set_weights(trainee.head.model.get_weights())
    network = Network(replace(shape, head=read), plain_encoder, head)
    trained = _Trained(
        settings,
        plan,
        prepared,
        heads,
        choice,
        others.clips.take(others.answered),
        splits,
        identity,
        heads=others.heads,
        network=network if _JOINT_HEAD in heads else None,
        history=outcome.records,
        outcome=outcome,
    )
    result = trained.save()
    store.remove()
    if not outcome.interrupted:
        checkpoint.unlink(missing_ok=True)
    return result


class _OtherStreams:
    """The streams beside an encoder that is trained: validation clips say what they add to it."""

    def __init__(
        self, settings: TrainSettings, plan: TrainPlan, prepared: PreparedFolder, store: FitStore, progress: Progress
    ) -> None:
        self.clips = training_clips(prepared, ("train", "val"), settings, plan)
        self.heads = StreamHeads(settings, plan, prepared, self.clips, None, 0, store, progress)
        self._plan = plan
        is_val = np.array([record.split == "val" for record in self.clips.records])
        labels = [record.label for record in self.clips.records]
        self._folds = answerable([(np.flatnonzero(~is_val), np.flatnonzero(is_val))], labels)
        # All validation clips: the encoder has answered for them.
        self.answered = np.flatnonzero(is_val)

    def choose(self, validated: Floats | None, outcome: Outcome) -> Choice:
        """What the network reads, by the answers for the validation clips; without these, the encoder alone."""
        best = outcome.best
        if validated is None:
            accuracy = best.val_accuracy if best else float("nan")
            return Choice({_JOINT_HEAD: 1.0}, {_JOINT_HEAD: accuracy}, np.zeros((0, 0), np.float32))
        candidates = candidates_of(self._plan.streams, self._plan.network.head, trained=["appearance"])
        answers = {one: logs[self.answered] for one, logs in self.heads.cross_fit(candidates, self._folds).items()}
        truth, weights = self.clips.targets[self.answered].argmax(axis=1), self.clips.weights[self.answered]
        return choose({_JOINT_HEAD: validated} | answers, truth, weights)

    def fit(self, candidate: Candidate, splits: Sequence[str]) -> RecurrentHead | LinearHead:
        """The head of another stream, fitted to the clips that the encoder was trained on."""
        numbers = np.flatnonzero([record.split in splits for record in self.clips.records])
        return self.heads.fit(candidate, numbers).head


@dataclass(slots=True)
class _Trained:
    """A trained network on its way into a bundle."""

    settings: TrainSettings
    plan: TrainPlan
    prepared: PreparedFolder
    fitted: Mapping[Candidate, RecurrentHead | LinearHead]
    choice: Choice
    answered: ClipSet  # those that the choice was made by
    splits: Sequence[str]
    identity: Mapping[str, Any]
    heads: StreamHeads
    network: Network | None
    encoder_file: bytes | None = None
    history: tuple[EpochRecord, ...] = ()
    outcome: Outcome = field(default_factory=Outcome)

    def save(self) -> TrainResult:
        settings, outcome, prepared = self.settings, self.outcome, self.prepared
        with atomic_folder(settings.out) as folder:
            difference = self._write_heads(folder)
            self._write_out_of_fold(folder)
            write_bundle(folder, self._document(difference))
            name = read_bundle(folder).name
            write_history_csv(folder / "history.csv", self.history)
            if self.history:
                training_curves(self.history, folder / "history.png", self._best_epoch)
        accuracy, loss = self._validation
        return TrainResult(
            model=settings.out,
            name=name,
            labels=prepared.labels,
            history=self.history,
            best_epoch=self._best_epoch,
            interrupted=outcome.interrupted,
            litert_max_abs_difference=difference,
            history_picture=settings.out / "history.png" if self.history else None,
            diverged=outcome.failure,
            refitted=self._refitted,
            heads=tuple(
                HeadScore("+".join(one.reads), one.kind, weight, _finite(self.choice.accuracy[one]))
                for one, weight in self.choice.weights.items()
            ),
            dropped=tuple(stream for stream in STREAMS if stream in {*self.plan.streams} - self._read_streams),
            val_accuracy=accuracy,
            val_loss=loss,
        )

    @property
    def _read_streams(self) -> set[str]:
        return {stream for candidate in self.fitted for stream in candidate.reads}

    @property
    def _refitted(self) -> bool:
        stage = self.outcome.stage
        refits = self.plan.mode == "frozen" or bool(stage and stage.refits)
        return refits and bool(self.prepared.in_split("val"))

    @property
    def _best_epoch(self) -> int:
        best = self.outcome.best
        return best.epoch if best and best.stage == "main" else 0

    @property
    def _validation(self) -> tuple[float | None, float | None]:
        """Accuracy and loss on clips that the heads were not trained on; None: there are none."""
        answers = self.choice.log_probabilities
        if not len(answers):
            best = self.outcome.best
            return (_finite(best.val_accuracy), _finite(best.val_loss)) if best else (None, None)
        truth = self.answered.targets.argmax(axis=1)
        return float(np.mean(answers.argmax(axis=1) == truth)), float(-answers[np.arange(len(truth)), truth].mean())

    @property
    def _least_margin(self) -> float | None:
        answers = self.choice.log_probabilities
        if not len(answers):
            return None
        right = answers.argmax(axis=1) == self.answered.targets.argmax(axis=1)
        margins = margin(np.exp(answers[right]))
        return (
            round(float(np.quantile(margins, 1 - _RECALL)), 4) if len(margins) and np.isfinite(margins).all() else None
        )

    def _write_heads(self, folder: Path) -> float:
        largest = 0.0
        for candidate, head in self.fitted.items():
            if candidate.stream == "appearance":
                assert self.network
                found = write_appearance_files(self.network, folder, compared_clips(self.prepared), self.encoder_file)
            else:
                inputs = self.heads.inputs(candidate.reads)
                found = write_head_file(head.model, head.shape, folder / head_file(candidate.stream), inputs)
            largest = max(largest, found)
        return largest

    def _write_out_of_fold(self, folder: Path) -> None:
        answers = self.choice.log_probabilities
        if len(answers):
            answered = self.answered
            with (folder / OUT_OF_FOLD_FILE).open("wb") as file:
                np.savez(
                    file,
                    clips=np.array([record.clip for record in answered.records]),
                    truth=answered.targets.argmax(axis=1),
                    log_probabilities=answers,
                )

    def _document(self, difference: float) -> Document:
        settings, plan, outcome = self.settings, self.plan, self.outcome
        chosen = {
            name: value
            for name, value in asdict(plan).items()
            if name not in ("network", "augmentation", "streams", "heads")
        }
        ended = {"refitted": self._refitted, "interrupted": outcome.interrupted, "failure": outcome.failure}
        accuracy, loss = self._validation
        mirrored = mirrored_labels(self.prepared.labels, plan.augmentation)
        return Document(
            name=settings.out.resolve().name,
            labels=list(self.prepared.labels),
            settings={
                "prepare": {**plain_values(self.prepared.sampling), **plain_values(self.prepared.split)},
                "train": plain_values(settings, stored_only=True),
            },
            network=plain_values(plan.network),
            appearance=msgspec.convert(asdict(self.network.shape.head), HeadNumbers) if self.network else None,
            heads=[
                HeadEntry(
                    one.stream,  # type: ignore[arg-type]
                    list(one.reads),  # type: ignore[arg-type]
                    one.kind,  # type: ignore[arg-type]
                    head_file(one.stream),
                    weight,
                    _finite(self.choice.accuracy[one]),
                )
                for one, weight in self.choice.weights.items()
            ],
            streams={name: STREAMS[name].version for name in STREAMS if name in self._read_streams},
            mirrored_labels=list(mirrored) if mirrored and "pose" in self._read_streams else None,
            training=chosen | asdict(plan.heads) | ended
            if plan.mode == "frozen"
            else chosen | ended | {name: self.identity[name] for name in ("precision", "weights_sha256")},
            metrics={"best_epoch": float(self._best_epoch), "val_accuracy": accuracy, "val_loss": loss},
            data=trained_on(self.prepared, settings.out, self.splits),
            versions=package_versions(),
            litert={"max_abs_difference": difference},
            background=sorted(set(settings.background)),
            least_margin=self._least_margin,
        )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _appearance_network(plan: TrainPlan, prepared: PreparedFolder, encoder: keras.Model) -> NetworkShape:
    """The network of an encoder that is trained together with its head."""
    sampling = prepared.sampling
    head = HeadShape(
        kind="recurrent",
        num_frames=sampling.num_frames,
        num_features=int(encoder.output_shape[-1]),
        num_classes=len(prepared.labels),
        units=plan.network.units,
        dropout=plan.network.dropout,
    )
    num_rows = sum(record.clip_frames for record in prepared.in_split("train"))
    shape = appearance_shape(head, plan, num_larger_features(encoder), num_rows)
    return NetworkShape(plan.network, sampling.frame_size, shape)


def _folds(
    labels: Sequence[str], groups: Sequence[str], seed: int, progress: Progress
) -> list[tuple[Numbers, Numbers]]:
    """The folds of the cross-validation, each with the clips that its heads can answer for."""
    folds = answerable(group_folds(labels, groups, seed), labels)
    known = {labels[number] for _, test in folds for number in test}
    if unknown := sorted({*labels} - known):
        progress.warn(
            f"All clips of {' and '.join(map(repr, unknown))} are in one group, so cross-validation cannot say how "
            "well this is recognized in other people or places. Add clips of another group."
        )
    if len(known) > 1:
        return folds
    return answerable(group_folds(labels, [str(number) for number in range(len(labels))], seed), labels)


def _start_or_resume(settings: TrainSettings, store: FitStore, progress: Progress) -> None:
    """Goes on with the fits of a training that was killed, or starts anew."""
    differing = store.differing()
    if differing == [] and not (settings.overwrite and not settings.resume):
        progress.note(f"Resuming the unfinished training: {len(store)} fits are already done.")
        return
    if settings.resume and differing is None:
        raise _nothing_to_resume(settings)
    if settings.resume and differing:
        raise _other_settings(settings, differing)
    if differing:
        progress.note(_starting_again(differing))
    store.start()


def _identity(settings: TrainSettings, plan: TrainPlan, prepared: PreparedFolder, policy: str) -> dict[str, Any]:
    """What must be the same for a training to go on where it was: settings, choices, clips and precision."""
    values = {
        name: value for name, value in plain_values(settings, stored_only=True).items() if name not in _FREE_SETTINGS
    }
    # Another version may choose otherwise.
    chosen = {"defaults": repr(replace(plan, patience=0)), "version": __version__}
    data = {"data": prepared.fingerprint, "labels": list(prepared.labels)}
    return values | chosen | data | {"precision": policy, "weights_sha256": _weights_sha256(plan)}


def _weights_sha256(plan: TrainPlan) -> str | None:
    """Of a file of weights: one of the same name may hold others by now."""
    if plan.weights in ("imagenet", "none"):
        return None
    with suppress(OSError):  # who loads it says that it is missing
        return sha256_of(Path(plan.weights))
    return None


def _resumed(settings: TrainSettings, identity: Mapping[str, Any], path: Path, progress: Progress) -> Checkpoint | None:
    """The state to go on from. The same command gives the same weights whether it was killed or not."""
    if settings.overwrite and not settings.resume:
        return None
    found = read_checkpoint(path)
    if found is None:
        if settings.resume:
            raise _nothing_to_resume(settings)
        return None
    differing = sorted(name for name in {*identity, *found.settings} if identity.get(name) != found.settings.get(name))
    if not differing:
        last = found.records[-1]
        progress.note(f"Resuming the unfinished training after epoch {last.epoch} of the stage {last.stage!r}.")
        return found
    if settings.resume:
        raise _other_settings(settings, differing)
    progress.note(_starting_again(differing))
    return None


def _nothing_to_resume(settings: TrainSettings) -> UsageError:
    return UsageError(
        f"There is no interrupted training to resume for {str(settings.out)!r}.",
        "Omit `resume` to start a new training.",
    )


def _other_settings(settings: TrainSettings, differing: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"The unfinished training for {str(settings.out)!r} was started with other settings: {_listed(differing)}.",
        "Use the same settings, or start again with `overwrite`.",
    )


def _starting_again(differing: Sequence[str]) -> str:
    return f"Starting again: the settings of the unfinished training were different ({_listed(differing)})."


def _listed(differing: Sequence[str]) -> str:
    """Entries of :func:`_identity`, in plain words."""
    return ", ".join(_IN_WORDS.get(name, name) for name in differing)


def _warn_of_idle_settings(settings: TrainSettings, plan: TrainPlan, progress: Progress) -> None:
    usual, given = Augmentation(), plan.augmentation
    names = [name for name in ("crop", "color_jitter") if getattr(given, name) not in (0, getattr(usual, name))]
    if names and plan.mode != "joint":
        progress.warn(
            f"With --mode {plan.mode}, {' and '.join(names)} {'has' if len(names) == 1 else 'have'} no effect: this "
            "mode augments only skeletons and the timing of clips. Use --mode joint to augment images."
        )
    if plan.network.head == LINEAR and (names := settings_of_recurrent_heads(settings)):
        progress.warn(
            f"With --set head=linear, train ignores {' and '.join(names)}: only recurrent heads use such settings."
        )


def _other_labels(out: Path, prepared: PreparedFolder) -> str:
    """In which labels a model differs from the prepared folder; empty: in none, or it cannot be read."""
    try:
        known = set(read_bundle(out).labels)
    except BundleError:
        return ""
    here = set(prepared.labels)
    lacking, further = ", ".join(sorted(here - known)), ", ".join(sorted(known - here))
    lacks = f" It does not know labels of {prepared.folder}: {lacking}." if lacking else ""
    return lacks + (f" It knows labels that {prepared.folder} does not have: {further}." if further else "")


def _check(settings: TrainSettings, plan: TrainPlan, prepared: PreparedFolder, progress: Progress) -> None:
    out = settings.out
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        if not (out / "bundle.json").is_file():
            raise OutputError(f"{str(out)!r} exists and is not a model.", "Choose another folder with `out`.")
        if not settings.overwrite and not settings.resume:
            raise OutputError(
                f"There is already a model at {str(out)!r}.{_other_labels(out, prepared)}",
                "Use `overwrite` to replace it, `resume` to continue an interrupted training, or another `out`.",
                code="output.exists",
            )
    if os.path.ismount(out) or out.resolve() == Path.cwd():
        what = "is the current folder or a mount point"
        raise OutputError(f"{str(out)!r} {what}, which train cannot replace.", "Choose a folder inside it with `out`.")
    # Before hours of training: the same steps that saving begins with.
    with translate_os_error(out, "`out`"):
        out.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out.parent).close()
    if settings.tensorboard:
        if settings.tensorboard.resolve().is_relative_to(out.resolve()):
            raise OutputError(
                f"The TensorBoard logs cannot be in {str(out)!r}, because train replaces this folder at the end.",
                "Choose a folder outside it with `tensorboard=DIR`.",
            )
        require_tensorboard()
        with translate_os_error(settings.tensorboard, "`tensorboard`"):
            settings.tensorboard.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=settings.tensorboard).close()
    present = {record.label for record in prepared.in_split("train")}
    learned = [record for split in ("train", "val") for record in prepared.in_split(split)]
    prepared.check_frames(learned, pictures="appearance" in plan.streams)
    if len(present) < 2:
        raise DatasetError(
            f"{prepared.folder} has training clips of only {len(present)} label(s). Training needs two or more labels.",
            "Add videos, or run 'activity prepare' again with smaller val_fraction and test_fraction.",
        )
    if plan.mode != "frozen" and not prepared.in_split("val"):
        progress.warn("There are no validation clips, so train cannot find the best epoch and runs all epochs.")
