"""Settings of the commands that use a trained model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from activity_cli.settings.declare import Setting, Settings, setting
from activity_cli.settings.prepare import LabelOptions
from activity_cli.settings.train import DEFAULT_MODEL

__all__ = ["ConvertSettings", "EvaluateSettings", "ExportSettings", "PredictSettings", "SummarizeSettings"]

ExportFormat = Literal["litert", "saved_model", "onnx"]
SegmentFormat = Literal["json", "csv", "boris", "srt", "vtt", "eaf", "textgrid"]
ExportPrecision = Literal["float32", "float16", "int8"]
SplitName = Literal["train", "val", "test", "all"]

_VIDEOS = "Folder of the videos. It is needed where labels count frames, or last to the end of a video."
_INPUT, _OUTPUT, _FILES, _ANSWER = "Input", "Output", "Input and output", "Answer"


@dataclass(frozen=True, slots=True)
class EvaluateSettings(Settings):
    """Settings of :func:`activity_cli.evaluate`."""

    model: Path = setting(DEFAULT_MODEL, "Model to evaluate.", metavar="MODEL", argument=True)
    data: Path | None = setting(
        None,
        "Prepared folder to take the clips from.",
        _INPUT,
        "PREPARED",
        unset="the folder that the model was trained on",
    )
    split: SplitName = setting("test", "Split to evaluate the model on.", _INPUT)
    timeline: tuple[Path, ...] = setting(
        (), "Evaluate the timeline of this video, or of the videos in this folder, instead of clips.", _INPUT, "VIDEO"
    )
    truth: Path | None = setting(
        None,
        "With `timeline`, file or folder of the labels: any format that convert reads.",
        _INPUT,
        "LABELS",
        unset="required with `timeline`",
    )
    label_options: LabelOptions = field(default_factory=LabelOptions)


@dataclass(frozen=True, slots=True)
class PredictSettings(Settings):
    """Settings of :func:`activity_cli.predict`."""

    inputs: tuple[Path, ...] = field(
        default=(),
        metadata={
            "setting": Setting(
                "Videos, folders of videos, or - for a video on stdin. With `timeline=true` also addresses, such as "
                "rtsp://10.0.0.7/stream1, and cameras, such as camera:0.",
                metavar="INPUT",
                argument=True,
            )
        },
    )
    model: Path | None = setting(
        None,
        "Model to use. sample: the sample model.",
        _INPUT,
        "MODEL",
        unset="models/activity if it exists, else the sample model",
    )
    timeline: bool = setting(
        False, "Say which activity happens when: a segment for each, and the gaps between them.", _ANSWER
    )
    per_window: bool = setting(
        False, "With `timeline=true`, print the answers for the windows that the segments are made of, too.", _ANSWER
    )
    stride_seconds: float | None = setting(
        None,
        "With `timeline=true`, time from the start of a window to that of the next one.",
        unset="an eighth of a window, which is half of the median training clip",
        gt=0,
        le=3600,
    )
    min_confidence: float = setting(
        0.0, "Give no label where the confidence is lower. The reason is then unknown.", _ANSWER, "P", ge=0, le=1
    )
    reject_unknown: bool = setting(
        False,
        "Give no label where the answer is hardly more probable than the next one. Training has found how much it must "
        "be: 95% of the right answers are kept. The reason is then unknown.",
        _ANSWER,
    )
    annotate: Path | None = setting(
        None,
        "With `timeline=true`, write each video again, with the label of the moment and the timeline in the picture: "
        "one MP4 file, or a folder of them.",
        _OUTPUT,
        "DIR|FILE.mp4",
        unset="no video",
    )
    reconnects: int = setting(
        5, "How often in a row predict connects again to an address or a camera that stops.", ge=0, le=1000
    )


@dataclass(frozen=True, slots=True)
class ExportSettings(Settings):
    """Settings of :func:`activity_cli.export`."""

    model: Path = setting(DEFAULT_MODEL, "Model to export.", metavar="MODEL", argument=True)
    format: ExportFormat = setting(
        "litert",
        "litert: for phones and small boards. saved_model: for TensorFlow Serving. onnx: for ONNX Runtime.",
        _OUTPUT,
    )
    out: Path = setting(Path("exported"), "Folder to write.", _OUTPUT, "DIR")
    overwrite: bool = setting(False, "Replace the folder at `out`.", _OUTPUT)
    precision: ExportPrecision = setting(
        "float32",
        "Precision of the encoder, for litert. float16: half the size. int8: a third of the size, and faster; export "
        "fails if int8 loses more than 1% of the test clips (one clip may always be lost), or if it is not 1.5 times "
        "as fast as float32.",
        _OUTPUT,
    )
    data: Path | None = setting(
        None,
        "Prepared folder whose clips export compares the model on. Only float32 for litert needs none. int8 is also "
        "calibrated on its training clips.",
        _INPUT,
        "PREPARED",
        unset="the folder that the model was trained on",
    )


@dataclass(frozen=True, slots=True)
class ConvertSettings(Settings):
    """Settings of :func:`activity_cli.convert`."""

    labels: Path = field(
        metadata={
            "setting": Setting(
                "File of labels or segments, or a folder of such files. -: stdin.", metavar="IN", argument=True
            )
        }
    )
    out: Path = field(
        metadata={
            "setting": Setting(
                "File to write, or a folder: one file for each video. -: stdout.", metavar="OUT", argument=True
            )
        }
    )
    format: SegmentFormat | None = setting(
        None, "Format to write.", _FILES, "NAME", unset="the one of the suffix of OUT"
    )
    videos: Path | None = setting(None, _VIDEOS, _FILES, "DIR", unset="no videos")
    label_options: LabelOptions = field(default_factory=LabelOptions)


@dataclass(frozen=True, slots=True)
class SummarizeSettings(Settings):
    """Settings of :func:`activity_cli.summarize`."""

    labels: tuple[Path, ...] = field(
        metadata={
            "setting": Setting(
                "Files of labels or segments, or folders of such files. -: stdin.", metavar="IN", argument=True
            )
        }
    )
    out: Path | None = setting(None, "File to write: .csv or .xlsx.", _FILES, "FILE", unset="stdout, as CSV")
    bin_seconds: float | None = setting(
        None, "Summarize parts of this length.", _FILES, "SECONDS", unset="the whole video", gt=0
    )
    groups: Path | None = setting(None, "CSV file with the columns path,group.", _FILES, "FILE", unset="no groups")
    videos: Path | None = setting(None, _VIDEOS, _FILES, "DIR", unset="no videos")
    label_options: LabelOptions = field(default_factory=LabelOptions)
