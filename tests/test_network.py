"""The network as built, as listed, and as loaded from a file that nobody trusts."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from activity_cli import BundleError, NetworkSettings
from activity_cli.model.bundle import WEIGHTS_FILE
from activity_cli.model.heads import HeadKind
from activity_cli.model.layers import FrameEncoder
from activity_cli.model.network import Network, NetworkShape, layer_rows, load_network
from bundle_support import PYRAMID, SMALL, STEPS, noise, padded, probabilities_of, random_network

LENGTHS = (6, 3, 1)


@pytest.fixture(scope="module")
def network() -> Network:
    return random_network(PYRAMID)


@pytest.fixture(scope="module")
def saved(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of the network, as a bundle has them."""
    path = tmp_path_factory.mktemp("saved") / WEIGHTS_FILE
    network.whole().save(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "kind"), [(SMALL, "recurrent"), (PYRAMID, "recurrent"), (PYRAMID, "linear")])
def test_the_parts_in_a_row_are_the_whole(settings: NetworkSettings, kind: HeadKind) -> None:
    network = random_network(settings, kind=kind)
    found = []
    for length in LENGTHS:
        frames = noise(length)
        features = np.zeros((1, STEPS, network.shape.head.num_features), np.float32)
        features[0, :length] = network.encoder(frames, training=False)
        mask = padded(frames)[1]
        whole = probabilities_of(network, frames)
        np.testing.assert_allclose(whole, np.exp(network.head([features, mask], training=False))[0], atol=1e-5)
        np.testing.assert_allclose(network.classifier()([features, mask])[0], whole, atol=1e-6)
        found.append(whole)
    np.testing.assert_allclose(np.sum(found, axis=1), 1, atol=1e-6)
    assert np.ptp(found, axis=0).max() > 0.01, "all clips have the same answer, so the test shows nothing"


def test_the_layer_table_has_every_layer_with_its_shape_and_parameters(network: Network) -> None:
    rows, whole = layer_rows(network), network.whole()
    outer = [row for row in rows if row.depth == 0]
    assert [row.name for row in outer] == [layer.name for layer in whole.layers]
    assert sum(row.parameters for row in outer) == whole.count_params()
    # A layer that contains others is not counted twice.
    leaves = [row for row, after in zip(rows, [*rows[1:], rows[0]], strict=True) if after.depth <= row.depth]
    assert sum(row.parameters for row in leaves) == whole.count_params()
    (encoder,) = [row for row in rows if row.kind == FrameEncoder.__name__]
    assert encoder.parameters == network.encoder.count_params()
    assert encoder.output_shape == f"{STEPS} x {network.shape.head.num_features}"
    names = [layer.name for part in (network.encoder, network.head) for layer in part.layers]
    assert sorted(row.name for row in rows if row.depth > 0) == sorted(names)


def test_the_layer_table_shows_what_is_trained() -> None:
    network = random_network(PYRAMID)
    network.encoder.trainable = False
    trained = {row.name for row in layer_rows(network) if row.trainable and row.kind not in ("Functional",)}
    assert trained == {"dense", "bidirectional", "classes"}  # the projection is measured


def test_a_loaded_network_gives_the_same_answers(network: Network, saved: Path) -> None:
    keras.utils.set_random_seed(77)
    again = load_network(saved, network.shape)
    for length in LENGTHS:
        np.testing.assert_array_equal(probabilities_of(again, noise(length)), probabilities_of(network, noise(length)))


def other(shape: NetworkShape, **settings: object) -> NetworkShape:
    return replace(shape, settings=replace(shape.settings, **settings))  # type: ignore[arg-type]


def other_head(shape: NetworkShape, **numbers: object) -> NetworkShape:
    return replace(shape, head=replace(shape.head, **numbers))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        lambda shape: other(shape, encoder="mobilenet_v3_small", truncate_blocks=0),
        lambda shape: other(shape, truncate_blocks=1),
        lambda shape: other_head(shape, units=9),
        lambda shape: other_head(shape, components=5),
        lambda shape: other_head(shape, kind="linear"),
        lambda shape: other_head(shape, num_classes=4),
        lambda shape: other_head(shape, num_features=255),
        lambda shape: other_head(shape, num_features=100_000_000),
        lambda shape: other_head(shape, num_read=99),
        lambda shape: replace(shape, frame_size=0),
    ],
)
def test_weights_of_another_network_are_rejected(
    network: Network, saved: Path, change: Callable[[NetworkShape], NetworkShape]
) -> None:
    with pytest.raises(BundleError) as caught:
        load_network(saved, change(network.shape))
    assert str(saved) in caught.value.message
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_numbers_are_rejected(tmp_path: Path) -> None:
    network = random_network()
    classes = network.head.get_layer("classes")
    for value in (np.nan, np.inf):
        classes.bias.assign([0.0, value, 0.0])
        network.whole().save(tmp_path / WEIGHTS_FILE)
        with pytest.raises(BundleError, match=r"model\.keras .*not finite"):
            load_network(tmp_path / WEIGHTS_FILE, network.shape)


def rewritten(path: Path, to: Path, **replaced: bytes) -> Path:
    """A copy of a model.keras with other contents in some of its members (``config_json=...``)."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w") as new:
        for name in old.namelist():
            new.writestr(name, replaced.get(name.replace(".", "_"), old.read(name)))
    return to


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_keras_model_is_rejected(network: Network, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / WEIGHTS_FILE
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.keras"):
        load_network(path, network.shape)


@pytest.mark.parametrize("content", [b"", b"no HDF5", None])
def test_a_keras_file_without_intact_weights_is_rejected(
    network: Network, saved: Path, tmp_path: Path, content: bytes | None
) -> None:
    with zipfile.ZipFile(saved) as archive:
        weights = archive.read("model.weights.h5")
    cut = weights[: len(weights) // 2] if content is None else content
    path = rewritten(saved, tmp_path / "bad.keras", model_weights_h5=cut)
    with pytest.raises(BundleError, match=r"bad\.keras"):
        load_network(path, network.shape)


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


def test_loading_runs_no_code_from_the_description_of_layers(
    network: Network, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "evil_layers.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    named = {"module": "evil_layers", "class_name": "Evil", "config": {}, "registered_name": "Evil"}
    for config in (malicious_config(marker), json.dumps(named).encode()):
        path = rewritten(saved, tmp_path / WEIGHTS_FILE, config_json=config)
        loaded = load_network(path, network.shape)
        assert not marker.exists()
        np.testing.assert_array_equal(probabilities_of(loaded, noise(2)), probabilities_of(network, noise(2)))
