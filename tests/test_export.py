"""export: files that other runtimes run, with the bundle's own answers, by their description alone."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from activity_cli import (
    BundleError,
    ConfigError,
    DatasetError,
    ExportSettings,
    MissingDependencyError,
    PrepareSettings,
    Recognizer,
    Split,
    export,
    prepare,
)
from activity_cli.commands.export_check import Comparison, check
from activity_cli.model.bundle import ENCODER_FILE, WEIGHTS_FILE, write_bundle
from activity_cli.model.conversion import encoder_to_litert
from activity_cli.streams.model_files import MODEL_FILES
from bundle_support import (
    MIRRORED,
    PYRAMID,
    SAMPLING,
    document_of,
    random_bundle,
    random_network,
    scores_in_order,
)
from data_support import read_clip
from encoder_support import real_frames

Activity = Callable[..., Result]
Arrays = dict[str, np.ndarray]
HAS_ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime", "tf2onnx"))
needs_onnx = pytest.mark.skipif(not HAS_ONNX, reason="the extra 'onnx' is not installed")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that reads the appearance alone; its weight makes it less certain."""
    return random_bundle(tmp_path_factory.mktemp("models") / "mine", random_network(), weight=0.6)


@pytest.fixture(scope="module")
def all_streams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that reads all streams."""
    folder, others = tmp_path_factory.mktemp("models") / "mine", [("motion",), ("pose", "hands")]
    return random_bundle(folder, random_network(), others=others, mirrored_labels=MIRRORED)


def checked(arrays: Arrays, described: dict[str, str]) -> None:
    """Fails if arrays have other names, types or shapes than those that are described."""
    assert list(arrays) == list(described)
    for name, text in described.items():
        dtype, sizes = re.fullmatch(r"(\w+) \[(.*)\]", text).groups()  # type: ignore[union-attr]
        assert arrays[name].dtype == dtype, (name, text)
        for size, wanted in zip(arrays[name].shape, sizes.split(", "), strict=True):
            assert wanted in ("N", "B", str(size)), (name, text)


def run_litert(path: Path, inputs: Arrays) -> list[np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    for details in interpreter.get_input_details():
        interpreter.resize_tensor_input(details["index"], inputs[details["name"]].shape)
    interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], inputs[details["name"]])
    interpreter.invoke()
    outputs = sorted(interpreter.get_output_details(), key=lambda details: len(details["shape"]))
    return [interpreter.get_tensor(details["index"]) for details in outputs]


def run_onnx(path: Path, inputs: Arrays) -> list[np.ndarray]:
    import onnxruntime

    return list(onnxruntime.InferenceSession(path).run(None, inputs))


def run_saved_model(path: Path, inputs: Arrays) -> list[np.ndarray]:
    import tensorflow as tf

    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    return [value.numpy() for value in signature(**{name: tf.constant(one) for name, one in inputs.items()}).values()]


RUN = {"litert": run_litert, "onnx": run_onnx, "saved_model": run_saved_model}


def answer(folder: Path, frames: np.ndarray) -> list[float]:
    """The probabilities that another program computes, which knows the description only."""
    description = json.loads((folder / "description.json").read_text())
    run, files = RUN[description["format"]], description["files"]
    assert {path.name for path in folder.iterdir()} - {"README.md", "NOTICE", "LICENSE"} == {"description.json", *files}

    def ran(name: str, inputs: Arrays) -> list[np.ndarray]:
        checked(inputs, files[name]["inputs"])
        found = run(folder / name, inputs)
        checked(dict(zip(files[name]["outputs"], found, strict=True)), files[name]["outputs"])
        return found

    encoder, *rest = files
    if not rest:
        steps = int(re.findall(r"\d+", files[encoder]["inputs"]["mask"])[0])
        clips = np.zeros((1, steps, *frames.shape[1:]), np.uint8)
        clips[0, : len(frames)] = frames
        inputs = {"clips": clips, "mask": np.arange(steps)[np.newaxis] < len(frames)}
        return list(ran(encoder, inputs)[0][0].tolist())
    features = ran(encoder, {"frames": frames})[0]
    steps = int(re.findall(r"\d+", files[rest[0]]["inputs"]["mask"])[-1])
    clip = np.zeros((1, steps, features.shape[1]), np.float32)
    clip[0, : len(frames)] = features
    inputs = {"features": clip, "mask": np.arange(steps)[np.newaxis] < len(frames)}
    if description["format"] == "onnx":
        return list(ran(rest[0], inputs)[0][0].tolist())
    total = sum(files[name]["weight"] * ran(name, inputs)[0][0].astype(np.float64) for name in rest)
    return list((np.exp(total) / np.exp(total).sum()).tolist())


@pytest.mark.slow
@pytest.mark.parametrize("format", ["litert", "saved_model", pytest.param("onnx", marks=needs_onnx)])
def test_another_program_gets_the_answers_of_the_bundle(
    bundle: Path, videos: Path, prepared: Path, tmp_path: Path, format: Any
) -> None:
    recognizer, found = Recognizer(bundle), []
    assert export(ExportSettings(bundle, format, tmp_path / "out", data=prepared)) == tmp_path / "out"
    for name in ("left/person1_0.avi", "up/person0_1.avi"):  # one that fills a clip, and one of four frames
        frames = read_clip(videos / name, recognizer.sampling).frames
        found.append(answer(tmp_path / "out", frames))
        np.testing.assert_allclose(found[-1], scores_in_order(recognizer.predict(videos / name).scores), atol=1e-4)
    assert np.ptp(found, axis=0).max() > 0.01, "all clips have the same answer, so the test shows nothing"


@pytest.mark.slow
@needs_onnx
def test_a_pretrained_encoder_with_a_pyramid_is_exported(videos: Path, tmp_path: Path) -> None:
    sampling, data = replace(SAMPLING, frame_size=64), tmp_path / "prepared"
    prepare(PrepareSettings(videos, data, sampling=sampling, streams=("appearance",), workers=1))
    bundle = random_bundle(tmp_path / "mine", random_network(PYRAMID, sampling), sampling)
    frames = read_clip(videos / "up" / "person0_1.avi", sampling).frames
    expected = scores_in_order(Recognizer(bundle).predict(videos / "up" / "person0_1.avi").scores)
    for format in ("saved_model", "onnx"):
        export(ExportSettings(bundle, format, tmp_path / format, data=data))  # type: ignore[arg-type]
        np.testing.assert_allclose(answer(tmp_path / format, frames), expected, atol=1e-4)


def test_litert_files_of_all_streams_come_with_what_stands_between_them(all_streams: Path, tmp_path: Path) -> None:
    export(ExportSettings(all_streams, out=tmp_path / "out"))
    out, names = tmp_path / "out", [f"{name}.tflite" for name in MODEL_FILES]
    description = json.loads((out / "description.json").read_text())
    files = description["files"]
    heads = {"appearance.tflite": ["appearance"], "motion.tflite": ["motion"], "pose.tflite": ["pose", "hands"]}
    assert list(files) == ["encoder.tflite", *heads, *names]
    assert {path.name for path in out.iterdir()} == {*files, "README.md", "LICENSE", "NOTICE", "description.json"}
    assert {name: files[name]["reads"] for name in heads} == heads
    assert [files[name]["weight"] for name in heads] == [1, 0.5, 0.25]
    assert description["streams"] == {"appearance": 1, "motion": 1, "pose": 1, "hands": 1}
    assert description["mirrored_labels"] == list(MIRRORED)
    for name, digest in MODEL_FILES.items():
        assert hashlib.sha256((out / f"{name}.tflite").read_bytes()).hexdigest() == digest
    for name in heads:
        sizes = [
            [int(size) for size in re.findall(r"\d+", text.partition(" ")[2])]
            for text in files[name]["inputs"].values()
        ]
        inputs = {"features": np.zeros(sizes[0], np.float32), "mask": np.ones(sizes[1], np.bool_)}
        checked(inputs, files[name]["inputs"])
        checked(dict(zip(files[name]["outputs"], run_litert(out / name, inputs), strict=True)), files[name]["outputs"])
    readme = (out / "README.md").read_text()
    for text in (*heads, *names, "mirrored_labels", "softmax", "| 0.5 |"):
        assert text in readme, text
    assert "python recognize.py" not in readme
    assert "Apache License" in (out / "LICENSE").read_text()
    assert "MediaPipe" in (out / "NOTICE").read_text()


@pytest.mark.parametrize("format", ["saved_model", "onnx"])
@pytest.mark.parametrize("others", [[("pose",)], [("motion",), ("pose", "hands")]])
def test_other_formats_hold_appearance_alone(tmp_path: Path, format: Any, others: Any) -> None:
    bundle = random_bundle(tmp_path / "mine", others=others)
    with pytest.raises(BundleError, match=f"mine@.* reads {' and '.join(sum(others, ()))}\\.") as caught:
        export(ExportSettings(bundle, format, tmp_path / "out"))
    assert caught.value.code == "model.streams"
    assert "activity train --streams appearance" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_description_has_labels_and_sampling(activity: Activity, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "exported"
    result = activity("export", bundle, "--out", out)
    assert (result.exit_code, result.stdout) == (0, f"{out}\n")
    (line,) = result.stderr.splitlines()
    assert "copies of those of the model" in line
    assert line in (out / "README.md").read_text()
    assert [path.name for path in out.parent.iterdir()] == ["exported"]
    description = json.loads((out / "description.json").read_text())
    assert description["compared"] is None
    assert list(description) == [
        "schema", "model", "format", "precision", "labels", "sampling", "streams", "mirrored_labels", "files",
        "compared", "usage",
    ]  # fmt: skip
    assert description["schema"] == "activity.export/2"
    assert description["labels"] == ["left", "right", "up"]
    assert description["model"] == Recognizer(bundle).name
    assert (description["sampling"]["num_frames"], description["sampling"]["frame_size"]) == (6, 32)


# Runs a program that finds neither TensorFlow, Keras nor activity.
_ISOLATED = """
import runpy, sys
for name in ("tensorflow", "keras", "activity_cli"):
    sys.modules[name] = None
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampling",
    [
        SAMPLING,
        replace(SAMPLING, fit="pad", short_clips="wrap"),
        replace(SAMPLING, fit="crop", frames_per_second=5.0, window_seconds=0.5, stride_seconds=0.25),
        replace(SAMPLING, frames_per_second=7.0, short_clips="repeat_last"),
    ],
    ids=["even", "pad-wrap", "crop-windows", "rate"],
)
def test_the_program_in_the_readme_gives_the_answers_of_predict(videos: Path, tmp_path: Path, sampling: Any) -> None:
    bundle = random_bundle(tmp_path / "mine", random_network(sampling=sampling), sampling, weight=0.6)
    program_gives_the_answers_of_predict(export(ExportSettings(bundle, out=tmp_path / "out")), bundle, videos)


