"""evaluate: the scores, the files, the warnings, and the clips that it rejects."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import Result

from activity_cli import EvaluateSettings, PrepareSettings, Recognizer, Sampling, evaluate, prepare
from activity_cli.dataset.manifest import read_prepared
from bundle_support import random_bundle, random_network
from conftest import TINY_SAMPLING, TINY_STREAMS
from data_support import wrong_call
from person_support import moving_person, write_lossless

Activity = Callable[..., Result]
KEYS = [
    "schema", "model", "prepared", "split", "num_clips", "labels", "accuracy", "macro_f1", "classes", "confusion",
    "baselines", "heads", "warnings", "clips",
]  # fmt: skip


@pytest.fixture
def evaluated(activity: Activity, model: Path) -> dict[str, Any]:
    result = activity("evaluate", model)
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


def prepared_again(videos: Path, out: Path, labels: Path | None = None, sampling: Sampling = TINY_SAMPLING) -> Path:
    prepare(PrepareSettings(videos, out, labels, sampling=sampling, streams=TINY_STREAMS, workers=1))
    return out


def test_the_document_has_exactly_these_keys(evaluated: dict[str, Any], model: Path, prepared: Path) -> None:
    assert list(evaluated) == KEYS
    assert evaluated["schema"] == "activity.evaluation/1"
    assert evaluated["model"] == Recognizer(model).name
    assert evaluated["prepared"] == str(prepared)
    assert evaluated["split"] == "test"
    for score in evaluated["classes"]:
        assert list(score) == ["label", "precision", "recall", "f1", "support"]
    for baseline in evaluated["baselines"]:
        assert list(baseline) == ["name", "description", "accuracy", "macro_f1", "reason"]
    assert [baseline["name"] for baseline in evaluated["baselines"]] == [
        "majority_class", "middle_frame", "frame_average", "frame_statistics",
    ]  # fmt: skip
    assert list(evaluated["confusion"]) == ["labels", "rows"]
    for clip in evaluated["clips"]:
        assert list(clip) == ["path", "start_seconds", "end_seconds", "truth", "answer", "confidence"]
    (head,) = evaluated["heads"]
    assert list(head) == ["stream", "kind", "weight", "accuracy"]
    assert (head["stream"], head["accuracy"]) == ("appearance", evaluated["accuracy"])


@pytest.fixture(scope="module")
def person_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """videos/<left|right>/<0-3>.mkv of a person, and labels.csv with their splits."""
    root = tmp_path_factory.mktemp("person") / "videos"
    rows = ["path,label,split"]
    for label in ("left", "right"):
        (root / label).mkdir(parents=True)
        for number in range(4):
            frames = moving_person(7 + number, (160, 120))
            write_lossless(root / label / f"{number}.mkv", frames[:, :, ::-1] if label == "left" else frames)
            rows.append(f"{label}/{number}.mkv,{label},{'train' if number % 2 else 'test'}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def person_prepared(person_videos: Path) -> Path:
    """These videos, prepared with motion and pose."""
    out = person_videos.parent / "prepared"
    streams: Any = ("appearance", "motion", "pose")
    labels = person_videos / "labels.csv"
    prepare(PrepareSettings(person_videos, out, labels, sampling=TINY_SAMPLING, streams=streams, workers=1))
    return out


@pytest.fixture(scope="module")
def all_streams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with random weights that reads appearance, motion and pose."""
    folder = tmp_path_factory.mktemp("models") / "all"
    return random_bundle(folder, random_network(), others=[("motion",), ("pose",)], weight=0.4)


