"""evaluate --timeline: compares the timelines of videos with the segments that a person labeled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from activity_cli.commands.inputs import expand
from activity_cli.commands.predict import Recognizer
from activity_cli.dataset.segment_files import read_segments
from activity_cli.errors import ConfigError, DatasetError, VideoError
from activity_cli.evaluation.timeline_scores import score_timelines
from activity_cli.progress import Progress, SilentProgress
from activity_cli.reports.text import counted
from activity_cli.results import TimelineEvaluation, TimelineSegment
from activity_cli.settings import EvaluateSettings

__all__ = ["evaluate_timeline"]

_MOST_NAMED = 5


def evaluate_timeline(settings: EvaluateSettings, progress: Progress | None = None) -> TimelineEvaluation:
    """Makes the timelines of labeled videos, and compares them with the labels.

    Args:
        settings: Which model, which videos, and their labels.
        progress: Shows a bar and warnings.

    Raises:
        ConfigError: There are no labels (``truth``), or no videos (``timeline``).
        BundleError: There is no such model, or it is damaged.
        DatasetError: The labels cannot be read, or none is of these videos; no video can be used.
    """
    progress = progress or SilentProgress()
    if settings.truth is None or not settings.timeline:
        missing, given = ("truth", "timeline") if settings.timeline else ("timeline", "truth")
        raise ConfigError(f"`{given}` needs `{missing}`.", f"Add `{missing}`.", setting=missing)
    recognizer = Recognizer(settings.model)
    videos = [one for one in expand(settings.timeline) if isinstance(one.place, Path)]
    place = next((folder for folder in settings.timeline if folder.is_dir()), settings.timeline[0].parent)
    segments, notes = read_segments([settings.truth], place, settings.label_options)
    truth, unused = _by_video([one.name for one in videos], segments)
    warnings = [*notes, *_warnings(recognizer, [one.name for one in videos], truth, unused)]
    if not truth:
        raise DatasetError(f"{settings.truth} has no labels of these videos.", " ".join(warnings) or "Check the names.")
    for warning in warnings:
        progress.warn(warning)
    answers: dict[str, list[TimelineSegment]] = {}
    failed: list[str] = []
    labeled = [one for one in videos if one.name in truth]
    with progress.stage("Predicting", len(labeled), "video") as stage:
        for one in labeled:
            try:
                if one.error:
                    raise one.error
                assert isinstance(one.place, Path)
                found = recognizer.timeline(one.place)
                answers[one.name] = [part for part in found if isinstance(part, TimelineSegment)]
            except VideoError as error:
                failed.append(one.name)
                progress.warn(f"{error.message} {error.hint}".rstrip())
            stage.advance()
    if not answers:
        raise DatasetError("No labeled video can be used.", "See the reasons above.", code="dataset.none")
    # What the model knows as background is no activity; neither is it in the labels.
    background = set(recognizer.background)
    truth = {
        name: [replace(one, label=None) if one.label in background else one for one in truth[name]] for name in answers
    }
    scores = score_timelines(truth, answers)
    return TimelineEvaluation(recognizer.name, scores, truth, answers, tuple(failed), tuple(warnings))


def _by_video(
    videos: Sequence[str], segments: Iterable[TimelineSegment]
) -> tuple[dict[str, list[TimelineSegment]], list[str]]:
    """The segments of each video, and the sources that are no video: by path, else by file name, else by its stem."""
    truth: dict[str, list[TimelineSegment]] = {}
    unused: dict[str, None] = {}
    for one in segments:
        source = PurePath(one.source)
        for same in (
            lambda video, source: video.parts[-len(source.parts) :] == source.parts,
            lambda video, source: video.name == source.name,
            lambda video, source: video.stem in (source.stem, source.name),
        ):
            matching = [video for video in videos if same(PurePath(video), source)]
            if len(matching) == 1:
                truth.setdefault(matching[0], []).append(one)
                break
        else:
            unused[one.source] = None
    return truth, list(unused)


def _warnings(
    recognizer: Recognizer, videos: Sequence[str], truth: dict[str, list[TimelineSegment]], unused: Sequence[str]
) -> list[str]:
    found = []
    if unused:
        found.append(f"The labels name {counted(len(unused), 'other video')}: {_some(unused)}.")
    if without := [video for video in videos if video not in truth]:
        found.append(f"{counted(len(without), 'video')} without labels: {_some(without)}.")
    labels = {one.label for many in truth.values() for one in many if one.label is not None}
    if foreign := sorted(labels - set(recognizer.labels)):
        found.append(f"The model does not know these labels, and so never finds them: {_some(foreign)}.")
    return found


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
