"""Files of a prepared folder or of an unfinished training, damaged one at a time.

One line names the file, or, where it is a cache, it is made again in silence.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from typer.testing import Result

from activity_cli import TrainSettings, train
from activity_cli.dataset.manifest import read_prepared
from activity_cli.training.checkpoint import FitStore
from conftest import TINY_NETWORK
from data_support import files_of, only_line, wrong_call
from training_support import MAIN, TRAINING, At, Recording, press_ctrl_c, write_encoder
from training_support import files_of as networks_of

Activity = Callable[..., Result]
Array = npt.NDArray[Any]

ARRAYS: Mapping[str, Callable[[Array], Array]] = {
    "text": lambda array: array.astype("<U3"),
    "nested": lambda array: array[np.newaxis],
    "nothing": lambda array: array[:0],
    "longer": lambda array: np.concatenate([array, array]),
    "shorter": lambda array: array[1:],
    "a number": lambda array: np.array(3, array.dtype),
    "not finite": lambda array: np.full_like(array, np.nan),
}
DAMAGES = ("missing", "cut", "empty", "negative", "pickle", *ARRAYS)


def spoil(path: Path, how: str) -> None:
    """Damages a ``.npy`` file."""
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "pickle":
        np.save(path, np.array([{}], object), allow_pickle=True)
    elif how in ARRAYS:
        np.save(path, ARRAYS[how](np.load(path)))
    else:
        negative = content.replace(b"'shape': (", b"'shape': (-").replace(b" \n", b"\n", 1)
        path.write_bytes({"cut": content[:-3], "empty": b"", "negative": negative}[how])


@pytest.mark.parametrize("how", [how for how in DAMAGES if how != "not finite"])  # pictures are whole numbers
def test_a_damaged_clip_is_named_and_prepare_makes_it_again(
    how: str, activity: Activity, prepare: Activity, model: Path, prepared_copy: Path
) -> None:
    before, records = files_of(prepared_copy / "clips"), read_prepared(prepared_copy).in_split("all")
    clip = next(record.clip for record in records if record.split == "test")
    spoil(prepared_copy / "clips" / clip, how)
    wrong_call(activity("evaluate", model, "--data", prepared_copy, "--quiet"), clip, "activity prepare")
    clip = next(record.clip for record in records if record.split == "val")
    spoil(prepared_copy / "clips" / clip, how)
    wrong_call(activity("train", prepared_copy, "--out", prepared_copy.with_name("new"), "--quiet"), clip)
    videos = read_prepared(prepared_copy).settings.videos
    again = prepare(videos, "--group-by", r"person\d+", out=prepared_copy)
    assert (again.exit_code, "Decoded 2 videos." in again.stderr) == (0, True), again.stderr
    assert files_of(prepared_copy / "clips") == before


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("folder", ["pose-1", "times"])
def test_damaged_rows_of_a_stream_are_named(
    how: str, folder: str, activity: Activity, with_streams: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(with_streams, tmp_path / "prepared"))
    clip = read_prepared(copy).in_split("train")[3].clip
    spoil(copy / "streams" / folder / clip, how)
    words = ("--streams", "pose", "--set", "head=linear", "--quiet")
    result = activity("train", copy, "--out", tmp_path / "model", *words)
    line = only_line(result.stderr)
    assert result.exit_code in (1, 2)
    assert clip in line
    assert "bug" not in line
    assert not (tmp_path / "model").exists()


@pytest.fixture(scope="module")
def interrupted(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a training of a whole network that a person stopped in the second epoch."""
    settings = _settings(prepared, tmp_path_factory.mktemp("interrupted") / "model")
    train(settings, At(MAIN, 4, press_ctrl_c))
    return settings.out.with_name(".model.checkpoint.npz")


def _settings(prepared: Path, out: Path) -> TrainSettings:
    return TrainSettings(prepared, out, network=TINY_NETWORK, mode="joint", weights="none", epochs=3, batch_size=8)


