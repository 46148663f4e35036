"""What a training will do, worked out and checked before anything is loaded or computed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from activity_cli.errors import ConfigError
from activity_cli.files import sha256_of
from activity_cli.settings import BASELINE_SEQUENCES, NetworkSettings, TrainSettings
from activity_cli.settings.encoders import ENCODER_SPECS, EncoderSpec, spec_of

__all__ = ["Plan", "make_plan", "resumable_settings"]


@dataclass(frozen=True, slots=True)
class _Length:
    """Of a training, or of waiting: passes over the clips; few clips make few steps, then there are more passes."""

    epochs: int
    fewest_steps: int
    most_epochs: int

    def for_steps(self, steps: int) -> int:
        return max(self.epochs, min(self.most_epochs, -(-self.fewest_steps // max(1, steps))))


_OF_HEAD = _Length(30, fewest_steps=600, most_epochs=200)
_OF_ALL = _Length(60, fewest_steps=600, most_epochs=200)
# What has been trained before, and a head on it, need little: later passes learn the clips by heart.
_OF_TRAINED = _Length(4, fewest_steps=80, most_epochs=20)
_LEARNING_RATE = 2e-3
# More of them are noise: a few hundred clips do not tell more directions apart.
_COMPONENTS = 256
_RECURRENT = ("lstm", "bilstm", "gru")
# At least as long as the learning rate takes to rise: before that, losses tell little.
_PATIENCE, _PATIENCE_SHARE = _Length(15, fewest_steps=120, most_epochs=120), 1 / 5
_FINETUNE_BLOCKS = 2
# Trained weights take smaller steps than new ones (as in ULMFiT: Howard and Ruder 2018).
_SLOWER = 0.1

# What may differ when a training goes on: where it is told and when it is enough, not what it learns.
_FREE = ("prepared", "out", "patience", "tensorboard", "resume", "overwrite")


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of a training with every open choice made.

    Attributes:
        network: Its shape.
        mode: ``frozen``, ``finetune`` or ``joint``.
        weights: What the encoder begins with: ``imagenet``, ``none`` or a file.
        trained_blocks: Last blocks of the encoder that learn: none, some, or all.
        epochs, learning_rate: As the optimizer gets them.
        patience: Epochs without a better validation loss after which training stops.
        encoder_learning_rate: Of the encoder. After a head has learned, of all that learns.
        refit: Whether it is trained a second time, on the validation clips, too.
        head_epochs: Passes in which the sequence part learns alone, on the encoder as it is, before both
            learn; 0: there are none.
    """

    network: NetworkSettings
    mode: str
    weights: str
    trained_blocks: int
    epochs: int
    patience: int
    learning_rate: float
    encoder_learning_rate: float
    refit: bool
    head_epochs: int

    @property
    def head(self) -> Plan:
        """The plan of the training that goes before, in which the encoder does not learn."""
        return replace(self, mode="frozen", trained_blocks=0, epochs=self.head_epochs, head_epochs=0)

    @property
    def learned(self) -> bool:
        """Whether the encoder begins with trained weights."""
        return self.weights != "none"


