"""export: writes a model for other runtimes."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import keras
import msgspec
import numpy as np
import numpy.typing as npt

from activity_cli.commands.evaluate import check_streams, clips_for, warnings_for
from activity_cli.commands.export_check import Answer, Comparison, answer_of, check, compare, compare_speed
from activity_cli.commands.export_readme import landmark_models, notice, readme
from activity_cli.commands.predict import open_network
from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.dataset.processes import default_workers
from activity_cli.errors import BundleError, ConfigError, DatasetError, MissingDependencyError, OutputError
from activity_cli.files import atomic_folder, translate_os_error, write_text
from activity_cli.model.bundle import ENCODER_FILE, WEIGHTS_FILE, Bundle, read_bundle
from activity_cli.model.conversion import encoder_to_litert
from activity_cli.model.heads import HeadShape
from activity_cli.model.network import Network, NetworkShape, load_network
from activity_cli.progress import Progress, SilentProgress
from activity_cli.quiet import native_output_silenced
from activity_cli.results import ClipRecord
from activity_cli.runtime.litert import EncoderRuntime, HeadRuntime, NetworkRuntime, StreamHead
from activity_cli.sampling.plan import evenly_spaced
from activity_cli.settings import ExportSettings, plain_values
from activity_cli.streams.model_files import MODEL_FOLDER

__all__ = ["export"]

Floats = npt.NDArray[np.float32]
# The prepared folder, and the split and the clips to compare on.
_Clips: TypeAlias = tuple[PreparedFolder, str, tuple[ClipRecord, ...]]

# Enough to see a wrong conversion; another precision is compared on all clips of the split.
_CLIPS_COMPARED = 16
_CALIBRATION_CLIPS, _CALIBRATION_FRAMES = 50, 4
_COPIES = "The files are copies of those of the model. There were no prepared clips to compare them on."
_USAGE = [
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


class _Export(NamedTuple):
    """What a format wrote: the description of each file, and what the files answer."""

    files: dict[str, Any]
    answer: Answer


def export(settings: ExportSettings, progress: Progress | None = None) -> Path:
    """Writes a model in the format of another runtime, with a ``README.md`` and a ``description.json`` of its files.

    ``litert`` writes the files that ``predict`` runs (phones, Raspberry Pi). ``saved_model`` writes TensorFlow's format
    (TensorFlow Serving), ``onnx`` two files for ONNX Runtime: both hold networks only, so the model must read the
    appearance alone. If it does, the README of ``litert`` and ``onnx`` has a complete program.

    The exported model is compared with the original on prepared clips. Only copies of its files (``litert``,
    ``float32``) do without such clips.

    Args:
        settings: Which model, which format, and where to.
        progress: Shows bars, and how the exported model compares.

    Returns:
        The folder.

    Raises:
        BundleError: There is no such model, it is damaged, it reads streams that the format cannot hold
            (``model.streams``), the exported model answers too differently (``export.difference``), or int8 is not
            1.5 times as fast (``export.slow``).
        ConfigError: The precision does not go with the format or the model.
        DatasetError: There is no prepared folder where one is needed, or it does not fit the model.
        OutputError: The folder exists, or cannot be written.
        MissingDependencyError: The format needs a package that is not installed.
    """
    progress = progress or SilentProgress()
    bundle = read_bundle(settings.model)
    _check_streams(settings, bundle)
    _check_precision(settings, bundle)
    _check_place(settings)
    with atomic_folder(settings.out) as folder:
        clips = _clips(settings, bundle)
        with progress.stage(f"Exporting {settings.format}", 1, "model") as stage:
            written = _WRITERS[settings.format](settings, bundle, folder, clips)
            stage.advance()
        compared = _compared(settings, bundle, folder, written.answer, clips, progress) if clips else None
        progress.note(str(compared or _COPIES))
        for warning in compared.warnings if compared else ():
            progress.warn(warning)
        description = _description(bundle, settings, written.files, compared)
        write_text(folder / "description.json", json.dumps(description, indent=2) + "\n")
        text = " ".join([str(compared), *compared.warnings]) if compared else _COPIES
        write_text(folder / "README.md", readme(bundle, description, text))
        if licenses := notice(bundle):
            write_text(folder / "NOTICE", licenses)
            shutil.copyfile(MODEL_FOLDER / "LICENSE", folder / "LICENSE")
    return settings.out


def _check_precision(settings: ExportSettings, bundle: Bundle) -> None:
    if settings.precision == "float32":
        return
    if settings.format != "litert":
        raise ConfigError(
            f"`precision={settings.precision}` needs `format=litert`, not `format={settings.format}`.",
            "Leave out one of them.",
            setting="precision",
        )
    if bundle.document.appearance is None:
        raise ConfigError(
            f"{bundle.name} does not read the appearance, so it has no encoder to convert to {settings.precision}.",
            "Leave out `precision`.",
            setting="precision",
        )


def _clips(settings: ExportSettings, bundle: Bundle) -> _Clips | None:
    """The clips to compare on; None: there are none, and the files are copies of those of the model."""
    try:
        prepared, records = clips_for(bundle, settings.data, "all")
        check_streams(bundle, prepared)
        prepared.check_frames(records, pictures="appearance" in bundle.document.streams)
    except (BundleError, DatasetError) as error:
        if settings.data:
            raise
        if settings.format == "litert" and settings.precision == "float32":
            return None
        error.message = f"A converted model is compared with the original on prepared clips. {error.message}"
        raise
    split = "test" if prepared.in_split("test") else "all"
    records = prepared.in_split(split)
    if settings.precision == "float32":
        records = _some(records, _CLIPS_COMPARED)
    return prepared, split, records


def _compared(
    settings: ExportSettings, bundle: Bundle, folder: Path, answer: Answer, clips: _Clips, progress: Progress
) -> Comparison:
    """How the exported files compare with the bundle."""
    prepared, split, records = clips
    found = compare(open_network(bundle), answer, bundle.labels, prepared, split, records, progress)
    if settings.precision != "float32":
        frames = np.asarray(prepared.clips.read(records[0].clip))
        before, after = compare_speed(bundle.file(ENCODER_FILE), folder / ENCODER_FILE, frames)
        cautions = warnings_for(bundle, prepared, records, split)
        found = replace(found, ms_of_model=before, ms=after, warnings=cautions)
    check(settings.precision, found)
    return found


def _some(records: Sequence[ClipRecord], most: int) -> tuple[ClipRecord, ...]:
    return tuple(records[place] for place in evenly_spaced(len(records), most))


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


def _litert(settings: ExportSettings, bundle: Bundle, folder: Path, clips: _Clips | None) -> _Export:
    document, files, heads = bundle.document, dict[str, Any](), dict[str, StreamHead]()
    encoder = None
    if document.appearance is not None:
        path = folder / ENCODER_FILE
        if settings.precision == "float32":
            shutil.copyfile(bundle.file(ENCODER_FILE), path)
        else:
            calibration = _calibration(clips[0]) if clips and settings.precision == "int8" else ()
            encoder_to_litert(_network(bundle).encoder, path, settings.precision, calibration)
        files[ENCODER_FILE] = _encoder(bundle)
        encoder = EncoderRuntime(path, default_workers())
    for entry in document.heads:
        shutil.copyfile(bundle.file(entry.file), folder / entry.file)
        runtime = HeadRuntime(folder / entry.file)
        heads[entry.stream] = StreamHead(runtime, tuple(entry.reads), entry.weight)
        files[entry.file] = {
            "stream": entry.stream,
            "reads": entry.reads,
            "weight": entry.weight,
            "inputs": _features("1", runtime.num_frames, runtime.num_features),
            "outputs": {"log_probabilities": f"float32 [1, {runtime.num_classes}]"},
        }
    for name, stream in landmark_models(bundle).items():
        shutil.copyfile(MODEL_FOLDER / f"{name}.tflite", folder / f"{name}.tflite")
        files[f"{name}.tflite"] = {"computes": stream}
    return _Export(files, answer_of(NetworkRuntime(encoder, heads, document.mirrored_labels)))


def _calibration(prepared: PreparedFolder) -> Iterator[npt.NDArray[np.uint8]]:
    """Frames of training clips, from which int8 takes the range of each layer."""
    for record in _some(prepared.in_split("train") or prepared.in_split("all"), _CALIBRATION_CLIPS):
        frames = np.asarray(prepared.clips.read(record.clip))
        yield from frames[list(evenly_spaced(len(frames), _CALIBRATION_FRAMES))]


def _saved_model(_: ExportSettings, bundle: Bundle, folder: Path, clips: _Clips | None) -> _Export:
    import tensorflow as tf

    network = _network(bundle)
    head, size = network.shape.head, network.shape.frame_size
    with native_output_silenced():
        whole = _weighted(network.whole(), bundle)
        whole.export(str(folder / "saved_model"), format="tf_saved_model", verbose=False)
        loaded = tf.saved_model.load(str(folder / "saved_model"))  # holds the signature's variables
    run = loaded.signatures["serving_default"]
    inputs = {"clips": f"uint8 [B, {head.num_frames}, {size}, {size}, 3]", "mask": f"bool [B, {head.num_frames}]"}
    files = {"saved_model": {"inputs": inputs, "outputs": {"probabilities": f"float32 [B, {head.num_classes}]"}}}

    def answer(frames: npt.NDArray[np.uint8], _rows: object, _times: object) -> Floats:
        clip, mask = _padded(frames, head.num_frames)
        [found] = run(clips=tf.constant(clip), mask=tf.constant(mask)).values()
        return np.asarray(found[0], np.float32)

    return _Export(files, answer)


def _onnx(_: ExportSettings, bundle: Bundle, folder: Path, clips: _Clips | None) -> _Export:
    try:
        import onnx  # noqa: F401
        import onnxruntime
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
    run_encoder, run_classifier = (
        onnxruntime.InferenceSession(folder / name).run for name in ("encoder.onnx", "classifier.onnx")
    )

    def answer(frames: npt.NDArray[np.uint8], _rows: object, _times: object) -> Floats:
        [features] = run_encoder(None, {"frames": frames})
        clip, mask = _padded(features, head.num_frames)
        [found] = run_classifier(None, {"features": clip, "mask": mask})
        return np.asarray(found[0], np.float32)

    return _Export({"encoder.onnx": _encoder(bundle), "classifier.onnx": classifier}, answer)


def _padded(rows: npt.NDArray[Any], steps: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """A batch of one clip ``[1, steps, ...]`` from ``[T, ...]``, and its mask."""
    kept = rows[list(evenly_spaced(len(rows), steps))]
    padded = np.zeros((1, steps, *rows.shape[1:]), rows.dtype)
    padded[0, : len(kept)] = kept
    return padded, np.arange(steps)[np.newaxis] < len(kept)


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
    streams = list(bundle.document.streams)
    if streams != ["appearance"] and settings.format != "litert":
        raise BundleError(
            f"`format={settings.format}` can hold only a model of appearance alone, and {bundle.name} reads "
            f"{' and '.join(streams)}.",
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


def _description(
    bundle: Bundle, settings: ExportSettings, files: dict[str, Any], compared: Comparison | None
) -> dict[str, Any]:
    """Everything that another program needs: which frames to read, which files to run, what their numbers mean."""
    return {
        "schema": "activity.export/2",
        "model": bundle.name,
        "format": settings.format,
        "precision": settings.precision,
        "labels": bundle.document.labels,
        "sampling": plain_values(bundle.sampling),
        "streams": bundle.document.streams,
        "mirrored_labels": bundle.document.mirrored_labels,
        "files": files,
        "compared": compared and compared.to_dict(),
        "usage": _USAGE,
    }


_WRITERS = {"litert": _litert, "saved_model": _saved_model, "onnx": _onnx}
