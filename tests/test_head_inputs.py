"""What heads are trained on: batches of skeletons, varied anew each epoch, and the views whose answers are averaged."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from activity_cli.dataset.batches import Draws
from activity_cli.model.heads import HeadKind, HeadShape
from activity_cli.progress import SilentProgress
from activity_cli.runtime.litert import HeadRuntime, NetworkRuntime, StreamHead
from activity_cli.settings import Augmentation, without_augmentation
from activity_cli.streams.skeleton import read_skeleton, skeleton_features, stack
from activity_cli.training.heads import LinearHead, RecurrentHead
from activity_cli.training.inputs import RowInputs, SkeletonInputs
from activity_cli.training.runner import Hyperparameters
from skeleton_support import hand_rows, pose_rows, still, times_of, waving
from training_support import write_examples

COUNT, STEPS, BATCH = 12, 8, 5
BATCHES = 3  # of an epoch
TIMES = times_of(STEPS, 6.0)
DRAWS = Draws(7, 0, Augmentation())
SWAPPED = (1, 0, 2)
USUAL = Hyperparameters(
    stage="pose",
    title="Training pose",
    epochs=2,
    patience=2,
    batch_size=BATCH,
    learning_rate=0.02,
    rate_setting="learning_rate",
    weight_decay=0.0,
    label_smoothing=0.1,
    seed=0,
    augmentation=Augmentation(),
)


def rows_of(number: int) -> dict[str, npt.NDArray[np.float32]]:
    """A person who waves with the left arm (label 0), the right one (1) or both (2)."""
    wave = waving(0.7 + 0.05 * number)
    arms = (still if number % 3 == 1 else wave, still if number % 3 == 0 else wave)
    return {"pose": pose_rows(TIMES, *arms), "hands": hand_rows(TIMES, *arms)}


def skeletons(mirrored_labels: tuple[int, ...] | None = SWAPPED, *, hands: bool = True) -> SkeletonInputs:
    """Clips that are told apart by their weights, 1 to COUNT."""
    rows = [rows_of(number) for number in range(COUNT)]
    clips = [read_skeleton(one["pose"], one["hands"] if hands else None, TIMES, STEPS) for one in rows]
    targets = np.eye(3, dtype=np.float32)[np.arange(COUNT) % 3]
    return SkeletonInputs(stack(clips), targets, np.arange(COUNT, dtype=np.float32) + 1, mirrored_labels)


def taken(data: tf.data.Dataset, number: int) -> list[Any]:
    return [tf.nest.map_structure(np.asarray, element) for element in islice(data, number)]


def same(first: list[Any], second: list[Any]) -> bool:
    pairs = zip(tf.nest.flatten(first), tf.nest.flatten(second), strict=True)
    return all(one.shape == other.shape and (one == other).all() for one, other in pairs)


def by_clip(elements: list[Any]) -> dict[int, tuple[npt.NDArray[np.float32], int]]:
    """Features and label by the number of the clip, which its weight says."""
    return {
        int(weight) - 1: (array, int(target.argmax()))
        for (features, _), targets, weights in elements
        for array, target, weight in zip(features, targets, weights, strict=True)
    }


@pytest.mark.parametrize("hands", [True, False])
def test_without_draws_it_is_one_pass_in_order(hands: bool) -> None:
    inputs = skeletons(hands=hands)
    elements = taken(inputs.batches(BATCH), 100)
    assert [len(weights) for _, _, weights in elements] == [5, 5, 2]
    assert np.concatenate([weights for _, _, weights in elements]).tolist() == inputs.weights.tolist()
    features = np.concatenate([features for (features, _), _, _ in elements])
    np.testing.assert_array_equal(features, skeleton_features(inputs.clips))
    assert features.shape[1:] == (STEPS, inputs.width)
    assert all(mask.all() for (_, mask), _, _ in elements)
    some = inputs.take(np.array([3, 1]))
    assert some.weights.tolist() == [4, 2] and len(some.clips) == 2


def test_every_clip_comes_once_an_epoch_varied_anew_and_the_same_for_the_same_seed() -> None:
    inputs = skeletons()
    elements = taken(inputs.batches(BATCH, DRAWS), 3 * BATCHES)
    epochs = [elements[start : start + BATCHES] for start in range(0, len(elements), BATCHES)]
    for epoch in epochs:
        assert [len(weights) for _, _, weights in epoch] == [5, 5, 2]
        assert sorted(by_clip(epoch)) == list(range(COUNT))
    orders = [np.concatenate([weights for _, _, weights in epoch]).tolist() for epoch in epochs]
    assert len({tuple(order) for order in orders}) == 3
    assert all((by_clip(epochs[0])[number][0] != by_clip(epochs[1])[number][0]).any() for number in range(COUNT))
    assert same(elements, taken(inputs.batches(BATCH, DRAWS), 3 * BATCHES))
    assert not same(elements, taken(inputs.batches(BATCH, replace(DRAWS, seed=8)), 3 * BATCHES))
    # A training that goes on there gets the same.
    assert same(epochs[2], taken(inputs.batches(BATCH, replace(DRAWS, first_epoch=2)), BATCHES))


def test_a_mirrored_clip_has_the_label_of_the_other_side() -> None:
    def labels(inputs: SkeletonInputs, draws: Draws) -> list[set[int]]:
        epochs = [by_clip(taken(inputs.batches(BATCH, replace(draws, first_epoch=e)), BATCHES)) for e in range(8)]
        return [{epoch[number][1] for epoch in epochs} for number in range(COUNT)]

    usual = [{number % 3} for number in range(COUNT)]
    assert labels(skeletons(), DRAWS) == [{0, 1} if number % 3 < 2 else {2} for number in range(COUNT)]
    assert labels(skeletons(None), DRAWS) == usual
    assert labels(skeletons(), replace(DRAWS, augmentation=without_augmentation())) == usual


def test_the_arm_that_moves_is_the_one_of_the_label() -> None:
    # Of the joints' coordinates, which come first: wrists of the left and the right arm.
    left, right = slice(3 * 7, 3 * 8), slice(3 * 8, 3 * 9)
    for epoch in range(3):
        drawn = by_clip(taken(skeletons().batches(BATCH, replace(DRAWS, first_epoch=epoch)), BATCHES))
        for features, label in drawn.values():
            moved = [float(features[:, wrist].std(axis=0).max()) for wrist in (left, right)]
            if label < 2:
                assert int(np.argmax(moved)) == label


def test_without_augmentation_features_are_those_of_the_clips() -> None:
    inputs = skeletons()
    expected = skeleton_features(inputs.clips)
    drawn = by_clip(taken(inputs.batches(BATCH, Draws(7, 0, without_augmentation())), BATCHES))
    assert all((features == expected[number]).all() for number, (features, _) in drawn.items())


def test_views_are_cuts_and_mirror_images() -> None:
    for labels, count, whole in ((SWAPPED, 8, 2), (None, 4, 1)):
        inputs = skeletons(labels)
        assert [mirrored for _, mirrored in inputs.views(BATCH)] == [None, labels][: 2 if labels else 1] * 4
        assert len(list(inputs.views(BATCH))) == count and len(list(inputs.views(BATCH, whole=True))) == whole
        first, _ = next(inputs.views(BATCH))
        assert same(taken(first, 9), taken(inputs.batches(BATCH), 9))


def test_rows_have_one_view(tmp_path: Path) -> None:
    examples = write_examples(tmp_path, [np.ones((3, 4), np.float32)] * 2, np.array([0, 1]))
    inputs = RowInputs(examples, 6, 4)
    ((data, mirrored),) = inputs.views(BATCH)
    assert mirrored is None and same(taken(data, 9), taken(inputs.batches(BATCH), 9))
    assert inputs.targets is examples.targets and len(inputs.take(np.array([1])).weights) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["linear", "recurrent"])
@pytest.mark.parametrize("mirrored_labels", [SWAPPED, None])
def test_training_answers_as_predicting_does(
    tmp_path: Path, kind: HeadKind, mirrored_labels: tuple[int, ...] | None
) -> None:
    inputs = skeletons(mirrored_labels)
    keras.utils.set_random_seed(0)
    shape = HeadShape(kind, STEPS, inputs.width, 3, units=6)
    head: LinearHead | RecurrentHead
    if kind == "linear":
        head = LinearHead(shape)
        head.fit(inputs, [str(number) for number in range(COUNT)], 0.1)
        assert (head.predict(inputs).argmax(axis=1) == inputs.targets.argmax(axis=1)).all()
    else:
        head = RecurrentHead(shape)
        head.fit(inputs, None, USUAL, SilentProgress())
    head.save(tmp_path / "pose.tflite", shape)
    reads = ("pose", "hands")
    runtime = NetworkRuntime(
        None, {"pose": StreamHead(HeadRuntime(tmp_path / "pose.tflite"), reads, 1.0)}, mirrored_labels
    )
    answers = head.predict(inputs)
    np.testing.assert_allclose(np.exp(answers).sum(axis=1), 1, atol=1e-4)
    for number, expected in enumerate(answers):
        found = runtime.alone(rows_of(number), TIMES.tolist())["pose"]
        np.testing.assert_allclose(np.exp(found), np.exp(expected), atol=1e-4)


@pytest.mark.slow
def test_the_mean_of_all_views_is_the_answer() -> None:
    inputs = skeletons()
    keras.utils.set_random_seed(0)
    head = RecurrentHead(HeadShape("recurrent", STEPS, inputs.width, 3, units=6))
    head.fit(inputs, None, USUAL, SilentProgress())
    answers = []
    for data, mirrored in inputs.views(BATCH):
        found = np.exp(head.model.predict(data, verbose=0))
        answers.append(found if mirrored is None else found[:, list(SWAPPED)])
    np.testing.assert_allclose(np.exp(head.predict(inputs)), np.mean(answers, axis=0), atol=1e-5)
    assert np.ptp(answers, axis=0).max() > 1e-3, "all views have the same answer, so the test shows nothing"
