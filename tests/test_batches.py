"""Batches for training: every clip once an epoch, the same after a crash, and in memory only what is needed."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from activity_cli.dataset import batches as module
from activity_cli.dataset.batches import Draws, Examples, batches, one_hot_labels
from activity_cli.dataset.clips import write_array
from activity_cli.errors import DatasetError
from activity_cli.results import ClipRecord
from activity_cli.settings import Augmentation, without_augmentation

NUMBER, STEPS, SIZE, BATCH = 11, 6, 32, 4
BATCHES = 3  # of an epoch: 4, 4 and 3 clips
LENGTHS = 1 + np.arange(NUMBER) % STEPS
WEIGHTS = np.arange(NUMBER, dtype=np.float32) + 1
DRAWS = Draws(7, 0, Augmentation())

Make = Callable[..., tf.data.Dataset]


def examples_of(paths: list[Path], **changes: Any) -> Examples:
    examples = Examples(paths, np.eye(NUMBER, dtype=np.float32), WEIGHTS, LENGTHS, np.ones(NUMBER, np.bool_))
    return dataclasses.replace(examples, **changes)


def feature(number: int, dtype: type, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Each frame holds its place, counted from 1."""
    places = np.arange(LENGTHS[number]) + 1
    return np.broadcast_to(places.reshape(-1, *[1] * len(shape)), (len(places), *shape)).astype(dtype)


def feature_files(folder: Path, dtype: type = np.float32, shape: tuple[int, ...] = (5,)) -> list[Path]:
    for number in range(NUMBER):
        write_array(folder / f"{number}.npy", feature(number, dtype, shape))
    return [folder / f"{number}.npy" for number in range(NUMBER)]


def maker(paths: list[Path]) -> Make:
    return lambda draws=None, **changes: batches(examples_of(paths, **changes), STEPS, BATCH, draws)


@pytest.fixture
def clips(tmp_path: Path) -> Make:
    rng = np.random.default_rng(0)
    for number, length in enumerate(LENGTHS):
        write_array(tmp_path / f"{number}.npy", rng.integers(0, 256, (length, SIZE, SIZE, 3), dtype=np.uint8))
    return maker([tmp_path / f"{number}.npy" for number in range(NUMBER)])


