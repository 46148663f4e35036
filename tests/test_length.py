"""Clip length is not a cue: a network guesses where the labels differ in length alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from activity_cli import NetworkSettings
from activity_cli.dataset.batches import Examples
from activity_cli.dataset.length_matching import matched_lengths
from activity_cli.model.network import NetworkShape
from activity_cli.progress import SilentProgress
from activity_cli.settings import without_augmentation
from activity_cli.training.heads import LinearHead, RecurrentHead
from activity_cli.training.runner import Hyperparameters
from training_support import write_examples

STEPS, WIDTH = 8, 12
NETWORK = NetworkSettings(encoder="small", units=12, dropout=0.1, pca_components=0)
HOW = Hyperparameters("main", "Training", 60, 60, 40, 0.02, "learning_rate", 0.0, 0.0, 1, without_augmentation())


def shape_of(network: NetworkSettings, num_frames: int = STEPS) -> NetworkShape:
    return NetworkShape(network, 32, num_frames, WIDTH, 0, 2, pretrained=False)


def noise(folder: Path, count: int, seed: int) -> Examples:
    """Clips of noise by their features; those with the label 0 are short, those with the label 1 long."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    lengths = np.where(labels == 0, rng.integers(2, 5, count), rng.integers(6, STEPS + 1, count))
    clips = [rng.normal(size=(length, WIDTH)).astype(np.float32) for length in lengths]
    return write_examples(folder, clips, labels)


def matched(examples: Examples) -> Examples:
    """The same clips, of which as many frames are read as length matching leaves."""
    labels = examples.targets.argmax(axis=1).astype(str).tolist()
    kept = matched_lengths(examples.kept_frames.tolist(), labels, np.random.default_rng(1))
    return replace(examples, kept_frames=kept)


def accuracy(head: Any, test: Examples, most: int) -> float:
    """On other clips, of which at most as many frames are read as in training."""
    read = replace(test, kept_frames=np.minimum(test.kept_frames, most))
    return float(np.mean(head.predict(read).argmax(axis=1) == test.targets.argmax(axis=1)))


def trained_accuracy(network: NetworkSettings, train: Examples, test: Examples) -> float:
    keras.utils.set_random_seed(1)
    head = RecurrentHead(shape_of(network))
    head.fit(train, None, HOW, SilentProgress())
    return accuracy(head, test, int(train.kept_frames.max()))


def test_a_mask_alone_lets_the_frames_be_counted(tmp_path: Path) -> None:
    found = trained_accuracy(NETWORK, noise(tmp_path / "train", 160, 0), noise(tmp_path / "test", 600, 99))
    assert found > 0.9, "length cannot be learned from these clips, so the next test shows nothing"


@pytest.mark.parametrize(
    "network",
    [
        NETWORK,
        replace(NETWORK, subtract_mean=False),
        replace(NETWORK, sequence="bilstm"),
        replace(NETWORK, sequence="gru"),
        replace(NETWORK, per_frame=True),
    ],
    ids=["lstm", "mean kept", "bilstm", "gru", "per frame"],
)
def test_a_recurrent_head_learns_nothing_from_length(network: NetworkSettings, tmp_path: Path) -> None:
    train = matched(noise(tmp_path / "train", 160, 0))
    assert trained_accuracy(network, train, noise(tmp_path / "test", 600, 99)) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("matches", [False, True])
def test_a_linear_head_learns_nothing_from_length(matches: bool, tmp_path: Path) -> None:
    train, test = noise(tmp_path / "train", 160, 0), noise(tmp_path / "test", 600, 99)
    train = matched(train) if matches else train
    head = LinearHead(shape_of(NETWORK))
    head.fit(train, [str(number) for number in range(160)], 0.1)
    found = accuracy(head, test, int(train.kept_frames.max()))
    assert 0.4 < found < 0.6 if matches else found > 0.62, found


@pytest.mark.parametrize("counts", [(5, 9), (30, 30), (1, 40)])
def test_no_label_keeps_other_lengths_than_another(counts: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    lengths = [*rng.integers(3, 9, counts[0]), *rng.integers(1, 17, counts[1])]
    labels = ["a"] * counts[0] + ["b"] * counts[1]
    kept = matched_lengths(lengths, labels, rng)
    assert (kept >= 1).all()
    assert (kept <= lengths).all()
    # The same share of each label's clips is at most so long, but for the clips that a share is not whole of.
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
