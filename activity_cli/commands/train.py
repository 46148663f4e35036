"""train: prepared clips -> a bundle.

The encoder describes every frame, and heads read the features over time; :mod:`activity_cli.training.stages` says what
is trained when.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.dataset.batches import Examples
from activity_cli.dataset.features import note_feature_cache
from activity_cli.dataset.manifest import PreparedFolder, read_prepared
from activity_cli.errors import ConfigError, DatasetError, OutputError, UsageError
from activity_cli.files import atomic_folder, path_lock, remove_stale, sha256_of, translate_os_error
from activity_cli.model.bundle import Document, HeadEntry, Shape, head_file, read_bundle, write_bundle
from activity_cli.model.network import (
    LINEAR,
    Network,
    NetworkShape,
    build_encoder_for,
    build_head,
    layer_rows,
)
from activity_cli.model.precision import choose_precision
from activity_cli.progress import Progress, SilentProgress
from activity_cli.reports.charts import training_curves
from activity_cli.results import HeadScore, LayerRow, TrainResult
from activity_cli.runtime.litert import combine
from activity_cli.settings import Augmentation, TrainPlan, TrainSettings, plain_values, resolve_train
from activity_cli.settings.encoders import spec_of
from activity_cli.streams.pyramid import num_larger_features
from activity_cli.streams.truncation import set_trainable
from activity_cli.training.checkpoint import Checkpoint, checkpoint_path, read_checkpoint
from activity_cli.training.data import ClipSet, report_matched_lengths, training_clips, validation_clips
from activity_cli.training.devices import on_device
from activity_cli.training.frozen_backbone import FrozenBackbone
from activity_cli.training.heads import LinearHead, RecurrentHead, measured_shape
from activity_cli.training.memory import translate_memory_error
from activity_cli.training.packing import compared_clips, package_versions, trained_on, write_network_files
from activity_cli.training.runner import require_tensorboard
from activity_cli.training.stages import Outcome, plan_stages, run_stages
from activity_cli.training.trainee import CnnLstm
from activity_cli.writers.csv import write_history_csv

__all__ = ["network_layers", "train"]

Floats = npt.NDArray[np.float32]

# Share of the sum of log probabilities. The recurrent head errs more often, but knows the motion where the linear head
# hesitates (docs/measurements.md).
_RECURRENT_WEIGHT = 0.2

# What may differ when a training goes on: when it is enough, not what is learned.
_FREE_SETTINGS = ("patience",)


@translate_memory_error()
def train(settings: TrainSettings, progress: Progress | None = None) -> TrainResult:
    """Trains a CNN LSTM and writes it as a bundle.

    The bundle has the weights of the epoch with the lowest validation loss, also if a person interrupts the training
    or the loss is not a finite number. With ``refit``, ``train`` then trains again on the training and validation clips
    together, and the bundle has the last weights of this second training. After every epoch, ``train`` writes a
    checkpoint beside the model. If the training was killed, the same call continues it and ends with the same weights.

    Args:
        settings: The prepared folder, the network and the training.
        progress: Shows bars, notes and warnings.

    Raises:
        DatasetError: The prepared folder is missing, unfinished, damaged or cannot be used for training.
        ConfigError: Settings contradict each other, or do not fit these clips.
        OutputError: There is a bundle already, or it cannot be written.
        TrainingError: The loss is not finite, or memory is too small, before the first epoch ended.
        KeyboardInterrupt: A person interrupted before the first epoch ended.
    """
    progress = progress or SilentProgress()
    prepared = read_prepared(settings.prepared)
    plan = resolve_train(settings, len(prepared.in_split("train")), prepared.labels)
    _check(settings, prepared, progress)
    _warn_of_idle_augmentation(plan, progress)
    with path_lock(settings.out), on_device(settings.device):
        return _train(settings, plan, prepared, progress)


def network_layers(settings: TrainSettings) -> list[LayerRow]:
    """Every layer of the network that :func:`train` would train, those of the CNN included.

    Raises:
        DatasetError: The prepared folder is missing, unfinished or damaged.
        ConfigError: Settings are not possible together, or with these clips.
    """
    prepared = read_prepared(settings.prepared)
    plan = resolve_train(settings, len(prepared.in_split("train")), prepared.labels)
    encoder = build_encoder_for(plan.network, prepared.sampling.frame_size, weights=plan.weights)
    set_trainable(encoder, spec_of(plan.network), plan.trained_blocks, pretrained=plan.pretrained)
    shape = _shape(plan, prepared, encoder)
    weights = _head_weights(plan)
    return layer_rows(Network(shape, encoder, {name: build_head(shape, name) for name in weights}, weights))


def _train(settings: TrainSettings, plan: TrainPlan, prepared: PreparedFolder, progress: Progress) -> TrainResult:
    # Keras must not print to stdout, which is for data.
    keras.config.disable_interactive_logging()
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(settings.seed)
    tf.get_logger().setLevel("ERROR")  # a training has several small networks; TensorFlow warns that each is traced
    # A frozen encoder runs in LiteRT; the heads gain nothing from fewer bits.
    policy = "float32" if plan.mode == "frozen" else choose_precision(settings.precision)
    identity = _identity(settings, plan, prepared, policy)
    checkpoint = checkpoint_path(settings.out)
    remove_stale(checkpoint)
    resumed = _resumed(settings, identity, checkpoint, progress)

    size = prepared.sampling.frame_size
    encoder = build_encoder_for(plan.network, size, weights=plan.weights, policy=policy)
    set_trainable(encoder, spec_of(plan.network), plan.trained_blocks, pretrained=plan.pretrained)
    plain_encoder = encoder
    if policy != "float32":
        plain_encoder = build_encoder_for(plan.network, size)
        plain_encoder.set_weights(encoder.get_weights())
    shape = _shape(plan, prepared, encoder)
    report_matched_lengths(training_clips(prepared, ("train",), settings, plan), progress)
    if plan.pretrained:
        note_feature_cache(prepared, progress)

    outcome, recurrent, backbone = Outcome(), None, None
    if plan.network.sequence != "none":
        trainee = CnnLstm(settings, plan, prepared, encoder, plain_encoder, shape, policy, progress)
        stages = plan_stages(plan, validates=bool(prepared.in_split("val")))
        outcome, recurrent = run_stages(stages, trainee, checkpoint, identity, resumed, progress), trainee.head
        plain_encoder.set_weights(encoder.get_weights())
        if plan.mode == "frozen":
            backbone = trainee.backbone(whole=True)
    if plan.network.linear_head and backbone is None:
        backbone = FrozenBackbone(plain_encoder, prepared, progress)
    result = _Trained(settings, plan, prepared, backbone, plain_encoder, shape, recurrent, outcome, identity).save()
    if not outcome.interrupted:
        checkpoint.unlink(missing_ok=True)
    return result


@dataclass(slots=True)
class _Trained:
    """A trained network on its way into a bundle: the linear head is solved for, the heads are scored and saved."""

    settings: TrainSettings
    plan: TrainPlan
    prepared: PreparedFolder
    backbone: FrozenBackbone | None
    encoder: keras.Model
    shape: NetworkShape
    recurrent: RecurrentHead | None
    outcome: Outcome
    identity: Mapping[str, Any]

    def save(self) -> TrainResult:
        settings, outcome, prepared = self.settings, self.outcome, self.prepared
        heads, val_accuracy, val_loss = self._validate()
        clips = training_clips(prepared, self._splits, settings, self.plan)
        # The network reads as many frames as it was trained on.
        shape = replace(self.shape, num_frames=int(clips.kept_frames.max()))
        models = {LINEAR: self._linear_head(clips).model} if self.plan.network.linear_head else {}
        if self.recurrent:
            models[self.recurrent.name] = self.recurrent.model
        network = Network(shape, self.encoder, _with_shape(models, shape), _head_weights(self.plan))
        with atomic_folder(settings.out) as folder:
            encoder_file = self.backbone.path if self.backbone else None
            difference = write_network_files(network, folder, compared_clips(prepared), encoder_file)
            write_bundle(folder, self._document(shape, heads, val_accuracy, val_loss, difference))
            name = read_bundle(folder).name
            write_history_csv(folder / "history.csv", outcome.records)
            if outcome.records:
                training_curves(outcome.records, folder / "history.png", self._best_epoch)
        return TrainResult(
            model=settings.out,
            name=name,
            labels=prepared.labels,
            history=outcome.records,
            best_epoch=self._best_epoch,
            interrupted=outcome.interrupted,
            litert_max_abs_difference=difference,
            history_picture=settings.out / "history.png" if outcome.records else None,
            diverged=outcome.failure,
            refitted=self._refitted,
            heads=heads,
            val_accuracy=val_accuracy,
            val_loss=val_loss,
        )

    @property
    def _splits(self) -> tuple[str, ...]:
        if self.outcome.stage:
            return self.outcome.stage.splits
        return ("train", "val") if self.plan.refit else ("train",)

    @property
    def _refitted(self) -> bool:
        return "val" in self._splits and bool(self.prepared.in_split("val"))

    @property
    def _best_epoch(self) -> int:
        best = self.outcome.best
        return best.epoch if best and best.stage == "main" else 0

    def _linear_head(self, clips: ClipSet) -> LinearHead:
        assert self.backbone
        head = LinearHead(self.shape)
        head.fit(clips.examples(self.backbone.files(clips.records)), clips.groups, self.settings.label_smoothing)
        return head

    def _validate(self) -> tuple[tuple[HeadScore, ...], float | None, float | None]:
        """Accuracy of each head alone, and accuracy and loss of the whole network, on validation clips.

        They are of the time before any refit, which is trained on these clips. A refit of the encoder leaves only the
        figures that training recorded: those of the recurrent head alone.
        """
        weights = _head_weights(self.plan)
        best = self.outcome.best
        alone: dict[str, float | None] = dict.fromkeys(weights)
        if best and math.isfinite(best.val_accuracy):
            alone[self.plan.network.sequence] = best.val_accuracy
        encoder_is_gone = self.outcome.stage and self.outcome.stage.refits and self.outcome.stage.trains_encoder
        if not self.plan.network.linear_head or not self.prepared.in_split("val") or encoder_is_gone:
            alone_counts = best and not self.plan.network.linear_head and math.isfinite(best.val_loss)
            whole = (best.val_accuracy, best.val_loss) if best and alone_counts else (None, None)
            return _head_scores(weights, alone), *whole
        train = training_clips(self.prepared, ("train",), self.settings, self.plan)
        val = validation_clips(self.prepared, self.settings, self.plan, int(train.kept_frames.max()))
        assert self.backbone
        examples = val.examples(self.backbone.files(val.records))
        answers = {LINEAR: self._linear_head(train).predict(examples)}
        if self.recurrent:
            answers[self.recurrent.name] = self._validated_recurrent(examples)
        truth = val.targets.argmax(axis=1)
        for name, answer in answers.items():
            alone[name] = float(np.mean(answer.argmax(axis=1) == truth))
        probabilities = combine(answers, weights)
        right = np.maximum(probabilities[np.arange(len(truth)), truth], np.finfo(np.float32).tiny)
        accuracy = float(np.mean(probabilities.argmax(axis=1) == truth))
        return _head_scores(weights, alone), accuracy, float(-np.log(right).mean())

    def _validated_recurrent(self, examples: Examples) -> Floats:
        """Log probabilities of the recurrent head as it was before any refit."""
        assert self.recurrent
        final = self.recurrent.model.get_weights()
        self.recurrent.model.set_weights(list(self.outcome.validated)[-len(final) :])
        answers = self.recurrent.predict(examples)
        self.recurrent.model.set_weights(final)
        return answers

    def _document(
        self,
        shape: NetworkShape,
        heads: tuple[HeadScore, ...],
        val_accuracy: float | None,
        val_loss: float | None,
        difference: float,
    ) -> Document:
        settings, plan, outcome = self.settings, self.plan, self.outcome
        chosen = {name: value for name, value in asdict(plan).items() if name not in ("network", "augmentation")}
        ended = {"refitted": self._refitted, "interrupted": outcome.interrupted, "failure": outcome.failure}
        return Document(
            name=settings.out.resolve().name,
            labels=list(self.prepared.labels),
            settings={
                "prepare": {**plain_values(self.prepared.sampling), **plain_values(self.prepared.split)},
                "train": plain_values(settings, stored_only=True),
            },
            network=plain_values(shape.settings),
            shape=msgspec.convert({name: getattr(shape, name) for name in Shape.__struct_fields__}, Shape),
            heads=[HeadEntry(one.name, head_file(one.name), one.weight, one.val_accuracy) for one in heads],
            training=chosen | ended | {name: self.identity[name] for name in ("precision", "weights_sha256")},
            metrics={"best_epoch": float(self._best_epoch), "val_accuracy": val_accuracy, "val_loss": val_loss},
            data=trained_on(self.prepared, settings.out, self._splits),
            versions=package_versions(),
            litert={"max_abs_difference": difference},
        )


def _head_scores(weights: Mapping[str, float], alone: Mapping[str, float | None]) -> tuple[HeadScore, ...]:
    return tuple(HeadScore(name, weight, alone[name]) for name, weight in weights.items())


def _with_shape(models: Mapping[str, keras.Model], shape: NetworkShape) -> dict[str, keras.Model]:
    """The same heads for clips of this shape."""
    heads = {name: build_head(shape, name) for name in models}
    for name, head in heads.items():
        head.set_weights(models[name].get_weights())
    return heads


def _head_weights(plan: TrainPlan) -> dict[str, float]:
    """The heads of a network, and how much each counts."""
    recurrent = plan.network.sequence
    if recurrent == "none":
        return {LINEAR: 1.0}
    if not plan.network.linear_head:
        return {recurrent: 1.0}
    return {LINEAR: 1 - _RECURRENT_WEIGHT, recurrent: _RECURRENT_WEIGHT}


def _shape(plan: TrainPlan, prepared: PreparedFolder, encoder: keras.Model) -> NetworkShape:
    shape = NetworkShape(
        settings=plan.network,
        frame_size=prepared.sampling.frame_size,
        num_frames=prepared.sampling.num_frames,
        num_features=int(encoder.output_shape[-1]),
        # Beside a linear head that reads all, the recurrent head would memorize the small cells.
        num_read=num_larger_features(encoder) if plan.network.linear_head else 0,
        num_classes=len(prepared.labels),
        pretrained=plan.pretrained,
    )
    return measured_shape(shape, sum(record.clip_frames for record in prepared.in_split("train")))


def _identity(settings: TrainSettings, plan: TrainPlan, prepared: PreparedFolder, policy: str) -> dict[str, Any]:
    """What must be the same for a training to go on where it was: settings, choices, clips and precision."""
    values = {
        name: value for name, value in plain_values(settings, stored_only=True).items() if name not in _FREE_SETTINGS
    }
    return values | {"precision": policy, "weights_sha256": _weights_sha256(plan), "data": prepared.fingerprint}


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
            raise UsageError(
                f"There is no interrupted training to resume for {str(settings.out)!r}.",
                "Omit `resume` to start a new training.",
            )
        return None
    differing = sorted(name for name in {*identity, *found.settings} if identity.get(name) != found.settings.get(name))
    if not differing:
        last = found.records[-1]
        progress.note(f"Resuming the unfinished training after epoch {last.epoch} of the stage {last.stage!r}.")
        return found
    if settings.resume:
        raise ConfigError(
            f"The unfinished training for {str(settings.out)!r} was started with other settings: "
            f"{', '.join(differing)}.",
            "Use the same settings, or start again with `overwrite`.",
        )
    progress.note(f"Starting again: the settings of the unfinished training were different ({', '.join(differing)}).")
    return None


def _warn_of_idle_augmentation(plan: TrainPlan, progress: Progress) -> None:
    usual, given = Augmentation(), plan.augmentation
    names = [name for name in ("crop", "color_jitter") if getattr(given, name) not in (0, getattr(usual, name))]
    if names and plan.mode != "joint":
        progress.warn(
            f"With --mode {plan.mode}, {' and '.join(names)} {'has' if len(names) == 1 else 'have'} no effect: this "
            "mode augments only the timing of clips. Use --mode joint to augment images."
        )


def _check(settings: TrainSettings, prepared: PreparedFolder, progress: Progress) -> None:
    out = settings.out
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        if not (out / "bundle.json").is_file():
            raise OutputError(f"{str(out)!r} exists and is not a model.", "Choose another folder with `out`.")
        if not settings.overwrite and not settings.resume:
            raise OutputError(
                f"There is already a model at {str(out)!r}.",
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
    if len(present) < 2:
        raise DatasetError(
            f"{prepared.folder} has training clips of only {len(present)} label(s). Training needs two or more labels.",
            "Add videos, or run 'activity prepare' again with smaller val_fraction and test_fraction.",
        )
    if not prepared.in_split("val"):
        progress.warn("There are no validation clips, so train cannot find the best epoch and runs all epochs.")
