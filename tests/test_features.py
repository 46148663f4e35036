"""The cache of features: each frame goes through an encoder once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from activity_cli.dataset.clips import ClipStore, write_array
from activity_cli.dataset.features import ensure_features, feature_folder
from activity_cli.dataset.manifest import read_prepared
from activity_cli.errors import DatasetError
from activity_cli.progress import SilentProgress
from data_support import no_privileges

NAMES = ["a-1.npy", "b-1.npy", "c-1.npy"]
QUIET = SilentProgress()


class Encoder:
    """The mean colors of each frame; counts the clips that it encodes."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        self.count += 1
        return np.asarray(frames.mean(axis=(1, 2)), np.float32)


@pytest.fixture
def clips(tmp_path: Path) -> ClipStore:
    store = ClipStore(tmp_path / "clips")
    for number, name in enumerate(NAMES):
        rng = np.random.default_rng(number)
        store.write(name, rng.integers(0, 256, (2 + number, 16, 16, 3), dtype=np.uint8))
    return store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "features"


def test_features_are_computed_once(clips: ClipStore, folder: Path) -> None:
    encode = Encoder()
    paths = ensure_features([*NAMES, NAMES[0]], clips, folder, encode, QUIET)
    assert paths == [folder / name for name in [*NAMES, NAMES[0]]]
    assert encode.count == len(NAMES)
    for name, path in zip(NAMES, paths, strict=False):
        assert (np.load(path) == Encoder()(clips.read(name))).all()
    assert ensure_features(NAMES, clips, folder, encode, QUIET) == paths[:3]
    assert encode.count == len(NAMES)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: write_array(path, np.zeros((2, 3), np.float64)),
        lambda path: write_array(path, np.zeros(2, np.float32)),
        lambda path: write_array(path, np.load(path) + np.float32(1)),
        lambda path: path.write_bytes(path.with_name(NAMES[0]).read_bytes()),
        lambda path: path.with_suffix(".proof").unlink(),
        lambda path: path.with_suffix(".proof").write_text(hashlib.sha256(path.read_bytes()).hexdigest()),
        lambda path: shutil.copy(path.with_name(NAMES[0]).with_suffix(".proof"), path.with_suffix(".proof")),
    ],
)
def test_a_damaged_file_is_made_again(clips: ClipStore, folder: Path, spoil: Callable[[Path], object]) -> None:
    path = ensure_features(NAMES, clips, folder, Encoder(), QUIET)[1]
    whole = path.read_bytes()
    spoil(path)
    encode = Encoder()
    ensure_features(NAMES, clips, folder, encode, QUIET)
    assert encode.count == 1
    assert path.read_bytes() == whole


def test_features_of_other_frames_under_the_same_name_are_not_used(clips: ClipStore, folder: Path) -> None:
    ensure_features(NAMES, clips, folder, Encoder(), QUIET)
    frames = np.array(clips.read(NAMES[1])) ^ 255
    clips.write(NAMES[1], frames)
    paths = ensure_features(NAMES, clips, folder, Encoder(), QUIET)
    assert (np.load(paths[1]) == Encoder()(frames)).all()


def test_maps_keep_their_shape_and_dtype(clips: ClipStore, folder: Path) -> None:
    def encode(frames: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        return np.full((len(frames), 2, 2, 3), frames.mean(), np.float16)

    array = np.load(ensure_features(NAMES, clips, folder, encode, QUIET)[0])
    assert (array.dtype, array.shape) == (np.float16, (2, 2, 2, 3))


def test_what_was_computed_before_an_error_is_kept(clips: ClipStore, folder: Path) -> None:
    (clips.folder / NAMES[2]).unlink()
    encode = Encoder()
    with pytest.raises(DatasetError, match=NAMES[2]):
        ensure_features(NAMES, clips, folder, encode, QUIET)
    ensure_features(NAMES[:2], clips, folder, encode, QUIET)
    assert encode.count == 2


def test_what_a_killed_run_left_is_removed(clips: ClipStore, folder: Path) -> None:
    folder.mkdir()
    process = subprocess.Popen(["true"])
    process.wait()
    left = folder / f".unfinished-{process.pid}-{NAMES[0]}"
    left.write_bytes(b"half")
    ensure_features(NAMES, clips, folder, Encoder(), QUIET)
    assert sorted(path.name for path in folder.glob("*.npy")) == NAMES
    assert not list(folder.glob(".*"))


def test_each_encoder_has_features_of_its_own_by_the_content_of_its_file(prepared_copy: Path, tmp_path: Path) -> None:
    prepared = read_prepared(prepared_copy)
    folders = []
    for name, content in (("one", b"weights"), ("same", b"weights"), ("other", b"Weights")):
        (tmp_path / name).write_bytes(content)
        folders.append(feature_folder(prepared, tmp_path / name))
    assert folders[0] == folders[1] != folders[2]
    assert all(folder.parent == prepared_copy / "features" for folder in folders)


_LOCKED = """
import sys
from pathlib import Path
from activity_cli.dataset.features import feature_folder, note_feature_cache
from activity_cli.dataset.manifest import read_prepared
from activity_cli.progress import SilentProgress
class Notes(SilentProgress):
    def note(self, text): print(text)
prepared = read_prepared(Path(sys.argv[1]))
print(feature_folder(prepared, Path(sys.argv[2])).parent)
note_feature_cache(prepared, Notes())
"""


def test_features_of_a_folder_that_cannot_be_written_are_in_the_cache_of_the_user(
    prepared_copy: Path, tmp_path: Path
) -> None:
    encoder, cache = tmp_path / "encoder.tflite", tmp_path / "cache"
    encoder.write_bytes(b"weights")
    tmp_path.chmod(0o755)
    prepared_copy.chmod(0o555)
    words = [sys.executable, "-c", _LOCKED, str(prepared_copy), str(encoder)]
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, timeout=60, env=environment, preexec_fn=no_privileges
    )
    place, note = done.stdout.splitlines()
    assert place == str(cache / "activity" / "features")
    assert str(prepared_copy) in note and place in note