def with_header(arrays: dict[str, Array], **values: object) -> dict[str, Array]:
    header = msgspec.msgpack.decode(arrays["header"].tobytes()) | values
    return arrays | {"header": np.frombuffer(msgspec.msgpack.encode(header), np.uint8)}


STATES: Mapping[str, Callable[[dict[str, Array]], dict[str, Array]]] = {
    "without an array": lambda arrays: {name: arrays[name] for name in arrays if name != "variables1"},
    "without the best": lambda arrays: {name: arrays[name] for name in arrays if name != "best0"},
    "text": lambda arrays: arrays | {"variables0": arrays["variables0"].astype("<U9")},
    "not finite": lambda arrays: arrays | {"best0": np.full_like(arrays["best0"], np.inf)},
    "another shape": lambda arrays: arrays | {"best0": arrays["best0"][:1]},
    "a flat array": lambda arrays: arrays | {"variables0": arrays["variables0"].ravel()},
    "a stage to come": lambda arrays: with_header(arrays, stage=7),
    "a negative stage": lambda arrays: with_header(arrays, stage=-1),
    "a stage as text": lambda arrays: with_header(arrays, stage="main"),
    "epochs of nothing": lambda arrays: with_header(arrays, records=[{}]),
    "no header": lambda arrays: {name: arrays[name] for name in arrays if name != "header"},
}


@pytest.mark.slow
@pytest.mark.parametrize("how", [*STATES, "cut", "empty"])
def test_a_damaged_checkpoint_is_named(how: str, interrupted: Path, prepared: Path, tmp_path: Path) -> None:
    from activity_cli import TrainingError

    path = tmp_path / ".model.checkpoint.npz"
    if how in STATES:
        with np.load(interrupted) as file:
            arrays = dict(file)
        np.savez(path, **STATES[how](arrays))  # type: ignore[arg-type]
    else:
        content = interrupted.read_bytes()
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b""}[how])
    with pytest.raises(TrainingError) as caught:
        train(replace(_settings(prepared, tmp_path / "model"), resume=True))
    assert (caught.value.code, caught.value.hint) == ("training.checkpoint", "Start again with `overwrite`.")
    assert str(path) in caught.value.message
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model").exists()


def test_damaged_fits_do_not_count(tmp_path: Path) -> None:
    store = FitStore(tmp_path / "model", {"seed": 3})
    store.start()
    store.write("pose", {"answers": np.zeros(3)})
    path = store.folder / "pose.npz"
    whole = path.read_bytes()
    for content in (whole[:-9], whole[: len(whole) // 2], b"", b"text", whole.replace(b"(3,)", b"(-3,)")):
        path.write_bytes(content)
        assert store.read("pose") is None
    path.unlink()
    assert store.read("pose") is None
    assert store.differing() == []
    for text in ("", "[1]", "{", '{"seed": 3'):
        (store.folder / "settings.json").write_text(text)
        assert store.differing() is None


@pytest.mark.slow
def test_fits_that_do_not_hold_answers_are_made_again_in_silence(prepared: Path, tmp_path: Path) -> None:
    network = replace(TINY_NETWORK, head="recurrent")
    weights = write_encoder(tmp_path / "w.weights.h5")
    settings = TrainSettings(
        prepared, tmp_path / "whole", network=network, weights=weights, mode="frozen", epochs=1, batch_size=8
    )
    train(settings)
    again = replace(settings, out=tmp_path / "again")
    with pytest.raises(KeyboardInterrupt):
        train(again, At(TRAINING.format("appearance"), 1, press_ctrl_c))
    damages: list[Callable[[Array], Array]] = [
        lambda answers: np.full_like(answers, np.nan),
        lambda answers: answers.astype("<U9"),
        lambda answers: answers[1:],
    ]
    for path, damage in zip(sorted((tmp_path / ".again.fits").glob("*fold*.npz")), damages, strict=True):
        with np.load(path) as file:
            answers = damage(file["answers"])
        np.savez(path, answers=answers)
    progress = Recording()
    train(again, progress)
    assert networks_of(again.out) == networks_of(settings.out)
    assert not progress.warnings
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "w.weights.h5", "whole"]
