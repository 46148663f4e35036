"""A model folder that is cut, edited, mixed up or forged is rejected in one line that names the file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import Result

from activity_cli import BundleError, ExportSettings, NetworkSettings, PredictSettings, Recognizer, export, predict
from activity_cli.model.bundle import (
    BUNDLE_SCHEMA,
    ENCODER_FILE,
    WEIGHTS_FILE,
    head_file,
    read_bundle,
    write_bundle,
)
from activity_cli.model.conversion import encoder_to_litert, head_to_litert
from activity_cli.model.heads import HeadShape, build_head
from activity_cli.model.network import build_encoder_for
from activity_cli.streams.registry import STREAMS
from bundle_support import (
    LABELS,
    MIRRORED,
    SIZE,
    SMALL,
    STEPS,
    document_of,
    head_shape,
    random_bundle,
    random_head,
    random_network,
)

Activity = Callable[..., Result]
Edit = Callable[[dict[str, Any]], object]
HEADS = (head_file("appearance"), head_file("motion"), head_file("pose"))
READS = (("appearance",), ("motion",), ("pose", "hands"))


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that reads all streams."""
    folder = tmp_path_factory.mktemp("models") / "mine"
    return random_bundle(folder, random_network(), others=READS[1:], mirrored_labels=MIRRORED)


@pytest.fixture
def folder(intact: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(intact, tmp_path / "copy"))


@pytest.fixture
def video(videos: Path) -> Path:
    return videos / "left" / "person1_0.avi"


def edit(folder: Path, change: Edit, *, forge: bool = True) -> None:
    """Changes bundle.json; ``forge`` also makes its hash fit again."""
    path = folder / "bundle.json"
    document = json.loads(path.read_text())
    change(document)
    if forge:
        rest = {key: value for key, value in document.items() if key != "hash"}
        document["hash"] = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(document))


def replace_file(folder: Path, name: str, by: Path) -> None:
    """Puts another file into a bundle, and forges bundle.json so that it belongs there."""
    shutil.copy(by, folder / name)
    content = by.read_bytes()
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    edit(folder, lambda document: document["files"].update({name: entry}))


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    path.unlink()
    middle = len(content) // 2
    if how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "device":
        path.symlink_to("/dev/zero")
    elif how == "link to itself":
        path.symlink_to(path)
    elif how != "missing":
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"cut": content[:middle], "empty": b"", "one bit": flipped}[how])


def only_appearance(document: dict[str, Any]) -> None:
    document.update(heads=document["heads"][:1], streams={"appearance": document["streams"]["appearance"]})


def rejected(folder: Path, *words: str) -> BundleError:
    """The error of a model that cannot be used."""
    with pytest.raises(BundleError) as caught:
        Recognizer(folder)
    assert "\n" not in str(caught.value)
    for word in (str(folder), *words):
        assert word in caught.value.message
    assert caught.value.hint
    return caught.value


