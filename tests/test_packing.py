"""Training never saves LiteRT files that do not give the answers of Keras."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from activity_cli import TrainingError
from activity_cli.dataset.manifest import read_prepared
from activity_cli.files import atomic_folder
from activity_cli.model.bundle import ENCODER_FILE, WEIGHTS_FILE, head_file
from activity_cli.model.conversion import encoder_to_litert
from activity_cli.model.network import Network
from activity_cli.training.packing import MAX_LITERT_DIFFERENCE, trained_on, write_appearance_files
from bundle_support import STEPS, noise, random_network


@pytest.fixture(scope="module")
def network() -> Network:
    return random_network()


@pytest.fixture(scope="module")
def other_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The LiteRT file of an encoder with other weights."""
    path = tmp_path_factory.mktemp("other") / ENCODER_FILE
    encoder_to_litert(random_network(seed=4).encoder, path)
    return path


def test_files_that_differ_are_not_saved(network: Network, other_encoder: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "mine"
    with pytest.raises(TrainingError) as caught, atomic_folder(out) as folder:
        write_appearance_files(network, folder, [noise(STEPS)], other_encoder.read_bytes())
    assert caught.value.code == "training.conversion"
    assert f"{MAX_LITERT_DIFFERENCE:g}" in caught.value.message
    assert list(out.parent.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_that_gives_no_number_is_not_saved(tmp_path: Path, value: float) -> None:
    network = random_network()
    network.head.get_layer("classes").bias.assign([0.0, value, 0.0])
    with pytest.raises(TrainingError, match=r"by (inf|nan)"):
        write_appearance_files(network, tmp_path, [noise(2)], None)


def test_a_converted_encoder_is_saved_as_it_is(network: Network, tmp_path: Path) -> None:
    encoder_to_litert(network.encoder, tmp_path / "converted")
    saved, content = tmp_path / "saved", (tmp_path / "converted").read_bytes()
    saved.mkdir()
    assert (
        write_appearance_files(
            network, saved, [noise(STEPS), noise(2), noise(1)], (tmp_path / "converted").read_bytes()
        )
        < 1e-4
    )
    assert {path.name for path in saved.iterdir()} == {WEIGHTS_FILE, ENCODER_FILE, head_file("appearance")}
    assert (saved / ENCODER_FILE).read_bytes() == content


def test_a_path_that_is_not_utf8_does_not_get_into_the_bundle(prepared: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"prepared\xff")
    shutil.copytree(prepared, odd)
    found = trained_on(read_prepared(odd), tmp_path / "model", ["train"]).prepared
    assert found == "../prepared\\udcff"
    assert trained_on(read_prepared(prepared), prepared.parent / "model", ["train"]).prepared == "../prepared"
