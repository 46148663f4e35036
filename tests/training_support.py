"""What the tests of training share: processes that die at a step, progress that records, and networks read back."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import keras
import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from activity_cli import NetworkSettings, TrainResult, TrainSettings, train
from activity_cli.dataset.batches import Examples
from activity_cli.dataset.clips import write_array
from activity_cli.model.bundle import WEIGHTS_FILE, read_bundle
from activity_cli.model.heads import HeadShape
from activity_cli.model.network import Network, NetworkShape, build_encoder_for, load_network
from activity_cli.progress import SilentProgress, Stage

Weights = Sequence[npt.NDArray[Any]]
T = TypeVar("T")

# Titles of the progress bars: of an encoder that is trained, and of heads on their own.
WARMUP, MAIN = "Warm-up", "Training"
REFIT_WARMUP, REFIT = f"{WARMUP} again, with the validation clips", f"{MAIN} again, with the validation clips"

CROSS_VALIDATING, TRAINING = "Cross-validating {}", "Training {}"

SMALL = NetworkSettings(encoder="small", units=8, dropout=0.2)

# A server that has loaded TensorFlow forks the processes, so that each starts in no time.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["activity_cli.commands.train", "sklearn.decomposition", "matplotlib.figure"])
_TIMEOUT_SECONDS = 300


class Recording(SilentProgress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.titles: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    @contextmanager
    def stage(self, title: str, total: int | None, unit: str) -> Iterator[Stage]:
        self.titles.append(title)
        with super().stage(title, total, unit) as stage:
            yield stage


class At(Recording):
    """Does something at a step of a stage, counted from 1."""

    def __init__(self, title: str, step: int, action: Callable[[], object]) -> None:
        super().__init__()
        self.title, self.step, self.action = title, step, action
        self.done = 0

    @contextmanager
    def stage(self, title: str, total: int | None, unit: str) -> Iterator[Stage]:
        progress = self

        class Steps:
            def advance(self, amount: int = 1, note: str = "") -> None:
                progress.done += title == progress.title
                if title == progress.title and progress.done == progress.step:
                    progress.action()

        with super().stage(title, total, unit):
            yield Steps()


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_process(function: Callable[..., T], *args: object) -> T:
    """Calls a function in the main thread of another process."""
    with ProcessPoolExecutor(1, mp_context=_PROCESSES) as pool:
        return pool.submit(function, *args).result(_TIMEOUT_SECONDS)


def start(settings: TrainSettings) -> multiprocessing.process.BaseProcess:
    """Starts a process that trains."""
    process = _PROCESSES.Process(target=train, args=(settings,))
    process.start()
    return process


def train_until(settings: TrainSettings, title: str, step: int) -> TrainResult:
    """Trains in this process, which kills itself at a step."""
    return train(settings, At(title, step, die))


def kill(settings: TrainSettings, title: str, step: int) -> None:
    """Trains in a process that is killed (SIGKILL) at a step of a stage."""
    with pytest.raises(BrokenProcessPool):
        in_a_process(train_until, settings, title, step)


def network_of(model: Path) -> Network:
    """The Keras network of a bundle."""
    bundle = read_bundle(model)
    head = HeadShape(**msgspec.to_builtins(bundle.document.appearance))
    return load_network(model / WEIGHTS_FILE, NetworkShape(bundle.network, bundle.sampling.frame_size, head))


def files_of(model: Path) -> dict[str, bytes]:
    """The LiteRT files of a bundle, in which every weight is."""
    return {path.name: path.read_bytes() for path in sorted(model.glob("*.tflite"))}


def equal(one: Weights, other: Weights) -> bool:
    """Whether weights are the same to the last bit."""
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def trains(titles: Sequence[str]) -> bool:
    """Whether anything was trained, by the titles of the progress bars."""
    return any(title.startswith((WARMUP, MAIN, CROSS_VALIDATING.split()[0])) for title in titles)


def write_encoder(path: Path, frame_size: int = 32) -> str:
    """Weights of the encoder ``small`` as a file, for ``weights``: so that it counts as pretrained."""
    keras.utils.set_random_seed(5)
    build_encoder_for(SMALL, frame_size).save_weights(path)
    return str(path)


def write_examples(
    folder: Path, clips: Sequence[npt.NDArray[Any]], labels: npt.NDArray[np.int64], num_classes: int = 2
) -> Examples:
    """Clips by their features ``[T, D]``, all of whose frames are read."""
    paths = [folder / f"{number}.npy" for number in range(len(clips))]
    for path, clip in zip(paths, clips, strict=True):
        write_array(path, clip)
    count = len(clips)
    return Examples(
        paths,
        np.eye(num_classes, dtype=np.float32)[labels],
        np.ones(count, np.float32),
        np.array([len(clip) for clip in clips], np.int64),
        np.ones(count, np.bool_),
    )
