"""Clips of some splits, with all that training needs to know of them before it reads one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activity_cli.dataset.batches import Examples, one_hot_labels
from activity_cli.dataset.length_matching import matched_lengths
from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.labels.flip import may_flip, mirrored_labels
from activity_cli.progress import Progress
from activity_cli.results import ClipRecord
from activity_cli.settings import TrainPlan, TrainSettings

__all__ = ["ClipSet", "report_matched_lengths", "training_clips", "validation_clips"]

# Where less than this share of the frames is used for training, the command says so.
_MUCH_CUT = 0.95
# Share of the longest clip; where all are cut to that or less, the command warns.
_SHORT = 0.5


@dataclass(frozen=True, slots=True)
class ClipSet:
    """Clips, their labels, and how many frames are read of each.

    Attributes:
        records: The clips.
        targets: ``float32 [N, classes]``, 1 at the clip's label.
        weights: How much each clip counts, ``float32 [N]``.
        kept_frames: ``int64 [N]``.
        may_flip: Whether each mirrored clip still shows its label, ``bool [N]``.
    """

    records: tuple[ClipRecord, ...]
    targets: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    kept_frames: npt.NDArray[np.int64]
    may_flip: npt.NDArray[np.bool_]

    @property
    def groups(self) -> list[str]:
        """The group of each clip."""
        return [record.group for record in self.records]

    def take(self, numbers: npt.NDArray[np.int64]) -> ClipSet:
        """Some of the clips."""
        return ClipSet(
            tuple(self.records[number] for number in numbers),
            self.targets[numbers],
            self.weights[numbers],
            self.kept_frames[numbers],
            self.may_flip[numbers],
        )

    def examples(self, paths: Sequence[Path]) -> Examples:
        """The clips with a file of each: its pictures, or its features."""
        return Examples(paths, self.targets, self.weights, self.kept_frames, self.may_flip)


def training_clips(
    prepared: PreparedFolder, splits: Sequence[str], settings: TrainSettings, plan: TrainPlan
) -> ClipSet:
    """The clips of some splits to train on, cut to the same lengths in all labels."""
    records = tuple(record for split in splits for record in prepared.in_split(split))
    lengths, labels = [record.clip_frames for record in records], [record.label for record in records]
    kept = matched_lengths(lengths, labels, np.random.default_rng(settings.seed))
    return _clip_set(prepared, records, kept, settings, plan)


def validation_clips(prepared: PreparedFolder, settings: TrainSettings, plan: TrainPlan, num_frames: int) -> ClipSet:
    """The validation clips, of which at most ``num_frames`` frames are read: as many as training has seen."""
    records = prepared.in_split("val")
    kept = np.minimum([record.clip_frames for record in records], num_frames).astype(np.int64)
    return _clip_set(prepared, records, kept, settings, plan)


def report_matched_lengths(clips: ClipSet, progress: Progress) -> None:
    """Says how many frames length matching leaves out, where these are many."""
    lengths = np.array([record.clip_frames for record in clips.records])
    left_out = 1 - clips.kept_frames.sum() / lengths.sum()
    if left_out > 1 - _MUCH_CUT:
        progress.note(
            f"Some labels have longer clips than others. Training leaves out {left_out:.0%} of the frames, so that the "
            "network cannot recognize a label by the length of its clips."
        )
    most = int(clips.kept_frames.max())
    if most <= lengths.max() * _SHORT:
        longest: dict[str, int] = {}
        for record in clips.records:
            longest[record.label] = max(longest.get(record.label, 0), record.clip_frames)
        shortest = min(longest, key=lambda label: longest[label])
        progress.warn(
            f"No clip of {shortest!r} has more than {longest[shortest]} frames, so training uses at most {most} frames "
            "of every clip. Add longer videos of this label, or remove the label."
        )


def _clip_set(
    prepared: PreparedFolder,
    records: tuple[ClipRecord, ...],
    kept_frames: npt.NDArray[np.int64],
    settings: TrainSettings,
    plan: TrainPlan,
) -> ClipSet:
    targets = one_hot_labels(records, prepared.labels)
    weights = np.ones(len(records), np.float32)
    if settings.class_weights:
        # So that every label that occurs counts the same in sum, and a clip counts 1 in the mean.
        counts = targets.sum(axis=0)
        weights = (len(records) / np.count_nonzero(counts) / (targets @ counts)).astype(np.float32)
    # A mirrored clip may show a label that has no clips of its own here: then none is mirrored.
    mirrors = mirrored_labels(prepared.labels, plan.augmentation) is not None
    flips = np.array([mirrors and may_flip(record.label, plan.augmentation) for record in records], np.bool_)
    return ClipSet(records, targets, weights, kept_frames, flips)
