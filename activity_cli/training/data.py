"""What learns in each mode, and what it is fed.

The encoder is cut in two: what does not learn runs once over every clip, in LiteRT, and what it gives
is kept beside the clips; what learns is trained on that. In the mode ``frozen`` nothing of the encoder
is left to learn, in the mode ``joint`` everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from activity_cli.dataset.batches import Training, clip_batches, feature_batches, one_hot_labels
from activity_cli.dataset.flip import may_flip
from activity_cli.dataset.length_matching import matched_lengths
from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.errors import ConfigError
from activity_cli.model.layers import FrameEncoder
from activity_cli.model.network import Network
from activity_cli.model.sequence import linear_part, read_at_most
from activity_cli.progress import Progress
from activity_cli.results import ClipRecord
from activity_cli.settings import TrainSettings
from activity_cli.settings.encoders import spec_of
from activity_cli.streams.truncation import cut_encoder
from activity_cli.training.frozen_backbone import Stem
from activity_cli.training.measure import measure_features, most_measured, most_solved, solve_beside, spread
from activity_cli.training.memory import translate_memory_error
from activity_cli.training.optimizer import Pace
from activity_cli.training.plan import Plan
from activity_cli.training.runner import Feed

__all__ = ["Feeds", "open_feeds"]

# Where less than this share of the frames is learned from, a person is told.
_MUCH_CUT = 0.95
# Share of the longest clip; where all are cut to that or less, somebody should know.
_SHORT = 0.5


@dataclass(frozen=True, slots=True)
class _Clips:
    """Some clips, and what is known of them before they are looked at."""

    records: tuple[ClipRecord, ...]
    targets: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    may_flip: npt.NDArray[np.bool_]


# From some clips, the size of a batch and, for training, what is drawn, to batches.
_Batches = Callable[[_Clips, int, Training | None], tf.data.Dataset]


@dataclass(frozen=True, slots=True)
class Feeds:
    """Makes feeds of one training, all for the same network.

    Attributes:
        litert_encoder: The whole encoder in LiteRT, where it has been converted already.
    """

    config: TrainSettings
    plan: Plan
    prepared: PreparedFolder
    network: Network
    model: keras.Model
    batches: _Batches
    num_devices: int
    progress: Progress
    litert_encoder: Path | None

    @translate_memory_error()
    def feed(self, *splits: str, judged: str | None, measured: bool = False) -> Feed:
        """Measures the clips of some splits, and feeds the network with them.

        Args:
            splits: What is learned from.
            judged: What is held out; None: nothing.
            measured: Whether a head has learned from them before, so that they have been measured.

        Raises:
            DatasetError: A clip is missing or damaged.
            OutputError: The disk is full, or features cannot be kept.
            TrainingError: Features do not fit into memory.
            ConfigError: There are fewer clips than the devices need.
        """
        config = self.config
        train = self._clips_of(tuple(record for split in splits for record in self.prepared.in_split(split)))
        val = self._clips_of(self.prepared.in_split(judged)) if judged else None
        batch_size = _batch_size(len(train.records), config.batch_size, self.num_devices)
        kept = self._matched_lengths(train, told="val" not in splits and not measured)
        if self.plan.learned and not measured:
            some = self._clips_of(spread(train.records, most_measured(self.network.sequence)))
            batches = self.batches(some, batch_size, None)
            measure_features(self.network.sequence, batches)
            self._solve(train.records, batch_size)

        def from_epoch(first: int) -> tf.data.Dataset:
            training = Training(config.seed, first, config.augment, train.may_flip, kept)
            data = self.batches(train, batch_size, training)
            if self.num_devices > 1:  # a device without a clip would have a mean of nothing
                data = data.filter(lambda inputs, *_: tf.shape(inputs[1])[0] == batch_size)
            return data

        return Feed(
            model=self.model,
            paces=_paces(self.config, self.plan, self.network),
            train=from_epoch,
            # Shared among devices, a last batch that is not full is left out.
            steps=max(1, len(train.records) // batch_size)
            if self.num_devices > 1
            else -(-len(train.records) // batch_size),
            val=self.batches(val, batch_size, None) if val else None,
        )

    def _clips_of(self, records: tuple[ClipRecord, ...]) -> _Clips:
        targets = one_hot_labels(records, self.prepared.labels)
        weights = np.ones(len(records), np.float32)
        if self.config.class_weights:
            # So that every label that occurs counts the same in sum, and a clip counts 1 in the mean.
            counts = targets.sum(axis=0)
            weights = (len(records) / np.count_nonzero(counts) / (targets @ counts)).astype(np.float32)
        sides = np.array([may_flip(record.label, self.config.augment) for record in records], np.bool_)
        return _Clips(records, targets, weights, sides)

    def _solve(self, records: tuple[ClipRecord, ...], batch_size: int) -> None:
        beside = linear_part(self.network.sequence)
        if beside is None:
            return
        clips = self._clips_of(spread(records, most_solved(beside)))
        groups = [record.group for record in clips.records]
        batches, kept = self.batches(clips, batch_size, None), self._kept_frames(clips.records)
        solve_beside(beside, batches, kept, groups, self.config.label_smoothing)

    def _kept_frames(self, records: tuple[ClipRecord, ...]) -> npt.NDArray[np.int64]:
        """Frames to learn from of each clip, so that its length says nothing of its label."""
        lengths = [record.clip_frames for record in records]
        return matched_lengths(lengths, [record.label for record in records], np.random.default_rng(self.config.seed))

    def _matched_lengths(self, train: _Clips, *, told: bool) -> npt.NDArray[np.int64]:
        kept = self._kept_frames(train.records)
        left_out = 1 - kept.sum() / sum(record.clip_frames for record in train.records)
        if told and left_out > 1 - _MUCH_CUT:  # once, not again for the second training
            self.progress.note(
                f"Clips of some labels are longer than those of others: {left_out:.0%} of the frames are left out of "
                "training, so that the length teaches nothing."
            )
        longest, most = max(record.clip_frames for record in train.records), int(kept.max())
        if told and most <= longest * _SHORT:
            lengths: dict[str, int] = {}
            for record in train.records:
                lengths[record.label] = max(lengths.get(record.label, 0), record.clip_frames)
            shortest = min(lengths, key=lambda label: lengths[label])
            self.progress.warn(
                f"No clip of {shortest!r} has more than {lengths[shortest]} frames, so no more than {most} of any clip "
                "are learned from: longer videos of it, or leaving it out, would let the others be seen to move."
            )
        read_at_most(self.network.sequence, most)
        return kept


def open_feeds(
    config: TrainSettings,
    plan: Plan,
    prepared: PreparedFolder,
    network: Network,
    float_network: Network,
    num_devices: int,
    progress: Progress,
) -> Feeds:
    """Cuts the encoder, and converts what does not learn of it.

    Args:
        config, plan: What and how.
        prepared: The clips.
        network: To train, in the scope of the strategy.
        float_network: The same, computing in float32: what does not learn is converted from it.
        num_devices: That share each batch.
        progress: Who listens.

    Raises:
        OutputError: The disk is full, or features cannot be kept.
    """
    model, batches, path = network.whole, _clip_batches(prepared), None
    if plan.mode != "joint":
        spec = spec_of(plan.network)
        float_stem, _ = cut_encoder(float_network.encoder, spec, plan.trained_blocks)
        _, top = cut_encoder(network.encoder, spec, plan.trained_blocks)
        stem = Stem(float_stem, prepared, whole=plan.mode == "frozen", progress=progress)
        batches = _stem_batches(stem, config, prepared.sampling.num_frames)
        model, path = network.sequence, stem.path
        if plan.mode == "finetune":
            model, path = _after_stem(top, network, prepared.sampling.num_frames), None
    return Feeds(config, plan, prepared, network, model, batches, num_devices, progress, path)


def _clip_batches(prepared: PreparedFolder) -> _Batches:
    def batches(clips: _Clips, batch_size: int, training: Training | None) -> tf.data.Dataset:
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


def _stem_batches(stem: Stem, config: TrainSettings, num_frames: int) -> _Batches:
    def batches(clips: _Clips, batch_size: int, training: Training | None) -> tf.data.Dataset:
        names = [record.clip for record in clips.records]
        files = stem.files(names, config.augment if training else None, clips.may_flip.tolist())
        return feature_batches(files, clips.targets, num_frames, batch_size, weights=clips.weights, training=training)

    return batches


def _after_stem(top: keras.Model, network: Network, num_frames: int) -> keras.Model:
    """What learns on the maps that the stem gave."""
    maps = keras.Input((num_frames, *top.input_shape[1:]), name="maps")
    mask = keras.Input((num_frames,), dtype="bool", name="mask")
    features = FrameEncoder(top, name="top_encoder")(maps, mask=mask)
    return keras.Model([maps, mask], network.sequence([features, mask]), name="after_stem")


def _paces(config: TrainSettings, plan: Plan, network: Network) -> dict[str, Pace]:
    if plan.head_epochs:  # all at that of the encoder
        return {}
    rate = plan.encoder_learning_rate / plan.learning_rate
    return {variable.path: Pace(rate, config.weight_decay) for variable in network.encoder.trainable_variables}


def _batch_size(num_clips: int, wanted: int, num_devices: int) -> int:
    """No more than there are clips, and as many for each device."""
    if num_clips < num_devices:
        raise ConfigError(
            f"{num_clips} training clips are fewer than the {num_devices} devices.", "Name fewer devices."
        )
    most = min(num_clips, wanted)
    return most - most % num_devices
