"""Settings of the network: what looks at each frame, and what reads the frames in their order."""

from __future__ import annotations

from dataclasses import dataclass

from activity_cli.errors import ConfigError
from activity_cli.settings.checks import require

__all__ = ["BASELINE_SEQUENCES", "ENCODERS", "POOLINGS", "SEQUENCES", "NetworkConfig"]

ENCODERS = (
    "efficientnet_lite0",
    "small",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_v2_b0",
    "resnet50",
    "vgg16",
)
SEQUENCES = ("lstm", "bilstm", "gru", "convlstm", "mean", "frame")
# To compare with: what they say does not depend on the order of the frames.
BASELINE_SEQUENCES = ("mean", "frame")
POOLINGS = ("mean", "last", "max", "attention")


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The shape of the CNN LSTM.

    Attributes:
        encoder: The CNN that looks at every frame; one of ``ENCODERS``.
        gray: Look at brightness only; for the encoder ``small``.
        units: Width of the recurrent layers.
        dropout: Share of the features that is dropped while training, 0 up to 1.
        drop_blocks: Blocks at the end of the encoder that are left out: half-way through, it knows
            more of how things stand and less of what they are. None: what is right for trained weights
            (one of ``efficientnet_lite0``), none without them.
        grid: Rows and columns of the smallest parts of the picture whose features are kept apart, beside
            those of larger parts; 1: one mean over all of it. None: with trained weights what suits the
            encoder (4 of ``efficientnet_lite0``, else 2), 1 without them.
        components: Principal components of the features that the recurrent network reads; 0: the features
            themselves. None: 256 with trained weights, else 0.
        center: Take each clip's own mean off the features that the recurrent network reads: what stands
            still (the place, the clothes) goes, what moves stays.
        statistics: A linear layer beside the recurrent network reads how each feature goes over the
            clip (its mean, spread, and first cosines). None: with trained weights.
        sequence: What reads the features in their order: ``lstm``, ``bilstm`` (also from the end to
            the beginning), ``gru``, or ``convlstm`` (keeps the picture's rows and columns); or, to
            compare with, ``mean`` (without order) and ``frame`` (the middle one alone).
        recurrent_layers: Recurrent layers, one on top of the other.
        pooling: What becomes of their outputs: the ``mean``, the ``max``, the ``last`` one, or
            ``attention``, a mean with learned weights.
        per_frame: Classify every frame, and answer for the clip with the mean over its frames.
    """

    encoder: str = "efficientnet_lite0"
    gray: bool = False
    units: int = 64
    dropout: float = 0.5
    drop_blocks: int | None = None
    grid: int | None = None
    components: int | None = None
    center: bool = True
    statistics: bool | None = None
    sequence: str = "lstm"
    recurrent_layers: int = 1
    pooling: str = "mean"
    per_frame: bool = False

    def __post_init__(self) -> None:
        require(self.encoder in ENCODERS, "encoder", self.encoder, ", ".join(ENCODERS))
        require(1 <= self.units <= 4096, "units", self.units, "1 to 4096")
        require(0 <= self.dropout < 1, "dropout", self.dropout, "0 up to, but not, 1")
        require(self.drop_blocks is None or self.drop_blocks >= 0, "drop_blocks", self.drop_blocks, "0 or more")
        require(self.grid is None or 1 <= self.grid <= 7, "grid", self.grid, "1 to 7")
        require(self.components is None or self.components >= 0, "components", self.components, "0 or more")
        require(self.sequence in SEQUENCES, "sequence", self.sequence, ", ".join(SEQUENCES))
        require(1 <= self.recurrent_layers <= 8, "recurrent_layers", self.recurrent_layers, "1 to 8")
        require(self.pooling in POOLINGS, "pooling", self.pooling, ", ".join(POOLINGS))
        if self.gray and self.encoder != "small":
            raise ConfigError(
                f"gray is not possible with the encoder {self.encoder!r}, which knows colors.",
                "Use the encoder 'small', or leave gray out.",
            )
        if self.per_frame and (self.sequence in BASELINE_SEQUENCES or self.pooling != "mean"):
            raise ConfigError(
                f"per_frame is not possible with the sequence {self.sequence!r} and the pooling {self.pooling!r}: "
                "it is the mean over the answers for every frame.",
                "Use a recurrent sequence with the pooling 'mean', or leave per_frame out.",
            )
