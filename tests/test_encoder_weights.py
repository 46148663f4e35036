"""Weights of encoders: from a file, from where Keras keeps them, or an error in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from activity_cli import ActivityError, BundleError
from activity_cli.streams.encoders import build_encoder
from encoder_support import ROOT, SIZE, assert_close, features_of, real_frames, settled

KERAS_HOME = ROOT.parent / "shared" / "keras_home"
# Keras reads KERAS_HOME when it is imported, so this runs in a process of its own.
BUILD = """
import sys
from activity_cli import ActivityError
from activity_cli.streams.encoders import build_encoder
try:
    encoder = build_encoder("mobilenet_v2", int(sys.argv[1]))
except ActivityError as error:
    sys.exit(f"ERROR {type(error).__name__} {error}")
encoder.save_weights(sys.argv[2])
"""


def build_in_process(home: Path, out: Path, size: int = 96) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"KERAS_HOME": str(home), "https_proxy": "http://127.0.0.1:9"}
    words = [sys.executable, "-c", BUILD, str(size), str(out)]
    return subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120, check=False)


def one_line(error: ActivityError) -> str:
    assert "\n" not in str(error)
    assert error.exit_code == 2
    assert error.hint
    return str(error)


@pytest.mark.slow
@pytest.mark.skipif(not KERAS_HOME.is_dir(), reason=f"no weights of MobileNetV2 in {KERAS_HOME}")
def test_imagenet_weights_are_those_that_keras_keeps(tmp_path: Path) -> None:
    # For frames of 96 pixels Keras would ask for another file; the one of 224 pixels serves all sizes.
    done = build_in_process(KERAS_HOME, tmp_path / "loaded.weights.h5")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    encoder = build_encoder("mobilenet_v2", 96, weights=str(tmp_path / "loaded.weights.h5"))
    (file,) = (KERAS_HOME / "models").glob("mobilenet_v2*_1.0_224_no_top.h5")
    plain = keras.applications.MobileNetV2(input_shape=(96, 96, 3), include_top=False, pooling="avg", weights=str(file))
    frames = real_frames(96)
    pixels = keras.applications.mobilenet_v2.preprocess_input(frames.astype(np.float32))
    np.testing.assert_allclose(features_of(encoder, frames), features_of(plain, pixels), atol=1e-4)
    assert 0.1 < features_of(encoder, frames).std() < 2, "not the features of pretrained weights"


@pytest.mark.slow
def test_without_a_network_the_error_names_the_file_and_what_to_do(tmp_path: Path) -> None:
    done = build_in_process(tmp_path / "home", tmp_path / "never.weights.h5")
    assert done.returncode == 1
    assert done.stdout == ""
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert "MissingDependencyError" in error
    assert "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5" in error
    assert str(tmp_path / "home" / "models") in error
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_damaged_file_where_keras_keeps_them_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    (models / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5").write_bytes(b"damaged" * 9999)
    done = build_in_process(models.parent, tmp_path / "never.weights.h5")
    assert done.returncode == 1
    assert done.stdout == ""
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert "MissingDependencyError" in error
    assert "mobilenet_v2" in error
    assert f"{models}. " in error
    assert "delete it" in error


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "mobilenet_v3_small", "vgg16"])
def test_weights_that_keras_saved_come_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.weights.h5"
    settled(name).save_weights(path)
    keras.utils.set_random_seed(99)
    found = features_of(build_encoder(name, SIZE, weights=str(path)), real_frames())
    assert_close(found, features_of(settled(name), real_frames()), 1e-6)


@pytest.mark.parametrize("content", ["", "text", "cut", "of another encoder", "gray"])
@pytest.mark.parametrize("ending", [".weights.h5", ".h5"])
def test_a_file_that_does_not_fit_is_one_line(content: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine{ending}"
    saved = tmp_path / "saved.weights.h5"
    source = {
        "of another encoder": lambda: settled("mobilenet_v3_small"),
        "gray": lambda: build_encoder("small", SIZE, weights="none", gray=True),
    }.get(content, lambda: settled("small"))()
    source.save_weights(saved)
    whole = saved.read_bytes()
    path.write_bytes({"": b"", "text": b"no weights\n" * 99, "cut": whole[: len(whole) // 2]}.get(content, whole))
    with pytest.raises(BundleError) as caught:
        build_encoder("small", SIZE, weights=str(path))
    assert caught.value.code == "weights.unreadable"
    assert str(path) in one_line(caught.value)
    if (content, ending) == ("gray", ".weights.h5"):
        assert "does not fit small: it has other layers or shapes" in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere.h5", "noisy-student", "."])
def test_a_file_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(BundleError) as caught:
        build_encoder("vgg16", SIZE, weights=name)
    assert repr(name) in one_line(caught.value)
    assert "imagenet, none" in caught.value.hint


def test_a_file_of_an_unknown_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"x")
    with pytest.raises(BundleError) as caught:
        build_encoder("vgg16", SIZE, weights=str(path))
    assert str(path) in one_line(caught.value)
    assert ".weights.h5" in caught.value.hint
