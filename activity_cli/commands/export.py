"""export: a bundle -> files for other programs."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import keras
import numpy as np

from activity_cli.errors import MissingDependencyError, OutputError
from activity_cli.files import atomic_folder, write_text
from activity_cli.model.bundle import ENCODER_FILE, SEQUENCE_FILE, WEIGHTS_FILE, Bundle, read_bundle
from activity_cli.model.network import Network, load_network
from activity_cli.progress import Progress, SilentProgress
from activity_cli.quiet import native_output_silenced
from activity_cli.settings import ExportSettings

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
    for name in (ENCODER_FILE, SEQUENCE_FILE):
        shutil.copyfile(bundle.file(name), folder / name)


def _saved_model(bundle: Bundle, folder: Path) -> None:
    with native_output_silenced():
        _network(bundle).whole.export(str(folder / "saved_model"), format="tf_saved_model", verbose=False)


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
        network.sequence.export(str(folder / "sequence.onnx"), format="onnx", verbose=False)


def _network(bundle: Bundle) -> Network:
    keras.utils.clear_session()
    return load_network(bundle.file(WEIGHTS_FILE), bundle.network, bundle.sampling, len(bundle.labels))


def _description(bundle: Bundle, format_name: str) -> str:
    sampling = bundle.sampling
    size, steps = sampling.frame_size, sampling.num_frames
    each = f"float32 [1, {steps}, {len(bundle.labels)}] the same of every frame, a second output"
    frames, clip = f"[N, {size}, {size}, 3]", f"[1, {steps}, features]"
    return (
        json.dumps(
            {
                "schema": "activity.export/1",
                "model": bundle.name,
                "format": format_name,
                "labels": list(bundle.labels),
                "sampling": bundle.document["sampling"],
                "encoder": {"input": f"{frames} RGB, 0 to 255", "output": "[N, features]"},
                "sequence": {
                    "inputs": {"features": f"float32 {clip}, zeros after the last frame", "mask": f"bool [1, {steps}]"},
                    "output": f"float32 [1, {len(bundle.labels)}] probabilities in the order of labels",
                    **({"frames": each} if bundle.network.per_frame and format_name == "litert" else {}),
                },
            },
            indent=2,
        )
        + "\n"
    )


_WRITERS = {"litert": _litert, "saved_model": _saved_model, "onnx": _onnx}
