"""Where TensorFlow computes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import tensorflow as tf

from activity_cli.errors import ConfigError

__all__ = ["on_device"]


def on_device(name: str | None) -> AbstractContextManager[None]:
    """What is built and run inside computes on this device; None: on the first GPU, or else on the processor.

    Args:
        name: TensorFlow's, such as ``GPU:0``.

    Raises:
        ConfigError: There is no such device.
    """
    if name is None:
        return nullcontext()
    known = [device.name.rpartition("device:")[2] for device in tf.config.list_logical_devices()]
    if name not in known:
        raise ConfigError(f"There is no device {name!r}.", f"TensorFlow finds: {', '.join(known)}.", setting="device")
    context: AbstractContextManager[None] = tf.device(name)
    return context