@pytest.fixture(params=["held", "on disk"])
def features(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    if request.param == "on disk":
        monkeypatch.setattr(module, "HELD_BYTES", 0)
    return maker(feature_files(tmp_path))


@pytest.fixture(params=["clips", "features"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "clips":
        return request.getfixturevalue("clips")  # type: ignore[no-any-return]
    return maker(feature_files(tmp_path))


def taken(data: tf.data.Dataset, number: int) -> list[Any]:
    return [tf.nest.map_structure(np.asarray, element) for element in islice(data, number)]


def epochs_of(data: tf.data.Dataset, number: int) -> list[list[Any]]:
    elements = taken(data, number * BATCHES)
    return [elements[start : start + BATCHES] for start in range(0, len(elements), BATCHES)]


def same(first: list[Any], second: list[Any]) -> bool:
    pairs = zip(tf.nest.flatten(first), tf.nest.flatten(second), strict=True)
    return all(one.shape == other.shape and (one == other).all() for one, other in pairs)


def numbers_in(elements: list[Any]) -> list[int]:
    return [int(number) for element in elements for number in element[1].argmax(axis=1)]


def rows_of(elements: list[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """The number and the unpadded array of each clip, in order."""
    for (arrays, masks), targets, *_ in elements:
        for array, mask, target in zip(arrays, masks, targets, strict=True):
            yield int(target.argmax()), array[mask]


def test_every_clip_once_an_epoch_in_an_order_of_its_own(make: Make) -> None:
    data = make(DRAWS)
    assert data.cardinality() == tf.data.INFINITE_CARDINALITY
    epochs = epochs_of(data, 3)
    for epoch in epochs:
        assert [len(target) for _, target, _ in epoch] == [4, 4, 3]
        assert sorted(numbers_in(epoch)) == list(range(NUMBER))
        for (array, mask), target, weight in epoch:
            lengths = [int(LENGTHS[number]) for number in target.argmax(axis=1)]
            assert list(mask.sum(axis=1)) == lengths
            assert not array[~mask].any()
            assert list(weight) == list(WEIGHTS[target.argmax(axis=1)])
    assert len({tuple(numbers_in(epoch)) for epoch in epochs}) == 3


def test_the_same_seed_gives_the_same_and_another_another(make: Make) -> None:
    first = taken(make(DRAWS), 2 * BATCHES)
    assert same(first, taken(make(DRAWS), 2 * BATCHES))
    assert not same(first, taken(make(dataclasses.replace(DRAWS, seed=8)), 2 * BATCHES))


def test_the_number_of_cores_changes_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    several = taken(make(DRAWS), BATCHES)
    monkeypatch.setattr(module, "default_workers", lambda: 1)
    assert same(several, taken(make(DRAWS), BATCHES))


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_training_that_goes_on_gets_what_an_undisturbed_one_gets(make: Make, epoch: int) -> None:
    undisturbed = taken(make(DRAWS), (epoch + 2) * BATCHES)
    resumed = taken(make(dataclasses.replace(DRAWS, first_epoch=epoch)), 2 * BATCHES)
    assert same(undisturbed[epoch * BATCHES :], resumed)


def test_a_clip_differs_from_epoch_to_epoch(make: Make) -> None:
    epochs = [dict(rows_of(epoch)) for epoch in epochs_of(make(DRAWS), 6)]
    for number in np.flatnonzero(LENGTHS > 3):  # few frames have few orders
        assert len({epoch[number].tobytes() for epoch in epochs}) > 1


def test_validation_is_one_pass_in_order_of_the_clips_as_they_are(clips: Make, tmp_path: Path) -> None:
    elements = taken(clips(), 100)
    assert numbers_in(elements) == list(range(NUMBER))
    assert np.concatenate([weight for _, _, weight in elements]).tolist() == WEIGHTS.tolist()
    for number, clip in rows_of(elements):
        assert (clip == np.load(tmp_path / f"{number}.npy")).all()


def test_validation_reads_the_middle_frame_of_each_part_of_a_longer_clip(features: Make) -> None:
    found = dict(rows_of(taken(features(kept_frames=np.minimum(LENGTHS, 3)), 100)))
    places = {number: array[:, 0].astype(int).tolist() for number, array in found.items()}
    assert (places[2], places[3], places[5]) == ([1, 2, 3], [1, 3, 4], [2, 4, 6])


def test_features_come_out_alike_from_memory_and_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = maker(feature_files(tmp_path))
    held = taken(make(DRAWS), 2 * BATCHES)
    monkeypatch.setattr(module, "HELD_BYTES", 0)
    assert same(held, taken(make(DRAWS), 2 * BATCHES))
    for number, array in rows_of(held):
        places = array[:, 0].astype(int) - 1
        assert (np.diff(places) >= 0).all()
        assert 0 <= places.min() <= places.max() < LENGTHS[number]


@pytest.mark.parametrize("held", [0, 1 << 20])
def test_maps_of_any_rank_keep_their_dtype(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(module, "HELD_BYTES", held)
    data = maker(feature_files(tmp_path, dtype=np.float16, shape=(2, 3, 4)))()
    (arrays, mask), target, _ = data.element_spec
    assert (arrays.shape.as_list(), arrays.dtype) == ([None, STEPS, 2, 3, 4], tf.float16)
    assert (mask.shape.as_list(), target.shape.as_list()) == ([None, STEPS], [None, NUMBER])
    for number, array in rows_of(taken(data, 100)):
        assert (array == feature(number, np.float16, (2, 3, 4))).all()


def test_without_augmentation_training_sees_the_clips_as_they_are(clips: Make, tmp_path: Path) -> None:
    plain = dataclasses.replace(DRAWS, augmentation=without_augmentation())
    for number, clip in rows_of(taken(clips(plain), 2 * BATCHES)):
        assert (clip == np.load(tmp_path / f"{number}.npy")).all()


def test_a_clip_that_must_not_be_mirrored_never_is(clips: Make, tmp_path: Path) -> None:
    allowed = np.arange(NUMBER) % 2 == 0
    draws = Draws(0, 0, Augmentation(temporal_crop=0, crop=0, color_jitter=0))
    mirrored = set()
    for number, clip in rows_of(taken(clips(draws, may_flip=allowed), 8 * BATCHES)):
        frames = np.load(tmp_path / f"{number}.npy")
        if (clip == frames[:, :, ::-1]).all():
            mirrored.add(number)
        else:
            assert (clip == frames).all()
    assert mirrored == set(np.flatnonzero(allowed))


def test_orders_are_fair(tmp_path: Path) -> None:
    # Each clip comes first about equally often, and few clips have all their orders.
    paths = feature_files(tmp_path)[:4]
    some = Examples(paths, np.eye(4, dtype=np.float32), WEIGHTS[:4], LENGTHS[:4], np.ones(4, np.bool_))
    data = batches(some, STEPS, 4, Draws(0, 0, without_augmentation()))
    orders = [tuple(target.argmax(axis=1)) for _, target, _ in taken(data, 400)]
    assert len(set(orders)) == 24
    assert np.bincount([order[0] for order in orders]).min() > 70


def test_one_hot_labels() -> None:
    records = [ClipRecord("", label, "", "", "", "") for label in "bab"]
    assert one_hot_labels(records, ("a", "b")).tolist() == [[0, 1], [1, 0], [0, 1]]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-4]),
        lambda path: write_array(path, np.zeros((LENGTHS[3], 6), np.float32)),
        lambda path: write_array(path, np.zeros((LENGTHS[3], 5), np.float64)),
        lambda path: write_array(path, np.zeros((0, 5), np.float32)),
    ],
)
def test_a_file_that_does_not_fit_is_named_before_training(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    paths = feature_files(tmp_path)
    spoil(paths[3])
    with pytest.raises(DatasetError) as caught:
        maker(paths)(DRAWS)
    assert str(paths[3]) in caught.value.message


_PEAK = """
import resource, sys
from pathlib import Path
import numpy as np
from activity_cli.settings import Augmentation
from activity_cli.dataset import batches as module
from activity_cli.dataset.batches import Draws, Examples, batches
from activity_cli.dataset.clips import write_array
folder = Path(sys.argv[1])
module.HELD_BYTES = 0
write_array(folder / "clip.npy", np.ones((16, 64, 64, 3), np.uint8))
write_array(folder / "features.npy", np.ones((16, 5, 5, 256), np.float32))
for number in (200, 800):
    facts = np.ones((number, 2), np.float32), np.ones(number, np.float32), np.full(number, 16), np.ones(number, bool)
    for name in ("clip.npy", "features.npy"):
        data = batches(Examples([folder / name] * number, *facts), 16, 8, Draws(0, 0, Augmentation()))
        for _ in data.take(number // 8):
            pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    # Were they kept, 800 clips of 197 kB and features of 410 kB would be 485 MB.
    words = [sys.executable, "-c", _PEAK, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    few, many = (int(kilobytes) for kilobytes in done.stdout.split())
    assert many - few < 50_000


def test_training_reads_a_random_frame_of_each_part_of_a_longer_clip(features: Make) -> None:
    kept = np.maximum(1, LENGTHS - 2)
    plain = dataclasses.replace(DRAWS, augmentation=without_augmentation())
    drawn = set()
    for epoch in epochs_of(features(plain, kept_frames=kept), 6):
        for (arrays, mask), target, _ in epoch:
            for clip, real, number in zip(arrays, mask, target.argmax(axis=1), strict=True):
                places = clip[real, 0]
                assert len(places) == kept[number]
                assert (np.diff(places) > 0).all()
                assert places.min() >= 1 and places.max() <= LENGTHS[number]
                assert not clip[~real].any()
                drawn.add((int(number), *places))
    assert len(drawn) > 2 * NUMBER, "always the same frames"