def test_every_head_is_scored_alone_and_every_stream_is_a_baseline(
    all_streams: Path, person_prepared: Path, person_videos: Path
) -> None:
    result = evaluate(EvaluateSettings(all_streams, person_prepared))
    recognizer, clips = Recognizer(all_streams), read_prepared(person_prepared).in_split("test")
    right = [recognizer.predict(person_videos / clip.path).label == clip.label for clip in clips]
    assert result.accuracy == pytest.approx(np.mean(right))
    assert [(head.stream, head.kind, head.weight) for head in result.heads] == [
        ("appearance", "recurrent", 0.4), ("motion", "recurrent", 0.2), ("pose", "recurrent", 0.1),
    ]  # fmt: skip
    assert all(head.accuracy in (0, 0.25, 0.5, 0.75, 1) for head in result.heads)
    found = {baseline.name: baseline.accuracy for baseline in result.baselines}
    assert list(found) == [
        "majority_class", "middle_frame", "frame_average", "frame_statistics", "appearance_statistics",
        "motion_statistics", "pose_statistics",
    ]  # fmt: skip
    assert {*found.values()} <= {0, 0.25, 0.5, 0.75, 1}, "of 4 clips"
    assert None not in found.values()


def test_a_model_without_appearance_has_baselines_without_it(person_prepared: Path, tmp_path: Path) -> None:
    model = random_bundle(tmp_path / "pose", others=[("pose",)])
    result = evaluate(EvaluateSettings(model, person_prepared))
    assert [baseline.name for baseline in result.baselines] == [
        "majority_class", "middle_frame", "frame_average", "frame_statistics",
    ]  # fmt: skip
    assert [head.accuracy for head in result.heads] == [result.accuracy]


def test_a_folder_without_a_stream_of_the_model_is_rejected(
    activity: Activity, all_streams: Path, prepared: Path
) -> None:
    result = activity("evaluate", all_streams, "--data", prepared)
    line = wrong_call(result, "without motion and pose", "mine@")
    assert "activity prepare VIDEOS --streams appearance,motion,pose" in line


