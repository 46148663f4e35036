"""export: writes a model for other runtimes."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import msgspec

from activity_cli.errors import BundleError, MissingDependencyError, OutputError
from activity_cli.files import atomic_folder, translate_os_error, write_text
from activity_cli.model.bundle import ENCODER_FILE, WEIGHTS_FILE, Bundle, read_bundle
from activity_cli.model.heads import HeadShape
from activity_cli.model.network import Network, NetworkShape, load_network
from activity_cli.progress import Progress, SilentProgress
from activity_cli.quiet import native_output_silenced
from activity_cli.runtime.litert import HeadRuntime
from activity_cli.settings import ExportSettings, plain_values
from activity_cli.streams.model_files import MODEL_FOLDER
from activity_cli.streams.registry import STREAMS

__all__ = ["export"]


def export(settings: ExportSettings, progress: Progress | None = None) -> Path:
    """Writes a model in the format of another runtime, and ``description.json``, which describes its files.

    ``litert`` copies the files that ``predict`` runs (phones, Raspberry Pi), with a ``README.md`` that says what stands
    between them. ``saved_model`` writes TensorFlow's format (TensorFlow Serving), ``onnx`` two files for ONNX Runtime:
    both hold networks only, so the model must read appearance alone.

    Args:
        settings: Which model, which format, and where to.
        progress: Shows a bar.

    Returns:
        The folder.

    Raises:
        BundleError: There is no such model, it is damaged, or it reads streams that the format cannot hold
            (``model.streams``).
        OutputError: The folder exists, or cannot be written.
        MissingDependencyError: The format needs a package that is not installed.
    """
    progress = progress or SilentProgress()
    bundle = read_bundle(settings.model)
    _check_streams(settings, bundle)
    _check_place(settings)
    with atomic_folder(settings.out) as folder, progress.stage(f"Exporting {settings.format}", 1, "model") as stage:
        files = _WRITERS[settings.format](bundle, folder)
        write_text(
            folder / "description.json", json.dumps(_description(bundle, settings.format, files), indent=2) + "\n"
        )
        stage.advance()
    return settings.out


def _check_place(settings: ExportSettings) -> None:
    out = settings.out
    with translate_os_error(out, "`out`"):
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return
        is_export = (out / "description.json").is_file()
    if not is_export:
        raise OutputError(f"{str(out)!r} was not made by 'activity export'.", "Choose another --out.")
    if not settings.overwrite:
        raise OutputError(
            f"{str(out)!r} already exists.",
            "Use --overwrite to replace it, or choose another folder with --out.",
            code="output.exists",
        )


def _litert(bundle: Bundle, folder: Path) -> dict[str, Any]:
    document, files = bundle.document, {}
    if "appearance" in document.streams:
        shutil.copyfile(bundle.file(ENCODER_FILE), folder / ENCODER_FILE)
        files[ENCODER_FILE] = _encoder(bundle)
    for entry in document.heads:
        shutil.copyfile(bundle.file(entry.file), folder / entry.file)
        runtime = HeadRuntime(folder / entry.file)
        files[entry.file] = {
            "stream": entry.stream,
            "reads": entry.reads,
            "weight": entry.weight,
            "inputs": _features("1", runtime.num_frames, runtime.num_features),
            "outputs": {"log_probabilities": f"float32 [1, {runtime.num_classes}]"},
        }
    models = {name: stream for stream in document.streams for name in STREAMS[stream].models}
    for name in models:
        shutil.copyfile(MODEL_FOLDER / f"{name}.tflite", folder / f"{name}.tflite")
    if models:
        shutil.copyfile(MODEL_FOLDER / "LICENSE", folder / "LICENSE")
    files |= {f"{name}.tflite": {"computes": stream} for name, stream in models.items()}
    write_text(folder / "README.md", _readme(bundle, tuple(models)))
    return files


def _readme(bundle: Bundle, models: Sequence[str]) -> str:
    """What stands between the files of the format ``litert``."""
    document = bundle.document
    lines = [
        f"# {bundle.name}",
        "",
        "Video -> frames -> rows of each stream -> views -> heads -> probabilities. `description.json` has the labels,",
        "the sampling of the frames, and the inputs and outputs of the files.",
        "",
        "## Streams",
        "",
        "Each stream describes a frame by a row of numbers. The code is in `activity_cli/streams/` of the package.",
        "",
        *(f"- **{name}** (version {version}): {_STREAM_TEXTS[name]}" for name, version in document.streams.items()),
        "",
        "## Views",
        "",
        "The heads of appearance and motion read the rows as they are. The head of the pose reads views of the rows:",
        "`views_of` in `views.py` resamples the skeleton to the number of steps of the head, for several cuts in time,",
        "and computes positions, directions, angles and speeds (`skeleton.py`).",
    ]
    if document.mirrored_labels is not None:
        lines += [
            "It also gives each cut as a mirror shows it. Of a mirrored view, the probability of label i is the answer",
            "at `mirrored_labels[i]`.",
        ]
    lines += [
        "The probabilities of the views of a head are averaged, and the logarithm of the average is taken.",
        "",
        "## Sum",
        "",
        "The log probabilities of the heads are multiplied by these weights and added. The softmax of the sum is the",
        "answer.",
        "",
        "| head | reads | kind | weight |",
        "| --- | --- | --- | --- |",
        *(f"| `{one.file}` | {', '.join(one.reads)} | {one.kind} | {one.weight:.4g} |" for one in document.heads),
    ]
    if models:
        lines += [
            "",
            "## License",
            "",
            f"{', '.join(f'`{name}.tflite`' for name in models)}: MediaPipe, Copyright The MediaPipe Authors, Apache",
            "License, Version 2.0 (`LICENSE`).",
        ]
    return "\n".join(lines) + "\n"


_STREAM_TEXTS = {
    "appearance": f"`{ENCODER_FILE}` computes it from the frame, made square.",
    "motion": "`motion.py` computes it by OpenCV from the full frame and the one 1/15 s later.",
    "pose": "`pose.py` computes it from the full frame. `pose_detection.tflite` finds a person, and "
    "`pose_landmark_full.tflite` the joints.",
    "hands": "`hands.py` computes it from the full frame and its pose, with `hand_landmark_full.tflite`.",
}


def _saved_model(bundle: Bundle, folder: Path) -> dict[str, Any]:
    network = _network(bundle)
    head, size = network.shape.head, network.shape.frame_size
    with native_output_silenced():
        whole = _weighted(network.whole(), bundle)
        whole.export(str(folder / "saved_model"), format="tf_saved_model", verbose=False)
    inputs = {"clips": f"uint8 [B, {head.num_frames}, {size}, {size}, 3]", "mask": f"bool [B, {head.num_frames}]"}
    return {"saved_model": {"inputs": inputs, "outputs": {"probabilities": f"float32 [B, {head.num_classes}]"}}}


def _onnx(bundle: Bundle, folder: Path) -> dict[str, Any]:
    try:
        import onnx  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"Exporting to ONNX needs a package that is not installed: {error.name}.",
            "Install it: pip install 'activity-cli[onnx]'",
            code="dependency.onnx",
        ) from None
    network = _network(bundle)
    head, size = network.shape.head, network.shape.frame_size
    frames = keras.InputSpec("uint8", (None, size, size, 3), name="frames")
    features = keras.InputSpec("float32", (None, head.num_frames, head.num_features), name="features")
    mask = keras.InputSpec("bool", (None, head.num_frames), name="mask")
    with native_output_silenced(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Keras uses a name that NumPy will remove
        for part, name, inputs in (
            (network.encoder, "encoder.onnx", [frames]),
            (_weighted(network.classifier(), bundle), "classifier.onnx", [[features, mask]]),
        ):
            part.export(str(folder / name), format="onnx", verbose=False, input_signature=inputs)
    classifier = {
        "inputs": _features("B", head.num_frames, head.num_features),
        "outputs": {"probabilities": f"float32 [B, {head.num_classes}]"},
    }
    return {"encoder.onnx": _encoder(bundle), "classifier.onnx": classifier}


def _network(bundle: Bundle) -> Network:
    head = bundle.document.appearance
    assert head is not None
    shape = NetworkShape(bundle.network, bundle.sampling.frame_size, HeadShape(**msgspec.to_builtins(head)))
    return load_network(bundle.file(WEIGHTS_FILE), shape)


def _weighted(model: keras.Model, bundle: Bundle) -> keras.Model:
    """The model with the weight of its only head, which makes it as certain as it is right."""
    [entry] = bundle.document.heads
    scaled = entry.weight * keras.ops.log(model.output)
    return keras.Model(model.inputs, keras.layers.Softmax(dtype="float32", name="weighted")(scaled), name=model.name)


def _check_streams(settings: ExportSettings, bundle: Bundle) -> None:
    others = [name for name in bundle.document.streams if name != "appearance"]
    if others and settings.format != "litert":
        raise BundleError(
            f"{bundle.name} reads {', '.join(others)}, which are computed outside of the network, so "
            f"`format={settings.format}` cannot hold it.",
            "Use `format=litert`, or train a model of appearance alone: 'activity train --streams appearance'.",
            code="model.streams",
        )


def _encoder(bundle: Bundle) -> dict[str, Any]:
    head, size = bundle.document.appearance, bundle.sampling.frame_size
    assert head is not None
    return {
        "inputs": {"frames": f"uint8 [N, {size}, {size}, 3]"},
        "outputs": {"features": f"float32 [N, {head.num_features}]"},
    }


def _features(batch: str, num_frames: int, num_features: int) -> dict[str, str]:
    return {
        "features": f"float32 [{batch}, {num_frames}, {num_features}]",
        "mask": f"bool [{batch}, {num_frames}]",
    }


def _description(bundle: Bundle, format_name: str, files: dict[str, Any]) -> dict[str, Any]:
    """Everything that another program needs: which frames to read, which files to run, what their numbers mean."""
    usage = [
        "Divide the video into windows of window_seconds (null: use the whole video as one window).",
        "Sample frames_per_second frames per second around the middle of each window (null: divide the window into "
        "num_frames equal parts, and take the middle frame of each part).",
        "Of more frames than a file reads, keep the middle frame of each of so many equal parts.",
        "Make each frame square as fit says: stretch it, pad it with black, or crop its middle.",
        "To shrink a frame, average areas of pixels.",
        "Values are RGB, 0 to 255.",
        "Pad clips or features with zeros. mask is true for real frames and false for padding.",
        "Probabilities are in the order of labels. Average them over windows.",
    ]
    if format_name == "litert":
        usage.append("README.md says what stands between the files.")
    return {
        "schema": "activity.export/2",
        "model": bundle.name,
        "format": format_name,
        "labels": bundle.document.labels,
        "sampling": plain_values(bundle.sampling),
        "streams": bundle.document.streams,
        "mirrored_labels": bundle.document.mirrored_labels,
        "files": files,
        "usage": usage,
    }


_WRITERS = {"litert": _litert, "saved_model": _saved_model, "onnx": _onnx}
