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

from activity_cli.dataset.clips import ClipStore, sweep_arrays, write_array
from activity_cli.dataset.processes import in_own_process
from activity_cli.files import write_text
from activity_cli.leakage.duplicate_groups import Kin, find_kin
from activity_cli.leakage.signatures import LOOK_SHAPE, Look, look_of
from activity_cli.progress import Progress

__all__ = ["LookStore", "kin_of"]

# Every clip is compared with every other: 20,000 take about two minutes.
_MOST_COMPARED = 20_000
# So few are compared before a process for it has started.
_FEW = 200
# Part of the key of what is kept: another way of comparing may find others.
_METHOD = 2

Owner = tuple[str, str]
"""What a clip was cut from: the hash of the video's content, and the given group, or nothing."""


class LookStore:
    """The looks of the clips of a store; one that is missing or damaged is made again from its clip."""

    def __init__(self, clips: ClipStore) -> None:
        self._clips = clips
        self.folder = clips.folder.with_name("looks")

    def write(self, name: str, frames: npt.NDArray[np.uint8]) -> Look:
        """Keeps the look of the clip of this name.

        Raises:
            OutputError: The disk is full, or the folder cannot be written.
        """
        look = look_of(frames)
        write_array(self.folder / name, look)
        return look

    def read(self, name: str) -> Look:
        """The look of the clip of this name.

        Raises:
            DatasetError: The clip is missing, too.
        """
        with suppress(OSError, ValueError, EOFError):
            look: Look = np.load(self.folder / name, allow_pickle=False)
            if look.dtype == np.float16 and look.shape == LOOK_SHAPE and np.isfinite(look).all():
                return look
        return self.write(name, self._clips.read(name))

    def sweep(self, keep: Collection[str]) -> None:
        """Removes the looks of clips that nothing refers to any more."""
        sweep_arrays(self.folder, keep)


def kin_of(
    store: ClipStore, clips: Sequence[str], owners: Sequence[Owner], labels: Sequence[str], progress: Progress
) -> Kin | None:
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
    key = hashlib.sha256(json.dumps([_METHOD, clips, owners, labels]).encode()).hexdigest()
    with suppress(OSError, ValueError, KeyError, TypeError):
        if (kin := _read(known, key, len(clips))) is not None:
            return kin
    with progress.stage("Comparing clips", len(clips), "clip") as stage:
        if len(clips) <= _FEW:
            kin = _compare(store, clips, owners, labels, stage.advance)
        else:
            try:
                # The looks of thousands of clips are large: the memory they take goes with the process.
                kin = in_own_process(_compare, store, clips, owners, labels, advance=stage.advance)
            except (BrokenProcessPool, MemoryError):
                return None
    write_text(known, json.dumps({"key": key, **asdict(kin)}) + "\n")
    return kin


def _compare(
    store: ClipStore,
    clips: Sequence[str],
    owners: Sequence[Owner],
    labels: Sequence[str],
    advance: Callable[[int], None],
) -> Kin:
    looks = LookStore(store)
    return find_kin([looks.read(clip) for clip in clips], owners, labels, advance)


def _read(path: Path, key: str, number: int) -> Kin | None:
    kept = json.loads(path.read_text(encoding="utf-8"))
    if kept.pop("key") != key:
        return None
    kin = Kin(
        recordings=tuple(int(group) for group in kept["recordings"]),
        sources=tuple(int(group) for group in kept["sources"]),
        copies=tuple((int(first), int(second)) for first, second in kept["copies"]),
        doubted=tuple(bool(one) for one in kept["doubted"]),
        broken=tuple(bool(one) for one in kept["broken"]),
    )
    in_range = all(0 <= clip < number for clip in (*kin.recordings, *kin.sources, *chain.from_iterable(kin.copies)))
    whole = len(kin.recordings) == len(kin.sources) == len(kin.doubted) == len(kin.broken) == number
    return kin if whole and in_range else None