HOW = ["missing", "cut", "empty", "one bit", "folder", "pipe", "device", "link to itself"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", [ENCODER_FILE, HEADS[1]])
def test_a_damaged_litert_file_is_rejected(folder: Path, name: str, how: str) -> None:
    damage(folder / name, how)
    assert rejected(folder, name).code in ("model.incomplete", "model.damaged")


@pytest.mark.parametrize("name", ["bundle.json", ENCODER_FILE, HEADS[1]])
def test_a_link_in_a_model_is_rejected_though_it_leads_to_the_right_content(folder: Path, name: str) -> None:
    (folder / name).rename(folder.with_name("elsewhere"))
    (folder / name).symlink_to(folder.with_name("elsewhere"))
    rejected(folder, name, "is a link")


@pytest.mark.parametrize("how", HOW)
def test_a_damaged_description_is_rejected(folder: Path, how: str) -> None:
    damage(folder / "bundle.json", how)
    error = rejected(folder, *(["bundle.json"] if how != "missing" else []))
    assert error.code == {"missing": "model.missing"}.get(how, "model.damaged")


def test_damaged_keras_weights_matter_only_where_they_are_used(
    folder: Path, video: Path, prepared: Path, tmp_path: Path
) -> None:
    damage(folder / WEIGHTS_FILE, "one bit")
    assert Recognizer(folder).predict(video).status == "ok"
    export(ExportSettings(folder, out=tmp_path / "litert"))
    out = tmp_path / "saved"
    edit(folder, only_appearance)
    with pytest.raises(BundleError, match=r"copy/model\.keras"):
        export(ExportSettings(folder, format="saved_model", out=out, data=prepared))
    assert not out.exists()


def test_predict_needs_no_other_files(folder: Path, video: Path) -> None:
    for path in folder.iterdir():
        if path.name not in ("bundle.json", ENCODER_FILE, *HEADS):
            path.unlink()
    assert Recognizer(folder).predict(video).status == "ok"


@pytest.mark.parametrize(
    "content",
    [b"[]", b"null", b"3", b'"text"', b"{}", b"\xff\xfe", b"[" * 100_000, b'{"schema": 1, "hash": 2}', b"9" * 10_000],
)
def test_json_that_describes_no_model_is_rejected(folder: Path, content: bytes) -> None:
    (folder / "bundle.json").write_bytes(content)
    rejected(folder)


def test_an_edited_label_is_rejected(folder: Path) -> None:
    edit(folder, lambda document: document["labels"].__setitem__(0, "edited"), forge=False)
    assert rejected(folder, "bundle.json").code == "model.damaged"


def test_another_schema_is_rejected_with_what_to_do(folder: Path) -> None:
    edit(folder, lambda document: document.update(schema="activity.bundle/99"))
    error = rejected(folder, "activity.bundle/99", BUNDLE_SCHEMA)
    assert error.code == "model.schema"
    assert "update activity" in error.hint


def test_every_missing_key_is_rejected(folder: Path) -> None:
    whole = (folder / "bundle.json").read_text()
    for key in json.loads(whole):
        (folder / "bundle.json").write_text(whole)
        edit(folder, lambda document, key=key: document.pop(key), forge=key != "hash")
        rejected(folder)
    for key in json.loads(whole)["appearance"]:
        (folder / "bundle.json").write_text(whole)
        edit(folder, lambda document, key=key: document["appearance"].pop(key))
        rejected(folder, "bundle.json", key)


def head(number: int, **values: object) -> Edit:
    return lambda document: document["heads"][number].update(values)


def part(name: str, **values: object) -> Edit:
    return lambda document: document[name].update(values)


def whole(**values: object) -> Edit:
    return lambda document: document.update(values)


@pytest.mark.parametrize(
    "change",
    [
        whole(labels="left"),
        whole(labels=[1, 2, 3]),
        whole(labels=[]),
        whole(labels=["left", "", "up"]),
        whole(labels={"left": 1}),
        whole(labels=["left", "left", "up"]),
        whole(labels=["left", "right"]),
        whole(labels=["left", "right", "up", "down"]),
        whole(name=3),
        whole(name=None),
        whole(settings=[]),
        whole(settings={"train": {}}),
        whole(settings={"prepare": {"num_frames": 6}}),
        lambda document: document["settings"]["prepare"].update(num_frames="6"),
        lambda document: document["settings"]["prepare"].update(num_frames=6.5),
        lambda document: document["settings"]["prepare"].update(num_frames=0),
        lambda document: document["settings"]["prepare"].update(num_frames=5),
        lambda document: document["settings"]["prepare"].update(frame_size=64),
        lambda document: document["settings"]["prepare"].update(frames_per_second=float("nan")),
        lambda document: document["settings"]["prepare"].update(frames_per_second=1e400),
        whole(network=None),
        part("network", encoder="no_such_encoder"),
        part("network", units=None),
        part("network", units=10**30),
        part("network", no_such_setting=1),
        part("network", truncate_blocks=4),
        part("network", pyramid=2),
        part("appearance", num_classes=-3),
        part("appearance", num_classes=3.5),
        part("appearance", num_classes=4),
        part("appearance", num_frames=0),
        part("appearance", num_frames=7),
        part("appearance", num_features=-1),
        part("appearance", num_features=10**400),
        part("appearance", num_read=1000),
        part("appearance", standardized="yes"),
        part("appearance", kind="lstm"),
        part("appearance", num_frames="\udcff"),
        whole(appearance=None),
        whole(heads=[]),
        whole(heads={}),
        lambda document: document["heads"].append(document["heads"][0]),
        lambda document: document["heads"].pop(0),
        head(0, stream="motion"),
        head(0, stream="hands", file="hands.tflite"),
        head(0, stream="sound", reads=["sound"], file="sound.tflite"),
        head(0, stream="../motion", file="../motion.tflite"),
        head(0, file="../mine/appearance.tflite"),
        head(0, file="/etc/passwd"),
        head(0, file=ENCODER_FILE),
        head(0, file="appearance.tflite\n"),
        head(0, file="motion.tflite"),
        head(0, reads=[]),
        head(1, reads=["appearance"]),
        head(1, reads=["motion", "hands"]),
        head(2, reads=["hands"]),
        head(2, reads=["hands", "pose"]),
        head(2, kind="transformer"),
        head(0, weight=float("nan")),
        head(0, weight=float("inf")),
        head(0, weight=-0.5),
        head(0, weight=0),
        head(0, weight=1e300),
        head(0, weight="0.8"),
        head(0, accuracy=float("nan")),
        whole(streams={}),
        whole(streams={"appearance": 1, "motion": 1, "pose": 1}),
        whole(streams={"appearance": 1, "motion": 1, "pose": "1", "hands": 1}),
        whole(mirrored_labels=[0, 1]),
        whole(mirrored_labels=[0, 0, 1]),
        whole(mirrored_labels=[1, 2, 0]),
        whole(mirrored_labels=[0, 1, -1]),
        whole(mirrored_labels="no"),
        part("metrics", val_loss=float("nan")),
        part("data", prepared=3),
        part("data", trained_on=[1]),
        whole(files=[]),
        whole(files={ENCODER_FILE: "abc"}),
    ],
)
def test_an_impossible_value_is_rejected(folder: Path, change: Edit) -> None:
    edit(folder, change)
    assert rejected(folder, "bundle.json").code == "model.damaged"


def test_a_file_that_the_description_does_not_list_is_rejected(folder: Path) -> None:
    edit(folder, lambda document: document["files"].pop(HEADS[0]))
    rejected(folder, HEADS[0])


@pytest.mark.parametrize("stream", STREAMS)
def test_another_version_of_a_stream_is_rejected_with_what_to_do(folder: Path, stream: str) -> None:
    version = STREAMS[stream].version + 1
    edit(folder, lambda document: document["streams"].update({stream: version}))
    error = rejected(folder, f"version {version} of the {stream} stream", f"version {version - 1}")
    assert error.code == "model.schema"
    assert "train the model again" in error.hint


SHAPES = {name: head_shape(reads) for name, reads in zip(HEADS[1:], READS[1:], strict=True)}
SHAPES[HEADS[0]] = HeadShape("recurrent", STEPS, 256, len(LABELS), units=8)


def encoder(settings: NetworkSettings, size: int) -> Callable[[Path], None]:
    return lambda path: encoder_to_litert(build_encoder_for(settings, size), path)


def head_of(shape: HeadShape) -> Callable[[Path], None]:
    return lambda path: head_to_litert(build_head(shape), shape, path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "write"),
    [
        (ENCODER_FILE, encoder(SMALL, 64)),
        (ENCODER_FILE, encoder(replace(SMALL, encoder="mobilenet_v3_small"), SIZE)),
        (ENCODER_FILE, head_of(SHAPES[HEADS[0]])),
        (HEADS[0], encoder(SMALL, SIZE)),
        (HEADS[0], head_of(replace(SHAPES[HEADS[0]], num_frames=5))),
        *((name, head_of(replace(shape, num_features=shape.num_features - 1))) for name, shape in SHAPES.items()),
        *((name, head_of(replace(shape, num_classes=4))) for name, shape in SHAPES.items()),
        (HEADS[2], head_of(head_shape(["pose"]))),  # without hands
        (HEADS[1], lambda path: path.write_bytes(b"not a model" * 50)),
        (HEADS[1], lambda path: path.write_bytes(b"")),
    ],
)
def test_a_litert_file_of_another_network_is_rejected(
    folder: Path, tmp_path: Path, name: str, write: Callable[[Path], object]
) -> None:
    write(tmp_path / "other")
    replace_file(folder, name, tmp_path / "other")
    assert rejected(folder, name).code == "model.damaged"


