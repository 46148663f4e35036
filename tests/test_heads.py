"""Heads: padding never changes an answer, every real frame does, and LiteRT gives the same answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from activity_cli.model.conversion import head_to_litert
from activity_cli.model.heads import LINEAR, PROJECTION, SCALE, HeadShape, build_head
from activity_cli.runtime.litert import HeadRuntime

STEPS, WIDTH, CLASSES = 5, 12, 3
LENGTHS = (5, 3, 1)
MASK = np.arange(STEPS)[np.newaxis] < np.array(LENGTHS)[:, np.newaxis]
FEATURES = np.random.default_rng(5).normal(size=(len(LENGTHS), STEPS, WIDTH)).astype(np.float32)
Floats = npt.NDArray[np.float32]

RECURRENT = HeadShape("recurrent", STEPS, WIDTH, CLASSES, units=4, dropout=0.3)
SHAPES = {
    "recurrent": RECURRENT,
    "recurrent without the mean": replace(RECURRENT, subtract_mean=True),
    "recurrent of the first features": replace(RECURRENT, num_read=8),
    "recurrent of components": replace(RECURRENT, components=6, num_read=8, subtract_mean=True),
    "linear": HeadShape("linear", STEPS, WIDTH, CLASSES),
    "linear of raw features": HeadShape("linear", STEPS, WIDTH, CLASSES, standardized=False),
}


def built(name: str, steps: int = STEPS) -> keras.Model:
    """A head with random weights, far from equal probabilities."""
    keras.utils.set_random_seed(3)
    head = build_head(replace(SHAPES[name], num_frames=steps))
    rng = np.random.default_rng(4)
    for weights in head.weights:
        if SCALE in weights.path:
            weights.assign(rng.uniform(0.5, 2.0, size=weights.shape))
        elif weights.shape:
            weights.assign(rng.normal(scale=0.5, size=weights.shape))
    return head


def answers(head: keras.Model, features: Floats = FEATURES, mask: npt.NDArray[np.bool_] = MASK) -> Floats:
    return np.asarray(head([features, mask], training=False))


every_head = pytest.mark.parametrize("name", SHAPES)


@pytest.mark.slow
@every_head
def test_padding_and_other_clips_of_a_batch_never_change_an_answer(name: str) -> None:
    head = built(name)
    found = answers(head)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, atol=1e-5)
    assert np.ptp(np.exp(found), axis=0).max() > 0.01, "all clips have the same answer, so the test shows nothing"
    noisy = np.where(MASK[..., np.newaxis], FEATURES, 1e4).astype(np.float32)
    np.testing.assert_allclose(answers(head, noisy), found, atol=1e-5)
    for clip, length in enumerate(LENGTHS):
        alone = answers(head, FEATURES[clip : clip + 1], MASK[clip : clip + 1])
        np.testing.assert_allclose(alone[0], found[clip], atol=1e-5)
        # The same weights in a head for clips of just this length: there is no padding at all.
        short = answers(built(name, length), FEATURES[clip : clip + 1, :length], np.ones((1, length), bool))
        np.testing.assert_allclose(short[0], found[clip], atol=1e-5)


@every_head
def test_the_order_of_the_frames_and_every_real_frame_change_an_answer(name: str) -> None:
    head = built(name)
    before = answers(head)
    assert np.abs(answers(head, FEATURES[:, ::-1])[0] - before[0]).max() > 1e-4
    for clip, length in enumerate(LENGTHS):
        others = np.repeat(FEATURES[clip : clip + 1], STEPS, axis=0)
        others[np.arange(STEPS), np.arange(STEPS)] += np.linspace(-1, 1, WIDTH)  # row t differs in frame t
        found = answers(head, others, np.repeat(MASK[clip : clip + 1], STEPS, axis=0))
        changed = np.flatnonzero(np.abs(found - before[clip]).max(axis=1) > 1e-5)
        assert changed.tolist() == list(range(length))


@pytest.mark.parametrize("name", [name for name in SHAPES if LINEAR not in name])
def test_padding_never_changes_a_gradient(name: str) -> None:
    clip, length = 1, LENGTHS[1]

    def gradients(head: keras.Model, features: Floats, mask: npt.NDArray[np.bool_]) -> list[Any]:
        with tf.GradientTape() as tape:
            loss = head([features, mask], training=False)[0, 1]
        return list(tape.gradient(loss, head.trainable_weights))

    padded = gradients(built(name), FEATURES[clip : clip + 1], MASK[clip : clip + 1])
    bare = gradients(built(name, length), FEATURES[clip : clip + 1, :length], np.ones((1, length), bool))
    for one, other in zip(padded, bare, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert max(np.abs(one).max() for one in padded) > 1e-3


@pytest.mark.slow
@every_head
def test_litert_gives_the_same_answers(name: str, tmp_path: Path) -> None:
    head = built(name)
    head_to_litert(head, SHAPES[name], tmp_path / "head.tflite")
    runtime = HeadRuntime(tmp_path / "head.tflite")
    assert (runtime.num_frames, runtime.num_features, runtime.num_classes) == (STEPS, WIDTH, CLASSES)
    expected = answers(head)
    for clip, length in enumerate(LENGTHS):
        np.testing.assert_allclose(runtime.log_probabilities(FEATURES[clip, :length]), expected[clip], atol=1e-4)


def test_a_new_linear_head_answers_that_all_activities_are_equally_probable() -> None:
    np.testing.assert_allclose(np.exp(answers(build_head(SHAPES[LINEAR]))), 1 / CLASSES, atol=1e-6)


def test_a_recurrent_head_may_read_the_first_features_only() -> None:
    changed = FEATURES.copy()
    changed[..., 8:] *= -3
    for name, shape in SHAPES.items():
        head = built(name)
        assert (np.abs(answers(head, changed) - answers(head)).max() > 1e-3) == (shape.num_read == 0), name


def test_what_is_the_same_in_all_frames_is_not_read_without_the_mean() -> None:
    moved = FEATURES + np.linspace(-2, 2, WIDTH, dtype=np.float32)
    for name, shape in SHAPES.items():
        head = built(name)
        # A clip of one frame has nothing but its mean.
        differs = np.abs(answers(head, moved) - answers(head))[:2].max() > 1e-3
        assert differs == (not shape.subtract_mean), name


def test_gradient_descent_changes_neither_what_is_measured_nor_the_linear_head() -> None:
    for name, measured in (("recurrent of components", PROJECTION), ("recurrent", SCALE)):
        head = built(name)
        trained = {id(weight) for weight in head.trainable_weights}
        assert trained and head.get_layer(measured).weights
        assert not trained & {id(weight) for weight in head.get_layer(measured).weights}
    assert not built(LINEAR).trainable_weights


@pytest.fixture
def half_precision() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


@every_head
@pytest.mark.usefixtures("half_precision")
def test_heads_compute_in_float32_whatever_the_policy(name: str) -> None:
    half = built(name)
    found = answers(half)
    keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(found, answers(built(name)))
