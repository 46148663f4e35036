"""The cache of features and of views: each is computed once, kept under a name that tells what it is of."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from activity_cli.dataset.augmentation import clip_view
from activity_cli.dataset.clips import ClipStore, write_array
from activity_cli.dataset.features import FeatureStore, Views, clip_features, ensure_features
from activity_cli.errors import DatasetError
from activity_cli.progress import SilentProgress
from activity_cli.settings import Augmentation

NAMES = ["a-1.npy", "b-1.npy", "c-1.npy"]
CONFIG = Augmentation(views=4)
QUIET = SilentProgress()


class Encoder:
    """The colors of each frame's left half; counts the clips that it is shown."""

    def __init__(self) -> None:
        self.shown = 0

    def __call__(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        self.shown += 1
        return np.asarray(frames[:, :, : frames.shape[2] // 2].mean(axis=(1, 2)), np.float32)


@pytest.fixture
def clips(tmp_path: Path) -> ClipStore:
    store = ClipStore(tmp_path / "clips")
    for number, name in enumerate(NAMES):
        rng = np.random.default_rng(number)
        store.write(name, rng.integers(0, 256, (2 + number, 16, 16, 3), dtype=np.uint8))
    return store


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path, "encoder-123")


def views(config: Augmentation = CONFIG, may_flip: tuple[bool, ...] = (True, False, True)) -> Views:
    return Views(config, may_flip, clip_view)


def test_features_of_the_clips_as_they_are_have_the_clips_names(clips: ClipStore, store: FeatureStore) -> None:
    encode = Encoder()
    paths = ensure_features(NAMES, clips, store, encode, QUIET)
    assert paths == [[store.folder / name] for name in NAMES]
    arrays = clip_features(NAMES, clips, store, encode, QUIET)
    assert encode.shown == len(NAMES)
    for name, (path,), array in zip(NAMES, paths, arrays, strict=True):
        expected = Encoder()(clips.read(name))
        assert (np.load(path) == expected).all()
        assert (array == expected).all()


def test_views_are_computed_once_and_kept_beside(clips: ClipStore, store: FeatureStore) -> None:
    encode = Encoder()
    paths = ensure_features(NAMES, clips, store, encode, QUIET, views())
    assert encode.shown == 4 * len(NAMES)
    assert len({path for row in paths for path in row}) == 4 * len(NAMES)
    for name, (first, *further) in zip(NAMES, paths, strict=True):
        assert first.name == name
        for number, path in enumerate(further, 1):
            assert re.fullmatch(rf"{name[:-4]}\.view{number}-[0-9a-f]{{8}}\.npy", path.name)
    assert ensure_features(NAMES, clips, store, encode, QUIET, views()) == paths
    # Fewer views, another training's length of clips: nothing new.
    fewer = dataclasses.replace(CONFIG, views=2, cut=0.0, keep_sides=("other",))
    assert ensure_features(NAMES, clips, store, encode, QUIET, views(fewer)) == [row[:2] for row in paths]
    assert encode.shown == 4 * len(NAMES)
    # Another crop: the view 1 of each anew, under another name.
    other = ensure_features(NAMES, clips, store, encode, QUIET, views(dataclasses.replace(fewer, crop=0.3)))
    assert encode.shown == 5 * len(NAMES)
    assert all(row[1] not in old for row, old in zip(other, paths, strict=True))


def test_every_other_view_is_a_mirrored_one_where_that_is_allowed(clips: ClipStore, store: FeatureStore) -> None:
    only_mirror = dataclasses.replace(CONFIG, crop=0, color=0)
    encode = Encoder()
    paths = ensure_features(NAMES, clips, store, encode, QUIET, views(only_mirror))
    for row, allowed in zip(paths, (True, False, True), strict=True):
        # What would be the clip as it is, is not computed again.
        assert [path == row[0] for path in row] == [True, not allowed, True, not allowed]
    mirrored = Encoder()(clips.read(NAMES[0])[:, :, ::-1])
    assert (np.load(paths[0][1]) == mirrored).all()
    assert encode.shown == len(NAMES) + 4  # views 1 and 3 of two clips


def test_a_view_does_not_depend_on_the_other_clips(clips: ClipStore, store: FeatureStore, tmp_path: Path) -> None:
    (alone,) = ensure_features(NAMES[2:], clips, store, Encoder(), QUIET, views(may_flip=(True,)))
    other = FeatureStore(tmp_path / "other", "encoder-123")
    together = ensure_features(NAMES, clips, other, Encoder(), QUIET, views())[2]
    assert [path.name for path in alone] == [path.name for path in together]
    assert [path.read_bytes() for path in alone] == [path.read_bytes() for path in together]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: write_array(path, np.zeros((2, 3), np.float64)),
        lambda path: write_array(path, np.zeros(2, np.float32)),
    ],
)
def test_a_damaged_file_is_made_again(clips: ClipStore, store: FeatureStore, spoil: Callable[[Path], object]) -> None:
    paths = ensure_features(NAMES, clips, store, Encoder(), QUIET, views())
    whole = paths[0][2].read_bytes()
    spoil(paths[0][2])
    encode = Encoder()
    ensure_features(NAMES, clips, store, encode, QUIET, views())
    assert encode.shown == 1
    assert paths[0][2].read_bytes() == whole


@pytest.mark.parametrize("shape", [(5,), (2, 2, 3)])
def test_maps_are_kept_as_they_come(clips: ClipStore, store: FeatureStore, shape: tuple[int, ...]) -> None:
    def encode(frames: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        return np.full((len(frames), *shape), frames.mean(), np.float16)

    ((path,), *_) = ensure_features(NAMES, clips, store, encode, QUIET)
    array = np.load(path)
    assert (array.dtype, array.shape) == (np.float16, (2, *shape))
    (read, *_) = clip_features(NAMES, clips, store, encode, QUIET)
    assert (read == array).all()


def test_without_a_store_nothing_is_written(clips: ClipStore, tmp_path: Path) -> None:
    encode = Encoder()
    arrays = clip_features([NAMES[0], NAMES[2], NAMES[0]], clips, None, encode, QUIET)
    assert [len(array) for array in arrays] == [2, 4, 2]
    assert encode.shown == 2
    assert [path.name for path in tmp_path.iterdir()] == ["clips"]


def test_what_is_computed_before_an_error_is_kept(clips: ClipStore, store: FeatureStore) -> None:
    (clips.folder / NAMES[2]).unlink()
    encode = Encoder()
    with pytest.raises(DatasetError, match=NAMES[2]):
        ensure_features(NAMES, clips, store, encode, QUIET)
    ensure_features(NAMES[:2], clips, store, encode, QUIET)
    assert encode.shown == 2
