"""prepare: a folder of labeled videos -> a prepared folder of clips to train on."""

from __future__ import annotations

import csv
import io
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from activity_cli.dataset.clips import ClipStore, remove_stale_arrays
from activity_cli.dataset.decode_cache import DecodeCache, Decoded, DecodeTask
from activity_cli.dataset.decoding import decode_all
from activity_cli.dataset.hands_sample import MIN_HANDS_SHARE, hands_share, sample_for_hands
from activity_cli.dataset.label_checks import (
    check_units,
    find_label_warnings,
    goes_past_end,
    offset_warnings,
    past_end_warnings,
)
from activity_cli.dataset.manifest import (
    DECODE_CACHE,
    check_links,
    config_of,
    is_prepared_folder,
    read_config,
    write_prepared,
)
from activity_cli.dataset.manifest_rows import list_records
from activity_cli.dataset.processes import default_workers
from activity_cli.dataset.sheets import draw_sheets
from activity_cli.dataset.stream_store import StreamStore
from activity_cli.errors import ConfigError, DatasetError, OutputError, VideoError
from activity_cli.files import folder_lock, is_empty, remove_stale_files, translate_os_error, write_bytes, write_text
from activity_cli.labels.discovery import group_of, read_labels
from activity_cli.labels.groups_csv import with_groups
from activity_cli.labels.segments import LabeledSegment, LabelSet
from activity_cli.leakage.signatures import SignatureStore
from activity_cli.leakage.split_dataset import split_dataset
from activity_cli.progress import Progress, SilentProgress
from activity_cli.reports.leaks import leak_document
from activity_cli.reports.poses import find_person_gaps
from activity_cli.reports.text import counted
from activity_cli.results import ClipRecord, LeakReport, PrepareResult, video_notices
from activity_cli.sampling.plan import Segment
from activity_cli.settings import PrepareSettings, resolve_prepare

__all__ = ["prepare"]

# Videos that a warning names; the manifest has all of them.
_MOST_EXAMPLES = 3


def prepare(settings: PrepareSettings, progress: Progress | None = None) -> PrepareResult:
    """Finds, decodes, samples, caches and splits the videos of a folder.

    Files that cannot be used are rejected, each with its reason, and the others go on. A repeated run does only the
    new work; a killed one goes on where it stopped.

    Raises:
        ConfigError: Settings contradict each other.
        DatasetError: There is nothing to train on, or the prepared folder contains a link.
        OutputError: The prepared folder exists with other settings, is in use, or cannot be written.
        BundleError: A model file of a stream is damaged.
    """
    progress = progress or SilentProgress()
    settings = resolve_prepare(settings)
    labels = read_labels(settings.videos, settings.labels, settings.split.pattern, settings.label_options)
    _check_labels(labels)
    _check_groups(labels.segments, settings)
    if settings.split.table:
        labels = replace(labels, segments=with_groups(labels.segments, settings.split.table))
    if settings.time_origin == "file":
        labels = replace(labels, segments=[replace(one, from_file_start=True) for one in labels.segments])
    else:
        check_units(labels, _listed_durations(labels))
    _check_output(settings.out)
    with folder_lock(settings.out):
        _check_settings(settings)
        with translate_os_error(settings.out, "`out`"):
            # Marks the folder as prepared. What an earlier run finished there stays good until this one is finished.
            (settings.out / DECODE_CACHE).touch()
        return _prepare(labels, settings, progress)


