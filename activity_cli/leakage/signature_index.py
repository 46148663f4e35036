"""The looks of the clips, kept beside them, and what they say of who belongs together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activity_cli.dataset.clips import ClipStore, remove_stale_arrays, write_array
from activity_cli.dataset.processes import in_own_process
from activity_cli.files import write_text
from activity_cli.leakage.duplicate_groups import DuplicateGroups, find_duplicate_groups
from activity_cli.leakage.signatures import SIGNATURE_SHAPE, Signature, compute_signature
from activity_cli.progress import Progress

__all__ = ["SignatureStore", "load_duplicate_groups"]

# Every clip is compared with every other: 20,000 take about two minutes.
_MOST_COMPARED = 20_000
# So few are compared before a process for it has started.
_FEW = 200
# Part of the key of what is kept: another way of comparing may find others.
_METHOD = 2

SourceId = tuple[str, str]
"""What a clip was cut from: the hash of the video's content, and the given group, or nothing."""


class SignatureStore:
    """The looks of the clips of a store; one that is missing or damaged is made again from its clip."""

    def __init__(self, clips: ClipStore) -> None:
        self._clips = clips
        self.folder = clips.folder.with_name("looks")

    def write(self, name: str, frames: npt.NDArray[np.uint8]) -> Signature:
        """Keeps the look of the clip of this name.

        Raises:
            OutputError: The disk is full, or the folder cannot be written.
        """
        look = compute_signature(frames)
        write_array(self.folder / name, look)
        return look

    def read(self, name: str) -> Signature:
        """The look of the clip of this name.

        Raises:
            DatasetError: The clip is missing, too.
        """
        with suppress(OSError, ValueError, EOFError):
            look: Signature = np.load(self.folder / name, allow_pickle=False)
            if look.dtype == np.float16 and look.shape == SIGNATURE_SHAPE and np.isfinite(look).all():
                return look
        return self.write(name, self._clips.read(name))

    def sweep(self, keep: Collection[str]) -> None:
        """Removes the looks of clips that nothing refers to any more."""
        remove_stale_arrays(self.folder, keep)


def load_duplicate_groups(
    store: ClipStore, clips: Sequence[str], source_ids: Sequence[SourceId], labels: Sequence[str], progress: Progress
) -> DuplicateGroups | None:
    """Which clips belong together by their looks, as it was found before where nothing has changed.

    Args:
        store: The clips.
        clips: Their names in it.
        owners: Clips of one owner belong together whatever they look like.
        labels: What each shows.
        progress: Who listens.

    Returns:
        None where there are too many to compare, or not enough memory to do so.

    Raises:
        OutputError: The prepared folder cannot be written.
    """
    if len(clips) > _MOST_COMPARED:
        return None
    known = store.folder.with_name("kin.json")
    key = hashlib.sha256(json.dumps([_METHOD, clips, source_ids, labels]).encode()).hexdigest()
    with suppress(OSError, ValueError, KeyError, TypeError):
        if (duplicates := _read(known, key, len(clips))) is not None:
            return duplicates
    with progress.stage("Comparing clips", len(clips), "clip") as stage:
        if len(clips) <= _FEW:
            duplicates = _compare(store, clips, source_ids, labels, stage.advance)
        else:
            try:
                # The looks of thousands of clips are large: the memory they take goes with the process.
                duplicates = in_own_process(_compare, store, clips, source_ids, labels, advance=stage.advance)
            except (BrokenProcessPool, MemoryError):
                return None
    write_text(known, json.dumps({"key": key, **asdict(duplicates)}) + "\n")
    return duplicates


def _compare(
    store: ClipStore,
    clips: Sequence[str],
    source_ids: Sequence[SourceId],
    labels: Sequence[str],
    advance: Callable[[int], None],
) -> DuplicateGroups:
    looks = SignatureStore(store)
    return find_duplicate_groups([looks.read(clip) for clip in clips], source_ids, labels, advance)


def _read(path: Path, key: str, number: int) -> DuplicateGroups | None:
    kept = json.loads(path.read_text(encoding="utf-8"))
    if kept.pop("key") != key:
        return None
    duplicates = DuplicateGroups(
        recordings=tuple(int(group) for group in kept["recordings"]),
        sources=tuple(int(group) for group in kept["sources"]),
        copies=tuple((int(first), int(second)) for first, second in kept["copies"]),
        doubted=tuple(bool(one) for one in kept["doubted"]),
        broken=tuple(bool(one) for one in kept["broken"]),
    )
    in_range = all(
        0 <= clip < number
        for clip in (*duplicates.recordings, *duplicates.sources, *chain.from_iterable(duplicates.copies))
    )
    whole = (
        len(duplicates.recordings)
        == len(duplicates.sources)
        == len(duplicates.doubted)
        == len(duplicates.broken)
        == number
    )
    return duplicates if whole and in_range else None
