"""What learns in each mode, and what it is fed.

The encoder is cut in two: what does not learn runs once over every clip, in LiteRT, and what it gives
is kept beside the clips; what learns is trained on that. In the mode ``frozen`` nothing of the encoder
is left to learn, in the mode ``joint`` nothing of it is done before.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.config import TrainConfig
from activity_cli.dataset.augmentation import clip_view
from activity_cli.dataset.batches import Training, clip_batches, feature_batches, one_hot_labels
from activity_cli.dataset.features import FeatureStore, Views, ensure_features
from activity_cli.dataset.lengths import matched_lengths
from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.dataset.processes import default_workers
from activity_cli.dataset.sides import may_mirror
from activity_cli.errors import BundleError, ConfigError
from activity_cli.files import explained
from activity_cli.learning.loop import Feed
from activity_cli.learning.plan import Plan
from activity_cli.model.bundle import ENCODER_FILE
from activity_cli.model.conversion import encoder_fingerprint, encoder_to_litert
from activity_cli.model.cutting import cut_encoder
from activity_cli.model.encoders import ENCODER_SPECS
from activity_cli.model.layers import FrameEncoder
from activity_cli.model.network import Network
from activity_cli.model.sequence import feature_scale, read_at_most
from activity_cli.progress import Progress
from activity_cli.results import ClipRecord
from activity_cli.runtime.litert import EncoderRuntime

__all__ = ["make_feed"]

# Clips whose features say how large features are: enough for two digits.
_CLIPS_MEASURED = 64
# Where less than this share of the frames is learned from, a person is told.
_MUCH_CUT = 0.95


@dataclass(frozen=True, slots=True)
class _Clips:
    """The clips of one side, and what is known of them before they are looked at."""

    records: tuple[ClipRecord, ...]
    targets: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    may_mirror: npt.NDArray[np.bool_]


# From the clips of one side and, for training, what is drawn, to batches.
_Batches = Callable[[_Clips, Training | None], tf.data.Dataset]


def make_feed(
    config: TrainConfig,
    plan: Plan,
    prepared: PreparedFolder,
    network: Network,
    float_network: Network,
    num_devices: int,
    progress: Progress,
) -> Feed:
    """Computes what has to be computed only once, and says what is learned from.

    Args:
        config, plan: What and how.
        prepared: The clips.
        network: To train, in the scope of the strategy.
        float_network: The same, computing in float32: what does not learn is converted from it.
        num_devices: That share each batch.
        progress: Who listens.

    Raises:
        DatasetError: A clip is missing or damaged.
        OutputError: The disk is full, or features cannot be kept.
        ConfigError: There are fewer clips than the devices need.
    """
    train = _clips_of(config, prepared, prepared.in_split("train"))
    val_records = prepared.in_split("val")
    batch_size = min(config.batch_size, len(train.records))
    if plan.mode == "joint":
        model, batches = network.whole, _clip_batches(prepared, batch_size)
        litert_encoder = None
    else:
        stem = _Stem(config, plan, prepared, float_network, progress)
        model = _after(stem, network, prepared.sampling.num_frames, plan, config)
        batches, litert_encoder = stem.batches(batch_size), stem.path if plan.mode == "frozen" else None
    kept = _matched_lengths(config, train, network, progress)
    if plan.learned:
        _adapt_scale(network, model, batches(train, None))
    encoder_paths = {variable.path for variable in network.encoder.trainable_variables}

    def from_epoch(first: int) -> tf.data.Dataset:
        training = Training(config.seed, first, config.augment, train.may_mirror, kept)
        data = batches(train, training)
        if num_devices > 1:  # a device without a clip would have a mean of nothing
            data = data.filter(lambda inputs, *_: tf.shape(inputs[1])[0] == batch_size)
        return data

    return Feed(
        model,
        frozenset(encoder_paths) if plan.encoder_learning_rate != plan.learning_rate else frozenset(),
        from_epoch,
        _steps(len(train.records), batch_size, num_devices),
        batches(_clips_of(config, prepared, val_records), None) if val_records else None,
        litert_encoder,
    )


def _steps(num_clips: int, batch_size: int, num_devices: int) -> int:
    if num_devices == 1:
        return -(-num_clips // batch_size)
    if batch_size % num_devices:
        raise ConfigError(
            f"{num_clips} training clips are less than a batch, and {num_devices} devices cannot share them equally.",
            f"Use a batch size of {num_clips - num_clips % num_devices}.",
        )
    return num_clips // batch_size


def _clips_of(config: TrainConfig, prepared: PreparedFolder, records: tuple[ClipRecord, ...]) -> _Clips:
    targets = one_hot_labels(records, prepared.labels)
    weights = np.ones(len(records), np.float32)
    if config.class_weights:
        # So that every label that occurs counts the same in sum, and a clip counts 1 in the mean.
        counts = targets.sum(axis=0)
        weights = (len(records) / np.count_nonzero(counts) / (targets @ counts)).astype(np.float32)
    sides = np.array([may_mirror(record.label, config.augment) for record in records], np.bool_)
    return _Clips(records, targets, weights, sides)


def _matched_lengths(config: TrainConfig, train: _Clips, network: Network, progress: Progress) -> npt.NDArray[np.int64]:
    """Frames to learn from of each clip, so that its length says nothing of its label."""
    lengths = [record.clip_frames for record in train.records]
    labels = [record.label for record in train.records]
    kept = matched_lengths(lengths, labels, np.random.default_rng(config.seed))
    if kept.sum() < _MUCH_CUT * sum(lengths):
        progress.note(
            f"Clips of some labels are longer than those of others: {1 - kept.sum() / sum(lengths):.0%} of the frames "
            "are left out of training, so that the length teaches nothing."
        )
    read_at_most(network.sequence, int(kept.max()))
    return kept


def _clip_batches(prepared: PreparedFolder, batch_size: int) -> _Batches:
    def batches(clips: _Clips, training: Training | None) -> tf.data.Dataset:
        return clip_batches(
            clips.records,
            clips.targets,
            prepared.clips,
            prepared.sampling,
            batch_size,
            weights=clips.weights,
            training=training,
        )

    return batches


class _Stem:
    """The part of the encoder that does not learn, in LiteRT, and what it gave for each clip.

    LiteRT is twice as fast as Keras on a CPU, and it is what predicting will run.
    """

    def __init__(
        self, config: TrainConfig, plan: Plan, prepared: PreparedFolder, network: Network, progress: Progress
    ) -> None:
        spec = ENCODER_SPECS[config.network.encoder]
        stem, self.top = cut_encoder(network.encoder, spec, plan.trained_blocks)
        self._config, self._prepared, self._progress = config, prepared, progress
        # Maps are large, and half of the digits are more than what learns from them can tell.
        self._dtype = np.float32 if plan.mode == "frozen" else np.float16
        folder = _writable(prepared.folder, progress)
        self._store = FeatureStore(folder, encoder_fingerprint(stem))
        self.path = self._store.folder / ENCODER_FILE
        self._runtime = _runtime(stem, self.path)

    def batches(self, batch_size: int) -> _Batches:
        num_frames = self._prepared.sampling.num_frames

        def batches(clips: _Clips, training: Training | None) -> tf.data.Dataset:
            augment = self._config.augment
            views = Views(augment, clips.may_mirror.tolist(), clip_view) if training else None
            names = [record.clip for record in clips.records]
            files = ensure_features(names, self._prepared.clips, self._store, self._encode, self._progress, views)
            return feature_batches(
                files, clips.targets, num_frames, batch_size, weights=clips.weights, training=training
            )

        return batches

    def _encode(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        return self._runtime.features(frames).astype(self._dtype)


def _after(stem: _Stem, network: Network, num_frames: int, plan: Plan, config: TrainConfig) -> keras.Model:
    """What learns on what the stem gave."""
    if plan.mode == "frozen":
        return network.sequence
    _, top = cut_encoder(network.encoder, ENCODER_SPECS[config.network.encoder], plan.trained_blocks)
    maps = keras.Input((num_frames, *top.input_shape[1:]), name="maps")
    mask = keras.Input((num_frames,), dtype="bool", name="mask")
    features = FrameEncoder(top, name="top_encoder")(maps, mask=mask)
    return keras.Model([maps, mask], network.sequence([features, mask]), name="after_stem")


def _adapt_scale(network: Network, model: keras.Model, batches: tf.data.Dataset) -> None:
    """Tells the sequence part how large the features of trained weights are."""
    encoder = next((layer for layer in model.layers if isinstance(layer, FrameEncoder)), None)
    measured: list[npt.NDArray[np.float32]] = []
    for (inputs, mask), *_ in batches:
        features = encoder(inputs, mask=mask, training=False) if encoder else inputs
        measured += [np.asarray(some[real], np.float32) for some, real in zip(features, mask, strict=True)]
        if len(measured) >= _CLIPS_MEASURED:
            break
    feature_scale(network.sequence).adapt(measured[:_CLIPS_MEASURED])


def _writable(folder: Path, progress: Progress) -> Path:
    if os.access(folder, os.W_OK):
        return folder
    progress.note(f"{folder} cannot be written: features are kept elsewhere, for this training only.")
    return _scratch()


def _scratch() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="activity-features-")
    _KEPT.append(folder)
    return Path(folder.name)


# Removed when Python ends.
_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def _runtime(stem: keras.Model, path: Path) -> EncoderRuntime:
    """The stem in LiteRT, converted once for all trainings on these clips."""
    if path.is_file():
        with suppress(BundleError):  # cut by a crash or a full disk: converted anew
            return EncoderRuntime(path, default_workers())
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    encoder_to_litert(stem, path)
    return EncoderRuntime(path, default_workers())
