"""Length teaches nothing: where the labels are told apart by it alone, a network guesses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from activity_cli import NetworkSettings
from activity_cli.dataset.length_matching import matched_lengths
from activity_cli.model.conversion import sequence_to_litert
from activity_cli.model.network import Network
from activity_cli.model.sequence import build_sequence, frame_outputs, linear_part, read_at_most
from activity_cli.runtime.litert import SequenceRuntime
from activity_cli.sampling.plan import evenly_spaced
from activity_cli.training.measure import solve_beside

STEPS, MAP, WIDTH = 8, (2, 2, 3), 12
BASE = NetworkSettings(encoder="small", units=12, dropout=0.1)
CONFIGS = [
    BASE,
    replace(BASE, pooling="max"),
    replace(BASE, pooling="last"),
    replace(BASE, pooling="attention"),
    replace(BASE, center=False),
    replace(BASE, sequence="bilstm"),
    replace(BASE, sequence="gru"),
    replace(BASE, sequence="convlstm"),
    replace(BASE, sequence="mean"),
]
Clips = list[npt.NDArray[np.float32]]
Labels = npt.NDArray[np.int64]


def named(config: NetworkSettings) -> str:
    return f"{config.sequence}-{config.pooling}{'' if config.center else '-as-it-is'}"


def shortened(clip: npt.NDArray[Any], length: int, rng: np.random.Generator | None = None) -> npt.NDArray[Any]:
    """A clip ``[T, ...]`` with at most ``length`` of its steps, spread over all of it.

    With ``rng`` one at random from each of ``length`` equal parts, without it the middle one (Wang et
    al. 2016, Temporal Segment Networks).
    """
    if length >= len(clip):
        return clip
    bounds = np.arange(length + 1) * len(clip) // length
    if rng is not None:
        return clip[rng.integers(bounds[:-1], bounds[1:])]
    return clip[(2 * np.arange(length) + 1) * len(clip) // (2 * length)]


def padded_features(clips: Clips, steps: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    padded = np.zeros((len(clips), steps, clips[0].shape[1]), np.float32)
    mask = np.zeros((len(clips), steps), np.bool_)
    for row, real, clip in zip(padded, mask, clips, strict=True):
        row[: len(clip)], real[: len(clip)] = clip, True
    return padded, mask


def drawn(number: int, rng: np.random.Generator) -> tuple[Clips, Labels]:
    """Clips of noise; those with the label 0 are short, those with the label 1 long."""
    labels = np.arange(number) % 2
    lengths = np.where(labels == 0, rng.integers(2, 5, number), rng.integers(6, STEPS + 1, number))
    return [rng.normal(size=(length, WIDTH)).astype(np.float32) for length in lengths], labels


def sequence(config: NetworkSettings) -> keras.Model:
    keras.utils.set_random_seed(1)
    return build_sequence(config, STEPS, WIDTH, 2, map_shape=MAP)


def learned(model: keras.Model, clips: Clips, labels: Labels, cut: Callable[[Clips], Clips]) -> None:
    """Trains a little on clips that are cut anew for each epoch."""
    optimizer = keras.optimizers.Adam(0.01)

    @tf.function
    def step(features: tf.Tensor, mask: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            said = model([features, mask], training=True)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, said))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    for epoch in range(25):
        features, mask = padded_features(cut(clips), STEPS)
        order = np.random.default_rng(epoch).permutation(len(clips)).reshape(4, -1)
        for rows in order:
            step(tf.constant(features[rows]), tf.constant(mask[rows]), tf.constant(labels[rows]))


def accuracy(model: keras.Model) -> float:
    """On clips that it has not learned from."""
    clips, labels = drawn(600, np.random.default_rng(99))
    said = np.asarray(model([*padded_features(clips, STEPS)], training=False))
    return float(np.mean(said.argmax(axis=1) == labels))


def test_a_mask_alone_lets_the_steps_be_counted() -> None:
    clips, labels = drawn(160, np.random.default_rng(0))
    model = sequence(BASE)
    learned(model, clips, labels, lambda clips: clips)
    assert accuracy(model) > 0.9, "length cannot be learned from these clips, so the next test shows nothing"


@pytest.mark.parametrize("config", CONFIGS, ids=named)
def test_length_teaches_nothing(config: NetworkSettings) -> None:
    clips, labels = drawn(160, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    lengths = matched_lengths([len(clip) for clip in clips], labels.astype(str).tolist(), rng)
    model = sequence(config)
    read_at_most(model, int(lengths.max()))
    learned(
        model,
        clips,
        labels,
        lambda clips: [shortened(clip, length, rng) for clip, length in zip(clips, lengths, strict=True)],
    )
    assert accuracy(model) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("cut", [False, True])
def test_length_teaches_a_linear_layer_that_is_solved_for_nothing(cut: bool) -> None:
    clips, labels = drawn(160, np.random.default_rng(0))
    lengths = np.array([len(clip) for clip in clips])
    kept = matched_lengths(lengths.tolist(), labels.astype(str).tolist(), np.random.default_rng(1)) if cut else lengths
    model = sequence(replace(BASE, statistics=True))
    read_at_most(model, int(kept.max()))
    beside = linear_part(model)
    assert beside is not None
    known = (padded_features(clips, STEPS), np.eye(2, dtype=np.float32)[labels], np.ones(len(labels), np.float32))
    batches = tf.data.Dataset.from_tensor_slices(known).batch(50)
    solve_beside(beside, batches, kept, [str(number) for number in range(len(labels))], 0.1)
    beside.beside.share.assign(0.0)  # the linear layer alone
    found = accuracy(model)
    assert 0.4 < found < 0.6 if cut else found > 0.62, found


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


@pytest.mark.parametrize("length", [1, 3, 7, 10, 99])
def test_a_shortened_clip_is_spread_over_all_of_it(length: int) -> None:
    clip = np.arange(10)
    for rng in (None, np.random.default_rng(3)):
        found = shortened(clip, length, rng)
        assert len(found) == min(10, length)
        assert (np.diff(found) > 0).all()
        if rng is None:
            assert found.tolist() == list(evenly_spaced(10, length))
        else:
            parts = np.arange(len(found) + 1) * 10 // len(found)
            assert ((parts[:-1] <= found) & (found < parts[1:])).all()
    if length == 3:
        drawn_twice = [shortened(clip, 3, np.random.default_rng(seed)).tolist() for seed in range(9)]
        assert len({tuple(one) for one in drawn_twice}) > 1


@pytest.mark.parametrize("per_frame", [False, True])
def test_a_network_reads_no_more_steps_than_it_has_learned_from(per_frame: bool, tmp_path: Path) -> None:
    config = replace(BASE, per_frame=per_frame)
    clips = [np.random.default_rng(5).normal(size=(length, WIDTH)).astype(np.float32) for length in (8, 5, 3, 1)]
    model, free = sequence(config), sequence(config)
    read_at_most(model, 3)
    inputs = [*padded_features(clips, STEPS)]
    found = np.asarray(model(inputs))
    assert np.abs(found - np.asarray(free(inputs)))[:2].max(axis=1).min() > 1e-4
    middle = [shortened(clip, 3) for clip in clips]
    if not per_frame:
        np.testing.assert_allclose(found, free([*padded_features(middle, STEPS)]), atol=1e-6)
    else:
        # Every frame gets the answer of the step that was read for its part of the clip.
        frames, read = frame_outputs(model), frame_outputs(free)
        assert frames is not None
        assert read is not None
        each, steps = np.asarray(frames(inputs)), np.asarray(read([*padded_features(middle, STEPS)]))
        np.testing.assert_allclose(each[0], steps[0, [0, 0, 0, 1, 1, 2, 2, 2]], atol=1e-6)
        np.testing.assert_allclose(each[1, :5], steps[1, [0, 0, 1, 2, 2]], atol=1e-6)
        np.testing.assert_allclose(each[2, :3], steps[2, :3], atol=1e-6)
        np.testing.assert_allclose(found[1], each[1, :5].mean(axis=0), atol=1e-6)
        assert not each[1, 5:].any()
    unused = keras.Model(frame := keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D()(frame))
    sequence_to_litert(Network(model, unused, model), config, tmp_path / "sequence.tflite")
    runtime = SequenceRuntime(tmp_path / "sequence.tflite")
    for clip, expected in zip(clips, found, strict=True):
        np.testing.assert_allclose(runtime.probabilities(clip), expected, atol=1e-5)