@pytest.mark.slow
@needs_onnx
def test_the_program_for_onnx_gives_the_answers_of_predict(
    bundle: Path, videos: Path, prepared: Path, tmp_path: Path
) -> None:
    out = export(ExportSettings(bundle, "onnx", tmp_path / "out", data=prepared))
    assert "ai_edge_litert" not in (out / "README.md").read_text()
    program_gives_the_answers_of_predict(out, bundle, videos)


def program_gives_the_answers_of_predict(out: Path, bundle: Path, videos: Path) -> None:
    """Fails if the program in the README of an export has other answers."""
    (program,) = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)
    (out / "recognize.py").write_text(program)
    paths = [videos / name for name in ("left/person1_0.avi", "up/person0_1.avi", "right/person5_0.avi")]
    command = [sys.executable, "-I", "-c", _ISOLATED, out / "recognize.py", *paths]
    done = subprocess.run(command, capture_output=True, text=True, cwd=videos, timeout=60)
    assert done.returncode == 0, done.stderr
    recognizer = Recognizer(bundle)
    for path, line in zip(paths, done.stdout.splitlines(), strict=True):
        found, expected = json.loads(line), recognizer.predict(path)
        assert (found["source"], found["label"]) == (str(path), expected.label)
        np.testing.assert_allclose(scores_in_order(found["scores"]), scores_in_order(expected.scores), atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["litert", "saved_model", pytest.param("onnx", marks=needs_onnx)])