def test_rows_that_are_missing_are_one_line(
    activity: Activity, all_streams: Path, person_prepared: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(person_prepared, tmp_path / "prepared")
    clip = read_prepared(copy).in_split("test")[0].clip
    read_prepared(copy).streams.path("pose", clip).unlink()
    line = wrong_call(activity("evaluate", all_streams, "--data", copy, "--quiet"), clip)
    assert "activity prepare" in line


def test_the_figures_agree_with_each_other(evaluated: dict[str, Any], prepared: Path) -> None:
    rows = np.array(evaluated["confusion"]["rows"])
    clips = read_prepared(prepared).in_split("test")
    assert rows.sum() == evaluated["num_clips"] == len(clips)
    assert rows.sum(axis=1).tolist() == [score["support"] for score in evaluated["classes"]]
    assert rows.sum(axis=1).tolist() == [sum(clip.label == label for clip in clips) for label in evaluated["labels"]]
    assert evaluated["accuracy"] == pytest.approx(np.trace(rows) / rows.sum(), abs=1e-6)


def test_each_test_clip_has_the_answer_of_predict(evaluated: dict[str, Any], model: Path, videos: Path) -> None:
    recognizer = Recognizer(model)
    assert len(evaluated["clips"]) == evaluated["num_clips"]
    for clip in evaluated["clips"]:
        assert (clip["start_seconds"], clip["end_seconds"]) == (None, None), "a whole video"
        answer = recognizer.predict(videos / clip["path"])
        assert (clip["truth"], clip["answer"]) == (clip["path"].split("/")[0], answer.label)
        assert clip["confidence"] == pytest.approx(answer.confidence, abs=1e-3)
    right = [clip["answer"] == clip["truth"] for clip in evaluated["clips"]]
    assert evaluated["accuracy"] == pytest.approx(np.mean(right), abs=1e-6)


def test_a_clip_that_is_a_part_of_a_video_has_its_times(
    activity: Activity, model: Path, videos: Path, tmp_path: Path
) -> None:
    rows = [f"{label}/person{n}_0.avi,{label},test,0.25,0.75" for label in ("left", "right", "up") for n in (1, 2)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,split,start_seconds,end_seconds", *rows]) + "\n")
    other = prepared_again(videos, tmp_path / "other", tmp_path / "labels.csv")
    clips = json.loads(activity("evaluate", model, "--data", other).stdout)["clips"]
    assert len(clips) == 6
    assert {(clip["start_seconds"], clip["end_seconds"]) for clip in clips} == {(0.25, 0.75)}


def test_a_second_evaluation_fits_no_baseline_again(activity: Activity, model: Path, prepared_copy: Path) -> None:
    words = ("evaluate", model, "--data", prepared_copy)
    first = activity(*words)
    kept = {path: path.stat().st_mtime_ns for path in (prepared_copy / "baselines").iterdir()}
    assert len([path for path in kept if path.suffix == ".npy"]) == 3
    assert activity(*words).stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in (prepared_copy / "baselines").iterdir()} == kept


def test_the_accuracy_is_that_of_the_answers_of_predict(model: Path, videos: Path, prepared: Path) -> None:
    recognizer = Recognizer(model)
    clips = read_prepared(prepared).in_split("all")
    right = [recognizer.predict(videos / clip.path).label == clip.label for clip in clips]
    assert evaluate(EvaluateSettings(model, split="all")).accuracy == pytest.approx(np.mean(right))


@pytest.mark.parametrize("split", ["train", "val", "test", "all"])
def test_every_split_can_be_scored(activity: Activity, model: Path, prepared: Path, split: str) -> None:
    result = activity("evaluate", model, "--split", split)
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["num_clips"] == len(read_prepared(prepared).in_split(split))
    warned = any("training clips" in warning for warning in document["warnings"])
    assert warned == (split in ("train", "all"))
    assert [f"warning: {warning}" for warning in document["warnings"]] == result.stderr.splitlines()


def test_the_json_in_a_pipe_equals_the_file(activity: Activity, model: Path, tmp_path: Path) -> None:
    result = activity("evaluate", model, "--out", tmp_path / "scores.json")
    assert (tmp_path / "scores.json").read_text() == result.stdout
    table = activity("evaluate", model, "--out", tmp_path / "again.json", "--format", "table")
    assert (tmp_path / "again.json").read_text() == result.stdout
    assert table.stdout != result.stdout


def test_a_table_shows_the_model_and_the_baselines(activity: Activity, model: Path, evaluated: dict[str, Any]) -> None:
    result = activity("evaluate", model, "--format", "table", env={"COLUMNS": "120"})
    assert result.exit_code == 0
    for text in ("majority_class", "frame_average", "this model", f"{evaluated['accuracy']:.1%}"):
        assert text.replace("_", " ") in result.stdout.replace("_", " ")
    assert "\x1b" not in result.stdout


def test_a_page_and_a_picture_are_written(activity: Activity, model: Path, tmp_path: Path) -> None:
    page, picture = tmp_path / "report.html", tmp_path / "confusion.png"
    result = activity("evaluate", model, "--html", page, "--picture", picture)
    assert result.exit_code == 0
    json.loads(result.stdout)
    assert page.read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    image = cv2.imread(str(picture))
    assert image is not None
    assert min(image.shape[:2]) > 50


def test_a_place_that_cannot_be_written_is_one_line(activity: Activity, model: Path, tmp_path: Path) -> None:
    for option, place in (("--picture", tmp_path / "no" / "folder"), ("--html", ".")):
        result = activity("evaluate", model, option, place, "--quiet")
        assert (result.exit_code, result.stdout) == (2, "")
        (line,) = result.stderr.splitlines()
        assert "folder" in line


def test_clips_of_other_settings_are_rejected(activity: Activity, model: Path, videos: Path, tmp_path: Path) -> None:
    other = prepared_again(videos, tmp_path / "other", sampling=replace(TINY_SAMPLING, num_frames=5, fit="pad"))
    result = activity("evaluate", model, "--data", other)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    for text in ("num_frames 5", "num_frames 6", "fit pad", "fit stretch", "model@"):
        assert text in line
    assert "frame_size" not in line


def test_clips_of_other_labels_are_rejected(activity: Activity, model: Path, videos: Path, tmp_path: Path) -> None:
    for label, source in (("dance", "left"), ("right", "right"), ("up", "up")):
        shutil.copytree(videos / source, tmp_path / "videos" / label)
    result = activity(
        "evaluate", model, "--data", prepared_again(tmp_path / "videos", tmp_path / "other"), "--split", "all"
    )
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "does not know labels of" in line and "dance (12 clips)" in line
    assert "It knows: left, right, up." in line


def test_labels_outside_the_split_that_the_model_does_not_know_are_warned_of(
    activity: Activity, model: Path, videos: Path, tmp_path: Path
) -> None:
    rows = [f"{label}/person{n}_0.avi,{label},test" for label in ("left", "right") for n in range(2)]
    rows += [f"up/person{n}_0.avi,dance,train" for n in range(2)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
    other = prepared_again(videos, tmp_path / "other", tmp_path / "labels.csv")
    document = json.loads(activity("evaluate", model, "--data", other).stdout)
    text = " ".join(document["warnings"])
    assert f"{other} also has labels that {document['model']} does not know: dance." in text
    assert f"also knows labels that no clip of the split 'test' of {other} has: up." in text


def test_clips_of_fewer_labels_are_scored_without_training_clips(
    activity: Activity, model: Path, videos: Path, tmp_path: Path
) -> None:
    for label in ("left", "up"):
        shutil.copytree(videos / label, tmp_path / "videos" / label)
    paths = sorted((tmp_path / "videos").rglob("*.avi"))
    rows = "".join(f"{path.relative_to(tmp_path / 'videos')},{path.parent.name},test\n" for path in paths)
    (tmp_path / "labels.csv").write_text(f"path,label,split\n{rows}")
    other = prepared_again(tmp_path / "videos", tmp_path / "other", tmp_path / "labels.csv")
    result = activity("evaluate", model, "--data", other)
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["labels"] == ["left", "right", "up"]
    assert [score["support"] for score in document["classes"]] == [12, 0, 12]
    found = [[score[name] for name in ("precision", "recall", "f1")] for score in document["classes"]]
    assert found[1] == [None] * 3 and None not in found[0] + found[2]
    assert document["macro_f1"] == pytest.approx((found[0][2] + found[2][2]) / 2, abs=1e-5)
    assert any("no clip of the split 'test'" in text and ": right." in text for text in document["warnings"])
    assert {baseline["accuracy"] for baseline in document["baselines"]} == {None}
    assert all(baseline["reason"] for baseline in document["baselines"])
    nothing = activity("evaluate", model, "--data", other, "--split", "val")
    assert nothing.exit_code == 2
    assert "no clips" in nothing.stderr


def test_a_prepared_folder_that_is_missing_is_named(activity: Activity, model: Path, tmp_path: Path) -> None:
    result = activity("evaluate", model, "--data", tmp_path / "nothing")
    assert result.exit_code == 2
    assert "nothing" in result.stderr


def test_a_model_that_was_moved_away_from_its_clips_asks_for_them(
    activity: Activity, model: Path, prepared: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(model, tmp_path / "elsewhere")
    result = activity("evaluate", moved)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "--data" in line
    assert activity("evaluate", moved, "--data", prepared).exit_code == 0


def test_a_missing_clip_is_one_line(activity: Activity, model: Path, prepared_copy: Path) -> None:
    shutil.rmtree(prepared_copy / "features", ignore_errors=True)
    clip = read_prepared(prepared_copy).in_split("test")[0].clip
    (prepared_copy / "clips" / clip).unlink()
    result = activity("evaluate", model, "--data", prepared_copy, "--quiet")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert clip in line
    assert "activity prepare" in line


def warnings_of(activity: Activity, *words: object) -> str:
    return " ".join(json.loads(activity("evaluate", *words).stdout)["warnings"])


def test_evaluate_warns_of_training_videos_in_another_folder(
    activity: Activity, model: Path, videos: Path, tmp_path: Path
) -> None:
    other = prepared_again(videos, tmp_path / "other")
    # The training videos and the validation videos.
    assert "trained on 30 of these 36 clips" in warnings_of(activity, model, "--data", other, "--split", "all")


@pytest.mark.slow
def test_evaluate_warns_of_a_folder_that_was_prepared_again(
    activity: Activity, model: Path, videos: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(model, tmp_path / "mine")
    prepared_again(videos, tmp_path / "prepared")  # where the copy looks for its clips
    assert "prepared again" in warnings_of(activity, moved)
    assert "prepared again" not in warnings_of(activity, model)
