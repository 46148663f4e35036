"""Settings of ``train``: the shape of the network, and how it learns."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from activity_cli.config.checks import require
from activity_cli.config.preparing import DEFAULT_PREPARED

__all__ = ["DEFAULT_MODEL", "ENCODERS", "POOLINGS", "SEQUENCES", "NetworkConfig", "TrainConfig"]

DEFAULT_MODEL = Path("models/activity")
ENCODERS = ("efficientnet_lite0", "small")
SEQUENCES = ("lstm", "gru", "mean", "frame")
POOLINGS = ("mean", "last", "max", "attention")


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The shape of the CNN LSTM.

    Attributes:
        encoder: The CNN that looks at every frame; one of ``ENCODERS``.
        units: Width of the recurrent layers.
        dropout: Share of the features that is dropped while training, 0 up to 1.
        center: Take each clip's own mean off its features: what stands still (the place, the
            clothes) goes, what moves stays. False where a still picture tells the activity.
        sequence: What reads the features in their order: ``lstm`` or ``gru``; or, to compare with,
            ``mean`` (without order) and ``frame`` (the middle one alone).
        recurrent_layers: Recurrent layers, one on top of the other.
        pooling: What becomes of their outputs: the ``mean``, the ``max``, the ``last`` one, or
            ``attention``, a mean with learned weights.
    """

    encoder: str = "efficientnet_lite0"
    units: int = 128
    dropout: float = 0.5
    center: bool = True
    sequence: str = "lstm"
    recurrent_layers: int = 1
    pooling: str = "mean"

    def __post_init__(self) -> None:
        require(self.encoder in ENCODERS, "encoder", self.encoder, ", ".join(ENCODERS))
        require(1 <= self.units <= 4096, "units", self.units, "1 to 4096")
        require(0 <= self.dropout < 1, "dropout", self.dropout, "0 up to, but not, 1")
        require(self.sequence in SEQUENCES, "sequence", self.sequence, ", ".join(SEQUENCES))
        require(1 <= self.recurrent_layers <= 8, "recurrent_layers", self.recurrent_layers, "1 to 8")
        require(self.pooling in POOLINGS, "pooling", self.pooling, ", ".join(POOLINGS))


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of :func:`activity_cli.train`.

    Attributes:
        prepared: Folder that ``prepare`` wrote.
        out: Bundle to write.
        network: The shape of the network.
        epochs: Passes over the training clips at most; None: the encoder's own default.
        patience: Epochs without a better validation loss after which training stops.
        batch_size: Clips in a step.
        learning_rate: Step size of the optimizer; None: the encoder's own default.
        label_smoothing: Share of each target that is spread over all activities, so that the network
            is not driven to be certain (Szegedy et al. 2016).
        seed: Draws the weights, the order of the clips and the dropout.
        overwrite: Replace a bundle that stands at ``out``.
    """

    prepared: Path = DEFAULT_PREPARED
    out: Path = DEFAULT_MODEL
    network: NetworkConfig = field(default_factory=NetworkConfig)
    epochs: int | None = None
    patience: int = 15
    batch_size: int = 16
    learning_rate: float | None = None
    label_smoothing: float = 0.1
    seed: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        require(self.epochs is None or self.epochs >= 1, "epochs", self.epochs, "1 or more")
        require(self.patience >= 1, "patience", self.patience, "1 or more")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "1 or more")
        rate = self.learning_rate
        require(rate is None or 0 < rate <= 1, "learning_rate", rate, "more than 0, up to 1")
        smoothing = self.label_smoothing
        require(0 <= smoothing < 1, "label_smoothing", smoothing, "0 up to, but not, 1")
        require(0 <= self.seed < 2**32, "seed", self.seed, "0 up to, but not, 4294967296")
