"""evaluate: how good a model is on clips it has not learned from, and what simpler judges reach.

Runs the very files that predict runs, so the score is that of what is shipped.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import numpy as np

from activity_cli.commands.predict import open_runtimes
from activity_cli.dataset.features import FeatureStore, clip_features
from activity_cli.dataset.manifest import PreparedFolder, read_prepared
from activity_cli.errors import BundleError, DatasetError
from activity_cli.evaluation.baselines import score_baselines
from activity_cli.evaluation.metrics import class_scores, confusion_matrix, macro_f1
from activity_cli.model.bundle import LEARNED_DIGITS, Bundle, read_bundle
from activity_cli.progress import Progress, SilentProgress
from activity_cli.results import ClipRecord, EvaluationResult
from activity_cli.settings import EvaluateSettings

__all__ = ["evaluate"]

_FEW_CLIPS = 30


def evaluate(config: EvaluateSettings, progress: Progress | None = None) -> EvaluationResult:
    """Scores a bundle, and beside it the majority class, one frame, the frames without order, and statistics of them.

    Args:
        config: Which model, which clips.
        progress: Who listens.

    Raises:
        BundleError: There is no such model, or it is damaged.
        DatasetError: The clips are missing, or were prepared with other settings than the model's.
    """
    progress = progress or SilentProgress()
    bundle = read_bundle(config.model)
    folder = config.prepared or _remembered(bundle)
    prepared = read_prepared(folder)
    records = prepared.in_split(config.split)
    _check(bundle, prepared, records, config.split)
    encoder, sequence = open_runtimes(bundle)
    warnings = _warnings(bundle, prepared, records, config.split)
    for warning in warnings:
        progress.warn(warning)

    # The simpler judges learn from what the model has learned from.
    splits = ("train", "val") if _learned_from_val(bundle) else ("train",)
    learned_records = [record for split in splits for record in prepared.in_split(split)]
    known = [record for record in learned_records if record.label in bundle.labels]
    store = _feature_store(bundle, folder)
    names = [record.clip for record in (*records, *known)]
    features = clip_features(names, prepared.clips, store, encoder.features, progress)
    judged, learned = features[: len(records)], features[len(records) :]

    number_of = {label: number for number, label in enumerate(bundle.labels)}
    truth = np.array([number_of[record.label] for record in records], np.int64)
    answer = np.array([sequence.probabilities(clip).argmax() for clip in judged], np.int64)
    confusion = confusion_matrix(truth, answer, len(bundle.labels))
    scores = class_scores(confusion, bundle.labels)
    known_numbers = np.array([number_of[record.label] for record in known], np.int64)
    return EvaluationResult(
        model=bundle.name,
        prepared=folder,
        split=config.split,
        num_clips=len(records),
        labels=bundle.labels,
        accuracy=float(np.mean(answer == truth)),
        macro_f1=macro_f1(scores),
        classes=scores,
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        baselines=score_baselines(learned, known_numbers, judged, truth, bundle.labels),
        warnings=warnings,
    )


def _remembered(bundle: Bundle) -> Path:
    folder = _trained_from(bundle)
    if not folder.is_dir():
        raise DatasetError(
            f"The clips that {bundle.name} was trained on are not at {str(folder)!r} any more.",
            "Name a prepared folder with --data.",
        )
    return folder


def _feature_store(bundle: Bundle, folder: Path) -> FeatureStore | None:
    """Where features are kept: those of an encoder that other models share, in a folder of ours."""
    if bundle.document["training"]["mode"] != "frozen" or not os.access(folder, os.W_OK):
        return None
    return FeatureStore(folder, bundle.document["encoder_fingerprint"])


def _trained_from(bundle: Bundle) -> Path:
    """The prepared folder of the training; the bundle remembers the way to it from itself."""
    return Path(os.path.normpath(bundle.folder / bundle.document["data"]["prepared"]))


def _learned_from_val(bundle: Bundle) -> bool:
    """Whether the model was trained a second time, on the validation clips, too."""
    return bundle.document["training"].get("refit") is True


def _check(bundle: Bundle, prepared: PreparedFolder, records: tuple[ClipRecord, ...], split: str) -> None:
    theirs, ours = asdict(prepared.sampling), asdict(bundle.sampling)
    if differing := [name for name in ours if ours[name] != theirs[name]]:
        raise BundleError(
            f"{prepared.folder} was prepared with {', '.join(f'{name} {theirs[name]}' for name in differing)}, "
            f"{bundle.name} was trained with {', '.join(f'{name} {ours[name]}' for name in differing)}.",
            "Prepare the videos with the model's settings.",
            code="model.other_settings",
        )
    unknown = sorted({record.label for record in records} - set(bundle.labels))
    if unknown:
        raise BundleError(
            f"{prepared.folder} has labels that {bundle.name} does not know: {', '.join(unknown)}.",
            f"It knows: {', '.join(bundle.labels)}.",
            code="model.other_labels",
        )
    if not records:
        raise DatasetError(f"{prepared.folder} has no clips in the split {split!r}.", "Choose another with --split.")


def _warnings(bundle: Bundle, prepared: PreparedFolder, records: tuple[ClipRecord, ...], split: str) -> tuple[str, ...]:
    warnings = []
    trained_here = bundle.document["data"]["fingerprint"] == prepared.fingerprint
    learned = ("train", "val", "all") if _learned_from_val(bundle) else ("train", "all")
    if split in learned and trained_here:
        warnings.append("These clips include those the model was trained on: the score says nothing of new clips.")
    if not trained_here and os.path.abspath(_trained_from(bundle)) == os.path.abspath(prepared.folder):
        warnings.append(
            "The folder was prepared anew after this model was trained: clips that it learned from may be "
            "among those it is judged on. Train again."
        )
    known = frozenset(bundle.document["data"].get("learned_from", ()))
    seen = sum(record.content_hash[:LEARNED_DIGITS] in known for record in records)
    if seen and not trained_here:
        warnings.append(
            f"The model knows {seen} of these {len(records)} clips from its training: the score is too good."
        )
    if len(records) < _FEW_CLIPS:
        warnings.append(f"Only {len(records)} clips: one more right or wrong is {1 / len(records):.0%} of the score.")
    return tuple(warnings)