def _prepare(labels: LabelSet, settings: PrepareSettings, progress: Progress) -> PrepareResult:
    out, before = settings.out, None
    store = ClipStore(out / "clips", settings.sampling.frame_size)
    read = _read_videos(_decode_tasks(labels.segments), settings, store, progress)
    # Before, only what the containers list was known.
    from_file = settings.time_origin == "file"
    videos = {name: decoded.video for name, decoded in read.results.items() if decoded.clip_names}
    ends = {name: video.duration_seconds + video.start_offset_seconds * from_file for name, video in videos.items()}
    check_units(labels, ends)
    past = [(one.name, goes_past_end(one, videos[one.name])) for one in labels.segments if one.name in videos]
    label_warnings = (*labels.warnings, *past_end_warnings([pair for pair in past if pair[1]]))
    records, streams, num_decoded, num_reused = list_records(labels, read.results), read.streams, *read.counts
    # With the clips of rejected and duplicate files: without them a repeated run would decode those again.
    clips = {name for decoded in read.results.values() for name in decoded.clip_names}
    notes = (*labels.notes, read.note) if read.note else labels.notes
    # The records hold all that is needed from here on; for thousands of videos the rest is large.
    del read

    split = split_dataset(records, settings.split, store, progress)
    person_warnings, person_notes = find_person_gaps(split.records)
    if not from_file:
        label_warnings += tuple(offset_warnings(split.records))
    label_warnings += tuple(find_label_warnings(split.records, settings.sampling))
    read_warnings = (*([_empty_warning(labels)] if labels.empty else []), *_unusable_warnings(records))
    read_warnings += tuple(_damage_warnings(records))
    warnings = (*label_warnings, *read_warnings, *split.warnings, *person_warnings)
    notes = (*person_notes, *notes)
    for warning in warnings:
        progress.warn(warning)

    with suppress(DatasetError):
        before = read_config(out)
    prepared = write_prepared(out, split.records, settings, streams)
    _write_groups(split.records, settings)
    remove_stale_arrays(store.folder, clips)
    StreamStore(out).remove_stale(streams, clips)
    remove_stale_arrays(SignatureStore(store).folder, clips)
    remove_stale_files(out)
    sheet, pose_sheet = draw_sheets(prepared, is_changed=before is None or before.fingerprint != prepared.fingerprint)
    leak_report, leak_picture = _write_leaks(split.leaks, store, out)
    return PrepareResult(
        folder=out,
        format=labels.format,
        labels=prepared.labels,
        records=split.records,
        streams=prepared.stream_names,
        warnings=warnings,
        notes=notes,
        contact_sheet=sheet,
        pose_sheet=pose_sheet,
        leaks=split.leaks,
        leak_report=leak_report,
        leak_picture=leak_picture,
        decoded=num_decoded,
        reused=num_reused,
        empty=labels.empty,
    )


def _decode_tasks(segments: Sequence[LabeledSegment]) -> list[DecodeTask]:
    """One for each video: all its labeled segments are cut in one reading."""
    parts: dict[tuple[Path, str], list[Segment]] = defaultdict(list)
    for one in segments:
        if not one.problem:
            part = Segment(one.start_seconds, one.end_seconds, one.frames, one.from_file_start)
            parts[one.path, one.name].append(part)
    return [DecodeTask(path, name, tuple(segments)) for (path, name), segments in parts.items()]


def _listed_durations(labels: LabelSet) -> dict[str, float]:
    """Seconds of the videos as their containers list them, where the unit of the labels depends on them."""
    if not labels.without_unit:
        return {}
    from activity_cli.video.opencv import FileSource  # here: it loads OpenCV

    durations = {}
    for path, name in {(one.path, one.name) for one in labels.segments if not one.problem}:
        with suppress(VideoError):
            times = FileSource(path, 1).list_times()
            # With the time of the last frame.
            durations[name] = (times[-1] - times[0]) * len(times) / (len(times) - 1) if len(times) > 1 else 0.0
    return durations


def _check_labels(found: LabelSet) -> None:
    labels = sorted({segment.label for segment in found.segments})
    if len(labels) < 2:
        empty = f" {_empty_warning(found)}" if found.empty else ""
        raise DatasetError(
            f"Only one label was found: {labels[0]!r}.{empty}",
            "Training needs two or more labels, each in its own folder. If the activity folders are inside "
            f"{labels[0]!r}, run 'activity prepare' on that folder.",
            code="dataset.one_label",
        )


def _check_groups(segments: Sequence[LabeledSegment], settings: PrepareSettings) -> None:
    """Rejects a pattern that finds no group: every video would be its own group, and the test score too high."""
    pattern = settings.split.pattern
    if pattern is not None and not any(group_of(segment.name, pattern) for segment in segments):
        raise ConfigError(
            f"`group_by` {pattern!r} matches nothing in the path of any video, such as {segments[0].name!r}.",
            r"Write a regular expression that finds the person or the source in these paths, such as 'person\d+'.",
            setting="group_by",
        )


