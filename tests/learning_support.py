"""What tests of training read back."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf


def scalars_in(folder: Path) -> dict[tuple[str, int], float]:
    """All values in TensorBoard's files, by name and step."""
    found = {}
    for path in folder.iterdir():
        for line in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(line.numpy())
            for value in event.summary.value:
                found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
                assert value.metadata.plugin_data.plugin_name == "scalars"
    return found
