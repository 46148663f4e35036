"""A model folder that is cut, edited, mixed up or forged is refused in one line that names the file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from activity_cli import BundleError, Recognizer
from activity_cli.model.bundle import BUNDLE_SCHEMA, ENCODER_FILE, SEQUENCE_FILE, WEIGHTS_FILE, read_bundle

Activity = Callable[..., Result]


def edited(folder: Path, change: Callable[[dict[str, Any]], object], *, forge: bool = False) -> Path:
    """Changes bundle.json; ``forge`` also makes its hash fit again."""
    path = folder / "bundle.json"
    document = json.loads(path.read_text())
    change(document)
    if forge:
        rest = {key: value for key, value in document.items() if key != "hash"}
        document["hash"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(document))
    return folder


def damaged(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "folder":
        path.unlink()
        path.mkdir()
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


def refusal(result: Result) -> str:
    """The one line in which a call was refused."""
    assert result.exit_code == 2, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("activity: ")
    assert "error in activity itself" not in line
    return line


@pytest.mark.parametrize("how", ["missing", "cut", "empty", "folder", "one bit"])
@pytest.mark.parametrize("name", [ENCODER_FILE, SEQUENCE_FILE])
def test_predict_and_evaluate_refuse_a_damaged_litert_file(
    activity: Activity, model_copy: Path, videos: Path, name: str, how: str
) -> None:
    damaged(model_copy / name, how)
    video = videos / "left" / "person0_0.avi"
    assert name in refusal(activity("predict", video, "--model", model_copy))
    assert name in refusal(activity("evaluate", model_copy))


@pytest.mark.parametrize("how", ["missing", "cut", "one bit"])
def test_damaged_keras_weights_matter_only_where_they_are_used(
    activity: Activity, model_copy: Path, videos: Path, tmp_path: Path, how: str
) -> None:
    damaged(model_copy / WEIGHTS_FILE, how)
    assert activity("predict", videos / "left" / "person0_0.avi", "--model", model_copy).exit_code == 0
    assert activity("export", model_copy, "--out", tmp_path / "lite").exit_code == 0
    out = tmp_path / "saved"
    line = refusal(activity("export", model_copy, "--format", "saved_model", "--out", out))
    assert WEIGHTS_FILE in line
    assert not out.exists()


def test_other_files_do_not_matter_to_predict(activity: Activity, model_copy: Path, videos: Path) -> None:
    for path in model_copy.iterdir():
        if path.name not in ("bundle.json", ENCODER_FILE, SEQUENCE_FILE):
            path.unlink()
    assert activity("predict", videos / "left" / "person0_0.avi", "--model", model_copy).exit_code == 0


@pytest.mark.parametrize("how", ["missing", "cut", "empty", "folder", "one bit"])
def test_a_damaged_description_is_refused_by_every_command(
    activity: Activity, model_copy: Path, videos: Path, how: str
) -> None:
    damaged(model_copy / "bundle.json", how)
    named = str(model_copy) if how == "missing" else "bundle.json"
    for words in (("predict", videos, "--model", model_copy), ("evaluate", model_copy), ("export", model_copy)):
        assert named in refusal(activity(*words))


@pytest.mark.parametrize(
    "content", [b"[]", b"null", b"3", b'"text"', b"{}", b"\xff\xfe", b"[" * 100_000, b'{"schema": 1, "hash": 2}']
)
def test_json_that_is_no_description_is_refused(model_copy: Path, content: bytes) -> None:
    (model_copy / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError) as caught:
        read_bundle(model_copy)
    assert str(model_copy) in caught.value.message


def test_an_edited_label_is_refused(activity: Activity, model_copy: Path, videos: Path) -> None:
    edited(model_copy, lambda document: document["labels"].__setitem__(0, "edited"))
    assert "changed" in refusal(activity("predict", videos, "--model", model_copy))


def test_files_of_another_model_are_refused(model_copy: Path) -> None:
    # As if two folders were copied into one another.
    edited(model_copy, lambda document: document["files"][ENCODER_FILE].update(sha256="0" * 64), forge=True)
    with pytest.raises(BundleError, match=ENCODER_FILE) as caught:
        Recognizer(model_copy)
    assert caught.value.code == "model.damaged"


def test_a_newer_schema_says_to_update(activity: Activity, model_copy: Path, videos: Path) -> None:
    edited(model_copy, lambda document: document.update(schema="activity.bundle/2"), forge=True)
    line = refusal(activity("predict", videos, "--model", model_copy))
    assert "activity.bundle/2" in line
    assert BUNDLE_SCHEMA in line
    assert "Update" in line


@pytest.mark.parametrize("key", ["schema", "labels", "sampling", "network", "name", "files", "hash"])
def test_a_missing_key_is_refused(activity: Activity, model_copy: Path, videos: Path, key: str) -> None:
    edited(model_copy, lambda document: document.pop(key), forge=key != "hash")
    assert "bundle.json" in refusal(activity("predict", videos, "--model", model_copy))


@pytest.mark.parametrize("key", ["data", "encoder_fingerprint"])
def test_a_missing_key_that_only_evaluate_needs_is_refused_there(
    activity: Activity, model_copy: Path, prepared: Path, key: str
) -> None:
    edited(model_copy, lambda document: document.pop(key), forge=True)
    assert "bundle.json" in refusal(activity("evaluate", model_copy, "--data", prepared))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("labels", "left"),
        ("labels", [1, 2, 3]),
        ("labels", []),
        ("labels", {"left": 1}),
        ("labels", ["left", "left", "up"]),
        ("sampling", {"num_frames": "6"}),
        ("sampling", {"num_frames": 6.5}),
        ("sampling", {"num_frames": 0}),
        ("sampling", {"no_such_setting": 1}),
        ("sampling", [6, 32]),
        ("network", {"encoder": "no_such_encoder"}),
        ("network", {"units": None}),
        ("network", None),
        ("files", []),
        ("files", {ENCODER_FILE: "abc", SEQUENCE_FILE: "abc"}),
        ("name", 3),
        ("name", None),
    ],
)
def test_a_value_of_a_wrong_kind_is_refused(
    activity: Activity, model_copy: Path, videos: Path, key: str, value: object
) -> None:
    edited(model_copy, lambda document: document.update({key: value}), forge=True)
    assert "bundle.json" in refusal(activity("predict", videos, "--model", model_copy))


@pytest.mark.parametrize("fingerprint", ["../../../escaped", "/tmp/escaped", "a/b", "", "..", 3])
def test_a_forged_fingerprint_cannot_name_a_folder_elsewhere(
    activity: Activity, model_copy: Path, prepared_copy: Path, fingerprint: object
) -> None:
    before = set(prepared_copy.parent.iterdir())
    edited(model_copy, lambda document: document.update(encoder_fingerprint=fingerprint), forge=True)
    assert "bundle.json" in refusal(activity("evaluate", model_copy, "--data", prepared_copy))
    assert set(prepared_copy.parent.iterdir()) == before


def test_more_labels_than_the_network_has_outputs_are_refused(
    activity: Activity, model_copy: Path, videos: Path
) -> None:
    for labels in (["left", "right"], ["left", "right", "up", "down"]):
        edited(model_copy, lambda document, labels=labels: document.update(labels=labels), forge=True)
        refusal(activity("predict", videos, "--model", model_copy))


def test_a_sound_bundle_knows_what_it_was_made_with(model: Path) -> None:
    bundle = read_bundle(model)
    assert bundle.name == f"model@{bundle.document['hash'][:8]}"
    assert bundle.labels == ("left", "right", "up")
    assert (bundle.sampling.num_frames, bundle.sampling.frame_size) == (6, 32)
    assert (bundle.network.encoder, bundle.network.units) == ("small", 8)
    for name in (WEIGHTS_FILE, ENCODER_FILE, SEQUENCE_FILE):
        assert bundle.file(name).stat().st_size == bundle.document["files"][name]["bytes"]
    assert {"training", "metrics", "data", "versions", "litert", "encoder_fingerprint"} <= set(bundle.document)
