"""Settings of ``train``: the network, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from activity_cli.settings.declare import Settings, setting
from activity_cli.settings.prepare import DEFAULT_PREPARED, STREAM_NAMES, StreamName

__all__ = ["DEFAULT_MODEL", "Augmentation", "EncoderName", "NetworkSettings", "TrainSettings"]

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
HeadChoice = Literal["auto", "recurrent", "linear"]

_NETWORK, _TRAINING, _FILES, _AUGMENTATION = "Network", "Training", "Input and output", "Augmentation"


@dataclass(frozen=True, slots=True)
class NetworkSettings(Settings):
    """The shape of the network."""

    encoder: EncoderName = setting(
        "efficientnet_lite0", "CNN that computes the features of each frame; --list-encoders compares them.", _NETWORK
    )
    gray: bool = setting(False, "Use only the brightness of the frames. Needs `encoder=small`.")
    truncate_blocks: int | None = setting(
        None,
        "Number of blocks to remove from the end of the encoder. The features before the last block tell poses apart "
        "better; those at the end are specialized in objects.",
        unset="with pretrained weights 1 for efficientnet_lite0, else 0",
        ge=0,
        le=100,
    )
    pyramid: int | None = setting(
        None,
        "Rows and columns of the smallest cells of the spatial pyramid. 4: the features are averaged over the whole "
        "frame, 2 x 2 cells and 4 x 4 cells, so that the network knows where things are. 1: only over the whole frame.",
        unset="with pretrained weights 4 for efficientnet_lite0 and 2 for other encoders, else 1",
        ge=1,
        le=7,
    )
    head: HeadChoice = setting(
        "auto",
        "What classifies a clip from the numbers of a stream. recurrent: a bidirectional GRU over time. linear: a "
        "linear classifier on statistics over time. auto: the better one for each stream, by cross-validation.",
    )
    units: int = setting(64, "Number of units of the recurrent layer, in each direction.", ge=1, le=4096)
    dropout: float = setting(
        0.5,
        "Share of the features to drop at random in training, so that the network does not memorize the clips.",
        ge=0,
        lt=1,
    )
    pca_components: int | None = setting(
        None,
        "Number of principal components of the encoder's features that the recurrent network reads. 0: it reads all "
        "features.",
        unset="256 with pretrained weights, else 0",
        ge=0,
        le=4096,
    )
    subtract_mean: bool = setting(
        True,
        "Subtract the mean of each clip from the encoder's features that the recurrent network reads. This removes "
        "what does not change during the clip, such as the place and the clothes.",
    )


@dataclass(frozen=True, slots=True)
class Augmentation(Settings):
    """How training varies the clips. A variation is the same for all frames of a clip."""

    flip: bool = setting(
        True,
        "In training, mirror half of the skeletons, and with `mode=joint` half of the pictures. Labels that name a "
        "side, such as turn_left and turn_right, are swapped; if one has no partner, nothing is mirrored. Pictures of "
        "these labels never are.",
        _AUGMENTATION,
    )
    no_flip_label: tuple[str, ...] = setting(
        (),
        "A label that depends on left and right, so that nothing may be mirrored.",
        _AUGMENTATION,
        "LABEL",
    )
    skeleton: bool = setting(True, "In training, turn, scale, shake and time-warp skeletons, and leave hands out.")
    temporal_crop: float = setting(
        0.15, "Largest share of a clip to cut off at its start and at its end (appearance and motion).", ge=0, lt=0.5
    )
    crop: float = setting(0.15, "Largest share of the width and the height to crop (`mode=joint` only).", ge=0, lt=0.5)
    color_jitter: float = setting(
        0.4, "Largest relative change of brightness, contrast and saturation (`mode=joint` only).", ge=0, lt=1
    )


@dataclass(frozen=True, slots=True)
class TrainSettings(Settings):
    """Settings of :func:`activity_cli.train`."""

    prepared: Path = setting(
        DEFAULT_PREPARED, "Folder that 'activity prepare' wrote.", metavar="PREPARED", stored=False, argument=True
    )
    out: Path = setting(DEFAULT_MODEL, "Folder to write the model to.", _FILES, "DIR", stored=False)
    overwrite: bool = setting(False, "Replace the model at `out`.", _FILES, stored=False)
    resume: bool = setting(False, "Continue a training that was killed or interrupted.", _FILES, stored=False)
    streams: tuple[StreamName, ...] = setting(
        STREAM_NAMES,
        "Streams that the model may read. Cross-validation drops those that do not help.",
        _NETWORK,
        "NAME,...",
    )
    background: tuple[str, ...] = setting(
        (), "A label that means that nothing happens: a gap in a timeline (predict --timeline).", _TRAINING, "LABEL"
    )
    network: NetworkSettings = field(default_factory=NetworkSettings)
    weights: str | None = setting(
        None,
        "Weights that the encoder starts with: imagenet (pretrained), none (random), or a file.",
        metavar="imagenet|none|FILE",
        unset="imagenet if there are such weights for the encoder, else none",
    )
    mode: Mode | None = setting(
        None,
        "frozen: train only the classifiers (heads). finetune: train these, then also the last blocks of the encoder. "
        "joint: train the encoder and its head together.",
        _TRAINING,
        unset="frozen with pretrained weights, or without the appearance stream, else joint",
    )
    finetune_blocks: int | None = setting(
        None, "Number of blocks at the end of the encoder to train (`mode=finetune`).", unset="2", ge=1, le=100
    )
    epochs: int | None = setting(
        None,
        "Largest number of epochs (passes over the training clips), without the warm-up.",
        unset="with a frozen encoder as many as make 900 steps; 4 with a pretrained one that is trained, else 60; "
        "more for few clips",
        ge=1,
        le=100_000,
    )
    warmup_epochs: int | None = setting(
        None,
        "Number of epochs that train only the layers after the encoder, before the encoder is trained too (warm-up).",
        unset="as many as with `mode=frozen`",
        ge=1,
        le=100_000,
    )
    refit: bool | None = setting(
        None,
        "Afterward, train again from the start, on the training and validation clips together, for all epochs "
        "(`mode=finetune` and `mode=joint`; with `mode=frozen`, the heads always use both).",
        unset="true, but false with `mode=joint`",
    )
    patience: int | None = setting(
        None,
        "Stop after this many epochs without a lower validation loss (`mode=finetune` and `mode=joint`).",
        unset="15; more with few clips or many epochs",
        ge=1,
        le=100_000,
    )
    batch_size: int | None = setting(
        None,
        "Number of clips in a training step.",
        unset="32 with a frozen encoder, else 16",
        ge=1,
        le=65_536,
    )
    learning_rate: float | None = setting(
        None,
        "Highest learning rate while the encoder is frozen, or starts from random weights.",
        unset="0.004 with a frozen encoder, else 0.002",
        gt=0,
        le=1,
    )
    encoder_learning_rate: float | None = setting(
        None,
        "Highest learning rate while a pretrained encoder is trained.",
        unset="a tenth of `learning_rate`",
        gt=0,
        le=1,
    )
    weight_decay: float | None = setting(
        None,
        "How strongly AdamW pulls the weights of the network to zero.",
        unset="0.05 with a frozen encoder, else 0.01",
        ge=0,
        lt=1,
    )
    label_smoothing: float = setting(0.1, "Share of each target that is spread evenly over all labels.", ge=0, lt=1)
    class_weights: bool = setting(True, "Weight the clips so that every label counts the same in training.")
    augment: bool = setting(True, "Vary the training clips at random (augmentation).")
    augmentation: Augmentation = field(default_factory=Augmentation)
    precision: Precision = setting(
        "auto", "Number format of the encoder while it is trained. auto: the fastest on this processor or GPU."
    )
    device: str | None = setting(
        None, "Device to train on, as TensorFlow names it, such as GPU:0.", unset="the first GPU, else the CPU"
    )
    deterministic: bool = setting(False, "Make training reproducible on a GPU too. This is slower.")
    tensorboard: Path | None = setting(
        None, "Folder for training curves in TensorBoard.", metavar="DIR", unset="none", stored=False
    )
    seed: int = setting(
        0,
        "Random seed. The same seed gives the same model (on a GPU only with `deterministic=true`).",
        _TRAINING,
        "N",
        ge=0,
        le=2**32 - 1,
    )
