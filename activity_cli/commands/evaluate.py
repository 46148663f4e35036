"""evaluate: scores a model on clips that it was not trained on, and baselines on the same clips.

It runs the same LiteRT files as ``predict``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activity_cli.commands.predict import open_network
from activity_cli.dataset.features import ensure_features, feature_folder, note_feature_cache
from activity_cli.dataset.manifest import PreparedFolder, read_prepared
from activity_cli.dataset.proofs import cache_folder
from activity_cli.errors import BundleError, DatasetError
from activity_cli.evaluation.baselines import score_baselines
from activity_cli.evaluation.metrics import class_scores, confusion_matrix, macro_f1
from activity_cli.model.bundle import TRAINED_ON_DIGITS, Bundle, read_bundle
from activity_cli.progress import Progress, SilentProgress
from activity_cli.reports.text import counted
from activity_cli.results import ClipAnswer, ClipRecord, EvaluationResult, HeadScore
from activity_cli.runtime.litert import NetworkRuntime, combine
from activity_cli.settings import EvaluateSettings, plain_values
from activity_cli.streams.views import views_of

__all__ = ["check_streams", "clips_for", "evaluate", "warnings_for"]

_FEW_CLIPS = 30


def evaluate(settings: EvaluateSettings, progress: Progress | None = None) -> EvaluationResult:
    """Scores a model, and the baselines of :mod:`activity_cli.evaluation.baselines`, on prepared clips.

    Args:
        settings: Which model, and which clips.
        progress: Shows bars and warnings.

    Raises:
        BundleError: There is no such model, it is damaged, or the clips have other settings or labels.
        DatasetError: The clips are missing or damaged, or a stream that the model reads was not computed for them.
        OutputError: The features, or the answers of the baselines, cannot be cached.
    """
    progress = progress or SilentProgress()
    bundle = read_bundle(settings.model)
    prepared, records = clips_for(bundle, settings.data, settings.split)
    network = open_network(bundle)
    check_streams(bundle, prepared)
    warnings = warnings_for(bundle, prepared, records, settings.split)
    for warning in warnings:
        progress.warn(warning)

    # The baselines get the training clips of the model.
    trained = [record for split in bundle.document.data.splits for record in prepared.in_split(split)]
    known = [record for record in trained if record.label in bundle.labels]
    prepared.check_frames((*records, *known), pictures=network.encoder is not None)
    clips = _Clips(prepared, network, [record.clip for record in (*records, *known)], progress)
    number_of = {label: number for number, label in enumerate(bundle.labels)}
    truth, known_truth = (np.array([number_of[r.label] for r in some], np.int64) for some in (records, known))

    alone: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in network.heads}
    with progress.stage("Classifying clips", len(records), "clip") as stage:
        for record in records:
            rows = clips.rows(record.clip, network.streams)
            for name, answer in network.alone(rows, clips.times(record.clip)).items():
                alone[name].append(answer)
            stage.advance()
    each = {name: np.stack(answers) for name, answers in alone.items()}
    probabilities = combine(each, {name: head.weight for name, head in network.heads.items()})
    answers = probabilities.argmax(axis=1)
    scores = class_scores(truth, answers, bundle.labels)
    offered = _offered(bundle, network, prepared)
    return EvaluationResult(
        model=bundle.name,
        prepared=prepared.folder,
        split=settings.split,
        num_clips=len(records),
        labels=bundle.labels,
        accuracy=float(np.mean(answers == truth)),
        macro_f1=macro_f1(scores),
        classes=scores,
        confusion=confusion_matrix(truth, answers, len(bundle.labels)),
        baselines=score_baselines(
            (clips.views(record.clip, offered) for record in known),
            known_truth,
            (clips.views(record.clip, offered) for record in records),
            truth,
            bundle.labels,
            cache_folder(prepared, "baselines"),
            progress,
        ),
        heads=tuple(
            HeadScore(
                "+".join(head.reads), head.kind, head.weight, float(np.mean(each[head.stream].argmax(axis=1) == truth))
            )
            for head in bundle.document.heads
        ),
        warnings=warnings,
        clips=tuple(
            _clip_answer(record, bundle.labels[answer], float(shares[answer]))
            for record, answer, shares in zip(records, answers, probabilities, strict=True)
        ),
    )


def _clip_answer(record: ClipRecord, answer: str, confidence: float) -> ClipAnswer:
    start, end = (None, None) if record.is_whole_video else (record.start_seconds, record.end_seconds)
    return ClipAnswer(record.path, start, end, record.label, answer, confidence)


def clips_for(bundle: Bundle, data: Path | None, split: str) -> tuple[PreparedFolder, tuple[ClipRecord, ...]]:
    """The prepared folder to try a model on, and its clips of a split.

    Args:
        bundle: The model.
        data: The prepared folder; None: the one that the model was trained on.
        split: ``train``, ``val``, ``test`` or ``all``.

    Raises:
        BundleError: The clips have other settings or labels than the model.
        DatasetError: There are no clips.
    """
    folder = data or _training_folder(bundle)
    if not data and not os.path.isdir(folder):  # noqa: PTH112 (no error for a name that is too long)
        raise DatasetError(
            f"The prepared folder that {bundle.name} was trained on is no longer at {str(folder)!r}.",
            "Name a prepared folder with --data.",
        )
    prepared = read_prepared(folder)
    records = prepared.in_split(split)
    _check(bundle, prepared, records, split)
    return prepared, records


class _Clips:
    """What the streams say of prepared clips.

    Args:
        prepared: The prepared folder.
        network: The encoder that computes the appearance, if it has one; its features are cached.
        names: File names of the clips.
        progress: Shows a bar.

    Raises:
        DatasetError: A clip is missing or damaged.
        OutputError: The features cannot be cached.
    """

    def __init__(
        self, prepared: PreparedFolder, network: NetworkRuntime, names: Sequence[str], progress: Progress
    ) -> None:
        self._prepared, self._features = prepared, dict[str, Path]()
        if network.encoder:
            note_feature_cache(prepared, progress)
            cache = feature_folder(prepared, network.encoder.path)
            paths = ensure_features(names, prepared.clips, cache, network.encoder.features, progress)
            self._features = dict(zip(names, paths, strict=True))

    def times(self, clip: str) -> list[float]:
        """When each frame is shown."""
        times: list[float] = self._prepared.streams.times(clip).tolist()
        return times

    def rows(self, clip: str, streams: Iterable[str]) -> dict[str, npt.NDArray[np.float32]]:
        """``float32 [T, width]`` of each stream."""
        return {
            name: np.asarray(np.load(self._features[clip], allow_pickle=False), np.float32)
            if name == "appearance"
            else self._prepared.streams.read(name, clip)
            for name in streams
        }

    def views(self, clip: str, offered: Mapping[str, tuple[str, ...]]) -> dict[str, npt.NDArray[np.float32]]:
        """What a head of each stream reads of the clip, unaltered; ``offered`` names the streams that it reads."""
        times, found = self.times(clip), {}
        for name, reads in offered.items():
            rows = self.rows(clip, reads)
            found[name] = views_of(reads, rows, times, self._prepared.sampling.num_frames, mirror=False)[0].features
        return found


def _offered(bundle: Bundle, network: NetworkRuntime, prepared: PreparedFolder) -> dict[str, tuple[str, ...]]:
    """The streams that the training could choose from, each with the streams whose rows its head could read."""
    given = bundle.document.settings.get("train", {}).get("streams")
    given = given if isinstance(given, list) else ()
    names = [name for name in prepared.stream_names if name in given or name in network.streams]
    if network.encoder is None and "appearance" in names:
        names.remove("appearance")  # the bundle has no encoder, so the network does without it, too
    return {
        name: ("pose", "hands") if name == "pose" and "hands" in names else (name,) for name in names if name != "hands"
    }


def check_streams(bundle: Bundle, prepared: PreparedFolder) -> None:
    """Checks that a prepared folder has the streams that a model reads.

    Raises:
        DatasetError: It lacks one (``dataset.streams``).
    """
    streams = bundle.document.streams
    if missing := [name for name in streams if name not in prepared.stream_names]:
        raise DatasetError(
            f"{prepared.folder} was prepared without {' and '.join(missing)}, which {bundle.name} reads.",
            f"Run 'activity prepare VIDEOS --streams {','.join(dict.fromkeys(['appearance', *streams]))}'.",
            code="dataset.streams",
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
    unknown = Counter(record.label for record in records if record.label not in bundle.labels)
    if unknown:
        labels = ", ".join(f"{label} ({counted(count, 'clip')})" for label, count in sorted(unknown.items()))
        raise BundleError(
            f"{bundle.name} does not know labels of {_clips_of(split, prepared)}, so it cannot be scored on them: "
            f"{labels}.",
            f"It knows: {', '.join(bundle.labels)}. Train a model on this folder, or score other clips.",
            code="model.other_labels",
        )
    if not records:
        raise DatasetError(f"{prepared.folder} has no clips in the split {split!r}.", "Choose another with --split.")


def _clips_of(split: str, prepared: PreparedFolder) -> str:
    return str(prepared.folder) if split == "all" else f"the split {split!r} of {prepared.folder}"


def warnings_for(
    bundle: Bundle, prepared: PreparedFolder, records: tuple[ClipRecord, ...], split: str
) -> tuple[str, ...]:
    """Why the score of a model on these clips may say little about new clips."""
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
    if unknown := sorted(set(prepared.labels) - set(bundle.labels)):
        warnings.append(
            f"{prepared.folder} also has labels that {bundle.name} does not know: {', '.join(unknown)}. Their clips "
            "are not among those that are scored, and the baselines are not fitted to them."
        )
    present = {record.label for record in records}
    if absent := [label for label in bundle.labels if label not in present]:
        warnings.append(
            f"{bundle.name} also knows labels that no clip of {_clips_of(split, prepared)} has: {', '.join(absent)}. "
            "The scores say nothing about them."
        )
    if len(records) < _FEW_CLIPS:
        warnings.append(
            f"There are only {len(records)} clips, so a single clip changes the accuracy by {1 / len(records):.0%}."
        )
    return tuple(warnings)