@pytest.fixture
def without_numbers(tmp_path: Path) -> Path:
    """A bundle whose head gives NaN."""
    folder = random_bundle(tmp_path / "nan", random_network())
    head = random_head(SHAPES[HEADS[0]])
    head.get_layer("classes").bias.assign([0.0, np.nan, 0.0])
    head_to_litert(head, SHAPES[HEADS[0]], tmp_path / "other")
    replace_file(folder, HEADS[0], tmp_path / "other")
    return folder


def test_an_answer_that_is_not_a_number_is_an_error(without_numbers: Path, video: Path, tmp_path: Path) -> None:
    recognizer = Recognizer(without_numbers)
    frames = np.zeros((2, SIZE, SIZE, 3), np.uint8)
    for ask in (lambda: recognizer.predict(video), lambda: recognizer.predict_frames(frames, [0, 1])):
        with pytest.raises(BundleError, match="not finite") as caught:
            ask()
        assert str(without_numbers) in caught.value.message
    answers = list(predict(PredictSettings((video, tmp_path / "missing.mp4", video), without_numbers)))
    assert [answer.error_code for answer in answers] == ["model.not_finite", "video.missing", "model.not_finite"]
    assert {answer.status for answer in answers} == {"error"}


def refusal(result: Result) -> str:
    """The one line in which a command rejects a call."""
    assert (result.exit_code, result.stdout) == (2, ""), result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("activity: ")
    assert "bug in activity" not in line
    return line


