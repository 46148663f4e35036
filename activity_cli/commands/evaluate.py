"""evaluate: scores a model on clips that it was not trained on, and baselines on the same clips.

It runs the same LiteRT files as ``predict``.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from activity_cli.commands.predict import open_network
from activity_cli.dataset.features import ensure_features, feature_folder, note_feature_cache
from activity_cli.dataset.manifest import PreparedFolder, read_prepared
from activity_cli.errors import BundleError, DatasetError
from activity_cli.evaluation.baselines import score_baselines
from activity_cli.evaluation.metrics import class_scores, confusion_matrix, macro_f1
from activity_cli.model.bundle import TRAINED_ON_DIGITS, Bundle, read_bundle
from activity_cli.progress import Progress, SilentProgress
from activity_cli.results import ClipRecord, EvaluationResult
from activity_cli.settings import EvaluateSettings, plain_values

__all__ = ["evaluate"]

_FEW_CLIPS = 30


def evaluate(settings: EvaluateSettings, progress: Progress | None = None) -> EvaluationResult:
    """Scores a model, and the baselines of :mod:`activity_cli.evaluation.baselines`, on prepared clips.

    Args:
        settings: Which model, and which clips.
        progress: Shows bars and warnings.

    Raises:
        BundleError: There is no such model, it is damaged, or the clips have other settings or labels.
        DatasetError: The clips are missing or damaged.
        OutputError: The features cannot be cached.
    """
    progress = progress or SilentProgress()
    bundle = read_bundle(settings.model)
    folder = settings.data or _training_folder(bundle)
    if not settings.data and not os.path.isdir(folder):  # noqa: PTH112 (no error for a name that is too long)
        raise DatasetError(
            f"The prepared folder that {bundle.name} was trained on is no longer at {str(folder)!r}.",
            "Name a prepared folder with --data.",
        )
    prepared = read_prepared(folder)
    records = prepared.in_split(settings.split)
    _check(bundle, prepared, records, settings.split)
    network = open_network(bundle)
    warnings = _warnings(bundle, prepared, records, settings.split)
    for warning in warnings:
        progress.warn(warning)

    # The baselines get the training clips of the model.
    trained = [record for split in bundle.document.data.splits for record in prepared.in_split(split)]
    known = [record for record in trained if record.label in bundle.labels]
    note_feature_cache(prepared, progress)
    cache = feature_folder(prepared, network.encoder.path)
    names = [record.clip for record in (*records, *known)]
    paths = ensure_features(names, prepared.clips, cache, network.encoder.features, progress)
    features = [np.asarray(np.load(path, allow_pickle=False), np.float32) for path in paths]
    tested, fitted = features[: len(records)], features[len(records) :]

    number_of = {label: number for number, label in enumerate(bundle.labels)}
    truth = np.array([number_of[record.label] for record in records], np.int64)
    answers = np.array([network.answer(clip).probabilities.argmax() for clip in tested], np.int64)
    scores = class_scores(truth, answers, bundle.labels)
    known_numbers = np.array([number_of[record.label] for record in known], np.int64)
    return EvaluationResult(
        model=bundle.name,
        prepared=folder,
        split=settings.split,
        num_clips=len(records),
        labels=bundle.labels,
        accuracy=float(np.mean(answers == truth)),
        macro_f1=macro_f1(scores),
        classes=scores,
        confusion=confusion_matrix(truth, answers, len(bundle.labels)),
        baselines=score_baselines(fitted, known_numbers, tested, truth, bundle.labels),
        warnings=warnings,
    )


def _training_folder(bundle: Bundle) -> Path:
    """The prepared folder of the training. Its path in the bundle is relative to the bundle."""
    return Path(os.path.normpath(bundle.folder / bundle.document.data.prepared))


def _check(bundle: Bundle, prepared: PreparedFolder, records: tuple[ClipRecord, ...], split: str) -> None:
    theirs, ours = plain_values(prepared.sampling), plain_values(bundle.sampling)
    if differing := [name for name in ours if ours[name] != theirs[name]]:
        raise BundleError(
            f"{prepared.folder} was prepared with {', '.join(f'{name} {theirs[name]}' for name in differing)}, but "
            f"{bundle.name} was trained with {', '.join(f'{name} {ours[name]}' for name in differing)}.",
            "Prepare the videos with the settings of the model: 'activity settings prepare --model MODEL' prints them.",
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
    data = bundle.document.data
    trained_here = data.fingerprint == prepared.fingerprint
    if split in (*data.splits, "all") and trained_here:
        warnings.append("These clips include training clips of the model, so the score says little about new clips.")
    if not trained_here and os.path.abspath(_training_folder(bundle)) == os.path.abspath(prepared.folder):
        warnings.append(
            "The folder was prepared again after this model was trained, so the test clips may include training clips. "
            "Train again."
        )
    known = frozenset(data.trained_on)
    seen = sum(record.content_hash[:TRAINED_ON_DIGITS] in known for record in records)
    if seen and not trained_here:
        warnings.append(f"The model was trained on {seen} of these {len(records)} clips, so the score is too high.")
    if len(records) < _FEW_CLIPS:
        warnings.append(
            f"There are only {len(records)} clips, so a single clip changes the accuracy by {1 / len(records):.0%}."
        )
    return tuple(warnings)
