"""All rules between settings, and every choice that they leave open.

A command calls its ``resolve_...`` first. What is not possible together is refused with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from activity_cli.errors import ConfigError
from activity_cli.settings.encoders import ENCODER_SPECS, EncoderSpec
from activity_cli.settings.prepare import PrepareSettings, Sampling
from activity_cli.settings.train import Augmentation, NetworkSettings, TrainSettings

__all__ = ["TrainPlan", "resolve_prepare", "resolve_train", "without_augmentation"]


def resolve_prepare(settings: PrepareSettings) -> PrepareSettings:
    """The settings of ``prepare`` with every open choice made.

    Raises:
        ConfigError: Settings are not possible together.
    """
    sampling, split = settings.sampling, settings.split
    if sampling.clips_per_video > 1 and sampling.frames_per_second is not None:
        raise _refused(
            "frames_per_second", sampling.frames_per_second, "clips_per_video draws frames from the whole video"
        )
    if sampling.stride_seconds is not None and sampling.window_seconds is None:
        raise _refused("stride_seconds", sampling.stride_seconds, "there are no windows without window_seconds")
    if split.val_fraction + split.test_fraction >= 1:
        raise ConfigError(
            f"val_fraction {split.val_fraction:g} and test_fraction {split.test_fraction:g} leave nothing to train on.",
            "Together they must be less than 1.",
            setting="test_fraction",
        )
    if split.pattern is not None:
        try:
            re.compile(split.pattern)
        except re.error as error:
            raise ConfigError(
                f"group_by is not a regular expression: {split.group_by!r} ({error}).",
                r"An example that finds person07 in wave/person07_a.mp4: --group-by 'person\d+'.",
                setting="group_by",
            ) from None
    return replace(settings, sampling=_resolved_sampling(sampling))


def _resolved_sampling(sampling: Sampling) -> Sampling:
    # Where one window begins as the last one ends, both ways of saying so are the same sampling.
    return replace(sampling, stride_seconds=sampling.stride_seconds or sampling.window_seconds)


@dataclass(frozen=True, slots=True)
class _Length:
    """Epochs of a training: where few clips make few steps, there are more epochs."""

    epochs: int
    min_steps: int
    max_epochs: int

    def for_steps(self, steps_per_epoch: int) -> int:
        return max(self.epochs, min(self.max_epochs, -(-self.min_steps // max(1, steps_per_epoch))))


_HEAD_LENGTH = _Length(30, min_steps=600, max_epochs=200)
_JOINT_LENGTH = _Length(60, min_steps=600, max_epochs=200)
# A pretrained encoder needs little: in later epochs the network memorizes the clips.
_PRETRAINED_LENGTH = _Length(4, min_steps=80, max_epochs=20)
# At least as long as the learning rate takes to warm up: before that, losses say little.
_PATIENCE, _PATIENCE_SHARE = _Length(15, min_steps=120, max_epochs=120), 1 / 5
# A few hundred clips do not tell more directions apart.
_PCA_COMPONENTS = 256
_FINETUNE_BLOCKS = 2
# Pretrained weights take smaller steps than new ones (as in ULMFiT: Howard and Ruder 2018).
_PRETRAINED_RATE = 0.1


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """The settings of a training with every open choice made.

    Attributes:
        network: The shape of the network; nothing in it is None.
        weights: What the encoder starts from: ``imagenet``, ``none`` or a file.
        mode: ``frozen``, ``finetune`` or ``joint``.
        trained_blocks: Last blocks of the encoder that are trained: none, some, or all.
        warmup_epochs: Epochs in which the heads are trained on the frozen encoder first; 0: none.
        epochs: Epochs after that.
        patience: Epochs without a lower validation loss after which training stops.
        learning_rate: Highest of the heads while the encoder is frozen, or starts from random weights.
        encoder_learning_rate: Highest once a pretrained encoder is trained.
        refit: Whether training is repeated on training and validation clips together.
        augmentation: How clips are varied; nothing, where augmentation is off.
    """

    network: NetworkSettings
    weights: str
    mode: str
    trained_blocks: int
    warmup_epochs: int
    epochs: int
    patience: int
    learning_rate: float
    encoder_learning_rate: float
    refit: bool
    augmentation: Augmentation

    @property
    def pretrained(self) -> bool:
        """Whether the encoder starts from pretrained weights."""
        return self.weights != "none"


def resolve_train(settings: TrainSettings, num_clips: int, labels: Sequence[str]) -> TrainPlan:
    """The plan of a training.

    Args:
        settings: What was asked for.
        num_clips: Clips to train on.
        labels: The activities.

    Raises:
        ConfigError: Settings are not possible together, or with these clips.
    """
    spec = ENCODER_SPECS[settings.network.encoder]
    weights = settings.weights or ("imagenet" if spec.pretrained else "none")
    pretrained = weights != "none"
    mode = settings.mode or ("frozen" if pretrained and spec.pretrained else "joint")
    network = _resolved_network(settings.network, spec, pretrained)
    blocks_left = len(spec.block_starts) - (network.truncate_blocks or 0)
    _check_network(network, spec, pretrained)
    _check_mode(settings, spec, mode, pretrained, blocks_left)
    augmentation = _resolved_augmentation(settings, labels)
    steps = -(-num_clips // settings.batch_size)
    warms_up = pretrained and mode != "frozen"
    length = _HEAD_LENGTH if mode == "frozen" else _PRETRAINED_LENGTH if warms_up else _JOINT_LENGTH
    epochs = settings.epochs or length.for_steps(steps)
    warmup_epochs = (settings.warmup_epochs or _HEAD_LENGTH.for_steps(steps)) if warms_up else 0
    blocks = {"frozen": 0, "finetune": settings.finetune_blocks or _FINETUNE_BLOCKS, "joint": blocks_left}[mode]
    return TrainPlan(
        network=network,
        weights=weights,
        mode=mode,
        trained_blocks=blocks,
        warmup_epochs=warmup_epochs,
        epochs=epochs,
        patience=settings.patience
        or max(_PATIENCE.for_steps(steps), int(_PATIENCE_SHARE * max(epochs, warmup_epochs))),
        learning_rate=settings.learning_rate,
        encoder_learning_rate=settings.encoder_learning_rate or settings.learning_rate * _PRETRAINED_RATE,
        refit=mode != "joint" if settings.refit is None else settings.refit,
        augmentation=augmentation,
    )


def without_augmentation() -> Augmentation:
    """Every clip as it is, always."""
    return Augmentation(flip=False, temporal_crop=0.0, crop=0.0, color_jitter=0.0)


def _resolved_network(network: NetworkSettings, spec: EncoderSpec, pretrained: bool) -> NetworkSettings:
    recurrent = network.sequence != "none"
    open_choices: dict[str, Any] = {
        "truncate_blocks": spec.truncate_blocks if pretrained else 0,
        "pyramid": spec.pyramid if pretrained and spec.pretrained else 1,
        "pca_components": _PCA_COMPONENTS if pretrained and recurrent else 0,
        "linear_head": not recurrent or (pretrained and not network.per_frame),
    }
    return replace(network, **{name: choice for name, choice in open_choices.items() if getattr(network, name) is None})


def _check_network(network: NetworkSettings, spec: EncoderSpec, pretrained: bool) -> None:
    """Refuses what would otherwise be ignored in silence."""
    name, recurrent = network.encoder, network.sequence != "none"
    if network.gray and name != "small":
        raise _refused("gray", True, f"the encoder {name!r} was trained on colors")
    if (network.truncate_blocks or 0) >= len(spec.block_starts):
        raise _refused("truncate_blocks", network.truncate_blocks, f"{name!r} has {len(spec.block_starts)} blocks")
    if (network.pyramid or 1) > 1 and not spec.pretrained:
        raise _refused("pyramid", network.pyramid, f"the encoder {name!r} has no pyramid")
    if network.pca_components and not recurrent:
        raise _refused("pca_components", network.pca_components, "no recurrent network reads them")
    if network.pca_components and not pretrained:
        raise _refused("pca_components", network.pca_components, "features of random weights have none to measure")
    if network.linear_head and not pretrained:
        raise _refused("linear_head", True, "features of random weights tell it nothing")
    if network.linear_head and network.per_frame:
        raise _refused("linear_head", True, "it describes whole clips, and per_frame asks for each frame")
    if not recurrent and not network.linear_head:
        raise _refused("linear_head", False, "with sequence 'none' nothing would be left")
    if not recurrent and network.per_frame:
        raise _refused("per_frame", True, "without a recurrent network only whole clips are classified")


def _check_mode(settings: TrainSettings, spec: EncoderSpec, mode: str, pretrained: bool, blocks_left: int) -> None:
    name = settings.network.encoder
    if settings.weights == "imagenet" and not spec.pretrained:
        raise _refused("weights", "imagenet", f"the encoder {name!r} has no such weights; it is trained on your clips")
    if mode != "joint" and not pretrained:
        raise ConfigError(
            f"mode {mode!r} keeps what the encoder has learned, but {name!r} starts from random weights.",
            "Use --mode joint, a pretrained encoder, or --set weights=FILE.",
            setting="mode",
        )
    if settings.network.sequence == "none" and mode != "frozen":
        raise _refused("sequence", "none", "the encoder is trained through a recurrent network; use --mode frozen")
    blocks = settings.finetune_blocks or _FINETUNE_BLOCKS
    if settings.finetune_blocks is not None and mode != "finetune":
        raise _refused("finetune_blocks", blocks, f"mode is {mode!r}; use --mode finetune")
    if mode == "finetune" and blocks > blocks_left:
        raise _refused(
            "finetune_blocks", blocks, f"the encoder {name!r} has {blocks_left} blocks; --mode joint trains all"
        )
    if settings.warmup_epochs is not None and (mode == "frozen" or not pretrained):
        raise _refused("warmup_epochs", settings.warmup_epochs, "only a pretrained encoder that is trained needs them")
    if settings.encoder_learning_rate is not None and (mode == "frozen" or not pretrained):
        raise _refused("encoder_learning_rate", settings.encoder_learning_rate, "no pretrained encoder is trained here")
    if settings.precision not in ("auto", "float32") and mode == "frozen":
        raise _refused("precision", settings.precision, "a frozen encoder runs once, before training, in float32")


def _resolved_augmentation(settings: TrainSettings, labels: Sequence[str]) -> Augmentation:
    wanted = settings.augmentation
    if unknown := sorted(set(wanted.no_flip_label) - set(labels)):
        raise ConfigError(
            f"no_flip_label names {', '.join(map(repr, unknown))}, which no clip is labeled with.",
            f"Labels: {', '.join(labels)}.",
            setting="no_flip_label",
        )
    if settings.augment:
        return wanted
    usual, off = Augmentation(), without_augmentation()
    for name in ("no_flip_label", "temporal_crop", "crop", "color_jitter"):
        if (value := getattr(wanted, name)) not in (getattr(usual, name), getattr(off, name)):
            raise _refused(name, value, "augment is off")
    return off


def _refused(name: str, value: object, reason: str) -> ConfigError:
    shown = repr(value) if isinstance(value, str) else str(value)
    return ConfigError(
        f"{name} cannot be {shown} here: {reason}.", "Change one of them, or leave it out.", setting=name
    )