def test_every_command_rejects_a_damaged_model_in_one_line(
    activity: Activity, folder: Path, prepared: Path, video: Path, tmp_path: Path
) -> None:
    calls = [
        ("predict", video, "--model", folder),
        ("evaluate", folder, "--data", prepared),
        ("export", folder, "--out", tmp_path / "exported"),
    ]
    damage(folder / HEADS[1], "one bit")
    for words in calls:
        assert HEADS[1] in refusal(activity(*words, "--quiet"))
    edit(folder, whole(labels=["left", "left", "up"]))
    for words in calls:
        assert "bundle.json is damaged: a label occurs twice" in refusal(activity(*words, "--quiet"))
    assert not (tmp_path / "exported").exists()


def test_commands_never_answer_ok_without_numbers(
    activity: Activity, without_numbers: Path, prepared: Path, video: Path
) -> None:
    result = activity("predict", video, "--model", without_numbers)
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert (answer["status"], answer["error"]["code"]) == ("error", "model.not_finite")
    assert len(result.stderr.splitlines()) == 1
    assert "not finite" in refusal(activity("evaluate", without_numbers, "--data", prepared, "--quiet"))


def test_metrics_that_were_not_measured_are_null(folder: Path) -> None:
    """Without validation clips, the validation loss is NaN."""
    document = document_of(random_network(), READS)
    document = msgspec.structs.replace(document, metrics={"val_loss": float("nan")})
    write_bundle(folder, document)
    assert read_bundle(folder).document.metrics == {"val_loss": None}


def test_a_trained_bundle_describes_how_it_was_made(model: Path, prepared: Path) -> None:
    bundle = read_bundle(model)
    document = bundle.document
    assert bundle.name == f"model@{document.hash[:8]}"
    assert bundle.labels == LABELS
    assert (bundle.sampling.num_frames, bundle.sampling.frame_size) == (6, 32)
    assert (bundle.network.encoder, bundle.network.units) == ("small", 8)
    assert (model / document.data.prepared).resolve() == prepared.resolve()
    for name in (WEIGHTS_FILE, ENCODER_FILE, *(head.file for head in document.heads)):
        assert bundle.file(name).stat().st_size == document.files[name].bytes
