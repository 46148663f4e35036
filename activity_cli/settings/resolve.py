"""The rules between settings, and the value of every setting that was left unset.

Each command calls its ``resolve_...`` first. Settings that do not fit together are an error, which gives the reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from activity_cli.errors import ConfigError
from activity_cli.settings.declare import plain_values, show_value
from activity_cli.settings.encoders import ENCODER_SPECS, EncoderSpec
from activity_cli.settings.prepare import STREAM_NAMES, PrepareSettings, StreamName
from activity_cli.settings.train import Augmentation, NetworkSettings, TrainSettings

__all__ = ["TrainPlan", "resolve_prepare", "resolve_train", "settings_of_recurrent_heads", "without_augmentation"]


def resolve_prepare(settings: PrepareSettings) -> PrepareSettings:
    """The settings of ``prepare``, with a value for every setting that needs one.

    Raises:
        ConfigError: Settings do not fit together.
    """
    sampling, split = settings.sampling, settings.split
    if sampling.clips_per_video > 1 and sampling.frames_per_second is not None:
        reason = f"`clips_per_video={sampling.clips_per_video}` samples frames from the whole video"
        raise _refused("frames_per_second", sampling.frames_per_second, reason)
    if sampling.stride_seconds is not None and sampling.window_seconds is None:
        raise _refused("stride_seconds", sampling.stride_seconds, "it needs `window_seconds`")
    if split.val_fraction + split.test_fraction >= 1:
        both = f"`val_fraction={split.val_fraction:g}` and `test_fraction={split.test_fraction:g}`"
        hint = "Their sum must be less than 1."
        raise ConfigError(f"{both} leave no clips for training.", hint, setting="test_fraction")
    if split.pattern is not None:
        try:
            re.compile(split.pattern)
        except re.error as error:
            message = f"`group_by` is not a regular expression: {split.group_by!r} ({error})."
            hint = r"For example, 'person\d+' finds person07 in wave/person07_a.mp4."
            raise ConfigError(message, hint, setting="group_by") from None
    streams = _resolved_streams(settings.streams, STREAM_NAMES)
    # Windows that follow each other without a gap are the same sampling, whether the stride was typed or not.
    stride_seconds = sampling.stride_seconds or sampling.window_seconds
    return replace(settings, sampling=replace(sampling, stride_seconds=stride_seconds), streams=streams)


def _resolved_streams(wanted: Sequence[str], available: Sequence[str]) -> tuple[StreamName, ...]:
    """The streams, in their usual order: what order they are typed in says nothing."""
    if "hands" in wanted and "pose" not in wanted:
        reason = "the hands stream finds the hands by the pose, so it needs the pose stream"
        raise _refused("streams", ",".join(wanted), reason)
    if set(wanted) != set(STREAM_NAMES) and (missing := [name for name in wanted if name not in available]):
        raise ConfigError(
            f"`streams` cannot be {','.join(wanted)}: the prepared folder has no {' and no '.join(missing)}.",
            f"It has {', '.join(available)}. 'activity prepare' computes the others, if it finds them.",
            setting="streams",
        )
    return tuple(name for name in STREAM_NAMES if name in wanted and name in available)


@dataclass(frozen=True, slots=True)
class _Length:
    """Number of epochs: if few clips make few steps, there are more epochs."""

    epochs: int
    min_steps: int
    max_epochs: int

    def for_steps(self, steps_per_epoch: int) -> int:
        return max(self.epochs, min(self.max_epochs, -(-self.min_steps // max(1, steps_per_epoch))))


# The heads are small: about so many steps, whatever the number of clips.
_HEAD_LENGTH = _Length(30, min_steps=900, max_epochs=120)
_HEAD_BATCH_SIZE, _HEAD_LEARNING_RATE, _HEAD_WEIGHT_DECAY = 32, 4e-3, 0.05
_BATCH_SIZE, _LEARNING_RATE, _WEIGHT_DECAY = 16, 2e-3, 0.01
_WARMUP_LENGTH = _Length(30, min_steps=600, max_epochs=200)
_JOINT_LENGTH = _Length(60, min_steps=600, max_epochs=200)
# A pretrained encoder needs few epochs: later, the network memorizes the clips.
_PRETRAINED_LENGTH = _Length(4, min_steps=80, max_epochs=20)
# At least as long as the learning rate warms up: until then the loss is noisy.
_PATIENCE, _PATIENCE_SHARE = _Length(15, min_steps=120, max_epochs=120), 1 / 5
# A few hundred clips do not determine more directions.
_PCA_COMPONENTS = 256
_FINETUNE_BLOCKS = 2
# Pretrained weights get smaller steps than random ones (as in ULMFiT: Howard and Ruder 2018).
_PRETRAINED_RATE = 0.1


@dataclass(frozen=True, slots=True)
class HeadPlan:
    """How a recurrent head is trained on its own."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """The settings of a training, with a value for every setting that was left unset."""

    streams: tuple[str, ...]  # the streams that are offered
    heads: HeadPlan  # how heads are trained on their own: all with a frozen encoder, else those of the other streams
    network: NetworkSettings  # the shape of the network; no setting in it is None
    weights: str  # weights that the encoder starts with: ``imagenet``, ``none`` or a file
    mode: str  # ``frozen``, ``finetune`` or ``joint``
    trained_blocks: int  # number of last blocks of the encoder that are trained; 0: the encoder stays frozen
    warmup_epochs: int  # epochs that first train only the layers after the encoder; 0: no warm-up
    epochs: int  # epochs after the warm-up
    patience: int  # epochs without a lower validation loss after which training stops
    batch_size: int  # clips in a step while the encoder is trained
    learning_rate: float  # highest rate while an encoder starts from random weights, and of its warm-up
    encoder_learning_rate: float  # highest rate while a pretrained encoder is trained
    weight_decay: float  # while the encoder is trained
    refit: bool  # whether to train again on the training and validation clips together
    augmentation: Augmentation  # how training varies the clips; if augmentation is off, it varies nothing

    @property
    def pretrained(self) -> bool:
        """Whether the encoder starts from pretrained weights."""
        return self.weights != "none"


def resolve_train(
    settings: TrainSettings, num_clips: int, labels: Sequence[str], streams: Sequence[str] = STREAM_NAMES
) -> TrainPlan:
    """The plan of a training.

    Args:
        settings: The settings of ``train``.
        num_clips: Number of training clips.
        labels: The activities.
        streams: Those of the prepared folder.

    Raises:
        ConfigError: Settings do not fit together, or do not fit these clips.
    """
    spec = ENCODER_SPECS[settings.network.encoder]
    weights = settings.weights or ("imagenet" if spec.pretrained else "none")
    pretrained = weights != "none"
    # Without the appearance there is no encoder to train.
    usual_mode = "frozen" if (pretrained and spec.pretrained) or "appearance" not in settings.streams else "joint"
    mode = settings.mode or usual_mode
    network = _resolved_network(settings.network, spec, pretrained)
    blocks_left = len(spec.block_starts) - (network.truncate_blocks or 0)
    trained_blocks = {"frozen": 0, "finetune": settings.finetune_blocks or _FINETUNE_BLOCKS, "joint": blocks_left}
    frozen, warms_up = mode == "frozen", pretrained and mode != "frozen"
    batch_size = settings.batch_size or _BATCH_SIZE
    steps = -(-num_clips // batch_size)
    length = _PRETRAINED_LENGTH if warms_up else _JOINT_LENGTH
    epochs = settings.epochs or length.for_steps(steps)
    warmup_epochs = (settings.warmup_epochs or _WARMUP_LENGTH.for_steps(steps)) if warms_up else 0
    patience = max(_PATIENCE.for_steps(steps), int(_PATIENCE_SHARE * max(epochs, warmup_epochs)))
    learning_rate = settings.learning_rate or _LEARNING_RATE
    plan = TrainPlan(
        streams=_resolved_streams(settings.streams, streams),
        heads=_head_plan(settings if frozen else TrainSettings(), num_clips),
        network=network,
        weights=weights,
        mode=mode,
        trained_blocks=trained_blocks[mode],
        warmup_epochs=warmup_epochs,
        epochs=epochs,
        patience=settings.patience or patience,
        batch_size=batch_size,
        learning_rate=learning_rate,
        encoder_learning_rate=settings.encoder_learning_rate or learning_rate * _PRETRAINED_RATE,
        weight_decay=_WEIGHT_DECAY if settings.weight_decay is None else settings.weight_decay,
        refit=mode != "joint" if settings.refit is None else settings.refit,
        augmentation=_resolved_augmentation(settings, labels),
    )
    _refuse_misfits(settings, plan, spec)
    return plan


def _head_plan(settings: TrainSettings, num_clips: int) -> HeadPlan:
    batch_size = settings.batch_size or _HEAD_BATCH_SIZE
    epochs = settings.epochs or _HEAD_LENGTH.for_steps(-(-num_clips // batch_size))
    decay = _HEAD_WEIGHT_DECAY if settings.weight_decay is None else settings.weight_decay
    return HeadPlan(epochs, batch_size, settings.learning_rate or _HEAD_LEARNING_RATE, decay)


def without_augmentation() -> Augmentation:
    """The augmentation that varies nothing."""
    return Augmentation(flip=False, skeleton=False, temporal_crop=0.0, crop=0.0, color_jitter=0.0)


def _resolved_network(network: NetworkSettings, spec: EncoderSpec, pretrained: bool) -> NetworkSettings:
    unset: dict[str, Any] = {
        "truncate_blocks": spec.truncate_blocks if pretrained else 0,
        "pyramid": spec.pyramid if pretrained and spec.pretrained else 1,
        "pca_components": _PCA_COMPONENTS if pretrained else 0,
    }
    return replace(network, **{name: value for name, value in unset.items() if getattr(network, name) is None})


# Settings that only the appearance stream uses, and the values that they have where nobody sets them.
_OF_APPEARANCE: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("encoder", (NetworkSettings().encoder,)),
    ("gray", (False,)),
    ("subtract_mean", (True,)),
)
_OF_FEATURES = ("truncate_blocks", "pyramid", "pca_components")


# Settings that only recurrent heads use, besides encoders that are trained.
_OF_RECURRENT_HEADS = ["units", "dropout", "pca_components", "subtract_mean", "epochs", "batch_size", "learning_rate"]
_OF_RECURRENT_HEADS += ["weight_decay", "tensorboard", "skeleton", "temporal_crop"]


def settings_of_recurrent_heads(settings: TrainSettings) -> list[str]:
    """The settings that only recurrent heads use and that are not as they are by default."""
    usual, given = plain_values(TrainSettings()), plain_values(settings)
    return [name for name in _OF_RECURRENT_HEADS if given[name] != usual[name]]


def _refuse_misfits(settings: TrainSettings, plan: TrainPlan, spec: EncoderSpec) -> None:
    """Refuses what training cannot do, and what it would ignore."""
    network, mode, name = plan.network, plan.mode, repr(spec.name)
    if mode != "joint" and not plan.pretrained and "appearance" in plan.streams:
        reason = f"this mode needs a pretrained encoder, but {name} would start from random weights"
        hint = "Use `mode=joint`, an `encoder` with pretrained weights, or `weights=FILE`."
        raise ConfigError(f"`mode` cannot be {mode!r}: {reason}.", hint, setting="mode")
    pretrained, num_blocks = plan.pretrained, len(spec.block_starts)
    blocks, blocks_left = settings.finetune_blocks or _FINETUNE_BLOCKS, num_blocks - (network.truncate_blocks or 0)
    trains_pretrained = pretrained and mode != "frozen"
    random_weights = f"the encoder {name} starts from random weights, but this setting needs pretrained ones"
    imagenet, reduced = settings.weights == "imagenet", settings.precision not in ("auto", "float32")
    warmup, rate = settings.warmup_epochs is not None, settings.encoder_learning_rate is not None
    too_few_blocks = f"the encoder {name} has only {blocks_left} blocks (after `truncate_blocks`)"
    no_effect = "it has an effect only if a pretrained encoder is trained (`mode=finetune` or `mode=joint`)"
    unread = "appearance" not in plan.streams
    not_read = "only the appearance stream uses it, and `streams` leaves this stream out"
    alone = "the appearance stream is trained by it, and `streams` leaves it out"
    rules = (
        ("weights", imagenet and not spec.pretrained, f"there are no such weights for the encoder {name}"),
        ("gray", network.gray and spec.name != "small", f"{name} needs color frames; only 'small' can use gray frames"),
        ("truncate_blocks", blocks_left < 1, f"the encoder {name} has only {num_blocks} blocks, and one must stay"),
        ("pyramid", (network.pyramid or 1) > 1 and not spec.pretrained, f"the encoder {name} has no spatial pyramid"),
        ("head", network.head == "linear" and mode != "frozen", f"`mode={mode}` needs a recurrent network"),
        *((name, unread and getattr(network, name) not in usual, not_read) for name, usual in _OF_APPEARANCE),
        *((name, unread and getattr(settings.network, name) is not None, not_read) for name in _OF_FEATURES),
        ("weights", unread and settings.weights is not None, not_read),
        ("mode", "appearance" not in plan.streams and mode != "frozen", alone),
        ("pca_components", network.pca_components and not pretrained, random_weights),
        ("finetune_blocks", settings.finetune_blocks and mode != "finetune", "only `mode=finetune` uses it"),
        ("finetune_blocks", mode == "finetune" and blocks > blocks_left, too_few_blocks),
        ("warmup_epochs", warmup and not trains_pretrained, no_effect),
        ("encoder_learning_rate", rate and not trains_pretrained, no_effect),
        ("precision", reduced and mode == "frozen", "`mode=frozen` always computes in float32"),
        ("refit", settings.refit is False and mode == "frozen", "`mode=frozen` always uses the validation clips, too"),
        ("patience", settings.patience is not None and mode == "frozen", "`mode=frozen` runs all epochs"),
    )
    values = plain_values(settings) | plain_values(network) | {"finetune_blocks": blocks}
    for setting, refused, reason in rules:
        if refused:
            raise _refused(setting, values[setting], reason)


def _resolved_augmentation(settings: TrainSettings, labels: Sequence[str]) -> Augmentation:
    wanted = settings.augmentation
    for name, given in ("no_flip_label", wanted.no_flip_label), ("background", settings.background):
        if unknown := sorted(set(given) - set(labels)):
            message = f"`{name}`: no clip has the label {' or '.join(map(repr, unknown))}."
            raise ConfigError(message, f"Labels: {', '.join(labels)}.", setting=name)
    if set(labels) == set(settings.background):
        hint = "At least one label must be an activity."
        raise ConfigError("`background` names all labels.", hint, setting="background")
    if settings.augment:
        return wanted
    usual, off = Augmentation(), without_augmentation()
    for name in ("no_flip_label", "temporal_crop", "crop", "color_jitter"):
        if (value := getattr(wanted, name)) not in (getattr(usual, name), getattr(off, name)):
            raise _refused(name, value, "`augment=false` turns off all augmentation")
    return off


def _refused(name: str, value: object, reason: str) -> ConfigError:
    hint = f"Remove `{name}`, or change the setting that it conflicts with."
    return ConfigError(f"`{name}` cannot be {show_value(value)}: {reason}.", hint, setting=name)
