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
from activity_cli.settings import Augmentation

NUMBER, STEPS, SIZE, BATCH = 11, 6, 32, 4
BATCHES = 3  # of an epoch: 4, 4 and 3 clips
LENGTHS = 1 + np.arange(NUMBER) % STEPS
NO_AUGMENTATION = Augmentation(flip=False, temporal_crop=0, crop=0, color_jitter=0)
DRAWS = Draws(7, 0, Augmentation())


def examples_of(paths: list[Path], **changes: Any) -> Examples:
    number = len(paths)
    weights = np.arange(number, dtype=np.float32) + 1
    examples = Examples(paths, np.eye(number, dtype=np.float32), weights, LENGTHS, np.ones(number, np.bool_))
    return dataclasses.replace(examples, **changes)


def feature(number: int, dtype: type = np.float32, shape: tuple[int, ...] = (5,)) -> npt.NDArray[Any]:
    """Each step holds its place, from 1."""
    steps = np.arange(LENGTHS[number]) + 1
    return np.broadcast_to(steps.reshape(-1, *[1] * len(shape)), (len(steps), *shape)).astype(dtype)


def feature_files(folder: Path, **options: Any) -> list[Path]:
    paths = [folder / f"{number}.features.npy" for number in range(NUMBER)]
    for number, path in enumerate(paths):
        write_array(path, feature(number, **options))
    return paths


@pytest.fixture
def clips(tmp_path: Path) -> Examples:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.npy" for number in range(NUMBER)]
    for path, length in zip(paths, LENGTHS, strict=True):
        write_array(path, rng.integers(0, 256, (length, SIZE, SIZE, 3), dtype=np.uint8))
    return examples_of(paths)


