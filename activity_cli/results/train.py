"""What ``train`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["EncoderRow", "EpochRecord", "HeadScore", "LayerRow", "TrainResult"]


@dataclass(frozen=True, slots=True)
class EncoderRow:
    """One encoder that ``train`` can use.

    Attributes:
        name: The value of ``--encoder``.
        summary: When to use it, in one line.
        features: Numbers that it computes for each frame.
        parameters: All its parameters.
        frame_size: Height and width in pixels of the frames that it was made for.
        min_frame_size: The smallest frames that it accepts.
        weights: Where its pretrained weights come from.
    """

    name: str
    summary: str
    features: int
    parameters: int
    frame_size: int
    min_frame_size: int
    weights: str


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer of the network: its name, class, depth in the tree, output shape without the batch, and parameters."""

    name: str
    kind: str
    depth: int
    output_shape: str
    parameters: int
    trainable: bool


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch reached.

    Attributes:
        epoch: Counted from 1 within its stage.
        stage: ``warm-up`` (the heads alone, on a frozen encoder), ``main``, or ``refit`` (a second training, on the
            training and validation clips).
        loss, accuracy: Of the training clips.
        val_loss, val_accuracy: Of the validation clips; NaN where there are none, as in a refit.
        seconds: How long the epoch took.
    """

    epoch: int
    stage: str
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True, slots=True)
class HeadScore:
    """One head of the network.

    Attributes:
        name: Such as ``lstm`` or ``linear``.
        weight: Its share of the answer: log probabilities are weighted with it, and added.
        val_accuracy: Of this head alone on the validation clips, 0 to 1; None without validation clips.
    """

    name: str
    weight: float
    val_accuracy: float | None


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What :func:`activity_cli.train` made.

    Attributes:
        model: Folder of the bundle.
        name: Name and short hash of the bundle, as predictions carry it.
        labels: The activities.
        history: One record for each epoch of every stage, in the order of the training.
        best_epoch: The epoch of the main stage with the lowest validation loss. The bundle has its weights, unless
            ``refitted``. 0: the weights are those of the warm-up, or nothing was trained by epochs.
        interrupted: Whether Ctrl-C stopped the training.
        litert_max_abs_difference: Largest difference between a probability of Keras and one of LiteRT.
        history_picture: Chart of loss and accuracy over the epochs; None where nothing was trained by epochs.
        diverged: Where the loss stopped being finite, which ended the training; the bundle has the weights of an
            earlier epoch. Empty if the loss stayed finite.
        refitted: Whether the bundle has the weights of the refit.
        heads: The heads of the network.
        val_accuracy, val_loss: Of the whole network on the validation clips; None without validation clips.
    """

    model: Path
    name: str
    labels: tuple[str, ...]
    history: tuple[EpochRecord, ...]
    best_epoch: int
    interrupted: bool
    litert_max_abs_difference: float
    history_picture: Path | None
    diverged: str = ""
    refitted: bool = False
    heads: tuple[HeadScore, ...] = ()
    val_accuracy: float | None = None
    val_loss: float | None = None
