"""export: a bundle -> files for other programs."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np

from activity_cli.errors import MissingDependencyError, OutputError
from activity_cli.files import atomic_folder, write_text
from activity_cli.model.bundle import ENCODER_FILE, WEIGHTS_FILE, Bundle, read_bundle
from activity_cli.model.network import Network, NetworkShape, load_network
from activity_cli.progress import Progress, SilentProgress
from activity_cli.quiet import native_output_silenced
from activity_cli.settings import ExportSettings, plain_values

__all__ = ["export"]


def export(config: ExportSettings, progress: Progress | None = None) -> Path:
    """Writes a trained model in the format of another runtime, with a description of its inputs.

    ``litert`` gives the two files that predicting uses (phones, Raspberry Pi), ``saved_model``
    TensorFlow's format (TensorFlow Serving), ``onnx`` one file for ONNX Runtime.

    Args:
        config: Which model, which format, where to.
        progress: Who listens.

    Returns:
        The folder that was written.

    Raises:
        BundleError: There is no such model, or it is damaged.
        OutputError: The folder exists, or cannot be written.
        MissingDependencyError: The format needs a package that is not installed.
    """
    progress = progress or SilentProgress()
    bundle = read_bundle(config.model)
    _check_place(config)
    with atomic_folder(config.out) as folder, progress.stage(f"Exporting {config.format}", 1, "model") as stage:
        _WRITERS[config.format](bundle, folder)
        write_text(folder / "description.json", _description(bundle, config.format))
        stage.advance()
    return config.out


def _check_place(config: ExportSettings) -> None:
    out = config.out
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "description.json").is_file():
        raise OutputError(f"{str(out)!r} was not made by 'activity export'.", "Choose another --out.")
    if not config.overwrite:
        raise OutputError(
            f"{str(out)!r} exists already.",
            "Use --overwrite to replace it, or another place with --out.",
            code="output.exists",
        )


def _litert(bundle: Bundle, folder: Path) -> None:
    for name in (ENCODER_FILE, *(head.file for head in bundle.document.heads)):
        shutil.copyfile(bundle.file(name), folder / name)


def _saved_model(bundle: Bundle, folder: Path) -> None:
    with native_output_silenced():
        _network(bundle).whole().export(str(folder / "saved_model"), format="tf_saved_model", verbose=False)


def _onnx(bundle: Bundle, folder: Path) -> None:
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
    size = bundle.sampling.frame_size
    # Keras exports a model by what it saw when it was called.
    network.encoder(np.zeros((1, size, size, 3), np.float32))
    with native_output_silenced(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Keras asks NumPy for a name it will lose
        network.encoder.export(str(folder / "encoder.onnx"), format="onnx", verbose=False)
        network.classifier().export(str(folder / "classifier.onnx"), format="onnx", verbose=False)


def _network(bundle: Bundle) -> Network:
    keras.utils.clear_session()
    document = bundle.document
    shape = NetworkShape(bundle.network, **msgspec.to_builtins(document.shape))
    return load_network(bundle.file(WEIGHTS_FILE), shape, {head.name: head.weight for head in document.heads})


def _description(bundle: Bundle, format_name: str) -> str:
    document, shape = bundle.document, bundle.document.shape
    size, steps, classes = shape.frame_size, shape.num_frames, shape.num_classes
    inputs = {
        "features": f"float32 [1, {steps}, {shape.num_features}], zeros after the last frame",
        "mask": f"bool [1, {steps}], true for the frames that there are",
    }
    content: dict[str, Any] = {
        "schema": "activity.export/2",
        "model": bundle.name,
        "format": format_name,
        "labels": document.labels,
        "sampling": plain_values(bundle.sampling),
        "encoder": {
            "input": f"[N, {size}, {size}, 3] RGB, 0 to 255",
            "output": f"float32 [N, {shape.num_features}] features",
        },
        "frames": f"At most {steps} frames of a clip: of a longer one the middle frame of each of {steps} equal parts.",
    }
    if format_name == "litert":
        content["heads"] = [{"file": head.file, "weight": head.weight} for head in document.heads]
        content["head"] = {
            "inputs": inputs,
            "output": f"float32 [1, {classes}] log probabilities in the order of labels",
            **(
                {"frames": f"float32 [1, {steps}, {classes}] probabilities of every frame"}
                if bundle.network.per_frame
                else {}
            ),
        }
        content["answer"] = "The softmax of the sum over the heads of weight times log probabilities."
    else:
        content["classifier"] = {
            "inputs": inputs,
            "output": f"float32 [1, {classes}] probabilities in the order of labels",
        }
    return json.dumps(content, indent=2) + "\n"


_WRITERS = {"litert": _litert, "saved_model": _saved_model, "onnx": _onnx}