def _write_groups(records: Sequence[ClipRecord], settings: PrepareSettings) -> None:
    """Writes the table of groups, for a person to correct; a table that was given stays as it is."""
    path = settings.out / "groups.csv"
    if settings.split.table and settings.split.table.absolute() == path.absolute():
        return
    videos = {one.path: one for one in records if one.split}
    shared = Counter(one.group for one in videos.values())
    rows = [(one.path, one.label, one.group if shared[one.group] > 1 else "") for one in videos.values()]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("path", "label", "group"), *rows])
    write_bytes(path, text.getvalue().encode("utf-8", "surrogateescape"))


def _empty_warning(found: LabelSet) -> str:
    """Which folders of activities have no video, and what is in them instead."""
    suffixes = Counter(Path(file.name).suffix.lower() for file in found.unused if file.label in found.empty)
    what = ", ".join(f"{count} {suffix or 'without an extension'}" for suffix, count in suffixes.most_common(5))
    inside = f" (files: {what})" if what else ""
    return f"No video with a known file extension in: {', '.join(map(repr, found.empty))}{inside}."


def _unusable_warnings(records: Sequence[ClipRecord]) -> list[str]:
    """Which labels have videos, but none that can be used."""
    used = {record.label for record in records if record.status == "ok"}
    lost = Counter(label for _, label in {(one.path, one.label) for one in records if one.status == "rejected"})
    labels = [f"{label!r} ({counted(number, 'video')})" for label, number in sorted(lost.items()) if label not in used]
    return [f"No video can be used of: {', '.join(labels)}. The model will not know them."] if labels else []


def _damage_warnings(records: Sequence[ClipRecord]) -> list[str]:
    """Which videos were read only in part."""
    damaged = {record.path: record for record in records if record.clip and video_notices(record)}
    if not damaged:
        return []
    examples = [
        f"{path} ({'; '.join(notice.message for notice in video_notices(record))})"
        for path, record in list(damaged.items())[:_MOST_EXAMPLES]
    ]
    more = f", and {len(damaged) - _MOST_EXAMPLES} more in manifest.csv" if len(damaged) > _MOST_EXAMPLES else ""
    return [f"{counted(len(damaged), 'video')} can be read only in part: {', '.join(examples)}{more}."]


def _check_output(out: Path) -> None:
    """Makes the output folder, and rejects one of another program: nothing of it is overwritten."""
    with translate_os_error(out, "`out`"):
        if out.is_dir() and not is_empty(out) and not is_prepared_folder(out):
            raise OutputError(
                f"{str(out)!r} exists and was not made by 'activity prepare'.", "Choose another folder with `out`."
            )
        out.mkdir(parents=True, exist_ok=True)
    check_links(out)


def _check_settings(settings: PrepareSettings) -> None:
    """Rejects a folder that was prepared with other settings, unless it may be overwritten."""
    try:
        before = read_config(settings.out)
    except DatasetError as error:
        if error.code == "dataset.schema" and not settings.overwrite:
            raise
        return  # it is damaged, as by a crash: it is made again from the clips that are there
    if before is None or settings.overwrite:
        return
    now = config_of(settings)
    old, new = (
        {"videos": config.videos, "labels_file": config.labels_file} | config.settings for config in (before, now)
    )
    if changed := [name for name in old | new if old.get(name) != new.get(name)]:
        reasons = (f"{name} was {old.get(name)!r} and is now {new.get(name)!r}" for name in changed)
        raise OutputError(
            f"{str(settings.out)!r} was prepared with other settings: {'; '.join(reasons)}.",
            "Use `overwrite` to prepare it again, or choose another folder with `out`.",
            code="output.exists",
        )


@dataclass(frozen=True, slots=True)
class _Read:
    """What reading the videos gave: a result for each, the streams of their clips, and what was decoded and reused."""

    results: dict[str, Decoded]
    streams: tuple[str, ...]
    note: str  # why hands are left out, if they are
    counts: tuple[int, int]