@pytest.fixture(params=["held", "on disk"])
def features(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Examples:
    if request.param == "on disk":
        monkeypatch.setattr(module, "HELD_BYTES", 0)
    return examples_of(feature_files(tmp_path))


@pytest.fixture(params=["clips", "features"])
def examples(request: pytest.FixtureRequest, tmp_path: Path) -> Examples:
    if request.param == "clips":
        return request.getfixturevalue("clips")  # type: ignore[no-any-return]
    return examples_of(feature_files(tmp_path))


def taken(examples: Examples, number: int, draws: Draws | None = DRAWS) -> list[Any]:
    data = batches(examples, STEPS, BATCH, draws)
    return [tf.nest.map_structure(np.asarray, element) for element in islice(data, number)]


def epochs_of(examples: Examples, number: int, draws: Draws = DRAWS) -> list[list[Any]]:
    elements = taken(examples, number * BATCHES, draws)
    return [elements[start : start + BATCHES] for start in range(0, len(elements), BATCHES)]


def same(first: list[Any], second: list[Any]) -> bool:
    pairs = zip(tf.nest.flatten(first), tf.nest.flatten(second), strict=True)
    return all(one.shape == other.shape and (one == other).all() for one, other in pairs)


def numbers_in(elements: list[Any]) -> list[int]:
    return [int(number) for element in elements for number in element[1].argmax(axis=1)]


def rows_of(elements: list[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """The number and the unpadded array of each clip, in order."""
    for (arrays, masks), targets, _ in elements:
        for array, mask, target in zip(arrays, masks, targets, strict=True):
            yield int(target.argmax()), array[mask]


def test_every_clip_comes_once_an_epoch_in_another_order(examples: Examples) -> None:
    assert batches(examples, STEPS, BATCH, DRAWS).cardinality() == tf.data.INFINITE_CARDINALITY
    epochs = epochs_of(examples, 3)
    for epoch in epochs:
        assert [len(target) for _, target, _ in epoch] == [4, 4, 3]
        assert sorted(numbers_in(epoch)) == list(range(NUMBER))
        for (array, mask), target, weight in epoch:
            numbers = target.argmax(axis=1)
            assert list(mask.sum(axis=1)) == list(LENGTHS[numbers])
            assert not array[~mask].any()
            assert list(weight) == list(examples.weights[numbers])
    assert len({tuple(numbers_in(epoch)) for epoch in epochs}) == 3


def test_a_seed_always_gives_the_same_batches_and_another_seed_others(examples: Examples) -> None:
    first = taken(examples, 2 * BATCHES)
    assert same(first, taken(examples, 2 * BATCHES))
    assert not same(first, taken(examples, 2 * BATCHES, dataclasses.replace(DRAWS, seed=8)))


def test_the_number_of_cores_changes_nothing(examples: Examples, monkeypatch: pytest.MonkeyPatch) -> None:
    several = taken(examples, BATCHES)
    monkeypatch.setattr(module, "default_workers", lambda: 1)
    assert same(several, taken(examples, BATCHES))


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_resumed_training_gets_the_batches_of_an_undisturbed_one(examples: Examples, epoch: int) -> None:
    undisturbed = taken(examples, (epoch + 2) * BATCHES)
    resumed = taken(examples, 2 * BATCHES, dataclasses.replace(DRAWS, first_epoch=epoch))
    assert same(undisturbed[epoch * BATCHES :], resumed)


def test_a_clip_differs_from_epoch_to_epoch(clips: Examples) -> None:
    epochs = [dict(rows_of(epoch)) for epoch in epochs_of(clips, 6)]
    for number in range(NUMBER):
        assert len({epoch[number].tobytes() for epoch in epochs}) > 1


def test_validation_is_one_pass_in_order_of_the_arrays_as_they_are(examples: Examples) -> None:
    elements = taken(examples, 100, None)
    assert numbers_in(elements) == list(range(NUMBER))
    assert np.concatenate([weight for _, _, weight in elements]).tolist() == examples.weights.tolist()
    for number, array in rows_of(elements):
        assert (array == np.load(examples.paths[number])).all()


def test_features_are_the_same_from_memory_and_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = examples_of(feature_files(tmp_path))
    held = taken(examples, 2 * BATCHES)
    monkeypatch.setattr(module, "HELD_BYTES", 0)
    assert same(held, taken(examples, 2 * BATCHES))
    for number, array in rows_of(held):
        assert (np.diff(array[:, 0]) >= 0).all()
        assert 1 <= array.min() <= array.max() <= LENGTHS[number]


@pytest.mark.parametrize("held", [0, 1 << 20])
def test_maps_of_any_rank_keep_their_dtype(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(module, "HELD_BYTES", held)
    examples = examples_of(feature_files(tmp_path, dtype=np.float16, shape=(2, 3, 4)))
    (arrays, mask), target, _ = batches(examples, STEPS, BATCH).element_spec
    assert (arrays.shape.as_list(), arrays.dtype) == ([None, STEPS, 2, 3, 4], tf.float16)
    assert (mask.shape.as_list(), target.shape.as_list()) == ([None, STEPS], [None, NUMBER])
    for number, array in rows_of(taken(examples, 100, None)):
        assert (array == feature(number, np.float16, (2, 3, 4))).all()


def test_without_augmentation_training_gets_the_clips_as_they_are(clips: Examples) -> None:
    for number, clip in rows_of(taken(clips, 2 * BATCHES, Draws(7, 0, NO_AUGMENTATION))):
        assert (clip == np.load(clips.paths[number])).all()


def test_a_clip_that_must_not_be_flipped_never_is(clips: Examples) -> None:
    may_flip = np.arange(NUMBER) % 2 == 0
    draws = Draws(0, 0, dataclasses.replace(NO_AUGMENTATION, flip=True))
    flipped = set()
    for number, clip in rows_of(taken(dataclasses.replace(clips, may_flip=may_flip), 8 * BATCHES, draws)):
        frames = np.load(clips.paths[number])
        if (clip == frames[:, :, ::-1]).all():
            flipped.add(number)
        else:
            assert (clip == frames).all()
    assert flipped == set(np.flatnonzero(may_flip))


def test_all_orders_of_a_few_clips_are_about_as_frequent(tmp_path: Path) -> None:
    write_array(tmp_path / "a.npy", np.ones((1, 2), np.float32))
    examples = examples_of([tmp_path / "a.npy"] * 4, kept_frames=np.ones(4, np.int64))
    orders = [tuple(numbers_in([epoch])) for epoch in taken(examples, 400)]
    assert len(set(orders)) == 24
    assert np.bincount([order[0] for order in orders]).min() > 70


def test_one_hot_labels() -> None:
    records = [ClipRecord("", label, "", "", "", "") for label in "bab"]
    assert one_hot_labels(records, ("a", "b")).tolist() == [[0, 1], [1, 0], [0, 1]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-4]),
        lambda path: write_array(path, np.zeros((4, 6), np.float32)),
        lambda path: write_array(path, np.zeros((4, 5), np.float64)),
        lambda path: write_array(path, np.zeros((0, 5), np.float32)),
    ],
)
def test_a_file_that_does_not_fit_is_named_before_training(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    examples = examples_of(feature_files(tmp_path))
    damage(examples.paths[3])
    with pytest.raises(DatasetError) as caught:
        batches(examples, STEPS, BATCH, DRAWS)
    assert str(examples.paths[3]) in caught.value.message


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
    ones = np.ones(number, np.float32)
    for name in ("clip.npy", "features.npy"):
        kept = np.full(number, 16, np.int64)
        examples = Examples([folder / name] * number, np.ones((number, 2), np.float32), ones, kept, ones > 0)
        for _ in batches(examples, 16, 8, Draws(0, 0, Augmentation())).take(number // 8):
            pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    # Were they kept, 800 clips of 197 kB and features of 410 kB would be 485 MB.
    words = [sys.executable, "-c", _PEAK, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    few, many = (int(kilobytes) for kilobytes in done.stdout.split())
    assert many - few < 50_000


def test_clips_are_cut_to_the_kept_frames_spread_over_all_of_each(features: Examples) -> None:
    kept = np.maximum(1, LENGTHS - 2)
    cut, draws = dataclasses.replace(features, kept_frames=kept), Draws(7, 0, NO_AUGMENTATION)
    drawn = set()
    for number, clip in (row for epoch in epochs_of(cut, 6, draws) for row in rows_of(epoch)):
        places = clip[:, 0]
        assert len(places) == kept[number]
        assert (np.diff(places) > 0).all()
        assert 1 <= places.min() <= places.max() <= LENGTHS[number]
        drawn.add((number, *places))
    assert len(drawn) > 2 * NUMBER, "always the same frames"
