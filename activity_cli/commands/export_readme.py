"""README.md and NOTICE of an exported model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from activity_cli.model.bundle import ENCODER_FILE, Bundle
from activity_cli.streams.registry import STREAMS

__all__ = ["landmark_models", "notice", "readme"]

_PROGRAM = Path(__file__).with_name("export_program.py")
# What replaces the functions and classes of these names, and all above them.
_PROGRAM_ONNX = Path(__file__).with_name("export_program_onnx.py")
_STREAM_TEXTS = {
    "appearance": f"`{ENCODER_FILE}` computes the row from the frame, made square as `sampling.fit` says, "
    "`uint8 [1, {size}, {size}, 3]`, RGB, 0 to 255. Every preprocessing after that is part of the file.",
    "motion": "`motion.py` computes the row by OpenCV, without a network: the optical flow from the full frame to the "
    "one 1/15 s later, in gray, the longer side 256 pixels, as histograms.",
    "pose": "`pose.py` computes the row from the full frame, RGB, of square pixels. `pose_detection.tflite` reads "
    "`float32 [1, 224, 224, 3]`, -1 to 1, and finds a person. `pose_landmark_full.tflite` reads the square around the "
    "person, turned upright, `float32 [1, 256, 256, 3]`, 0 to 1, and gives 33 joints. In the next frame, it looks "
    "around these joints. `video/tracking.py` says which frames this follows.",
    "hands": "`hands.py` computes the row from the full frame and its row of the pose. `hand_landmark_full.tflite` "
    "reads a square around each hand, `float32 [1, 224, 224, 3]`, 0 to 1, and gives 21 joints. It runs a second time "
    "around the joints that it found.",
}
_RUN_TEXTS = {
    "onnx": "`encoder.onnx` describes each frame by a row of numbers. `classifier.onnx` reads the rows of a clip. "
    "N is any number of frames, B any number of clips.",
    "saved_model": """In Python, with TensorFlow:

```python
import tensorflow as tf

model = tf.saved_model.load("saved_model")
[probabilities] = model.signatures["serving_default"](clips=clips, mask=mask).values()
```

TensorFlow Serving reads numbered versions: copy `saved_model` to `FOLDER/1`, and start it with
`--model_name=NAME --model_base_path=/absolute/path/to/FOLDER`. B is any number of clips.""",
}


def landmark_models(bundle: Bundle) -> dict[str, str]:
    """The stream of each landmark model that the bundle needs, by the model's name."""
    return {name: stream for stream in bundle.document.streams for name in STREAMS[stream].models}


def notice(bundle: Bundle) -> str:
    """Whose networks the exported files contain; empty: only the user's."""
    parts = []
    if bundle.document.appearance and bundle.network.encoder == "efficientnet_lite0":
        parts.append(
            "The encoder was trained from ImageNet weights of EfficientNet-Lite0.\n"
            "Copyright Google LLC, Apache License, Version 2.0 (see LICENSE)."
        )
    if models := landmark_models(bundle):
        parts.append(
            f"{', '.join(f'{name}.tflite' for name in models)}: models of MediaPipe, unchanged.\n"
            "Copyright The MediaPipe Authors, Apache License, Version 2.0, and further licenses (see LICENSE)."
        )
    return "\n\n".join(parts) + "\n" if parts else ""


def readme(bundle: Bundle, description: Mapping[str, Any], compared: str) -> str:
    """What another program must know to run the files.

    Args:
        bundle: The model.
        description: The content of ``description.json``.
        compared: How the files compare with the model, in sentences.
    """
    format, files = description["format"], description["files"]
    alone = [*bundle.document.streams] == ["appearance"]
    parts = [
        f"# {bundle.name}",
        f"This model recognizes {len(bundle.labels)} activities: {', '.join(bundle.labels)}.",
        compared,
        *(_program(format) if alone and format != "saved_model" else []),
        "## Steps",
        "`description.json` has the labels, the sampling of the frames, and the inputs and outputs of the files.",
        *(_steps(bundle, files) if format == "litert" else _steps_of_networks(description)),
    ]
    if notice(bundle):
        parts += ["## License", "`NOTICE` says whose networks these files contain, `LICENSE` has their license."]
    return "\n\n".join(parts) + "\n"


def _program(format: str) -> list[str]:
    blocks = _blocks(_PROGRAM)
    if format == "onnx":
        blocks |= _blocks(_PROGRAM_ONNX)
    return [
        "## A complete program",
        "Save it as `recognize.py` beside this file. It needs neither TensorFlow nor activity.",
        "```python\n{}\n```".format("\n\n\n".join(blocks.values())),
        "It gives the answers of `activity predict` for a video with square pixels and a steady frame rate that OpenCV "
        "can read. For other videos, and for damaged ones, `activity predict` does more.",
    ]


def _blocks(program: Path) -> dict[str, str]:
    """Each function and class of a program, and what is above them, by its first line."""
    blocks = program.read_text(encoding="utf-8").strip().split("\n\n\n")
    return {block.partition("\n")[0]: block for block in blocks}


def _steps_of_networks(description: Mapping[str, Any]) -> list[str]:
    """The steps for files that hold networks of the appearance alone."""
    rows = [
        f"| `{name}` | " + " | ".join(_arrays(file[side]) for side in ("inputs", "outputs")) + " |"
        for name, file in description["files"].items()
    ]
    return [
        "\n".join(f"{number}. {text}" for number, text in enumerate(description["usage"], 1)),
        _RUN_TEXTS[description["format"]],
        "\n".join(["| file | inputs | outputs |", "| --- | --- | --- |", *rows]),
    ]


def _arrays(described: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}`: `{text}`" for name, text in described.items())


def _steps(bundle: Bundle, files: Mapping[str, Any]) -> list[str]:
    document = bundle.document
    streams = [
        f"   - **{name}** (version {version}): {_STREAM_TEXTS[name].format(size=bundle.sampling.frame_size)}"
        for name, version in document.streams.items()
    ]
    heads = [
        f"| `{one.file}` | {', '.join(one.reads)} | {one.kind} | {files[one.file]['inputs']['features']} "
        f"| {one.weight:.4g} |"
        for one in document.heads
    ]
    views = [
        "3. Views. The heads of appearance and motion have one view: the rows as they are. Of more rows than a head "
        "reads, keep the middle one of each of so many equal parts."
    ]
    if "pose" in document.streams:
        views.append(
            "   The head of the pose reads several views: `views_of` in `views.py` resamples the skeleton to the "
            "number of steps of the head, for several cuts in time, and computes positions, directions, angles and "
            "speeds (`skeleton.py`)."
        )
        if document.mirrored_labels is not None:
            views.append(
                "   It also gives each cut as a mirror shows it. Of a mirrored view, the probability of label i is the "
                "answer at `mirrored_labels[i]`."
            )
    return [
        "1. Choose the frames of a clip as `sampling` and `usage` in `description.json` say.",
        "\n".join(
            [
                "2. Streams. Each describes a frame by a row of numbers. The Python code is in `activity_cli/streams/` "
                "of activity.",
                *streams,
            ]
        ),
        "\n".join(views),
        "4. Heads. Each reads a view, `features`, padded with zeros, and `mask`, true for real rows. It gives log "
        "probabilities. Average the probabilities of the views of a head, and take the logarithm.",
        "5. Sum. Multiply the log probabilities of each head by its weight and add them. The softmax of the sum has "
        "the probabilities, in the order of `labels`.",
        "\n".join(["| head | reads | kind | features | weight |", "| --- | --- | --- | --- | --- |", *heads]),
    ]
