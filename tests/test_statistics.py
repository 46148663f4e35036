"""What the linear layer reads beside the recurrent network, and the components that the latter reads."""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt
import pytest
from sklearn.decomposition import PCA

from activity_cli import NetworkSettings
from activity_cli.model.components import PrincipalComponents
from activity_cli.model.sequence import build_sequence, components_of, linear_part, reads_statistics
from activity_cli.model.statistics import NUM_COSINES, Beside, TimeStatistics
from activity_cli.training.measure import learn_together

STEPS, WIDTH = 6, 5
LENGTHS = (6, 4, 1)


def some() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    features = np.random.default_rng(0).normal(size=(len(LENGTHS), STEPS, WIDTH)).astype(np.float32)
    return features, np.arange(STEPS)[np.newaxis] < np.array(LENGTHS)[:, np.newaxis]


def expected(clip: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    places = (np.arange(len(clip)) + 0.5) / len(clip)
    away = clip - clip.mean(axis=0)
    waves = [2 * np.cos(np.pi * number * places) @ away / len(clip) for number in range(1, NUM_COSINES + 1)]
    return np.concatenate([clip.mean(axis=0), clip.std(axis=0), *waves])


def test_statistics_are_those_of_the_real_steps_whatever_the_padding() -> None:
    features, mask = some()
    found = np.asarray(TimeStatistics()(np.where(mask[..., np.newaxis], features, 1e3), mask=mask))
    for row, clip, length in zip(found, features, LENGTHS, strict=True):
        np.testing.assert_allclose(row, expected(clip[:length]), atol=2e-3)


def test_a_course_tells_forward_from_backward_and_not_fast_from_slow() -> None:
    slow = np.linspace(-1, 1, 12, dtype=np.float32)[np.newaxis, :, np.newaxis]
    fast = slow.reshape(1, 6, 2, 1).mean(axis=2)
    there, back, quick = (
        np.asarray(TimeStatistics()(clip, mask=np.ones(clip.shape[:2], bool)))[0]
        for clip in (slow, slow[:, ::-1], fast)
    )
    np.testing.assert_allclose(there[:2], back[:2], atol=1e-6)
    np.testing.assert_allclose(there[2:], -back[2:], atol=1e-6)
    assert np.abs(there[2]) > 0.5
    np.testing.assert_allclose(there, quick, atol=0.05)


def test_components_are_the_principal_ones_with_one_scale() -> None:
    rng = np.random.default_rng(3)
    clips = [(rng.normal(size=(n, WIDTH)) * [5, 1, 3, 0.1, 2] + 7).astype(np.float32) for n in (30, 50)]
    layer = PrincipalComponents(3)
    layer.build((None, None, WIDTH))
    layer.adapt(clips)
    together = np.concatenate(clips)
    found = np.asarray(layer(together[np.newaxis], mask=np.ones((1, len(together)), bool)))[0]
    theirs = PCA(3).fit_transform(together)
    signs = np.sign((found * theirs).sum(axis=0))
    np.testing.assert_allclose(found * signs, theirs / np.sqrt(theirs.var(axis=0).mean()), atol=1e-2)


def test_components_of_fewer_frames_than_features_are_the_principal_ones_and_no_noise() -> None:
    clips = [np.random.default_rng(6).normal(size=(4, 20)).astype(np.float32)]
    layer = PrincipalComponents(10)
    layer.build((None, None, 20))
    layer.adapt(clips)
    found = np.asarray(layer(clips[0][np.newaxis], mask=np.ones((1, 4), bool)))[0]
    assert not found[:, 3:].any()  # four frames around their mean vary in three ways
    theirs = PCA(3).fit_transform(clips[0])
    theirs /= np.sqrt(theirs.var(axis=0).mean())
    np.testing.assert_allclose(np.abs(found[:, :3]), np.abs(theirs), atol=1e-4)


def test_components_leave_padding_zero_and_pass_features_on_until_they_are_measured() -> None:
    features, mask = some()
    layer = PrincipalComponents(3)
    found = np.asarray(layer(features, mask=mask))
    assert not found[~mask].any()
    np.testing.assert_allclose(found[mask], features[mask][:, :3])


CONFIG = NetworkSettings(encoder="small", units=4, dropout=0.0, statistics=True, components=3, center=False)


def test_the_linear_layer_adds_to_the_recurrent_network() -> None:
    keras.utils.set_random_seed(1)
    features, mask = some()
    model = build_sequence(CONFIG, STEPS, WIDTH, 3)
    before = np.asarray(model([features, mask]))
    part = linear_part(model)
    assert part is not None and components_of(model) is not None
    values = np.asarray(part.statistics([features, mask]))
    assert not part.linear.trainable
    kernel = np.random.default_rng(5).normal(size=(values.shape[1], 3)).astype(np.float32)
    part.linear.set_weights([kernel, np.zeros(3, np.float32)])
    linear = values @ kernel
    np.testing.assert_allclose(model([features, mask]), softmax(np.log(before) + linear), atol=1e-5)
    part.beside.share.assign(0.25)
    part.beside.learned_together = False
    np.testing.assert_allclose(model([features, mask]), softmax(0.25 * np.log(before) + linear), atol=1e-5)
    np.testing.assert_allclose(model([features, mask], training=True), before, atol=1e-5)
    learn_together(part)
    for training in (False, True):
        answer = model([features, mask], training=training)
        np.testing.assert_allclose(answer, softmax(0.25 * np.log(before) + linear), atol=1e-5)


def softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def test_logits_beside_each_other_learn_together_until_told_otherwise() -> None:
    recurrent, linear = np.array([[1.0, 2.0]], np.float32), np.array([[0.5, -1.0]], np.float32)
    layer = Beside()
    np.testing.assert_allclose(layer(recurrent, linear, training=True), recurrent + linear)
    np.testing.assert_allclose(layer(recurrent, linear, training=False), recurrent + linear)


@pytest.mark.parametrize(
    "other", [{"sequence": "mean"}, {"sequence": "frame"}, {"sequence": "convlstm"}, {"per_frame": True}]
)
def test_it_stands_beside_recurrent_networks_that_answer_for_clips(other: dict[str, object]) -> None:
    settings = {"encoder": "small", "statistics": True} | other
    assert not reads_statistics(NetworkSettings(**settings))  # type: ignore[arg-type]
    assert reads_statistics(CONFIG)