def make_plan(config: TrainSettings, num_clips: int) -> Plan:
    """Makes the choices that the config leaves open.

    Args:
        config: What and how.
        num_clips: To learn from.

    Raises:
        ConfigError: The settings are each possible, but not together; says why.
    """
    facts = ENCODER_SPECS[config.network.encoder]
    weights = config.weights or ("imagenet" if facts.pretrained else "none")
    learned = weights != "none"
    mode = config.mode or ("frozen" if learned and facts.pretrained else "joint")
    rate = config.learning_rate or _LEARNING_RATE
    network = _settled(config.network, facts, learned)
    _check_together(config, facts, mode, learned)
    _check_network(network, facts, learned)
    steps = -(-num_clips // config.batch_size)
    # A new head would first drive trained weights wherever its own random ones say (Kumar et al. 2022).
    head = learned and mode != "frozen"
    length = _OF_HEAD if mode == "frozen" else _OF_TRAINED if head else _OF_ALL
    blocks = {
        "frozen": 0,
        "finetune": config.finetune_blocks or _FINETUNE_BLOCKS,
        "joint": len(spec_of(network).block_starts),
    }[mode]
    epochs = config.epochs or length.for_steps(steps)
    head_epochs = (config.head_epochs or _OF_HEAD.for_steps(steps)) if head else 0
    patience = max(_PATIENCE.for_steps(steps), int(_PATIENCE_SHARE * max(epochs, head_epochs)))
    return Plan(
        network=network,
        mode=mode,
        weights=weights,
        trained_blocks=blocks,
        epochs=epochs,
        patience=config.patience or patience,
        learning_rate=rate,
        encoder_learning_rate=config.encoder_learning_rate or (rate * _SLOWER if learned else rate),
        refit=mode != "joint" if config.refit is None else config.refit,
        head_epochs=head_epochs,
    )


def _settled(network: NetworkSettings, facts: EncoderSpec, learned: bool) -> NetworkSettings:
    """The network's shape with nothing left open."""
    recurrent = network.sequence in _RECURRENT
    wanted = (learned and recurrent and not network.per_frame) if network.statistics is None else network.statistics
    grid = facts.grid if learned and facts.pretrained and network.sequence != "convlstm" else 1
    return replace(
        network,
        drop_blocks=(facts.drop_blocks if learned else 0) if network.drop_blocks is None else network.drop_blocks,
        grid=grid if network.grid is None else network.grid,
        components=(_COMPONENTS if learned and recurrent else 0) if network.components is None else network.components,
        statistics=wanted,
    )


def resumable_settings(
    config: TrainSettings, plan: Plan, fingerprint: str, policy: str, num_devices: int
) -> dict[str, Any]:
    """What must be the same for a training to go on where it was: settings, choices, clips and bits.

    Args:
        config, plan: Of the training.
        fingerprint: Of the prepared folder.
        policy: What the encoder computes in, on this machine.
        num_devices: That share each batch, on this machine.
    """
    settings = {name: value for name, value in asdict(config).items() if name not in _FREE}
    settings["augment"]["keep_sides"] = list(config.augment.keep_sides)  # as it comes back from JSON
    settings |= {"precision": policy, "devices": num_devices}
    if plan.weights not in ("imagenet", "none"):
        # A file of the same name may hold others by now.
        with suppress(OSError):  # that there is none is told by who loads it
            settings["weights_sha256"] = sha256_of(Path(plan.weights))
    chosen = {name: value for name, value in asdict(plan).items() if name not in ("epochs", "patience")}
    return {**settings, "plan": chosen, "data": fingerprint}


def _check_together(config: TrainSettings, facts: EncoderSpec, mode: str, learned: bool) -> None:
    name = config.network.encoder
    if config.weights == "imagenet" and not facts.pretrained:
        raise ConfigError(
            f"The encoder {name!r} has no ImageNet weights.", "Leave --weights out: it learns from your clips."
        )
    if mode != "joint" and not learned:
        raise ConfigError(
            f"The mode {mode!r} keeps what the encoder has learned, but {name!r} begins with random weights.",
            "Use --mode joint, or an encoder with trained weights, or --weights FILE.",
        )
    left = len(spec_of(_settled(config.network, facts, learned)).block_starts)
    if config.finetune_blocks is not None and mode != "finetune":
        raise ConfigError(
            f"finetune_blocks is {config.finetune_blocks}, but in the mode {mode!r} "
            f"{'all of them learn' if mode == 'joint' else 'none of them learns'}.",
            "Use --mode finetune, or leave it out.",
        )
    blocks = config.finetune_blocks or _FINETUNE_BLOCKS
    dropped = f" ({len(facts.block_starts) - left} left out)" if left < len(facts.block_starts) else ""
    if mode == "finetune" and blocks > left:
        raise ConfigError(
            f"finetune_blocks is {blocks}, but the encoder {name!r} has {left}{dropped}.",
            "Use fewer, or --mode joint for all.",
        )
    if config.head_epochs is not None and (mode == "frozen" or not learned):
        raise ConfigError(
            f"head_epochs is {config.head_epochs}, but nothing learns before anything else here.",
            "Use --mode finetune or --mode joint with trained weights, or leave it out.",
        )
    if config.precision not in ("auto", "float32") and mode == "frozen":
        raise ConfigError(
            f"precision is {config.precision!r}, but a frozen encoder runs once, before training, in float32.",
            "Use --mode finetune or --mode joint, or leave it out.",
        )
    if config.augment.views > 1 and mode == "joint":
        raise ConfigError(
            f"views is {config.augment.views}, but in the mode 'joint' every clip is varied anew in each epoch.",
            "Use --mode frozen or --mode finetune, or leave it out.",
        )
    if config.encoder_learning_rate is not None and mode == "frozen":
        raise ConfigError(
            f"encoder_learning_rate is {config.encoder_learning_rate:g}, but a frozen encoder does not learn.",
            "Use --mode finetune or --mode joint, or leave it out.",
        )


def _check_network(network: NetworkSettings, facts: EncoderSpec, learned: bool) -> None:
    """Refuses what would be left out without a word."""
    name, blocks = network.encoder, len(facts.block_starts)
    if (network.drop_blocks or 0) >= blocks:
        raise ConfigError(
            f"drop_blocks is {network.drop_blocks}, but the encoder {name!r} has {blocks}.", "Leave out fewer."
        )
    recurrent, baseline = network.sequence in _RECURRENT, network.sequence in BASELINE_SEQUENCES
    refused = (
        ("grid", (network.grid or 1) > 1 and not facts.pretrained, f"the encoder {name!r} has no parts of the picture"),
        ("grid", (network.grid or 1) > 1 and network.sequence == "convlstm", "convlstm keeps all rows and columns"),
        ("components", network.components and not recurrent, f"{network.sequence!r} does not read any"),
        ("components", network.components and not learned, "they are measured on features that have been trained"),
        ("statistics", network.statistics and not recurrent, f"there is no place for them beside {network.sequence!r}"),
        ("statistics", network.statistics and network.per_frame, "they tell of clips, not of frames"),
        ("pooling", network.pooling != "mean" and baseline, f"{network.sequence!r} has no outputs to pool"),
        ("recurrent_layers", network.recurrent_layers > 1 and baseline, f"{network.sequence!r} has none"),
        ("statistics", network.statistics and not learned, "they are measured on features that have been trained"),
    )
    for setting, is_wrong, reason in refused:
        if is_wrong:
            raise ConfigError(f"{setting} is not possible here: {reason}.", "Leave it out.")
