"""The cache of features: each clip goes through an encoder once; damaged files are made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from activity_cli.dataset.clips import ClipStore, write_array
from activity_cli.dataset.features import ensure_features
from activity_cli.errors import DatasetError
from activity_cli.progress import SilentProgress

NAMES = ["a-1.npy", "b-1.npy", "c-1.npy"]
QUIET = SilentProgress()


class Encoder:
    """The mean color of each frame, in the shape and type of an encoder's output; counts the clips that it gets."""

    def __init__(self, shape: tuple[int, ...] = (3,), dtype: npt.DTypeLike = np.float32) -> None:
        self.num_clips, self._shape, self._dtype = 0, shape, dtype

    def __call__(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        self.num_clips += 1
        means = frames.mean(axis=(1, 2)) + np.zeros((*self._shape[:-1], len(frames), 3))
        return np.moveaxis(means, -2, 0).astype(self._dtype)


@pytest.fixture
def clips(tmp_path: Path) -> ClipStore:
    store = ClipStore(tmp_path / "clips")
    for number, name in enumerate(NAMES):
        rng = np.random.default_rng(number)
        store.write(name, rng.integers(0, 256, (2 + number, 16, 16, 3), dtype=np.uint8))
    return store


@pytest.mark.parametrize("shape", [(3,), (2, 2, 3)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_each_clip_is_encoded_once(
    clips: ClipStore, tmp_path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike
) -> None:
    folder, encode = tmp_path / "features", Encoder(shape, dtype)
    paths = ensure_features([*NAMES, NAMES[0]], clips, folder, encode, QUIET)
    assert paths == [folder / name for name in (*NAMES, NAMES[0])]
    assert ensure_features(NAMES, clips, folder, encode, QUIET) == paths[:3]
    assert encode.num_clips == len(NAMES)
    for name in NAMES:
        features = np.load(folder / name)
        assert (features.dtype, features.shape[1:]) == (dtype, shape)
        assert (features == Encoder(shape, dtype)(clips.read(name))).all()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: write_array(path, np.zeros((2, 3), np.float64)),
        lambda path: write_array(path, np.zeros(2, np.float32)),
    ],
)
def test_a_damaged_file_is_made_again(clips: ClipStore, tmp_path: Path, damage: Callable[[Path], object]) -> None:
    paths = ensure_features(NAMES, clips, tmp_path / "features", Encoder(), QUIET)
    whole = paths[0].read_bytes()
    damage(paths[0])
    encode = Encoder()
    ensure_features(NAMES, clips, tmp_path / "features", encode, QUIET)
    assert encode.num_clips == 1
    assert paths[0].read_bytes() == whole


def test_a_missing_clip_is_an_error_and_what_a_killed_run_left_is_removed(clips: ClipStore, tmp_path: Path) -> None:
    folder = tmp_path / "features"
    with pytest.raises(DatasetError, match="missing or damaged"):
        ensure_features(["other.npy"], clips, folder, Encoder(), QUIET)
    folder.mkdir()
    (folder / ".unfinished-999999-a-1.npy").write_bytes(b"half")
    ensure_features(NAMES, clips, folder, Encoder(), QUIET)
    assert sorted(path.name for path in folder.iterdir()) == NAMES
