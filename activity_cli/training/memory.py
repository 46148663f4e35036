"""What does not fit into memory, told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from activity_cli.errors import TrainingError

__all__ = ["MEMORY_ERRORS", "memory_message", "translate_memory_error"]

MEMORY_ERRORS = (tf.errors.ResourceExhaustedError, MemoryError)


def memory_message(error: Exception) -> str:
    """What is too large, in TensorFlow's or Python's words, and what to lower."""
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return (
        f"A batch does not fit into memory ({reason}). Lower `batch_size`, or run 'activity prepare' with smaller or "
        "fewer frames (--frame-size, --num-frames)."
    )


@contextmanager
def translate_memory_error() -> Iterator[None]:
    """Around what takes memory; also a decorator.

    Raises:
        TrainingError: It did not fit (``training.memory``).
    """
    try:
        yield
    except MEMORY_ERRORS as error:
        raise TrainingError(memory_message(error), code="training.memory") from error
