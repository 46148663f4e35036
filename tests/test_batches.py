"""Batches: every clip once an epoch, the same after a crash, and in memory only what is needed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
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
from activity_cli.sampling.plan import evenly_spaced
from activity_cli.settings import Augmentation, without_augmentation

NUMBER, FRAMES, BATCH = 11, 6, 4
BATCHES = 3  # of an epoch: 4, 4 and 3 clips
DRAWS = Draws(7, 0, Augmentation())
PLAIN = Draws(7, 0, without_augmentation())


def length_of(number: int) -> int:
    return 1 + number % FRAMES


def write(folder: Path, kind: str) -> Examples:
    """Clips as pictures, features or maps; features and maps hold the place of each frame, counted from 1."""
    rng = np.random.default_rng(0)
    arrays: list[npt.NDArray[Any]] = []
    for number in range(NUMBER):
        places = np.arange(length_of(number)) + 1
        shape = {"features": (5,), "maps": (2, 3, 4), "pictures": (32, 32, 3)}[kind]
        if kind == "pictures":
            arrays.append(rng.integers(0, 256, (len(places), *shape), dtype=np.uint8))
        else:
            dtype = {"features": np.float32, "maps": np.float16}[kind]
            arrays.append(np.broadcast_to(places.reshape(-1, *[1] * len(shape)), (len(places), *shape)).astype(dtype))
    paths = [folder / f"{number}.npy" for number in range(NUMBER)]
    for path, array in zip(paths, arrays, strict=True):
        write_array(path, array)
    return Examples(
        paths,
        np.eye(NUMBER, dtype=np.float32),
        np.arange(NUMBER, dtype=np.float32) + 1,
        np.array([len(array) for array in arrays], np.int64),
        np.ones(NUMBER, np.bool_),
    )


@pytest.fixture(params=["pictures", "features"])
def examples(request: pytest.FixtureRequest, tmp_path: Path) -> Examples:
    return write(tmp_path, request.param)


def taken(data: tf.data.Dataset, number: int) -> list[Any]:
    return [tf.nest.map_structure(np.asarray, element) for element in islice(data, number)]


def epochs_of(data: tf.data.Dataset, number: int) -> list[list[Any]]:
    elements = taken(data, number * BATCHES)
    return [elements[start : start + BATCHES] for start in range(0, len(elements), BATCHES)]


def same(first: list[Any], second: list[Any]) -> bool:
    pairs = zip(tf.nest.flatten(first), tf.nest.flatten(second), strict=True)
    return all(one.shape == other.shape and (one == other).all() for one, other in pairs)


def numbers_in(elements: list[Any]) -> list[int]:
    return [int(number) for _, targets, _ in elements for number in targets.argmax(axis=1)]


def rows_of(elements: list[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """The number and the unpadded array of each clip, in order."""
    for (arrays, masks), targets, _ in elements:
        for array, mask, target in zip(arrays, masks, targets, strict=True):
            yield int(target.argmax()), array[mask]


def test_every_clip_comes_once_an_epoch_in_another_order(examples: Examples) -> None:
    data = batches(examples, FRAMES, BATCH, DRAWS)
    assert data.cardinality() == tf.data.INFINITE_CARDINALITY
    epochs = epochs_of(data, 3)
    for epoch in epochs:
        assert [len(target) for _, target, _ in epoch] == [4, 4, 3]
        assert sorted(numbers_in(epoch)) == list(range(NUMBER))
        for (array, mask), target, weight in epoch:
            assert list(mask.sum(axis=1)) == [length_of(number) for number in target.argmax(axis=1)]
            assert (np.diff(mask.astype(int), axis=1) <= 0).all(), "padding is on the right"
            assert not array[~mask].any()
            assert list(weight) == list(target.argmax(axis=1) + 1)
    assert len({tuple(numbers_in(epoch)) for epoch in epochs}) == 3


def test_without_draws_it_is_one_pass_in_order(examples: Examples) -> None:
    elements = taken(batches(examples, FRAMES, BATCH), 100)
    assert numbers_in(elements) == list(range(NUMBER))
    for number, array in rows_of(elements):
        assert (array == np.load(examples.paths[number])).all()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_batches_and_another_seed_others(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = taken(batches(examples, FRAMES, BATCH, DRAWS), 2 * BATCHES)
    assert not same(first, taken(batches(examples, FRAMES, BATCH, replace(DRAWS, seed=8)), 2 * BATCHES))
    monkeypatch.setattr(module, "default_workers", lambda: 1)  # whatever the number of cores
    assert same(first, taken(batches(examples, FRAMES, BATCH, DRAWS), 2 * BATCHES))


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 3])
def test_starting_at_an_epoch_gives_what_getting_there_gives(examples: Examples, epoch: int) -> None:
    undisturbed = taken(batches(examples, FRAMES, BATCH, DRAWS), (epoch + 2) * BATCHES)
    resumed = taken(batches(examples, FRAMES, BATCH, replace(DRAWS, first_epoch=epoch)), 2 * BATCHES)
    assert same(undisturbed[epoch * BATCHES :], resumed)


def test_clips_differ_from_epoch_to_epoch_only_with_augmentation(examples: Examples) -> None:
    for draws in (DRAWS, PLAIN):
        epochs = [dict(rows_of(epoch)) for epoch in epochs_of(batches(examples, FRAMES, BATCH, draws), 2)]
        differing = [n for n in range(NUMBER) if length_of(n) > 2 and (epochs[0][n] != epochs[1][n]).any()]
        assert bool(differing) == (draws is DRAWS)
        if draws is PLAIN:
            assert all((array == np.load(examples.paths[number])).all() for number, array in epochs[0].items())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pictures", "features", "maps"])
@pytest.mark.parametrize("draws", [None, DRAWS])
def test_held_in_memory_or_read_from_disk_batches_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, draws: Draws | None
) -> None:
    examples = write(tmp_path, kind)
    held = batches(examples, FRAMES, BATCH, draws)
    first = taken(held, 2 * BATCHES)
    monkeypatch.setattr(module, "HELD_BYTES", 0)
    on_disk = batches(examples, FRAMES, BATCH, draws)
    assert same(first, taken(on_disk, 2 * BATCHES))
    assert held.element_spec == on_disk.element_spec
    (arrays, mask), target, weight = held.element_spec
    shape = np.load(examples.paths[0]).shape[1:]
    assert (arrays.shape.as_list(), mask.shape.as_list()) == ([None, FRAMES, *shape], [None, FRAMES])
    assert arrays.dtype == {"pictures": tf.uint8, "features": tf.float32, "maps": tf.float16}[kind]
    assert (target.dtype, weight.dtype) == (tf.float32, tf.float32)


def test_features_are_augmented_in_time_only(tmp_path: Path) -> None:
    for number, array in rows_of(taken(batches(write(tmp_path, "features"), FRAMES, BATCH, DRAWS), 4 * BATCHES)):
        places = array[:, 0].astype(int)
        assert (array == places[:, np.newaxis]).all()
        assert (np.diff(places) >= 0).all()
        assert 1 <= places.min() <= places.max() <= length_of(number)


def test_a_clip_that_may_not_be_flipped_never_is(tmp_path: Path) -> None:
    examples = write(tmp_path, "pictures")
    allowed = np.arange(NUMBER) % 2 == 0
    draws = Draws(0, 0, Augmentation(temporal_crop=0, crop=0, color_jitter=0))
    flipped = set()
    data = batches(replace(examples, may_flip=allowed), FRAMES, BATCH, draws)
    for number, clip in rows_of(taken(data, 8 * BATCHES)):
        frames = np.load(examples.paths[number])
        if (clip == frames[:, :, ::-1]).all():
            flipped.add(number)
        else:
            assert (clip == frames).all()
    assert flipped == set(np.flatnonzero(allowed))


@pytest.mark.parametrize("held_bytes", [0, 1 << 20])
def test_only_the_frames_to_keep_are_read_spread_over_the_whole_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_bytes: int
) -> None:
    monkeypatch.setattr(module, "HELD_BYTES", held_bytes)
    kept = np.array([max(1, length_of(number) - 2) for number in range(NUMBER)], np.int64)
    examples = replace(write(tmp_path, "features"), kept_frames=kept)
    drawn = set()
    for number, array in rows_of(taken(batches(examples, FRAMES, BATCH, PLAIN), 6 * BATCHES)):
        places = array[:, 0].astype(int) - 1
        bounds = np.arange(kept[number] + 1) * length_of(number) // kept[number]
        assert ((bounds[:-1] <= places) & (places < bounds[1:])).all(), "one frame of each equal part"
        drawn.add((number, *places))
    assert len(drawn) > 2 * NUMBER, "always the same frames"
    # Without draws the middle ones, as predicting does.
    for number, array in rows_of(taken(batches(examples, FRAMES, BATCH), 100)):
        assert tuple(array[:, 0].astype(int) - 1) == evenly_spaced(length_of(number), int(kept[number]))


def test_orders_are_fair(tmp_path: Path) -> None:
    # Each clip comes first about equally often, and a few clips come in all their orders.
    examples = write(tmp_path, "features")
    four = Examples(
        examples.paths[:4],
        examples.targets[:4, :4],
        examples.weights[:4],
        examples.kept_frames[:4],
        examples.may_flip[:4],
    )
    orders = [tuple(numbers_in([element])) for element in taken(batches(four, FRAMES, 4, PLAIN), 400)]
    assert len(set(orders)) == 24
    assert np.bincount([order[0] for order in orders]).min() > 70


def test_one_hot_labels() -> None:
    records = [ClipRecord(path="", label=label, group="", split="", status="", reason="") for label in "bab"]
    assert one_hot_labels(records, ("a", "b")).tolist() == [[0, 1], [1, 0], [0, 1]]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-4]),
        lambda path: path.write_bytes(b""),
        lambda path: write_array(path, np.zeros((length_of(3), 6), np.float32)),
        lambda path: write_array(path, np.zeros((length_of(3), 5), np.float64)),
        lambda path: write_array(path, np.zeros((0, 5), np.float32)),
    ],
)
def test_a_file_that_does_not_fit_is_named_before_training(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    examples = write(tmp_path, "features")
    spoil(examples.paths[3])
    with pytest.raises(DatasetError) as caught:
        batches(examples, FRAMES, BATCH, DRAWS)
    assert str(examples.paths[3]) in caught.value.message


_PEAK = """
import resource, sys
from pathlib import Path
import numpy as np
from activity_cli.settings import Augmentation
from activity_cli.dataset import batches as module
from activity_cli.dataset.clips import write_array
folder = Path(sys.argv[1])
module.HELD_BYTES = 0
write_array(folder / "clip.npy", np.ones((16, 64, 64, 3), np.uint8))
write_array(folder / "features.npy", np.ones((16, 5, 5, 256), np.float32))
for number in (100, 400):
    for name in ("clip.npy", "features.npy"):
        targets, ones = np.ones((number, 2), np.float32), np.ones(number, np.float32)
        lengths, flips = np.full(number, 16), np.ones(number, np.bool_)
        examples = module.Examples([folder / name] * number, targets, ones, lengths, flips)
        for _ in module.batches(examples, 16, 8, module.Draws(0, 0, Augmentation())).take(number // 8):
            pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    # Held in memory, 400 clips of 197 kB and features of 410 kB would be 243 MB.
    words = [sys.executable, "-c", _PEAK, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300)
    few, many = (int(kilobytes) for kilobytes in done.stdout.split())
    assert many - few < 50_000
