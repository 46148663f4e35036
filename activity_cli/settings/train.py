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

_NETWORK, _TRAINING, _FILES, _AUGMENTATION = "Network", "Training", "Input and output", "Augmentation"


@dataclass(frozen=True, slots=True)
class NetworkSettings(Settings):
    """The shape of the CNN LSTM."""

    encoder: Annotated[
        EncoderName, Setting("CNN that describes each frame. --list-encoders compares them.", _NETWORK)
    ] = "efficientnet_lite0"
    gray: Annotated[bool, Setting("Use only the brightness of the frames. Needs `encoder=small`.")] = False
    truncate_blocks: Annotated[
        int | None,
        Setting(
            "Last blocks of the encoder to leave out. Just before its end, an encoder describes poses better than "
            "objects.",
            unset="with pretrained weights 1 for efficientnet_lite0, else 0",
            ge=0,
            le=100,
        ),
    ] = None
    pyramid: Annotated[
        int | None,
        Setting(
            "Describe each frame as a whole and in cells, so that the network knows where things are: this many rows "
            "and columns of cells (a spatial pyramid). 1: only as a whole.",
            unset="with pretrained weights 4 for efficientnet_lite0 and 2 for other encoders, else 1",
            ge=1,
            le=7,
        ),
    ] = None
    sequence: Annotated[
        SequenceKind,
        Setting(
            "Recurrent network that reads the frames in order; bilstm reads them in both directions. none: use only "
            "the linear head, for comparison.",
            _NETWORK,
        ),
    ] = "lstm"
    units: Annotated[int, Setting("Width of the recurrent network, in units.", ge=1, le=4096)] = 64
    dropout: Annotated[
        float,
        Setting(
            "Share of the features that training drops at random, so that the network does not memorize the clips.",
            ge=0,
            lt=1,
        ),
    ] = 0.5
    pca_components: Annotated[
        int | None,
        Setting(
            "Principal components of the features that the recurrent network reads. 0: it reads all features.",
            unset="256 with pretrained weights, else 0",
            ge=0,
            le=4096,
        ),
    ] = None
    subtract_mean: Annotated[
        bool,
        Setting(
            "Subtract each clip's mean from the features that the recurrent network reads. The place and the clothes "
            "then count less, and the motion counts more."
        ),
    ] = True
    linear_head: Annotated[
        bool | None,
        Setting(
            "Add a linear head beside the recurrent network. It reads statistics of each feature over the clip.",
            unset="true with pretrained weights, unless `per_frame` is on",
        ),
    ] = None
    per_frame: Annotated[
        bool,
        Setting(
            "Classify each frame. The label of the clip comes from the mean over its frames, and 'activity predict' "
            "also reports the label of each frame."
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class Augmentation(Settings):
    """How training varies the clips. A variation is the same for all frames of a clip."""

    flip: Annotated[
        bool,
        Setting(
            "Mirror half of the clips in training (`mode=joint`). Labels that name a side, such as turn_left, are "
            "never mirrored.",
            _AUGMENTATION,
        ),
    ] = True
    no_flip_label: Annotated[
        tuple[str, ...],
        Setting("Never mirror clips with this label, because left and right matter.", _AUGMENTATION, "LABEL"),
    ] = ()
    temporal_crop: Annotated[
        float,
        Setting("Largest share of a clip to leave out at its start and at its end, in every mode.", ge=0, lt=0.5),
    ] = 0.15
    crop: Annotated[
        float, Setting("Largest share of the width and the height to cut away (`mode=joint`).", ge=0, lt=0.5)
    ] = 0.15
    color_jitter: Annotated[
        float,
        Setting("Largest change of brightness, contrast and saturation, as a share (`mode=joint`).", ge=0, lt=1),
    ] = 0.4


@dataclass(frozen=True, slots=True)
class TrainSettings(Settings):
    """Settings of :func:`activity_cli.train`."""

    prepared: Annotated[
        Path, Setting("Folder that 'activity prepare' wrote.", metavar="PREPARED", stored=False, argument=True)
    ] = DEFAULT_PREPARED
    out: Annotated[Path, Setting("Folder to write the model to.", _FILES, "DIR", stored=False)] = DEFAULT_MODEL
    overwrite: Annotated[bool, Setting("Replace the model at `out`.", _FILES, stored=False)] = False
    resume: Annotated[bool, Setting("Continue a training that was killed or interrupted.", _FILES, stored=False)] = (
        False
    )
    network: NetworkSettings = field(default_factory=NetworkSettings)
    weights: Annotated[
        str | None,
        Setting(
            "Weights that the encoder starts with: imagenet (pretrained), none (random), or a file.",
            metavar="imagenet|none|FILE",
            unset="imagenet if there are such weights for the encoder, else none",
        ),
    ] = None
    mode: Annotated[
        Mode | None,
        Setting(
            "frozen: run the encoder once, and train only the layers after it. finetune: then train the last blocks of "
            "the encoder too. joint: train the whole network.",
            _TRAINING,
            unset="frozen with pretrained weights, else joint",
        ),
    ] = None
    finetune_blocks: Annotated[
        int | None, Setting("Last blocks of the encoder to train (`mode=finetune`).", unset="2", ge=1, le=100)
    ] = None
    epochs: Annotated[
        int | None,
        Setting(
            "Passes over the training clips, at most. The warm-up does not count.",
            unset="by mode and number of clips",
            ge=1,
            le=100_000,
        ),
    ] = None
    warmup_epochs: Annotated[
        int | None,
        Setting(
            "Passes that train only the layers after the encoder, before the encoder is trained too.",
            unset="as many as with `mode=frozen`",
            ge=1,
            le=100_000,
        ),
    ] = None
    refit: Annotated[
        bool | None,
        Setting(
            "Train a second time, on the training and validation clips together, for all epochs.",
            unset="true unless the mode is joint",
        ),
    ] = None
    patience: Annotated[
        int | None,
        Setting(
            "Stop after this many epochs without a lower validation loss.",
            unset="15, or more if the clips are few",
            ge=1,
            le=100_000,
        ),
    ] = None
    batch_size: Annotated[int, Setting("Clips in a training step.", ge=1, le=65_536)] = 16
    learning_rate: Annotated[
        float,
        Setting("Highest learning rate while the encoder is frozen, or starts from random weights.", gt=0, le=1),
    ] = 2e-3
    encoder_learning_rate: Annotated[
        float | None,
        Setting(
            "Highest learning rate while a pretrained encoder is trained.",
            unset="a tenth of `learning_rate`",
            gt=0,
            le=1,
        ),
    ] = None
    weight_decay: Annotated[
        float, Setting("How strongly AdamW pulls the weights of the network to zero.", ge=0, lt=1)
    ] = 1e-2
    label_smoothing: Annotated[
        float, Setting("Share of each target that is spread evenly over all labels.", ge=0, lt=1)
    ] = 0.1
    class_weights: Annotated[bool, Setting("Let rare labels count as much as frequent ones.")] = True
    augment: Annotated[bool, Setting("Vary the training clips at random (augmentation).")] = True
    augmentation: Augmentation = field(default_factory=Augmentation)
    precision: Annotated[
        Precision,
        Setting("Number format of the encoder while it is trained. auto: the fastest on this processor or GPU."),
    ] = "auto"
    device: Annotated[
        str | None,
        Setting("Where to compute, by TensorFlow's name, such as GPU:0.", unset="the first GPU, or the processor"),
    ] = None
    deterministic: Annotated[
        bool, Setting("Give exactly the same weights for the same seed on a GPU too. Training is then slower.")
    ] = False
    tensorboard: Annotated[
        Path | None,
        Setting("Folder for training curves in TensorBoard.", metavar="DIR", unset="no such curves", stored=False),
    ] = None
    seed: Annotated[int, Setting("The same number gives the same model.", _TRAINING, "N", ge=0, le=2**32 - 1)] = 0