def test_each_format_is_compared_with_the_model_on_its_test_clips(
    activity: Activity, model: Path, tmp_path: Path, format: str
) -> None:
    result = activity("export", model, "--format", format, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert (
        "test clips, the probabilities of the exported model differ from those of the original by at most"
        in result.stderr
    )
    compared = json.loads((tmp_path / "out" / "description.json").read_text())["compared"]
    assert compared["split"] == "test"
    assert compared["clips"] > 1
    assert compared["max_abs_difference"] < 1e-4
    assert compared["accuracy"] == compared["accuracy_of_model"]


@pytest.mark.slow
def test_saved_model_runs_as_its_readme_says(bundle: Path, prepared: Path, tmp_path: Path) -> None:
    out = export(ExportSettings(bundle, "saved_model", tmp_path / "out", data=prepared))
    (program,) = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)
    found = {"clips": np.zeros((2, 6, 32, 32, 3), np.uint8), "mask": np.ones((2, 6), np.bool_)}
    checked(found, json.loads((out / "description.json").read_text())["files"]["saved_model"]["inputs"])
    exec(program.replace('"saved_model"', repr(str(out / "saved_model"))), found)
    np.testing.assert_allclose(found["probabilities"].numpy().sum(axis=1), [1, 1], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "difference"), [("float16", 1e-2), ("int8", 0.2)])
