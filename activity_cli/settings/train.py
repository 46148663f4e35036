"""Settings of ``train``: how the network learns."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from activity_cli.settings.augment import AugmentConfig
from activity_cli.settings.checks import require
from activity_cli.settings.network import NetworkConfig
from activity_cli.settings.prepare import DEFAULT_PREPARED

__all__ = ["DEFAULT_MODEL", "MODES", "PRECISIONS", "TrainConfig"]

DEFAULT_MODEL = Path("models/activity")
MODES = ("frozen", "finetune", "joint")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of :func:`activity_cli.train`.

    Attributes:
        prepared: Folder that ``prepare`` wrote.
        out: Bundle to write.
        network: The shape of the network.
        weights: What the encoder begins with: ``imagenet``, ``none`` (random), or a file of weights.
            None: imagenet where the encoder has such weights.
        mode: ``frozen`` (features are computed once, only the sequence part learns), ``finetune``
            (after that the encoder's last blocks learn too, at a lower learning rate, batch
            normalization kept), ``joint`` (everything learns; where the encoder has trained weights,
            after the sequence part has). None: frozen where the encoder has trained weights, else joint.
        finetune_blocks: Last blocks of the encoder that learn, in the mode ``finetune``; None: 2.
        epochs: Passes over the training clips at most; None: by mode. The learning rate rises and falls
            once over them. Where the sequence part learns first by itself, those passes are not counted.
        head_epochs: Passes in which it learns by itself, before an encoder with trained weights learns,
            too; None: as many as with a frozen encoder.
        refit: Train a second time, on training and validation clips together, for all epochs: data is
            what a small set lacks most. What is said of the validation clips is of the first time.
            None: in the modes frozen and finetune.
        patience: Epochs without a better validation loss after which training stops; None: 15,
            more where these make less than 120 steps or a fifth of all epochs.
        batch_size: Clips in a step.
        learning_rate: Step size of the optimizer; None: 0.002.
        encoder_learning_rate: That of the encoder's weights, in the modes finetune and joint, and where
            the sequence part has learned before, of that, too; None: a tenth of ``learning_rate`` for
            trained weights, else the same.
        weight_decay: Share of each weight that is taken off with each step, times the learning rate.
        label_smoothing: Share of each target that is spread over all activities, so that the network
            is not driven to be certain (Szegedy et al. 2016).
        class_weights: Rare labels count as much as frequent ones.
        augment: How clips are varied while learning.
        precision: Of the encoder's computation: ``float32``, ``bfloat16``, ``float16`` (GPU only), or
            ``auto``: what the processor or GPU is fastest in. Weights are float32 always.
        devices: TensorFlow's names of the devices to share each batch among, such as ``GPU:0``; none
            named: all GPUs, or else the processor.
        deterministic: The same seed gives the same weights to the bit, on a GPU too; slower.
        tensorboard: Folder for TensorBoard's logs; None: none.
        resume: Go on with the training at ``out`` that was killed or interrupted.
        seed: Draws the weights, the order of the clips, augmentation and dropout.
        overwrite: Replace a bundle that stands at ``out``.
    """

    prepared: Path = DEFAULT_PREPARED
    out: Path = DEFAULT_MODEL
    network: NetworkConfig = field(default_factory=NetworkConfig)
    weights: str | None = None
    mode: str | None = None
    finetune_blocks: int | None = None
    epochs: int | None = None
    head_epochs: int | None = None
    refit: bool | None = None
    patience: int | None = None
    batch_size: int = 16
    learning_rate: float | None = None
    encoder_learning_rate: float | None = None
    weight_decay: float = 1e-2
    label_smoothing: float = 0.1
    class_weights: bool = True
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    precision: str = "auto"
    devices: tuple[str, ...] = ()
    deterministic: bool = False
    tensorboard: Path | None = None
    resume: bool = False
    seed: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        require(self.mode is None or self.mode in MODES, "mode", self.mode, ", ".join(MODES))
        blocks = self.finetune_blocks
        require(self.weights != "", "weights", self.weights, "imagenet, none, or a file")
        require(blocks is None or blocks >= 1, "finetune_blocks", blocks, "1 or more")
        require(self.epochs is None or self.epochs >= 1, "epochs", self.epochs, "1 or more")
        require(self.head_epochs is None or self.head_epochs >= 1, "head_epochs", self.head_epochs, "1 or more")
        require(self.patience is None or self.patience >= 1, "patience", self.patience, "1 or more")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "1 or more")
        for name in ("learning_rate", "encoder_learning_rate"):
            rate = getattr(self, name)
            require(rate is None or 0 < rate <= 1, name, rate, "more than 0, up to 1")
        require(0 <= self.weight_decay < 1, "weight_decay", self.weight_decay, "0 up to, but not, 1")
        smoothing = self.label_smoothing
        require(0 <= smoothing < 1, "label_smoothing", smoothing, "0 up to, but not, 1")
        require(self.precision in PRECISIONS, "precision", self.precision, ", ".join(PRECISIONS))
        require(0 <= self.seed < 2**32, "seed", self.seed, "0 up to, but not, 4294967296")
