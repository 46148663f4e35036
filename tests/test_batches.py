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

from activity_cli.dataset import batches
from activity_cli.dataset.batches import Training, clip_batches, feature_batches, one_hot_labels
from activity_cli.dataset.clips import ClipStore, write_array
from activity_cli.errors import DatasetError
from activity_cli.results import ClipRecord
from activity_cli.settings import Augmentation, Sampling

NUMBER, STEPS, SIZE, BATCH = 11, 6, 32, 4
BATCHES = 3  # of an epoch: 4, 4 and 3 clips
SAMPLING = Sampling(num_frames=STEPS, frame_size=SIZE)
TARGETS = np.eye(NUMBER, dtype=np.float32)
WEIGHTS = np.arange(NUMBER, dtype=np.float32) + 1
TRAINING = Training(7, 0, Augmentation(), np.ones(NUMBER, np.bool_))

Make = Callable[..., tf.data.Dataset]


def length_of(number: int) -> int:
    return 1 + number % STEPS


@pytest.fixture
def clips(tmp_path: Path) -> Make:
    store = ClipStore(tmp_path)
    rng = np.random.default_rng(0)
    records = []
    for number in range(NUMBER):
        store.write(f"{number}.npy", rng.integers(0, 256, (length_of(number), SIZE, SIZE, 3), dtype=np.uint8))
        name = f"{number}.npy"
        records.append(ClipRecord(name, "wave", "", "train", "ok", "", clip=name, clip_frames=length_of(number)))
    return lambda **options: clip_batches(records, TARGETS, store, SAMPLING, BATCH, **options)