def test_a_smaller_encoder_is_compared_and_timed(
    activity: Activity, model: Path, videos: Path, tmp_path: Path, precision: str, difference: float
) -> None:
    result = activity("export", model, "--precision", precision, "--out", tmp_path / "out")
    assert "ms per frame on one thread" in result.stderr
    assert "times as fast" in result.stderr
    if result.exit_code:  # on a processor without instructions for 8 bits
        assert precision == "int8"
        assert "int8 is not 1.5 times as fast as float32" in result.stderr
        assert not (tmp_path / "out").exists()
        return
    description = json.loads((tmp_path / "out" / "description.json").read_text())
    compared = description["compared"]
    assert description["precision"] == precision
    assert 0 < compared["max_abs_difference"] < difference
    assert min(compared["encoder_ms"], compared["encoder_ms_of_model"]) > 0
    assert (tmp_path / "out" / "encoder.tflite").stat().st_size < (model / "encoder.tflite").stat().st_size
    frames = read_clip(videos / "left" / "person1_0.avi", SAMPLING).frames
    assert sum(answer(tmp_path / "out", frames)) == pytest.approx(1)


FIGURES = Comparison("test", clips=60, right_of_model=50, right=49, max_abs_difference=0.31, ms_of_model=3.0, ms=2.0)


@pytest.mark.parametrize(
    ("precision", "figures"),
    [
        ("int8", FIGURES),
        ("int8", replace(FIGURES, clips=400, right=46)),
        ("int8", replace(FIGURES, right=60, max_abs_difference=1.0)),
        ("float16", replace(FIGURES, max_abs_difference=0.02, ms=4.0)),
        ("float32", replace(FIGURES, max_abs_difference=0.001, ms=0.0)),
    ],
)
def test_an_export_that_is_as_good_passes(precision: str, figures: Comparison) -> None:
    check(precision, figures)


@pytest.mark.parametrize(
    ("figures", "code", "texts"),
    [
        (
            replace(FIGURES, right=48),
            "export.difference",
            ["int8 loses 2 of 60 clips, and at most 1 may", "1.50 times as fast"],
        ),
        (replace(FIGURES, clips=400, right=45), "export.difference", ["loses 5 of 400 clips, and at most 4 may"]),
        (replace(FIGURES, ms=2.1), "export.slow", ["not 1.5 times as fast", "1.43 times as fast"]),
    ],
)
def test_int8_that_loses_clips_or_is_slow_is_refused_with_all_figures(
    figures: Comparison, code: str, texts: list[str]
) -> None:
    with pytest.raises(BundleError) as caught:
        check("int8", figures)
    assert caught.value.code == code
    for text in [
        *texts,
        f"right for {figures.right} of",
        "the original for 50",
        "by at most 0.31",
        "takes 2",
        "original 3 ms",
    ]:
        assert text in caught.value.message
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_int8_that_is_not_faster_is_not_written(prepared: Path, tmp_path: Path) -> None:
    # The encoder that predict runs is already in 8 bits.
    network = random_network()
    bundle = random_bundle(tmp_path / "mine", network)
    encoder_to_litert(network.encoder, bundle / ENCODER_FILE, "int8", real_frames(32))
    write_bundle(bundle, document_of(network))
    with pytest.raises(BundleError, match=r"int8 is not 1\.5 times as fast") as caught:
        export(ExportSettings(bundle, out=tmp_path / "out", precision="int8", data=prepared))
    assert caught.value.code == "export.slow"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("precision", "difference"),
    [("float32", 1.1e-3), ("float16", 2.1e-2), ("float32", np.nan), ("float16", np.nan), ("int8", np.nan)],
)
def test_probabilities_that_differ_are_refused(precision: str, difference: float) -> None:
    with pytest.raises(BundleError, match=f"by {difference:.2g}") as caught:
        check(precision, replace(FIGURES, max_abs_difference=difference))
    assert caught.value.code == "export.difference"


