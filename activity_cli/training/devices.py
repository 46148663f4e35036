"""Which processors compute, and how a batch is shared among them."""

from __future__ import annotations

import tensorflow as tf

from activity_cli.errors import ConfigError

__all__ = ["choose_strategy", "make_deterministic"]

_SHARING: dict[tuple[str, ...], tf.distribute.Strategy] = {}


def choose_strategy(names: tuple[str, ...], batch_size: int) -> tf.distribute.Strategy:
    """How training is spread: over all GPUs of this machine, or the devices that are named.

    Args:
        names: TensorFlow's names, such as ``GPU:0`` and ``GPU:1``; none: all GPUs, or the processor.
        batch_size: Clips in a step, which the devices share.

    Raises:
        ConfigError: There is no such device, or there are more of them than clips in a batch.
    """
    known = [device.name.removeprefix("/physical_device:") for device in tf.config.list_logical_devices()]
    known = [name.rpartition("device:")[2] for name in known]
    wanted = names or tuple(name for name in known if name.startswith("GPU"))
    for name in wanted:
        if name not in known:
            raise ConfigError(f"There is no device {name!r}.", f"TensorFlow sees: {', '.join(known)}.")
    if len(set(wanted)) < len(wanted):
        raise ConfigError(f"A device is named twice: {', '.join(wanted)}.", "Name each once.")
    if len(wanted) < 2:
        return tf.distribute.OneDeviceStrategy(wanted[0]) if names else tf.distribute.get_strategy()
    if batch_size < len(wanted):
        raise ConfigError(
            f"batch_size is {batch_size}, less than a clip for each of {len(wanted)} devices.",
            f"Use {len(wanted)} or more.",
        )
    return _sharing(tuple(sorted(wanted)))


def _sharing(names: tuple[str, ...]) -> tf.distribute.Strategy:
    # One for all trainings of a process: each strategy numbers what its devices tell each other from 1 on,
    # and TensorFlow takes the second one's numbers for the first one's.
    if _SHARING and names not in _SHARING:
        raise ConfigError(
            f"This process has trained on {', '.join(*_SHARING)} already and cannot share batches among "
            f"{', '.join(names)}, too.",
            "Start a new process for these devices.",
        )
    if not _SHARING:
        _SHARING[names] = tf.distribute.MirroredStrategy(names)
    return _SHARING[names]


def make_deterministic() -> None:
    """From now on, in the whole process, the same inputs give the same bits, at some cost in speed."""
    tf.config.experimental.enable_op_determinism()
