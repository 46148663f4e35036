"""Clip length is not a cue, and padding reaches nothing: neither the weights nor the answers of the heads."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest

from activity_cli.dataset.batches import Examples
from activity_cli.dataset.length_matching import matched_lengths
from activity_cli.errors import TrainingError
from activity_cli.model.heads import HeadShape
from activity_cli.progress import SilentProgress
from activity_cli.runtime.litert import HeadRuntime
from activity_cli.settings import without_augmentation
from activity_cli.training.heads import LinearHead, RecurrentHead
from activity_cli.training.inputs import RowInputs
from activity_cli.training.runner import Hyperparameters
from training_support import equal, write_examples

FRAMES, WIDTH, NUM_CLIPS = 8, 12, 160
RECURRENT = HeadShape("recurrent", FRAMES, WIDTH, num_classes=2, units=12, dropout=0.1)
LINEAR = replace(RECURRENT, kind="linear")
USUAL = Hyperparameters(
    stage="main",
    title="Training",
    epochs=25,
    patience=25,
    batch_size=40,
    learning_rate=0.02,
    rate_setting="learning_rate",
    weight_decay=0.0,
    label_smoothing=0.0,
    seed=0,
    augmentation=without_augmentation(),
)
Labels = npt.NDArray[np.int64]


def draw_noise(folder: Path, count: int, seed: int) -> tuple[Examples, Labels]:
    """Clips of noise; those with the label 0 are short, those with the label 1 long."""
    rng, labels = np.random.default_rng(seed), np.arange(count) % 2
    lengths = np.where(labels == 0, rng.integers(2, 5, count), rng.integers(6, FRAMES + 1, count))
    clips = [rng.normal(size=(length, WIDTH)).astype(np.float32) for length in lengths]
    return write_examples(folder, clips, labels), labels


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> tuple[Examples, Examples]:
    """Clips to train on, cut to the same lengths in both labels, and others to test on, cut to the longest of these."""
    train, labels = draw_noise(tmp_path_factory.mktemp("train"), NUM_CLIPS, 0)
    kept = matched_lengths(train.kept_frames.tolist(), labels.astype(str).tolist(), np.random.default_rng(1))
    test, _ = draw_noise(tmp_path_factory.mktemp("test"), 600, 99)
    return replace(train, kept_frames=kept), replace(test, kept_frames=np.minimum(test.kept_frames, kept.max()))


def uncut(examples: Examples) -> Examples:
    lengths = [len(np.load(path, mmap_mode="r")) for path in examples.paths]
    return replace(examples, kept_frames=np.array(lengths, np.int64))


def inputs(examples: Examples, num_frames: int = FRAMES) -> RowInputs:
    return RowInputs(examples, num_frames, WIDTH)


def accuracy(head: RecurrentHead | LinearHead, test: Examples) -> float:
    return float(np.mean(head.predict(inputs(test)).argmax(axis=1) == test.targets.argmax(axis=1)))


@pytest.mark.slow
def test_with_masks_alone_the_frames_are_counted(noise: tuple[Examples, Examples]) -> None:
    train, test = map(uncut, noise)
    keras.utils.set_random_seed(1)
    head = RecurrentHead(RECURRENT)
    head.fit(inputs(train), None, USUAL, SilentProgress())
    assert accuracy(head, test) > 0.9, "length cannot be learned from these clips, so the next test shows nothing"


@pytest.mark.slow
@pytest.mark.parametrize("subtract_mean", [False, True])
def test_the_recurrent_head_learns_nothing_from_length(noise: tuple[Examples, Examples], subtract_mean: bool) -> None:
    train, test = noise
    keras.utils.set_random_seed(1)
    head = RecurrentHead(replace(RECURRENT, subtract_mean=subtract_mean))
    head.fit(inputs(train), None, USUAL, SilentProgress())
    assert accuracy(head, test) == pytest.approx(0.5, abs=0.1)


@pytest.mark.slow
def test_the_linear_head_learns_nothing_from_length(noise: tuple[Examples, Examples]) -> None:
    groups = [str(number) for number in range(NUM_CLIPS)]
    found = []
    for train, test in (map(uncut, noise), noise):
        head = LinearHead(LINEAR)
        head.fit(inputs(train), groups, 0.1)
        found.append(accuracy(head, test))
    assert found[0] > 0.62, "length cannot be learned from these clips"
    assert found[1] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("counts", [(5, 9), (30, 30), (1, 40)])
def test_no_label_keeps_other_lengths_than_another(counts: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    lengths = [*rng.integers(3, 9, counts[0]), *rng.integers(1, 17, counts[1])]
    labels = ["a"] * counts[0] + ["b"] * counts[1]
    kept = matched_lengths(lengths, labels, rng)
    assert (kept >= 1).all()
    assert (kept <= lengths).all()
    # The same share of each label's clips is at most so long, up to one clip of the smaller label.
    for longest in range(1, 17):
        shares = [np.mean(kept[np.array(labels) == label] <= longest) for label in "ab"]
        assert abs(shares[0] - shares[1]) <= 1 / min(counts)
    if counts == (30, 30):
        of_a, of_b = (Counter(kept[np.array(labels) == label].tolist()) for label in "ab")
        assert of_a == of_b


def test_lengths_that_are_alike_already_are_kept() -> None:
    lengths = [16, 12, 16, 4] * 2
    kept = matched_lengths(lengths, ["a"] * 4 + ["b"] * 4, np.random.default_rng(0))
    assert kept.tolist() == lengths


def told_by_color(folder: Path, count: int) -> Examples:
    """Clips of different lengths whose label is in their features."""
    rng, labels = np.random.default_rng(5), np.arange(count) % 2
    clips = [rng.normal(size=(rng.integers(1, 5), WIDTH)) + label for label in labels]
    return write_examples(folder, [clip.astype(np.float32) for clip in clips], labels)


@pytest.mark.slow
@pytest.mark.parametrize("components", [0, 6])
def test_the_amount_of_padding_changes_neither_weights_nor_answers(tmp_path: Path, components: int) -> None:
    examples, groups = told_by_color(tmp_path, 24), [str(number) for number in range(24)]
    answers, weights = [], []
    for frames in (4, 9):
        keras.utils.set_random_seed(0)
        clips = inputs(examples, frames)
        recurrent = RecurrentHead(replace(RECURRENT, num_frames=frames, components=components, dropout=0.0))
        linear = LinearHead(replace(LINEAR, num_frames=frames))
        start = recurrent.model.get_weights()
        recurrent.fit(clips, None, replace(USUAL, epochs=4, batch_size=8), SilentProgress())
        assert not equal(start, recurrent.model.get_weights())
        linear.fit(clips, groups, 0.1)
        weights.append([*recurrent.model.get_weights(), *linear.model.get_weights()])
        answers.append([recurrent.predict(clips), linear.predict(clips)])
    for one, other in zip(weights[0] + answers[0], weights[1] + answers[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_a_saved_head_answers_as_the_trained_one(tmp_path: Path) -> None:
    examples = told_by_color(tmp_path, 6)
    head = LinearHead(LINEAR)
    head.fit(inputs(examples), list("aabbcc"), 0.1)
    head.save(tmp_path / "linear.tflite", replace(LINEAR, num_frames=4))
    runtime = HeadRuntime(tmp_path / "linear.tflite")
    for path, expected in zip(examples.paths, head.predict(inputs(examples)), strict=True):
        np.testing.assert_allclose(runtime.log_probabilities(np.load(path)), expected, atol=1e-4)


@pytest.mark.parametrize("lengths", [(1, 1), (2, 1), (3, 3)])
def test_principal_components_of_fewer_frames_than_components(tmp_path: Path, lengths: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=(length, WIDTH)).astype(np.float32) for length in lengths]
    head = RecurrentHead(replace(RECURRENT, components=8))
    examples = inputs(write_examples(tmp_path, clips, np.array([0, 1])))
    head.measure(examples)
    assert all(np.isfinite(weights).all() for weights in head.model.get_weights())
    assert np.isfinite(head.predict(examples)).all()


def test_principal_components_keep_the_differences_between_frames(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(20, 3)) * (3, 2, 1)
    clips = [(part @ rng.normal(size=(3, WIDTH)) + 7).astype(np.float32) for part in [hidden[:10], hidden[10:]]]
    head = RecurrentHead(replace(RECURRENT, components=WIDTH))
    head.measure(inputs(write_examples(tmp_path, clips, np.array([0, 1])), 10))
    rows = np.concatenate(clips)
    projection = head.model.get_layer("projection")
    found = np.asarray(projection(rows))
    # A rotation times one scale: the distances between frames stay in proportion.
    before, after = (np.linalg.norm(one[:, None] - one[None], axis=2) for one in (rows, found))
    np.testing.assert_allclose(after / after.max(), before / before.max(), atol=1e-4)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)
    assert found.var(axis=0).mean() == pytest.approx(1, rel=0.06)


def test_the_scale_is_that_of_the_frames_and_what_hardly_varies_counts_little(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clips = [(rng.normal(size=(5, WIDTH)) * np.linspace(0, 3, WIDTH) + 7).astype(np.float32) for _ in range(20)]
    for head in (RecurrentHead(RECURRENT), LinearHead(LINEAR)):
        head.measure(inputs(write_examples(tmp_path, clips, np.zeros(20, np.int64))))
        rows = np.concatenate(clips)
        found = np.asarray(head.model.get_layer("scale")(rows[np.newaxis]))[0]
        np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-3)
        assert found.std(axis=0)[0] == pytest.approx(0, abs=1e-3)
        assert (found.std(axis=0)[2:] > 0.9).all() and (found.std(axis=0) <= 1).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_numbers_are_an_error_that_says_so(tmp_path: Path, value: float) -> None:
    clips = [np.full((3, WIDTH), number, np.float32) for number in (1, 2, value, 4)]
    examples = inputs(write_examples(tmp_path, clips, np.arange(4) % 2))
    for head in (LinearHead(LINEAR), LinearHead(replace(LINEAR, standardized=False))):
        with pytest.raises(TrainingError, match="not finite numbers"):
            head.fit(examples, list("abcd"), 0.1)
    with pytest.raises(TrainingError, match="not finite numbers"):
        RecurrentHead(RECURRENT).fit(examples, None, USUAL, SilentProgress())