@pytest.mark.slow
def test_accuracy_on_clips_that_the_model_was_trained_on_is_warned_of(
    activity: Activity, model: Path, videos: Path, tmp_path: Path
) -> None:
    # More test persons than before: training clips of the model are test clips here.
    data, out, split = tmp_path / "prepared", tmp_path / "out", Split(0.1, 0.6, r"person\d+")
    prepare(PrepareSettings(videos, data, sampling=SAMPLING, streams=("appearance",), split=split, workers=1))
    result = activity("export", model, "--precision", "float16", "--data", data, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "The model was trained on" in result.stderr
    assert "The model was trained on" in (out / "README.md").read_text()


@pytest.mark.slow
def test_answers_that_differ_too_much_are_refused(prepared: Path, tmp_path: Path) -> None:
    # The weights for other formats are of another network than the files that predict runs.
    network = random_network()
    bundle = random_bundle(tmp_path / "mine", network)
    random_network(seed=4).whole().save(bundle / WEIGHTS_FILE)
    write_bundle(bundle, document_of(network))
    with pytest.raises(BundleError, match="differ from those of the original by") as caught:
        export(ExportSettings(bundle, "saved_model", tmp_path / "out", data=prepared))
    assert caught.value.code == "export.difference"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("format", "precision"),
    [("litert", "float16"), ("litert", "int8"), ("onnx", "float32"), ("saved_model", "float32")],
)
def test_what_is_converted_needs_clips_to_compare_on(bundle: Path, tmp_path: Path, format: Any, precision: Any) -> None:
    with pytest.raises(DatasetError, match=r"compared with the original on prepared clips\..* Name .* with --data"):
        export(ExportSettings(bundle, format, tmp_path / "out", precision=precision))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", ["saved_model", "onnx"])
def test_other_formats_have_no_precision(activity: Activity, bundle: Path, tmp_path: Path, format: str) -> None:
    result = activity("export", bundle, "--format", format, "--precision", "int8", "--out", tmp_path / "out")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert f"--precision int8 needs --format litert, not --format {format}" in line


def test_a_model_without_an_encoder_has_no_precision(tmp_path: Path) -> None:
    bundle = random_bundle(tmp_path / "mine", others=[("motion",)])
    with pytest.raises(ConfigError, match="does not read the appearance"):
        export(ExportSettings(bundle, out=tmp_path / "out", precision="int8"))


@pytest.mark.skipif(HAS_ONNX, reason="the extra 'onnx' is installed")
def test_onnx_without_its_packages_is_an_error_with_what_to_install(
    bundle: Path, prepared: Path, tmp_path: Path
) -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'activity-cli\[onnx\]'"):
        export(ExportSettings(bundle, "onnx", tmp_path / "exported", data=prepared))
    assert not list(tmp_path.iterdir())


def test_an_earlier_export_is_replaced_only_with_overwrite(activity: Activity, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    out.mkdir()
    assert activity("export", bundle, "--out", out).exit_code == 0  # into an empty folder
    (out / "old").write_text("old")
    result = activity("export", bundle, "--out", out)
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr
    assert (out / "old").is_file()
    assert activity("export", bundle, "--out", out, "--overwrite").exit_code == 0
    assert not (out / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["exported"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_was_not_exported_is_never_replaced(
    activity: Activity, bundle: Path, tmp_path: Path, overwrite: bool
) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter.tex").write_text("years of work")
    for place in (out, out / "chapter.tex"):
        result = activity("export", bundle, "--out", place, *(["--overwrite"] if overwrite else []))
        assert result.exit_code == 2
        assert "not made by 'activity export'" in result.stderr
        assert "--overwrite" not in result.stderr
    assert (out / "chapter.tex").read_text() == "years of work"


@pytest.mark.parametrize("place", ["file/exported", "x" * 300])
def test_a_place_that_cannot_be_written_is_one_line(
    activity: Activity, bundle: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("")
    result = activity("export", bundle, "--out", tmp_path / place)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert place in line
    assert "--out" in line


def test_a_model_that_is_missing_is_one_line(activity: Activity, tmp_path: Path) -> None:
    result = activity("export", tmp_path / "nothing", "--out", tmp_path / "exported")
    assert result.exit_code == 2
    assert "nothing" in result.stderr
    assert not list(tmp_path.iterdir())
