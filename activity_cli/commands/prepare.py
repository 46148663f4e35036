"""prepare: a folder of labeled videos -> clips that a network can learn from."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from activity_cli._version import __version__
from activity_cli.dataset.clips import ClipStore, remove_stale_arrays
from activity_cli.dataset.decode_cache import DecodeCache
from activity_cli.dataset.decoding import Decoded, DecodeTask, decode_all
from activity_cli.dataset.manifest import is_prepared_folder, read_config, write_prepared
from activity_cli.dataset.manifest_rows import list_records
from activity_cli.dataset.processes import default_workers
from activity_cli.errors import DatasetError, OutputError
from activity_cli.files import folder_lock, remove_stale_files, translate_os_error, write_text
from activity_cli.labels.discovery import read_labels
from activity_cli.labels.segments import LabeledSegment, LabelSet
from activity_cli.leakage.signatures import SignatureStore
from activity_cli.leakage.split_dataset import split_dataset
from activity_cli.progress import Progress, SilentProgress
from activity_cli.reports.leaks import leak_document
from activity_cli.results import ClipRecord, LeakReport, PrepareResult
from activity_cli.sampling.plan import Segment, evenly_spaced
from activity_cli.settings import PrepareSettings, resolve_prepare

__all__ = ["prepare"]

_SHEET_CLIPS_PER_LABEL = 3


def prepare(config: PrepareSettings, progress: Progress | None = None) -> PrepareResult:
    """Finds, decodes, samples, caches and splits the videos of a folder.

    Bad files are rejected, each with its reason, and never stop the good ones. A repeated run does
    only the new work; a killed one goes on where it stopped.

    Args:
        config: What and how.
        progress: Who listens.

    Returns:
        What was found, kept and rejected.

    Raises:
        DatasetError: There is nothing that can be learned from.
        OutputError: The prepared folder exists with other settings, or cannot be written.
    """
    progress = progress or SilentProgress()
    config = resolve_prepare(config)
    found = read_labels(config.videos, config.labels, config.split.pattern)
    _check_labels(found.segments)
    _refuse_foreign(config.out)
    with folder_lock(config.out):
        _claim(config)
        return _prepare(found, config, progress)


def _prepare(found: LabelSet, config: PrepareSettings, progress: Progress) -> PrepareResult:
    before = None
    store = ClipStore(config.out / "clips")
    cache = DecodeCache(config.out / "decoded.jsonl", config.sampling)
    tasks = _jobs(found.segments)
    known = {task.name: decoded for task in tasks if (decoded := cache.lookup(task, store)) is not None}
    new = [task for task in tasks if task.name not in known]
    results = known | _decode(new, config, store, cache, progress)

    records = list_records(found, results)
    num_decoded, num_reused = len(new), sum(bool(decoded.clips) for decoded in known.values())
    if new or len(known) != cache.length:
        cache.compact([task.name for task in tasks])
    # Also the clips of rejected and double files: without them a repeated run would decode those again.
    clips = {cut.clip for decoded in results.values() for cut in decoded.clips}
    # All that is needed from here on stands in the records; of thousands of videos the rest is large.
    del tasks, known, new, results, cache

    split = split_dataset(records, config.split, store, progress)
    for warning in split.warnings:
        progress.warn(warning)

    with suppress(DatasetError):
        before = read_config(config.out)
    prepared = write_prepared(config.out, split.records, config.sampling, config.split, _origin(config))
    remove_stale_arrays(store.folder, clips)
    remove_stale_arrays(SignatureStore(store).folder, clips)
    remove_stale_files(config.out)
    sheet = config.out / "contact_sheet.png"
    if not sheet.exists() or not before or before.get("fingerprint") != prepared.fingerprint:
        _draw_contact_sheet(prepared.in_split("all"), store, sheet, config.sampling.num_frames)
    leak_report, leak_picture = _tell_leaks(split.leaks, store, config.out)
    return PrepareResult(
        folder=config.out,
        format=found.format,
        labels=prepared.labels,
        records=split.records,
        warnings=split.warnings,
        contact_sheet=sheet,
        leaks=split.leaks,
        leak_report=leak_report,
        leak_picture=leak_picture,
        decoded=num_decoded,
        reused=num_reused,
    )


def _jobs(files: Sequence[LabeledSegment]) -> list[DecodeTask]:
    """One for each video: all its labeled segments are cut in one reading."""
    segments: dict[str, list[Segment]] = defaultdict(list)
    paths: dict[str, Path] = {}
    for file in files:
        paths[file.name] = file.path
        segments[file.name].append(Segment(file.start_seconds, file.end_seconds))
    return [DecodeTask(path, name, tuple(segments[name])) for name, path in paths.items()]


def _check_labels(found: Sequence[LabeledSegment]) -> None:
    labels = sorted({file.label for file in found})
    if len(labels) < 2:
        raise DatasetError(
            f"Only one label was found: {labels[0]!r}.",
            "A recognizer needs two or more, each in a folder of its own. If the activities are the folders inside "
            "this one, name it instead of the folder around it.",
            code="dataset.one_label",
        )


def _refuse_foreign(out: Path) -> None:
    """Makes sure that writing to the output folder destroys nothing that is not ours, and that it is there."""
    with translate_os_error(out):
        is_foreign = out.is_dir() and any(out.iterdir()) and not is_prepared_folder(out)
    if is_foreign:
        raise OutputError(
            f"{str(out)!r} exists and was not made by 'activity prepare'.", "Choose another folder with --out."
        )
    with translate_os_error(out):
        out.mkdir(parents=True, exist_ok=True)


def _claim(config: PrepareSettings) -> None:
    if not config.overwrite and (changed := _changed_settings(_old_settings(config.out), config)):
        raise OutputError(
            f"{str(config.out)!r} was prepared with other settings: {'; '.join(changed)}.",
            "Use --overwrite to make it anew, or another folder with --out.",
            code="output.exists",
        )
    with translate_os_error(config.out):
        # Marks the folder as ours. What an earlier run finished there stays good until this one is.
        (config.out / "decoded.jsonl").touch()


def _old_settings(out: Path) -> Mapping[str, object] | None:
    try:
        return read_config(out)
    except DatasetError as error:
        if error.code == "dataset.schema":
            raise
        return None  # damaged, as by a crash: it is made again from the clips that are there


def _origin(config: PrepareSettings) -> dict[str, object]:
    return {
        "videos": os.path.abspath(config.videos),
        "labels_file": os.path.abspath(config.labels) if config.labels else None,
        "versions": {"activity": __version__},
    }


def _changed_settings(old: Mapping[str, object] | None, config: PrepareSettings) -> list[str]:
    if old is None:
        return []
    new = _origin(config) | {"sampling": asdict(config.sampling), "split": asdict(config.split)}
    changed = []
    for key in ("videos", "labels_file"):
        if old.get(key) != new[key]:
            changed.append(f"{key} was {old.get(key)!r}, now {new[key]!r}")
    for key in ("sampling", "split"):
        before, after = old.get(key), new[key]
        if isinstance(before, dict) and isinstance(after, dict):
            names = sorted(name for name in before | after if before.get(name) != after.get(name))
            changed += [f"{name} was {before.get(name)!r}, now {after.get(name)!r}" for name in names]
    return changed


def _decode(
    tasks: Sequence[DecodeTask], config: PrepareSettings, store: ClipStore, cache: DecodeCache, progress: Progress
) -> dict[str, Decoded]:
    results: dict[str, Decoded] = {}
    if not tasks:
        return results
    workers = config.workers or default_workers()
    num_frames = num_bytes = 0
    began = time.monotonic()
    with progress.stage("Reading videos", len(tasks), "video") as stage:
        for task, decoded in decode_all(
            tasks, config.sampling, store, workers, time_limit_seconds=config.time_limit_seconds
        ):
            cache.add(task, decoded)
            results[task.name] = decoded
            num_frames += decoded.num_frames
            num_bytes += decoded.file_bytes
            seconds = max(time.monotonic() - began, 1e-3)
            stage.advance(note=f"{num_frames / seconds:,.0f} frames/s, {num_bytes / seconds / 1e6:,.1f} MB/s")
    return results


def _draw_contact_sheet(records: Sequence[ClipRecord], store: ClipStore, path: Path, num_frames: int) -> None:
    from activity_cli.reports.sheet import contact_sheet  # here: it loads OpenCV

    by_label: dict[str, list[ClipRecord]] = defaultdict(list)
    for record in records:
        by_label[record.label].append(record)
    chosen = [
        by_label[label][place]
        for label in sorted(by_label)
        # From all over the list, to see different persons rather than the first one's takes.
        for place in evenly_spaced(len(by_label[label]), _SHEET_CLIPS_PER_LABEL)
    ]
    rows = [(r.label, f"{r.path} · {r.split} · {r.clip_frames} frames", store.read(r.clip)) for r in chosen]
    contact_sheet(rows, path, num_frames)


def _tell_leaks(leaks: LeakReport, store: ClipStore, out: Path) -> tuple[Path, Path | None]:
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
