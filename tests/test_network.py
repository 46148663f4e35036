"""The network as built, as listed, as unrolled, and as loaded from a file that nobody trusts."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from activity_cli import BundleError, NetworkSettings, Sampling
from activity_cli.model.bundle import WEIGHTS_FILE, read_bundle
from activity_cli.model.layers import FrameEncoder
from activity_cli.model.network import Network, build_network, layer_rows, load_network
from activity_cli.model.sequence import build_sequence

CONFIG = NetworkSettings(encoder="small", units=8)
SAMPLING = Sampling(num_frames=4, frame_size=32)
LENGTHS = (4, 3, 1)


@pytest.fixture(scope="module")
def network() -> Network:
    keras.utils.set_random_seed(5)
    return build_network(CONFIG, SAMPLING, 3)


def some_clips() -> list[np.ndarray]:
    clips = np.random.default_rng(0).integers(0, 256, (len(LENGTHS), 4, 32, 32, 3), dtype=np.uint8)
    return [clips, np.arange(4)[np.newaxis] < np.array(LENGTHS)[:, np.newaxis]]


def loaded_from(bundle_folder: Path, path: Path | None = None) -> Network:
    bundle = read_bundle(bundle_folder)
    return load_network(path or bundle_folder / WEIGHTS_FILE, bundle.network, bundle.sampling, len(bundle.labels))


def rewritten(path: Path, to: Path, **replaced: bytes) -> Path:
    """A copy of a model.keras with other contents in some of its members (``config_json=...``)."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w") as new:
        for name in old.namelist():
            new.writestr(name, replaced.get(name.replace(".", "_"), old.read(name)))
    return to


@pytest.mark.parametrize("encoder", ["small", "efficientnet_lite0"])
def test_the_layer_table_has_every_layer_with_its_shape_and_parameters(encoder: str) -> None:
    config = replace(CONFIG, encoder=encoder)
    network = build_network(config, SAMPLING, 3)
    rows = layer_rows(network)

    assert sum(row.parameters for row in rows if row.depth == 0) == network.whole.count_params()
    # One that contains others is not counted twice.
    leaves = [row for row, after in zip(rows, [*rows[1:], rows[0]], strict=True) if after.depth <= row.depth]
    assert sum(row.parameters for row in leaves) == network.whole.count_params()

    assert [row.name for row in rows if row.depth == 0] == [layer.name for layer in network.whole.layers]
    inner = [layer for part in (network.encoder, network.sequence) for layer in part.layers]
    found = [row for row in rows if row.depth > 0]
    for row, layer in zip(found, inner, strict=True):
        sizes = [str(size) for size in layer.output.shape[1:]]
        expected = (layer.name, type(layer).__name__, " x ".join(sizes), layer.count_params())
        assert (row.name, row.kind, row.output_shape, row.parameters) == expected
    (encoder_row,) = [row for row in rows if row.kind == FrameEncoder.__name__]
    assert encoder_row.parameters == network.encoder.count_params()
    assert encoder_row.output_shape == f"4 x {network.encoder.output_shape[-1]}"


def test_the_layer_table_says_what_is_frozen(network: Network) -> None:
    frozen = build_network(CONFIG, SAMPLING, 3)
    frozen.encoder.trainable = False
    cnn_layers = {layer.name for layer in frozen.encoder.layers if layer.weights}
    assert {row.name for row in layer_rows(network) if row.trainable} >= cnn_layers
    rows = layer_rows(frozen)
    assert not {row.name for row in rows if row.trainable} & cnn_layers
    assert any(row.trainable for row in rows)


def test_probabilities_are_probabilities(network: Network) -> None:
    found = np.asarray(network.whole(some_clips()))
    assert found.shape == (len(LENGTHS), 3)
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_the_parts_in_a_row_are_the_whole(network: Network) -> None:
    clips, mask = some_clips()
    features = np.zeros((len(LENGTHS), 4, network.encoder.output_shape[-1]), np.float32)
    features[mask] = network.encoder(clips[mask].astype(np.float32), training=False)
    np.testing.assert_allclose(
        network.sequence([features, mask], training=False), network.whole([clips, mask], training=False), atol=1e-6
    )


