"""Folders of a stranger: nothing outside of them is read, changed or removed, and what they claim is not believed."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from activity_cli import TrainSettings, train
from activity_cli.dataset.manifest import read_prepared, write_prepared
from activity_cli.errors import DatasetError
from conftest import TINY_NETWORK
from data_support import files_of, wrong_call

Activity = Callable[..., Result]
NAMES = [
    "../outside.npy",
    "/etc/passwd",
    "a/b.npy",
    "..",
    f"{7:032x}.npy\n",
    f"{7:032x}",
    "mine.npy",
    f"{10:A>32X}.npy",
]


def rename_in_manifest(folder: Path, name: str) -> None:
    """Gives the first clip another name in the manifest, and makes the fingerprint fit again."""
    prepared = read_prepared(folder)
    first = next(record for record in prepared.records if record.clip)
    object.__setattr__(first, "clip", name)
    write_prepared(folder, prepared.records, prepared.settings)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_prepare_does_not_write_is_rejected(activity: Activity, prepared_copy: Path, name: str) -> None:
    rename_in_manifest(prepared_copy, name)
    with pytest.raises(DatasetError, match="is damaged"):
        read_prepared(prepared_copy)
    wrong_call(activity("train", prepared_copy, "--out", prepared_copy.parent / "model"), str(prepared_copy))


@pytest.mark.parametrize("name", NAMES)
def test_a_decode_cache_cannot_lead_out_of_the_folder(prepare: Activity, few: Path, tmp_path: Path, name: str) -> None:
    prepare(few)
    cache = tmp_path / "out" / "decoded.jsonl"
    lines = [json.loads(line) for line in cache.read_text().splitlines()]
    clip = tmp_path / "out" / "clips" / lines[0]["decoded"]["clips"][0][0]["clip"]
    shutil.copy(clip, tmp_path / "outside.npy")
    before = (tmp_path / "outside.npy").read_bytes()
    lines[0]["decoded"]["clips"][0][0]["clip"] = name
    cache.write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = prepare(few)
    assert again.exit_code == 0
    assert "Decoded 1 video." in again.stderr
    assert (tmp_path / "outside.npy").read_bytes() == before
    with (tmp_path / "out" / "manifest.csv").open(newline="") as file:
        assert clip.name in {row["clip"] for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    "name",
    [
        *("clips", "streams", "streams/times", "signatures", "features", "features/more", "config.json"),
        *("manifest.csv", "decoded.jsonl", ".lock", "contact_sheet.png", "leaks.json", "clips/link.npy", "notes"),
    ],
)
def test_a_link_in_a_prepared_folder_is_rejected_and_not_followed(
    activity: Activity, prepare: Activity, few: Path, tmp_path: Path, name: str
) -> None:
    prepare(few)
    place, outside = tmp_path / "out" / name, tmp_path / "outside"
    place.parent.mkdir(exist_ok=True)
    if place.exists():
        place.rename(outside)
    else:
        outside.mkdir()
        (outside / f"{1:032x}.npy").write_text("precious")
    place.symlink_to(outside)
    everything = files_of(tmp_path)
    for words in ((), ("--overwrite", "--num-frames", "5")):
        wrong_call(prepare(few, *words), str(place), "is a link")
    wrong_call(activity("train", tmp_path / "out", "--out", tmp_path / "model"), str(place), "is a link")
    assert files_of(tmp_path) == everything


def test_the_prepared_folder_itself_may_be_a_link(prepare: Activity, few: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to("elsewhere")
    assert prepare(few).exit_code == prepare(few).exit_code == 0
    assert len(read_prepared(tmp_path / "out").in_split("all")) == 6


def test_prepare_removes_only_what_it_wrote(prepare: Activity, few: Path, tmp_path: Path) -> None:
    prepare(few)
    mine = [f"{folder}/mine.npy" for folder in ("clips", "signatures", "streams/times", "streams/my stream")]
    for name in mine:
        (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_text("precious")
    assert prepare(few, "--num-frames", 5, "--overwrite").exit_code == 0
    assert {name: (tmp_path / "out" / name).read_text() for name in mine} == dict.fromkeys(mine, "precious")
    assert len(list((tmp_path / "out" / "clips").iterdir())) == 6 + 1


def trained_files(prepared: Path, out: Path) -> dict[str, bytes]:
    train(TrainSettings(prepared, out, network=TINY_NETWORK, mode="frozen", weights=str(out.parent / "w.weights.h5")))
    return {path.name: path.read_bytes() for path in out.glob("*.tflite")}


def test_a_damaged_or_forged_cache_of_features_changes_no_model(
    activity: Activity, prepared_copy: Path, tmp_path: Path
) -> None:
    """Of a pretrained encoder: its features are cached."""
    from activity_cli.model.network import build_encoder_for

    build_encoder_for(TINY_NETWORK, 32).save_weights(tmp_path / "w.weights.h5")
    shutil.rmtree(prepared_copy / "features", ignore_errors=True)
    first = trained_files(prepared_copy, tmp_path / "first")
    (encoder,) = prepared_copy.glob("features/*/encoder.tflite")
    content = bytearray(encoder.read_bytes())
    for place in range(10):
        content[len(content) // 2 + 97 * place] ^= 1 << place % 8
    encoder.write_bytes(content)
    arrays = sorted(encoder.parent.glob("*.npy"))
    assert len(arrays) > 10
    for number, path in enumerate(arrays):
        np.save(path, np.full_like(np.load(path), number % 3))
    evaluated = activity("evaluate", tmp_path / "first", "--data", prepared_copy, "--format", "json", "--quiet")
    for path in prepared_copy.glob("features/*/*.npy"):
        path.write_bytes(arrays[0].read_bytes())
    assert trained_files(prepared_copy, tmp_path / "second") == first
    shutil.rmtree(prepared_copy / "features")
    again = activity("evaluate", tmp_path / "first", "--data", prepared_copy, "--format", "json", "--quiet")
    assert (evaluated.exit_code, evaluated.stdout) == (0, again.stdout)
