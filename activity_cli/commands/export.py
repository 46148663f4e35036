"""export: writes a model for other runtimes."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import keras
import msgspec

from activity_cli.errors import MissingDependencyError, OutputError
from activity_cli.files import atomic_folder, translate_os_error, write_text
from activity_cli.model.bundle import ENCODER_FILE, WEIGHTS_FILE, Bundle, read_bundle
from activity_cli.model.network import Network, NetworkShape, load_network
from activity_cli.progress import Progress, SilentProgress
from activity_cli.quiet import native_output_silenced
from activity_cli.settings import ExportSettings, plain_values

__all__ = ["export"]


def export(settings: ExportSettings, progress: Progress | None = None) -> Path:
    """Writes a model in the format of another runtime, and ``description.json``, which describes its files.

    ``litert`` copies the files that ``predict`` runs (phones, Raspberry Pi). ``saved_model`` writes TensorFlow's format
    (TensorFlow Serving), ``onnx`` two files for ONNX Runtime.

    Args:
        settings: Which model, which format, and where to.
        progress: Shows a bar.

    Returns:
        The folder.

    Raises:
        BundleError: There is no such model, or it is damaged.
        OutputError: The folder exists, or cannot be written.
        MissingDependencyError: The format needs a package that is not installed.
    """
    progress = progress or SilentProgress()
    bundle = read_bundle(settings.model)
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
            "Use --overwrite to replace it, or another place with --out.",
            code="output.exists",
        )


def _litert(bundle: Bundle, folder: Path) -> dict[str, Any]:
    shape, per_frame = bundle.document.shape, bundle.network.per_frame
    for name in (ENCODER_FILE, *(head.file for head in bundle.document.heads)):
        shutil.copyfile(bundle.file(name), folder / name)
    outputs = {"log_probabilities": f"float32 [1, {shape.num_classes}]"}
    if per_frame:
        outputs["probabilities_of_frames"] = f"float32 [1, {shape.num_frames}, {shape.num_classes}]"
    head = {"inputs": _features(bundle, "1"), "outputs": outputs}
    heads = {entry.file: {**head, "weight": entry.weight} for entry in bundle.document.heads}
    return {ENCODER_FILE: _encoder(bundle), **heads}


def _saved_model(bundle: Bundle, folder: Path) -> dict[str, Any]:
    shape = bundle.document.shape
    with native_output_silenced():
        _network(bundle).whole().export(str(folder / "saved_model"), format="tf_saved_model", verbose=False)
    clips = f"uint8 [B, {shape.num_frames}, {shape.frame_size}, {shape.frame_size}, 3]"
    inputs = {"clips": clips, "mask": f"bool [B, {shape.num_frames}]"}
    return {"saved_model": {"inputs": inputs, "outputs": {"probabilities": f"float32 [B, {shape.num_classes}]"}}}


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
    network, shape = _network(bundle), bundle.document.shape
    size, steps = shape.frame_size, shape.num_frames
    frames = keras.InputSpec("uint8", (None, size, size, 3), name="frames")
    features = keras.InputSpec("float32", (None, steps, shape.num_features), name="features")
    mask = keras.InputSpec("bool", (None, steps), name="mask")
    with native_output_silenced(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Keras uses a name that NumPy will remove
        for part, name, inputs in (
            (network.encoder, "encoder.onnx", [frames]),
            (network.classifier(), "classifier.onnx", [[features, mask]]),
        ):
            part.export(str(folder / name), format="onnx", verbose=False, input_signature=inputs)
    classifier = {"inputs": _features(bundle, "B"), "outputs": {"probabilities": f"float32 [B, {shape.num_classes}]"}}
    return {"encoder.onnx": _encoder(bundle), "classifier.onnx": classifier}


def _network(bundle: Bundle) -> Network:
    document = bundle.document
    shape = NetworkShape(bundle.network, **msgspec.to_builtins(document.shape))
    return load_network(bundle.file(WEIGHTS_FILE), shape, {head.name: head.weight for head in document.heads})


def _encoder(bundle: Bundle) -> dict[str, Any]:
    size, width = bundle.document.shape.frame_size, bundle.document.shape.num_features
    return {
        "inputs": {"frames": f"uint8 [N, {size}, {size}, 3]"},
        "outputs": {"features": f"float32 [N, {width}]"},
    }


def _features(bundle: Bundle, batch: str) -> dict[str, str]:
    shape = bundle.document.shape
    return {
        "features": f"float32 [{batch}, {shape.num_frames}, {shape.num_features}]",
        "mask": f"bool [{batch}, {shape.num_frames}]",
    }


def _description(bundle: Bundle, format_name: str, files: dict[str, Any]) -> dict[str, Any]:
    """Everything that another program needs: which frames to read, which files to run, what their numbers mean."""
    steps = bundle.document.shape.num_frames
    usage = [
        "Divide the video into windows of window_seconds (null: use the whole video as one window).",
        "Sample frames_per_second frames per second around the middle of each window (null: divide the window into "
        "num_frames equal parts, and take the middle frame of each part).",
        f"Of more than {steps} frames, keep the middle frame of each of {steps} equal parts.",
        "Make each frame square as fit says: stretch it, pad it with black, or crop its middle.",
        "To shrink a frame, average areas of pixels.",
        "Values are RGB, 0 to 255.",
        f"Pad clips or features with zeros to {steps} frames. mask is true for real frames and false for padding.",
        "Probabilities are in the order of labels. Average them over windows.",
    ]
    if format_name == "litert":
        usage.append("The probabilities are the softmax of the sum over heads of weight times log_probabilities.")
    return {
        "schema": "activity.export/2",
        "model": bundle.name,
        "format": format_name,
        "labels": bundle.document.labels,
        "sampling": plain_values(bundle.sampling),
        "files": files,
        "usage": usage,
    }


_WRITERS = {"litert": _litert, "saved_model": _saved_model, "onnx": _onnx}
