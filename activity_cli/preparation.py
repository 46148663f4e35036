"""prepare: a folder of labeled videos -> clips that a network can learn from."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from activity_cli._version import __version__
from activity_cli.config import PrepareConfig
from activity_cli.dataset.clips import ClipStore
from activity_cli.dataset.decoding import Decoded, Journal, decode_all, default_workers
from activity_cli.dataset.discovery import FoundFile, find_labeled
from activity_cli.dataset.manifest import is_prepared_folder, read_config, write_prepared
from activity_cli.dataset.splits import Member, assign_splits, split_warnings
from activity_cli.errors import DatasetError, OutputError
from activity_cli.files import explained, sweep_unfinished
from activity_cli.progress import Progress, SilentProgress
from activity_cli.results import ClipRecord, PrepareResult
from activity_cli.video.sampling import evenly_spaced

__all__ = ["prepare"]

_SHEET_CLIPS_PER_LABEL = 3


def prepare(config: PrepareConfig, progress: Progress | None = None) -> PrepareResult:
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
    found = find_labeled(config.videos, config.labels, config.split.group_by)
    _check_labels(found)
    _claim(config)

    store = ClipStore(config.out / "clips")
    journal = Journal(config.out / "decoded.jsonl", config.sampling)
    videos = [file for file in found if not file.ignored]
    known = {file.name: decoded for file in videos if (decoded := journal.lookup(file, store)) is not None}
    new = [file for file in videos if file.name not in known]
    results = known | _decode(new, config, store, journal, progress)

    records = _records(found, results)
    records, warnings = _split(records, found, config)
    for warning in warnings:
        progress.warn(warning)

    prepared = write_prepared(config.out, records, config.sampling, config.split, _origin(config))
    journal.compact([file.name for file in videos])
    # Also the clips of rejected and double files: without them a repeated run would decode those again.
    store.sweep({decoded.clip for decoded in results.values() if decoded.clip})
    sweep_unfinished(config.out)
    sheet = _draw_contact_sheet(prepared.in_split("all"), store, config.out, config.sampling.num_frames)
    return PrepareResult(
        folder=config.out,
        labels=prepared.labels,
        records=tuple(records),
        warnings=tuple(warnings),
        contact_sheet=sheet,
        decoded=len(new),
        reused=sum(bool(decoded.clip) for decoded in known.values()),
    )


def _check_labels(found: Sequence[FoundFile]) -> None:
    labels = sorted({file.label for file in found if not file.ignored})
    if len(labels) < 2:
        raise DatasetError(
            f"Only one label was found: {labels[0]!r}.",
            "A recognizer needs two or more; put each activity into a folder of its own.",
            code="dataset.one_label",
        )


def _claim(config: PrepareConfig) -> None:
    """Makes sure that writing to the output folder destroys nothing that somebody may want."""
    out = config.out
    with explained(out):
        is_foreign = out.is_dir() and any(out.iterdir()) and not is_prepared_folder(out)
    if is_foreign:
        raise OutputError(
            f"{str(out)!r} exists and was not made by 'activity prepare'.", "Choose another folder with --out."
        )
    if not config.overwrite and (changed := _changed_settings(_old_settings(out), config)):
        raise OutputError(
            f"{str(out)!r} was prepared with other settings: {'; '.join(changed)}.",
            "Use --overwrite to make it anew, or another folder with --out.",
            code="output.exists",
        )
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
        # Marks the folder as ours. What an earlier run finished there stays good until this one is.
        (out / "decoded.jsonl").touch()


def _old_settings(out: Path) -> Mapping[str, object] | None:
    try:
        return read_config(out)
    except DatasetError as error:
        if error.code == "dataset.schema":
            raise
        return None  # damaged, as by a crash: it is made again from the clips that are there


def _origin(config: PrepareConfig) -> dict[str, object]:
    return {
        "videos": os.path.abspath(config.videos),
        "labels_file": os.path.abspath(config.labels) if config.labels else None,
        "versions": {"activity": __version__},
    }


def _changed_settings(old: Mapping[str, object] | None, config: PrepareConfig) -> list[str]:
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
    files: Sequence[FoundFile], config: PrepareConfig, store: ClipStore, journal: Journal, progress: Progress
) -> dict[str, Decoded]:
    results: dict[str, Decoded] = {}
    if not files:
        return results
    workers = config.workers or default_workers()
    with progress.stage("Reading videos", len(files), "video") as stage:
        for file, decoded in decode_all(files, config.sampling, store, workers):
            journal.add(file, decoded)
            results[file.name] = decoded
            stage.advance()
    return results


def _records(found: Sequence[FoundFile], results: Mapping[str, Decoded]) -> list[ClipRecord]:
    """A row for each file; what has the same content is kept once, or not at all if labels differ."""
    labels_of: dict[str, dict[str, str]] = defaultdict(dict)
    for file in found:
        decoded = results.get(file.name)
        if decoded is not None and decoded.clip:
            labels_of[decoded.content_hash].setdefault(file.label, file.name)
    records = []
    first_of: dict[str, str] = {}
    for file in found:
        decoded = results.get(file.name, Decoded())
        record = _record(file, decoded)
        if record.status == "ok":
            others = [name for label, name in labels_of[record.content_hash].items() if label != record.label]
            first = first_of.setdefault(record.content_hash, record.path)
            if others:
                reason = f"[dataset.two_labels] the same video as {others[0]}, which has another label"
                record = replace(record, status="rejected", reason=reason, clip="", clip_frames=0)
            elif first != record.path:
                record = replace(
                    record, status="duplicate", reason=f"the same video as {first}", clip="", clip_frames=0
                )
        records.append(record)
    return records


def _record(file: FoundFile, decoded: Decoded) -> ClipRecord:
    status, reason = "ok", ""
    if file.ignored:
        status, reason = "ignored", file.ignored
    elif decoded.error_code:
        status, reason = "rejected", f"[{decoded.error_code}] {decoded.error_message}"
    elif decoded.header_frames and decoded.header_frames != decoded.num_frames:
        reason = f"the header promises {decoded.header_frames} frames, {decoded.num_frames} can be decoded"
    return ClipRecord(
        path=file.name,
        label=file.label,
        group=file.group,
        split="",
        status=status,
        reason=reason,
        num_frames=decoded.num_frames,
        frames_per_second=decoded.frames_per_second,
        duration_seconds=round(decoded.duration_seconds, 6),
        width=decoded.width,
        height=decoded.height,
        rotation_degrees=decoded.rotation_degrees,
        content_hash=decoded.content_hash,
        clip=decoded.clip,
        clip_frames=decoded.clip_frames,
    )


def _split(
    records: Sequence[ClipRecord], found: Sequence[FoundFile], config: PrepareConfig
) -> tuple[list[ClipRecord], list[str]]:
    kept = [record for record in records if record.status == "ok"]
    if len({record.label for record in kept}) < 2:
        rejected = Counter(record.reason for record in records if record.status == "rejected")
        why = rejected.most_common(1)[0][0] if rejected else "no video could be used"
        raise DatasetError(
            f"Fewer than two labels have a usable video: of {len(records)} files {len(kept)} can be used.",
            f"The most common reason: {why}",
            code="dataset.one_label",
        )
    given = {file.name: file.split for file in found}
    # Without a group, a video stands for itself: its content names it.
    members = [Member(r.label, r.group or r.content_hash[:12], given[r.path]) for r in kept]
    splits = assign_splits(members, config.split)
    placed = {
        record.path: replace(record, group=member.group, split=split)
        for record, member, split in zip(kept, members, splits, strict=True)
    }
    warnings = split_warnings(members, splits, config.split)
    ungrouped = sum(not record.group for record in kept)
    if config.split.group_by is not None and ungrouped:
        example = next(record.path for record in kept if not record.group)
        warnings.append(
            f"--group-by {config.split.group_by!r} finds no group in {ungrouped} of {len(kept)} paths, "
            f"such as {example!r}: each of these is its own group."
        )
    return [placed.get(record.path, record) for record in records], warnings


def _draw_contact_sheet(records: Sequence[ClipRecord], store: ClipStore, folder: Path, num_frames: int) -> Path:
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
    path = folder / "contact_sheet.png"
    contact_sheet(rows, path, num_frames)
    return path