def test_the_unrolled_sequence_equals_the_other(network: Network) -> None:
    num_features = network.encoder.output_shape[-1]
    unrolled = build_sequence(CONFIG, 4, num_features, 3, unroll=True)
    unrolled.set_weights(network.sequence.get_weights())
    features = np.random.default_rng(1).normal(size=(len(LENGTHS), 4, num_features)).astype(np.float32)
    inputs = [features, some_clips()[1]]
    plain = np.asarray(network.sequence(inputs, training=False))
    np.testing.assert_allclose(unrolled(inputs, training=False), plain, atol=1e-6)
    assert np.abs(plain[0] - plain[1]).max() > 1e-4, "every clip has the same answer, so the test shows nothing"


def test_a_loaded_network_gives_the_same_answers(network: Network, tmp_path: Path) -> None:
    network.whole.save(tmp_path / WEIGHTS_FILE)
    keras.utils.set_random_seed(77)
    again = load_network(tmp_path / WEIGHTS_FILE, CONFIG, SAMPLING, 3)
    np.testing.assert_array_equal(again.whole(some_clips()), network.whole(some_clips()))
    np.testing.assert_array_equal(again.encoder.get_weights()[0], network.encoder.get_weights()[0])


@pytest.mark.parametrize(
    ("config", "num_classes"),
    [(replace(CONFIG, units=9), 3), (CONFIG, 4), (replace(CONFIG, encoder="efficientnet_lite0"), 3)],
)
def test_weights_of_another_shape_are_refused(
    network: Network, tmp_path: Path, config: NetworkSettings, num_classes: int
) -> None:
    path = tmp_path / WEIGHTS_FILE
    network.whole.save(path)
    with pytest.raises(BundleError) as caught:
        load_network(path, config, SAMPLING, num_classes)
    assert str(path) in caught.value.message
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_keras_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / WEIGHTS_FILE
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.keras"):
        load_network(path, CONFIG, SAMPLING, 3)


@pytest.mark.parametrize("content", [b"", b"no HDF5", None])
def test_a_keras_file_without_sound_weights_is_refused(network: Network, tmp_path: Path, content: bytes | None) -> None:
    network.whole.save(tmp_path / "good.keras")
    with zipfile.ZipFile(tmp_path / "good.keras") as archive:
        weights = archive.read("model.weights.h5")
    content = weights[: len(weights) // 2] if content is None else content
    path = rewritten(tmp_path / "good.keras", tmp_path / "bad.keras", model_weights_h5=content)
    with pytest.raises(BundleError, match=r"bad\.keras"):
        load_network(path, CONFIG, SAMPLING, 3)


def malicious_config(marker: Path) -> bytes:
    """The description of layers of a model whose loading writes ``marker``."""
    writes = eval(f"lambda x: (open({str(marker)!r}, 'w').close(), x)[1]")  # with the path as a constant in it
    evil = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(writes)])
    path = marker.with_name("evil.keras")
    evil.save(path)
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json")
    marker.unlink(missing_ok=True)  # building it ran the function, too
    keras.saving.load_model(path, safe_mode=False)
    assert marker.exists(), "the file would have been harmless, so the test shows nothing"
    marker.unlink()
    return config


def test_loading_a_bundle_runs_no_code_from_its_description_of_layers(model: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = rewritten(model / WEIGHTS_FILE, tmp_path / WEIGHTS_FILE, config_json=malicious_config(marker))

    evil, good = loaded_from(model, path), loaded_from(model)

    assert not marker.exists()
    kinds = {type(layer).__name__ for layer in (*evil.whole.layers, *evil.sequence.layers)}
    assert "Lambda" not in kinds
    for one, other in zip(evil.whole.get_weights(), good.whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_class_that_a_description_names_is_not_imported(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "evil_layers.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    named = {"module": "evil_layers", "class_name": "Evil", "config": {}, "registered_name": "Evil"}
    config = json.dumps(named).encode()
    loaded_from(model, rewritten(model / WEIGHTS_FILE, tmp_path / WEIGHTS_FILE, config_json=config))
    assert not marker.exists()
