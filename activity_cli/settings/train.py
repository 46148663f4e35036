"""Settings of ``train``: the network, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from activity_cli.settings.declare import Setting, Settings
from activity_cli.settings.prepare import DEFAULT_PREPARED

__all__ = [
    "DEFAULT_MODEL",
    "Augmentation",
    "EncoderName",
    "Mode",
    "NetworkSettings",
    "Precision",
    "SequenceKind",
    "TrainSettings",
]

DEFAULT_MODEL = Path("models/activity")
EncoderName = Literal[
    "efficientnet_lite0",
    "small",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_v2_b0",
    "resnet50",
    "vgg16",
]
Mode = Literal["frozen", "finetune", "joint"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
SequenceKind = Literal["lstm", "bilstm", "gru", "none"]

_NETWORK, _TRAINING, _OUTPUT, _AUGMENTATION = "Network", "Training", "Input and output", "Augmentation"


@dataclass(frozen=True, slots=True)
class NetworkSettings(Settings):
    """The shape of the CNN LSTM."""

    encoder: Annotated[
        EncoderName, Setting("The CNN that describes each frame; --list-encoders says when.", _NETWORK)
    ] = "efficientnet_lite0"
    gray: Annotated[bool, Setting("Use brightness only; for the encoder small.")] = False
    truncate_blocks: Annotated[
        int | None,
        Setting(
            "Blocks to leave out at the end of the encoder: before its end it knows more of poses and less of objects.",
            unset="with pretrained weights what suits the encoder (1 of efficientnet_lite0), else 0",
            ge=0,
            le=100,
        ),
    ] = None
    pyramid: Annotated[
        int | None,
        Setting(
            "Rows and columns of the smallest cells of the spatial pyramid; 1: one mean over the whole frame.",
            unset="with pretrained weights what suits the encoder (4 of efficientnet_lite0, else 2), else 1",
            ge=1,
            le=7,
        ),
    ] = None
    sequence: Annotated[
        SequenceKind,
        Setting(
            "The recurrent network that reads the frames in order: lstm, bilstm (in both directions) or gru; or, to "
            "compare with, none: the linear head alone.",
            _NETWORK,
        ),
    ] = "lstm"
    units: Annotated[int, Setting("Width of the recurrent network.", ge=1, le=4096)] = 64
    dropout: Annotated[float, Setting("Share of the features that are dropped in training.", ge=0, lt=1)] = 0.5
    pca_components: Annotated[
        int | None,
        Setting(
            "Principal components of the features that the recurrent network reads; 0: the features themselves.",
            unset="256 with pretrained weights, else 0",
            ge=0,
            le=4096,
        ),
    ] = None
    subtract_mean: Annotated[
        bool,
        Setting(
            "Subtract each clip's mean from the features that the recurrent network reads, so that the place and the "
            "clothes count less and the motion counts more."
        ),
    ] = True
    linear_head: Annotated[
        bool | None,
        Setting(
            "Add a linear head that reads the mean, deviation and course of each feature over the clip.",
            unset="with pretrained weights",
        ),
    ] = None
    per_frame: Annotated[
        bool, Setting("Classify every frame: the clip's answer is their mean, and predict tells each frame's label.")
    ] = False


@dataclass(frozen=True, slots=True)
class Augmentation(Settings):
    """How clips are varied in training; every draw holds for all frames of a clip."""

    flip: Annotated[
        bool,
        Setting(
            "Mirror half of the clips, where pictures are augmented (--mode joint). Labels that name a side, such as "
            "turn_left, are never mirrored.",
            _AUGMENTATION,
        ),
    ] = True
    no_flip_label: Annotated[
        tuple[str, ...],
        Setting(
            "A label that is never mirrored, because left and right matter to it; repeatable.", _AUGMENTATION, "LABEL"
        ),
    ] = ()
    temporal_crop: Annotated[
        float,
        Setting("Largest share of a clip left out at its start and at its end, in all modes.", ge=0, lt=0.5),
    ] = 0.15
    crop: Annotated[
        float, Setting("Largest share of the width and height that is cut away (--mode joint).", ge=0, lt=0.5)
    ] = 0.15
    color_jitter: Annotated[
        float,
        Setting("Largest change of brightness, contrast and saturation, as a share (--mode joint).", ge=0, lt=1),
    ] = 0.4


@dataclass(frozen=True, slots=True)
class TrainSettings(Settings):
    """Settings of :func:`activity_cli.train`."""

    prepared: Annotated[
        Path, Setting("Folder that 'activity prepare' wrote.", metavar="PREPARED", stored=False, argument=True)
    ] = DEFAULT_PREPARED
    out: Annotated[Path, Setting("Model to write.", _OUTPUT, "DIR", stored=False)] = DEFAULT_MODEL
    overwrite: Annotated[bool, Setting("Replace a model that stands at --out.", _OUTPUT, stored=False)] = False
    resume: Annotated[bool, Setting("Go on with a training that was killed or interrupted.", _OUTPUT, stored=False)] = (
        False
    )
    network: NetworkSettings = field(default_factory=NetworkSettings)
    weights: Annotated[
        str | None,
        Setting(
            "Weights that the encoder starts from: imagenet, none (random), or a file.",
            metavar="imagenet|none|FILE",
            unset="imagenet, where the encoder has such weights",
        ),
    ] = None
    mode: Annotated[
        Mode | None,
        Setting(
            "frozen: the encoder's features are computed once, and only the heads are trained. finetune: after that "
            "the encoder's last blocks are trained, too. joint: everything is trained.",
            _TRAINING,
            unset="frozen with pretrained weights, else joint",
        ),
    ] = None
    finetune_blocks: Annotated[
        int | None, Setting("Last encoder blocks that are trained (--mode finetune).", unset="2", ge=1, le=100)
    ] = None
    epochs: Annotated[
        int | None,
        Setting(
            "Passes over the training clips at most, warm-up not counted.",
            _TRAINING,
            "N",
            unset="by mode",
            ge=1,
            le=100_000,
        ),
    ] = None
    warmup_epochs: Annotated[
        int | None,
        Setting(
            "Passes in which the recurrent network is trained on the frozen encoder, before the encoder is trained.",
            unset="as many as in --mode frozen",
            ge=1,
            le=100_000,
        ),
    ] = None
    refit: Annotated[
        bool | None,
        Setting(
            "Train a second time, on training and validation clips together, for all epochs.",
            unset="unless mode is joint",
        ),
    ] = None
    patience: Annotated[
        int | None,
        Setting(
            "Stop after this many epochs without a lower validation loss.",
            unset="15, more where these make few steps",
            ge=1,
            le=100_000,
        ),
    ] = None
    batch_size: Annotated[int, Setting("Clips in a step.", ge=1, le=65_536)] = 16
    learning_rate: Annotated[
        float, Setting("Highest learning rate while the encoder is frozen, or starts from random weights.", gt=0, le=1)
    ] = 2e-3
    encoder_learning_rate: Annotated[
        float | None,
        Setting(
            "Highest learning rate once a pretrained encoder is trained.", unset="a tenth of learning_rate", gt=0, le=1
        ),
    ] = None
    weight_decay: Annotated[float, Setting("Weight decay of AdamW.", ge=0, lt=1)] = 1e-2
    label_smoothing: Annotated[float, Setting("Share of each target that is spread over all labels.", ge=0, lt=1)] = 0.1
    class_weights: Annotated[bool, Setting("Make rare labels count as much as frequent ones.")] = True
    augment: Annotated[bool, Setting("Augment the training clips at all.")] = True
    augmentation: Augmentation = field(default_factory=Augmentation)
    precision: Annotated[
        Precision,
        Setting("What the encoder computes in while it is trained; auto: the fastest on this processor or GPU."),
    ] = "auto"
    device: Annotated[
        str | None,
        Setting("Where to compute, by TensorFlow's name, such as GPU:0.", unset="the first GPU, or the processor"),
    ] = None
    deterministic: Annotated[bool, Setting("Give the same bits for the same seed on a GPU, too, if slower.")] = False
    tensorboard: Annotated[
        Path | None,
        Setting(
            "Also write the curves for TensorBoard into this folder.", metavar="DIR", unset="no logs", stored=False
        ),
    ] = None
    seed: Annotated[int, Setting("The same seed gives the same model.", _TRAINING, "N", ge=0, le=2**32 - 1)] = 0
