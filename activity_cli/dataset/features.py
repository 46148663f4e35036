"""Features of clips, kept beside them: each frame goes through an encoder once.

``features/<encoder's fingerprint>/<clip>.npy`` holds ``[T, D]``, or maps ``[T, h, w, C]``, float32 or
float16. Beside them stand those of the clip's further views, ``<clip>.view<number>-<how it is varied>.npy``.
A clip's name stands for its content and sampling and the fingerprint for the encoder's weights, so a file
never goes stale.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from activity_cli.dataset.clips import ClipStore, write_array
from activity_cli.files import remove_stale_files
from activity_cli.progress import Progress
from activity_cli.settings import Augmentation

__all__ = ["Encode", "FeatureStore", "Views", "clip_features", "ensure_features"]

# From frames ``uint8 [T, H, W, 3]`` to features ``[T, ...]``.
Encode = Callable[[npt.NDArray[np.uint8]], npt.NDArray[Any]]

# Of the algorithm that varies pictures: to be raised when it gives other ones.
_VARIED_BY = 1


class FeatureStore:
    """Features of one encoder in a folder of their own."""

    def __init__(self, prepared: Path, encoder_fingerprint: str) -> None:
        self.folder = prepared / "features" / encoder_fingerprint

    def __contains__(self, name: str) -> bool:
        """Whether whole features of this name are there; reads no more than the header."""
        return self._load(name, "r") is not None

    def read(self, name: str) -> npt.NDArray[Any] | None:
        """Features ``[T, ...]`` of a clip; None where they are missing or cut."""
        return self._load(name, None)

    def write(self, name: str, features: npt.NDArray[Any]) -> None:
        """Writes one clip's features, whole or not at all.

        Raises:
            OutputError: The disk is full, or the folder cannot be written.
        """
        write_array(self.folder / name, features)

    def sweep(self) -> None:
        """Removes what a killed run left unfinished."""
        remove_stale_files(self.folder)

    def _load(self, name: str, mmap_mode: Any) -> npt.NDArray[Any] | None:
        try:
            features: npt.NDArray[Any] = np.load(self.folder / name, mmap_mode, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return features if features.dtype in (np.float32, np.float16) and features.ndim >= 2 else None


class Vary(Protocol):
    """Makes a view of a clip, such as :func:`activity_cli.dataset.augmentation.clip_view`."""

    def __call__(
        self, clip: npt.NDArray[np.uint8], name: str, view: int, config: Augmentation, *, mirrored: bool
    ) -> npt.NDArray[np.uint8]:
        """The view as ``uint8 [T, H, W, 3]``."""


@dataclass(frozen=True, slots=True)
class Views:
    """Further views of clips, the same in all trainings.

    Attributes:
        config: How many there are, the clip as it is among them, and how much they differ from it.
        may_mirror: For each clip whether it means the same in a mirror; then every other view, from the
            first on, shows it so.
        vary: Makes them.
    """

    config: Augmentation
    may_flip: Sequence[bool]
    vary: Vary


@dataclass(frozen=True, slots=True)
class _View:
    """One view of one clip, and the file of its features; number 0 is the clip as it is."""

    clip: str
    file: str
    number: int = 0
    mirrored: bool = False


def ensure_features(
    names: Sequence[str],
    clips: ClipStore,
    features: FeatureStore,
    encode: Encode,
    progress: Progress,
    views: Views | None = None,
) -> list[list[Path]]:
    """Makes sure that the features of some clips are on disk; one clip at a time is in memory.

    Args:
        names: Clips by name.
        clips: Where their frames are.
        features: Where their features are, or will be.
        encode: The encoder.
        progress: Who listens.
        views: Which views there are beside the clips as they are; None: none.

    Returns:
        The files of each clip, one for each view, the clip as it is first.

    Raises:
        DatasetError: A clip is missing or damaged.
        OutputError: The disk is full, or the folder cannot be written.
    """
    rows = [_views_of(name, views, number) for number, name in enumerate(names)]
    missing = [view for view in dict.fromkeys(view for row in rows for view in row) if view.file not in features]
    _compute(missing, clips, encode, views, progress, lambda view, array: features.write(view.file, array))
    if missing:
        features.sweep()
    return [[features.folder / view.file for view in row] for row in rows]


def clip_features(
    names: Sequence[str], clips: ClipStore, features: FeatureStore | None, encode: Encode, progress: Progress
) -> list[npt.NDArray[Any]]:
    """The features of some clips, computed where they are not yet there.

    Args:
        names: Clips by name.
        clips: Where their frames are.
        features: Where their features are, or will be; None: nowhere.
        encode: The encoder.
        progress: Who listens.

    Returns:
        ``[T_i, ...]`` for each name, in order.
    """
    found = {name: features.read(name) if features else None for name in dict.fromkeys(names)}
    missing = [_View(name, name) for name, known in found.items() if known is None]

    def keep(view: _View, computed: npt.NDArray[Any]) -> None:
        found[view.clip] = computed
        if features:
            features.write(view.file, computed)

    _compute(missing, clips, encode, None, progress, keep)
    if features and missing:
        features.sweep()
    return [known for name in names if (known := found[name]) is not None]


def _views_of(name: str, views: Views | None, number: int) -> list[_View]:
    as_it_is = _View(name, name)
    if views is None:
        return [as_it_is]
    config, may_flip = views.config, views.config.mirror and bool(views.may_flip[number])
    further = [_further_view(name, view, may_flip and view % 2 == 1, config) for view in range(1, config.views)]
    return [as_it_is, *(view or as_it_is for view in further)]


def _further_view(clip: str, number: int, mirrored: bool, config: Augmentation) -> _View | None:
    """None where it would be the clip as it is."""
    if not (mirrored or config.crop or config.color):
        return None
    settings = [_VARIED_BY, mirrored, float(config.crop), float(config.color)]
    digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    return _View(clip, f"{clip.removesuffix('.npy')}.view{number}-{digest[:8]}.npy", number, mirrored)


def _compute(
    missing: Sequence[_View],
    clips: ClipStore,
    encode: Encode,
    views: Views | None,
    progress: Progress,
    keep: Callable[[_View, npt.NDArray[Any]], None],
) -> None:
    if not missing:
        return
    with progress.stage("Looking at frames", len(missing), "clip") as stage:
        for view in missing:
            frames = np.asarray(clips.read(view.clip))
            if view.number and views:
                frames = views.vary(frames, view.clip, view.number, views.config, mirrored=view.mirrored)
            keep(view, encode(frames))
            stage.advance()
