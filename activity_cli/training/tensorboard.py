"""The curves of a training as TensorBoard reads them; writing them needs no TensorBoard."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import tensorflow as tf

from activity_cli.files import translate_os_error
from activity_cli.results import EpochRecord

__all__ = ["CurveWriter", "make_log_folder"]

_NAMES = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")


def make_log_folder(folder: Path) -> None:
    """Makes sure that logs can be written.

    Raises:
        OutputError: They cannot.
    """
    with translate_os_error(folder, "--tensorboard"):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


class CurveWriter:
    """Writes the values of every epoch.

    Args:
        folder: Where TensorBoard is to look (``tensorboard --logdir``).
        name: Of the curves, before a slash.

    Raises:
        OutputError: The folder cannot be written.
    """

    def __init__(self, folder: Path, name: str) -> None:
        make_log_folder(folder)
        self._name = name
        self._writer = tf.summary.create_file_writer(str(folder))
        self._metadata = tf.compat.v1.SummaryMetadata(
            plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
        )

    def write(self, record: EpochRecord) -> None:
        """Adds one epoch; what is no finite number is left out."""
        with self._writer.as_default():
            for name in _NAMES:
                value = getattr(record, name)
                if math.isfinite(value):
                    tag = f"{self._name}/{name}"
                    tf.summary.write(tag, tf.constant(value, tf.float32), record.epoch, metadata=self._metadata)
        self._writer.flush()
