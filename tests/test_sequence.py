"""Everything that can read features in their order: padding never counts, LiteRT says the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from activity_cli import ConfigError, NetworkSettings, Sampling
from activity_cli.model.conversion import sequence_to_litert
from activity_cli.model.network import Network, build_network, load_network
from activity_cli.model.sequence import build_sequence, feature_scale, frame_outputs
from activity_cli.model.steps import FeatureScale, ReverseOverTime
from activity_cli.runtime.litert import SequenceRuntime
from activity_cli.settings import BASELINE_SEQUENCES, POOLINGS

STEPS, MAP, CLASSES = 5, (2, 3, 6), 3
WIDTH = MAP[0] * MAP[1] * MAP[2]
LENGTHS = (5, 3, 1)
RECURRENT = ("lstm", "bilstm", "gru", "convlstm")
BASE = NetworkSettings(encoder="small", units=4)
CONFIGS = [
    *(
        replace(BASE, sequence=sequence, pooling=pooling, recurrent_layers=1 + (number % 2))
        for number, (sequence, pooling) in enumerate(product(("lstm", "gru"), POOLINGS))
    ),
    *(
        replace(BASE, sequence=sequence, pooling=pooling, recurrent_layers=layers)
        for sequence, pooling, layers in (
            ("bilstm", "last", 1),
            ("bilstm", "last", 2),
            ("bilstm", "max", 2),
            ("convlstm", "last", 2),
            ("convlstm", "attention", 1),
        )
    ),
    *(replace(BASE, sequence=sequence, per_frame=True) for sequence in RECURRENT),
    replace(BASE, sequence="mean"),
    replace(BASE, sequence="frame"),
    replace(BASE, center=False),
    replace(BASE, statistics=True, components=4, center=False),
    replace(BASE, sequence="gru", pooling="last", statistics=True),
]
PER_FRAME = [config for config in CONFIGS if config.per_frame]
Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def named(config: NetworkSettings) -> str:
    beside = "-statistics" if config.statistics else ""
    return f"{config.sequence}-{'frames' if config.per_frame else config.pooling}-{config.recurrent_layers}{beside}"


def built(config: NetworkSettings, steps: int = STEPS, *, unroll: bool = False) -> keras.Model:
    keras.utils.set_random_seed(3)
    model = build_sequence(config, steps, WIDTH, CLASSES, unroll=unroll, map_shape=MAP)
    # Not as they begin, when attention is a plain mean.
    rng = np.random.default_rng(4)
    # Sums over many statistics would make every answer certain.
    size = 0.1 if config.statistics else 1.0
    model.set_weights([rng.normal(scale=size, size=now.shape) if now.ndim else now for now in model.get_weights()])
    return model


def some_features() -> tuple[Array, Mask]:
    features = np.random.default_rng(5).normal(size=(len(LENGTHS), STEPS, WIDTH)).astype(np.float32)
    return features, np.arange(STEPS)[np.newaxis] < np.array(LENGTHS)[:, np.newaxis]


def answers(model: keras.Model, features: Array, mask: Mask) -> Array:
    return np.asarray(model([features, mask], training=False))


def converted(model: keras.Model, config: NetworkSettings, path: Path) -> SequenceRuntime:
    frames = keras.Input((32, 32, 3))
    unused = keras.Model(frames, keras.layers.GlobalAveragePooling2D()(frames))
    sequence_to_litert(Network(model, unused, model), config, path)
    return SequenceRuntime(path)


@pytest.mark.parametrize("config", CONFIGS, ids=named)
def test_padding_and_batch_mates_never_change_an_answer(config: NetworkSettings) -> None:
    model, (features, mask) = built(config), some_features()
    found = answers(model, features, mask)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    noisy = np.where(mask[..., np.newaxis], features, 1e4).astype(np.float32)
    np.testing.assert_allclose(answers(model, noisy, mask), found, atol=1e-6)
    for clip, length in enumerate(LENGTHS):
        alone = answers(model, features[clip : clip + 1], mask[clip : clip + 1])
        np.testing.assert_allclose(alone[0], found[clip], atol=1e-6)
        # The same weights in a network for clips of just this length: there is no padding at all.
        whole = np.ones((1, length), np.bool_)
        short = answers(built(config, length), features[clip : clip + 1, :length], whole)
        np.testing.assert_allclose(short[0], found[clip], atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS, ids=named)
def test_order_counts_where_it_should_and_every_real_frame_does(config: NetworkSettings) -> None:
    model, (features, mask) = built(config), some_features()
    before = answers(model, features, mask)
    turned = answers(model, features[:, ::-1], mask)[0]
    assert (np.abs(turned - before[0]).max() > 1e-4) == (config.sequence not in BASELINE_SEQUENCES)
    for clip, length in enumerate(LENGTHS):
        # In each row another step differs.
        others = np.repeat(features[clip : clip + 1], STEPS, axis=0)
        others[np.arange(STEPS), np.arange(STEPS)] += np.linspace(-1, 1, WIDTH)
        found = answers(model, others, np.repeat(mask[clip : clip + 1], STEPS, axis=0))
        changed = np.flatnonzero(np.abs(found - before[clip]).max(axis=1) > 1e-5)
        assert changed.tolist() == ([length // 2] if config.sequence == "frame" else list(range(length)))


@pytest.mark.parametrize("config", CONFIGS, ids=named)
def test_padding_never_changes_what_is_learned(config: NetworkSettings) -> None:
    config, (features, mask) = replace(config, dropout=0.0), some_features()
    clip, length = 1, LENGTHS[1]
    target = tf.constant([[0.0, 1.0, 0.0]])

    def gradients(model: keras.Model, features: Array, mask: Mask) -> list[Any]:
        with tf.GradientTape() as tape:
            loss = keras.losses.categorical_crossentropy(target, model([features, mask], training=True))
        return list(tape.gradient(loss, model.trainable_weights))

    padded = gradients(built(config), features[clip : clip + 1], mask[clip : clip + 1])
    bare = gradients(built(config, length), features[clip : clip + 1, :length], np.ones((1, length), np.bool_))
    for one, other in zip(padded, bare, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert max(np.abs(one).max() for one in padded) > 1e-3, "nothing would be learned, so the test shows nothing"


@pytest.mark.parametrize("config", CONFIGS, ids=named)
def test_litert_gives_the_same_answers(config: NetworkSettings, tmp_path: Path) -> None:
    model, (features, mask) = built(config), some_features()
    runtime = converted(model, config, tmp_path / "sequence.tflite")
    expected, frames = answers(model, features, mask), frame_outputs(model)
    assert runtime.per_frame == config.per_frame == (frames is not None)
    for clip, length in enumerate(LENGTHS):
        said, of_frames = runtime.answers(features[clip, :length])
        np.testing.assert_allclose(said, expected[clip], atol=2e-5)
        np.testing.assert_array_equal(runtime.probabilities(features[clip, :length]), said)
        if frames is None:
            assert of_frames is None
        else:
            assert of_frames is not None
            np.testing.assert_allclose(of_frames, answers(frames, features, mask)[clip, :length], atol=2e-5)


@pytest.mark.parametrize("config", PER_FRAME, ids=named)
def test_the_answer_for_a_clip_is_the_mean_of_those_for_its_frames(config: NetworkSettings) -> None:
    model, (features, mask) = built(config), some_features()
    frames = frame_outputs(model)
    assert frames is not None
    each = answers(frames, features, mask)
    assert each.shape == (len(LENGTHS), STEPS, CLASSES)
    assert not each[~mask].any()
    np.testing.assert_allclose(each[mask].sum(axis=1), 1, atol=1e-6)
    assert np.ptp(each[0], axis=0).max() > 0.01, "all frames have the same answer, so the test shows nothing"
    for clip, length in enumerate(LENGTHS):
        np.testing.assert_allclose(answers(model, features, mask)[clip], each[clip, :length].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_both_directions_are_those_of_keras_on_a_clip_without_padding(pooling: str) -> None:
    ours = built(replace(BASE, sequence="bilstm", pooling=pooling, center=False))
    theirs = keras.layers.Bidirectional(keras.layers.LSTM(BASE.units, return_sequences=pooling == "mean"))
    features, whole = some_features()[0], np.ones((len(LENGTHS), STEPS), np.bool_)
    scale = feature_scale(ours)
    scaled = features * np.asarray(scale.scale)
    theirs.build(features.shape)
    theirs.set_weights([*ours.get_layer("lstm").get_weights(), *ours.get_layer("lstm_backward").get_weights()])
    expected = np.asarray(theirs(scaled))
    states = keras.Model(ours.inputs, ours.get_layer("lstm_both").output)
    np.testing.assert_allclose(answers(states, features, whole), expected, atol=1e-5)


def test_turning_a_clip_round_leaves_its_padding_at_the_end() -> None:
    features, mask = some_features()
    turned = np.asarray(ReverseOverTime()(features, mask=mask))
    for clip, length in enumerate(LENGTHS):
        np.testing.assert_array_equal(turned[clip, :length], features[clip, :length][::-1])
        np.testing.assert_array_equal(turned[clip, length:], features[clip, length:])
    np.testing.assert_array_equal(np.asarray(ReverseOverTime()(turned, mask=mask)), features)


def test_a_convlstm_sees_where_something_is_and_narrows_wide_maps() -> None:
    model, (features, mask) = built(replace(BASE, sequence="convlstm")), some_features()
    assert model.get_layer("bottleneck").output.shape[1:] == (STEPS, 2, 3, BASE.units)
    maps = features.reshape(len(LENGTHS), STEPS, *MAP)
    moved = np.roll(maps, 1, axis=3).reshape(features.shape)
    assert np.abs(answers(model, moved, mask) - answers(model, features, mask)).max() > 1e-4
    wide = build_sequence(replace(BASE, sequence="convlstm", units=8), STEPS, WIDTH, CLASSES, map_shape=MAP)
    assert "bottleneck" not in [layer.name for layer in wide.layers]


@pytest.mark.parametrize("shape", [None, (2, 3, 7)])
def test_a_convlstm_without_maps_is_refused(shape: tuple[int, int, int] | None) -> None:
    with pytest.raises(ConfigError, match="convlstm"):
        build_sequence(replace(BASE, sequence="convlstm"), STEPS, WIDTH, CLASSES, map_shape=shape)


@pytest.fixture
def half_precision() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("config", [*CONFIGS[:11:5], *PER_FRAME[1:], *CONFIGS[-3:]], ids=named)
@pytest.mark.usefixtures("half_precision")
def test_the_policy_of_the_encoder_does_not_touch_it(config: NetworkSettings) -> None:
    half, (features, mask) = built(config), some_features()
    policies = {layer.dtype_policy.name for layer in half.layers if not isinstance(layer, keras.layers.InputLayer)}
    assert policies == {"float32"}
    found = answers(half, features, mask)
    keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(found, answers(built(config), features, mask))


def test_features_are_brought_to_a_common_size() -> None:
    rng = np.random.default_rng(6)
    sizes = np.array([0.1, 1, 30, 0], np.float32)
    clips = [(rng.normal(size=(length, 4)) * sizes + 7).astype(np.float32) for length in (40, 3, 900)]
    layer = FeatureScale(dtype="float32")
    whole = np.ones((1, 900), np.bool_)
    np.testing.assert_array_equal(np.asarray(layer(clips[2][np.newaxis], mask=whole))[0], clips[2])
    layer.adapt(clips)
    together = np.concatenate(clips)[np.newaxis]
    scaled = np.asarray(layer(together, mask=np.ones(together.shape[:2], np.bool_)))[0]
    assert scaled.std() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(scaled, together[0] / np.std(together[0], dtype=np.float64), rtol=1e-4)
    assert not layer.trainable_weights


def test_features_that_never_change_keep_their_size() -> None:
    layer = FeatureScale(dtype="float32")
    layer.build((None, 3, 2))
    for value in (0.0, 7.3):
        layer.adapt([np.full((3, 2), value, np.float32)] * 2)
        assert np.asarray(layer.scale) == 1


@pytest.mark.parametrize("config", [CONFIGS[3], CONFIGS[5], CONFIGS[9], replace(BASE, per_frame=True)], ids=named)
def test_saved_weights_come_back(config: NetworkSettings, tmp_path: Path) -> None:
    sampling = Sampling(num_frames=4, frame_size=32)
    network = build_network(config, sampling, CLASSES)
    width = network.encoder.output_shape[-1]
    feature_scale(network.sequence).adapt([np.random.default_rng(7).normal(size=(3, width)).astype(np.float32) * 9])
    network.whole.save(tmp_path / "model.keras")
    again = load_network(tmp_path / "model.keras", config, sampling, CLASSES)
    for weights, others in zip(network.whole.get_weights(), again.whole.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, others)
    np.testing.assert_allclose(feature_scale(again.sequence).scale, 1 / 9, rtol=0.2)


def test_a_convlstm_comes_back(tmp_path: Path) -> None:
    config = replace(BASE, sequence="convlstm")
    model, (features, mask) = built(config), some_features()
    model.save_weights(tmp_path / "sequence.weights.h5")
    again = build_sequence(config, STEPS, WIDTH, CLASSES, map_shape=MAP)
    again.load_weights(tmp_path / "sequence.weights.h5")
    np.testing.assert_array_equal(answers(again, features, mask), answers(model, features, mask))


@pytest.mark.parametrize(
    "wrong", [{"sequence": "rnn"}, {"pooling": "median"}, {"recurrent_layers": 0}, {"recurrent_layers": 99}]
)
def test_what_is_not_possible_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        NetworkSettings(**wrong)  # type: ignore[arg-type]