def _read_videos(tasks: Sequence[DecodeTask], settings: PrepareSettings, store: ClipStore, progress: Progress) -> _Read:
    """Decodes what is new; hands only where a sample shows enough of them."""
    cache = DecodeCache(settings.out / DECODE_CACHE, settings.sampling, settings.split.seed)

    def known_of(tasks: Sequence[DecodeTask], streams: tuple[str, ...]) -> dict[str, Decoded]:
        found = ((task.name, cache.lookup(replace(task, streams=streams), store)) for task in tasks)
        return {name: decoded for name, decoded in found if decoded is not None}

    def decode(tasks: Sequence[DecodeTask], streams: tuple[str, ...], title: str) -> dict[str, Decoded]:
        tasks = [replace(task, streams=streams) for task in tasks]
        return _decode(tasks, settings, store, cache, progress, title)

    streams: tuple[str, ...] = settings.streams
    new: dict[str, Decoded] = {}
    note = ""
    if "hands" in streams:
        without_hands = tuple(name for name in streams if name != "hands")
        sample = sample_for_hands(tasks)
        # Where hands were left out, their arrays are gone, but how many were found is known.
        counted = {
            name: decoded
            for name, decoded in known_of(sample, without_hands).items()
            if decoded.hands is not None or not decoded.clip_names
        }
        title = "Reading videos" if len(sample) == len(tasks) else "Reading a sample of videos"
        new = decode([task for task in sample if task.name not in counted], streams, title)
        share = hands_share((counted | new).values())
        if share is None or share < MIN_HANDS_SHARE:
            streams, note = without_hands, _hands_note(share, len(sample))
    known = known_of([task for task in tasks if task.name not in new], streams)
    new |= decode([task for task in tasks if task.name not in known | new], streams, "Reading videos")
    if new or len(known) != len(cache):
        cache.compact([task.name for task in tasks])
    counts = len(new), sum(bool(decoded.clip_names) for decoded in known.values())
    return _Read(known | new, streams, note, counts)


def _hands_note(share: float | None, num_videos: int) -> str:
    sample = f"a sample of {counted(num_videos, 'video')}"
    if share is None:
        return f"In {sample}, nobody was found, so the hands stream is left out."
    return f"In {sample}, {share:.0%} of the hands were found, so the hands stream is left out."


def _decode(
    tasks: Sequence[DecodeTask],
    settings: PrepareSettings,
    store: ClipStore,
    cache: DecodeCache,
    progress: Progress,
    title: str,
) -> dict[str, Decoded]:
    results: dict[str, Decoded] = {}
    if not tasks:
        return results
    num_frames = num_bytes = 0
    began, workers, seed = time.monotonic(), settings.workers or default_workers(), settings.split.seed
    limit = settings.time_limit_seconds
    decoding = decode_all(tasks, settings.sampling, store, workers, seed=seed, time_limit_seconds=limit)
    with progress.stage(title, len(tasks), "video") as stage:
        for task, decoded in decoding:
            cache.add(task, decoded)
            results[task.name] = decoded
            num_frames += decoded.video.num_frames
            num_bytes += decoded.file_bytes
            seconds = max(time.monotonic() - began, 1e-3)
            stage.advance(note=f"{num_frames / seconds:,.0f} frames/s, {num_bytes / seconds / 1e6:,.1f} MB/s")
    return results


def _write_leaks(leaks: LeakReport, store: ClipStore, out: Path) -> tuple[Path, Path | None]:
    document, picture = out / "leaks.json", out / "leaks.png"
    text = leak_document(leaks) + "\n"
    with suppress(OSError, ValueError):
        if document.read_text(encoding="utf-8") == text and picture.exists() == bool(leaks.pairs):
            return document, picture if leaks.pairs else None
    if leaks.pairs:
        from activity_cli.reports.pairs import MOST_PAIRS, draw_pairs  # here: it loads OpenCV

        shown = [(pair, store.read(pair.first.clip), store.read(pair.second.clip)) for pair in leaks.pairs[:MOST_PAIRS]]
        draw_pairs(shown, picture, len(leaks.pairs))
    else:
        with translate_os_error(picture):
            picture.unlink(missing_ok=True)
    write_text(document, text)
    return document, picture if leaks.pairs else None