def feature(number: int, view: int, dtype: type, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Each step holds 100 times the view, and its place."""
    steps = np.arange(length_of(number)) + 100 * view + 1
    return np.broadcast_to(steps.reshape(-1, *[1] * len(shape)), (len(steps), *shape)).astype(dtype)


def feature_files(folder: Path, views: int = 1, dtype: type = np.float32, shape: tuple[int, ...] = (5,)) -> list[Any]:
    for number in range(NUMBER):
        for view in range(views):
            write_array(folder / f"{number}.{view}.npy", feature(number, view, dtype, shape))
    return [[folder / f"{number}.{view}.npy" for view in range(views)] for number in range(NUMBER)]


@pytest.fixture(params=["held", "on disk"])
def features(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    if request.param == "on disk":
        monkeypatch.setattr(batches, "HELD_BYTES", 0)
    paths = feature_files(tmp_path, views=2)
    return lambda **options: feature_batches(paths, TARGETS, STEPS, BATCH, **options)


@pytest.fixture(params=["clips", "features"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "clips":
        return request.getfixturevalue("clips")  # type: ignore[no-any-return]
    paths = feature_files(tmp_path, views=2)
    return lambda **options: feature_batches(paths, TARGETS, STEPS, BATCH, **options)


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
    data = make(training=TRAINING, weights=WEIGHTS)
    assert data.cardinality() == tf.data.INFINITE_CARDINALITY
    epochs = epochs_of(data, 3)
    for epoch in epochs:
        assert [len(target) for _, target, _ in epoch] == [4, 4, 3]
        assert sorted(numbers_in(epoch)) == list(range(NUMBER))
        for (array, mask), target, weight in epoch:
            lengths = [length_of(number) for number in target.argmax(axis=1)]
            assert list(mask.sum(axis=1)) == lengths
            assert not array[~mask].any()
            assert list(weight) == list(WEIGHTS[target.argmax(axis=1)])
    assert len({tuple(numbers_in(epoch)) for epoch in epochs}) == 3


def test_the_same_seed_gives_the_same_and_another_another(make: Make) -> None:
    first = taken(make(training=TRAINING), 2 * BATCHES)
    assert same(first, taken(make(training=TRAINING), 2 * BATCHES))
    assert not same(first, taken(make(training=dataclasses.replace(TRAINING, seed=8)), 2 * BATCHES))


def test_the_number_of_cores_changes_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    several = taken(make(training=TRAINING), BATCHES)
    monkeypatch.setattr(batches, "default_workers", lambda: 1)
    assert same(several, taken(make(training=TRAINING), BATCHES))


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_training_that_goes_on_gets_what_an_undisturbed_one_gets(make: Make, epoch: int) -> None:
    undisturbed = taken(make(training=TRAINING, weights=WEIGHTS), (epoch + 2) * BATCHES)
    resumed = taken(make(training=dataclasses.replace(TRAINING, first_epoch=epoch), weights=WEIGHTS), 2 * BATCHES)
    assert same(undisturbed[epoch * BATCHES :], resumed)


def test_a_clip_differs_from_epoch_to_epoch(make: Make) -> None:
    epochs = [dict(rows_of(epoch)) for epoch in epochs_of(make(training=TRAINING), 6)]
    for number in range(NUMBER):
        assert len({epoch[number].tobytes() for epoch in epochs}) > 1


def test_validation_is_one_pass_in_order_of_the_clips_as_they_are(clips: Make, tmp_path: Path) -> None:
    elements = taken(clips(weights=WEIGHTS), 100)
    assert numbers_in(elements) == list(range(NUMBER))
    assert np.concatenate([weight for _, _, weight in elements]).tolist() == WEIGHTS.tolist()
    for number, clip in rows_of(elements):
        assert (clip == np.load(tmp_path / f"{number}.npy")).all()
    assert same([element[:2] for element in elements], taken(clips(), 100))


def test_validation_sees_the_first_view_only(features: Make) -> None:
    elements = taken(features(), 100)
    assert numbers_in(elements) == list(range(NUMBER))
    for number, array in rows_of(elements):
        assert (array == feature(number, 0, np.float32, (5,))).all()


def test_features_come_out_alike_from_memory_and_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = feature_files(tmp_path, views=3)
    held = taken(feature_batches(paths, TARGETS, STEPS, BATCH, training=TRAINING), 2 * BATCHES)
    monkeypatch.setattr(batches, "HELD_BYTES", 0)
    data = feature_batches(paths, TARGETS, STEPS, BATCH, training=TRAINING)
    assert same(held, taken(data, 2 * BATCHES))
    # Each step still is one of the clip's own, of one view, in its order.
    seen = set()
    for number, array in rows_of(held):
        views, steps = np.divmod(array[:, 0].astype(int) - 1, 100)
        assert len(set(views)) == 1
        assert (np.diff(steps) >= 0).all()
        assert 0 <= steps.min() <= steps.max() < length_of(number)
        seen.add(int(views[0]))
    assert seen == {0, 1, 2}


@pytest.mark.parametrize("held", [0, 1 << 20])
def test_maps_of_any_rank_keep_their_dtype(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(batches, "HELD_BYTES", held)
    paths = feature_files(tmp_path, dtype=np.float16, shape=(2, 3, 4))
    data = feature_batches(paths, TARGETS, STEPS, BATCH)
    (arrays, mask), target = data.element_spec
    assert (arrays.shape.as_list(), arrays.dtype) == ([None, STEPS, 2, 3, 4], tf.float16)
    assert (mask.shape.as_list(), target.shape.as_list()) == ([None, STEPS], [None, NUMBER])
    for number, array in rows_of(taken(data, 100)):
        assert (array == feature(number, 0, np.float16, (2, 3, 4))).all()


def test_without_augmentation_training_sees_the_clips_as_they_are(clips: Make, tmp_path: Path) -> None:
    plain = dataclasses.replace(TRAINING, augment=Augmentation.none())
    for number, clip in rows_of(taken(clips(training=plain), 2 * BATCHES)):
        assert (clip == np.load(tmp_path / f"{number}.npy")).all()


def test_a_clip_that_must_not_be_mirrored_never_is(clips: Make, tmp_path: Path) -> None:
    allowed = np.arange(NUMBER) % 2 == 0
    training = Training(0, 0, Augmentation(cut=0, crop=0, color=0), allowed)
    mirrored = set()
    for number, clip in rows_of(taken(clips(training=training), 8 * BATCHES)):
        frames = np.load(tmp_path / f"{number}.npy")
        if (clip == frames[:, :, ::-1]).all():
            mirrored.add(number)
        else:
            assert (clip == frames).all()
    assert mirrored == set(np.flatnonzero(allowed))


def test_orders_are_fair() -> None:
    # Each clip comes first about equally often, and small numbers of clips have all their orders.
    orders = [tuple(np.asarray(batches._order(4, 0, tf.constant(epoch, tf.int64)))) for epoch in range(400)]
    assert len(set(orders)) == 24
    counts = np.bincount([order[0] for order in orders])
    assert counts.min() > 70


def test_one_hot_labels() -> None:
    records = [ClipRecord("", label, "", "", "", "") for label in "bab"]
    assert one_hot_labels(records, ("a", "b")).tolist() == [[0, 1], [1, 0], [0, 1]]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-4]),
        lambda path: write_array(path, np.zeros((length_of(3), 6), np.float32)),
        lambda path: write_array(path, np.zeros((length_of(3), 5), np.float64)),
        lambda path: write_array(path, np.zeros((length_of(3) + 1, 5), np.float32)),
        lambda path: write_array(path, np.zeros((0, 5), np.float32)),
    ],
)
def test_a_file_that_does_not_fit_is_named_before_training(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    paths = feature_files(tmp_path, views=2)
    spoil(paths[3][1])
    with pytest.raises(DatasetError) as caught:
        feature_batches(paths, TARGETS, STEPS, BATCH, training=TRAINING)
    assert str(paths[3][1]) in caught.value.message
    feature_batches(paths, TARGETS, STEPS, BATCH)  # this view is not looked at then


_PEAK = """
import resource, sys
from pathlib import Path
import numpy as np
from activity_cli.settings import Augmentation, Sampling
from activity_cli.dataset import batches
from activity_cli.dataset.batches import Training, clip_batches, feature_batches
from activity_cli.dataset.clips import ClipStore, write_array
from activity_cli.results import ClipRecord
folder = Path(sys.argv[1])
batches.HELD_BYTES = 0
write_array(folder / "clip.npy", np.ones((16, 64, 64, 3), np.uint8))
write_array(folder / "features.npy", np.ones((16, 5, 5, 256), np.float32))
record = ClipRecord("a", "a", "", "train", "ok", "", clip="clip.npy", clip_frames=16)
sampling = Sampling(num_frames=16, frame_size=64)
for number in (200, 800):
    targets = np.ones((number, 2), np.float32)
    training = Training(0, 0, Augmentation(), np.ones(number, np.bool_))
    for data in (
        clip_batches([record] * number, targets, ClipStore(folder), sampling, 8, training=training),
        feature_batches([[folder / "features.npy"]] * number, targets, 16, 8, training=training),
    ):
        for _ in data.take(number // 8):
            pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    # Were they kept, 800 clips of 197 kB and features of 410 kB would be 485 MB.
    words = [sys.executable, "-c", _PEAK, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    few, many = (int(kilobytes) for kilobytes in done.stdout.split())
    assert many - few < 50_000


def test_clips_are_cut_to_the_frames_that_are_to_be_kept_spread_over_all_of_each(features: Make) -> None:
    kept = np.array([max(1, length_of(number) - 2) for number in range(NUMBER)])
    training = dataclasses.replace(TRAINING, augment=Augmentation.none(), kept_frames=kept)
    drawn = set()
    for epoch in epochs_of(features(training=training), 6):
        for (steps, mask), target in epoch:
            for clip, real, number in zip(steps, mask, target.argmax(axis=1), strict=True):
                places = clip[real, 0] % 100
                assert len(places) == kept[number]
                assert (np.diff(places) > 0).all()
                assert places.min() >= 1 and places.max() <= length_of(int(number))
                assert not clip[~real].any()
                drawn.add((int(number), *places))
    assert len(drawn) > 2 * NUMBER, "always the same frames"
