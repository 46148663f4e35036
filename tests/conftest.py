"""Real videos, a real prepared folder and a real trained model, made once for all tests."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from activity_cli import NetworkSettings, PrepareSettings, Sampling, Split, TrainSettings
from activity_cli.streams.motion import MOTION_WIDTH

# Where a shell runs the tests in the background, Ctrl-C is ignored by them, and by every process they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):  # so is SIGHUP by nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Small enough to train in seconds, large enough for every layer to have something to do.
TINY_SAMPLING = Sampling(num_frames=6, frame_size=32)
TINY_STREAMS = ("appearance",)
TINY_NETWORK = NetworkSettings(encoder="small", units=8, dropout=0.0)

# Files go to processes as wholes; were these begun last, one process would wait for the other.
LONGEST = ("test_train_modes", "test_train", "test_stages", "test_runner", "test_train_process", "test_export")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def draw_video(
    path: Path,
    motion: str = "right",
    *,
    num_frames: int = 12,
    person: int = 0,
    variant: int = 0,
    fps: float = 12.0,
    codec: str = "MJPG",
) -> Path:
    """Writes a video of a ball that moves ``left``, ``right`` or ``up``; each person has own colors."""
    rng = np.random.default_rng(person)
    background = rng.integers(30, 120, 3)
    ball = tuple(int(value) for value in rng.integers(160, 255, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (64, 48))
    assert writer.isOpened(), codec
    for index in range(num_frames):
        share = index / max(1, num_frames - 1)
        place = {
            "right": (8 + 48 * share, 24 + 6 * variant),
            "left": (56 - 48 * share, 24 + 6 * variant),
            "up": (32 + 6 * variant, 40 - 32 * share),
        }[motion]
        frame = np.empty((48, 64, 3), np.uint8)
        frame[:] = background
        cv2.circle(frame, (round(place[0]), round(place[1])), 6, ball, -1)
        writer.write(frame)
    writer.release()
    return path


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """videos/<left|right|up>/person<0-5>_<take>.avi, 36 clips, some shorter than a clip."""
    root = tmp_path_factory.mktemp("data") / "videos"
    for motion in ("left", "right", "up"):
        for person in range(6):
            for variant in range(2):
                number = 4 if (person, variant) == (0, 1) else 12 + person
                draw_video(
                    root / motion / f"person{person}_{variant}.avi",
                    motion,
                    num_frames=number,
                    person=person,
                    variant=variant,
                )
    return root


@pytest.fixture(scope="session")
def prepared(videos: Path) -> Path:
    """The videos, prepared by person."""
    from activity_cli import prepare

    out = videos.parent / "prepared"
    split = Split(group_by=r"person\d+")
    prepare(PrepareSettings(videos, out, sampling=TINY_SAMPLING, streams=TINY_STREAMS, split=split, workers=1))
    return out


@pytest.fixture(scope="session")
def model(prepared: Path) -> Path:
    """A tiny trained bundle. Do not change it: take ``model_copy``."""
    from activity_cli import train

    out = prepared.parent / "model"
    train(TrainSettings(prepared, out, network=TINY_NETWORK, epochs=3, batch_size=8))
    return out


@pytest.fixture(scope="session")
def with_streams(prepared: Path) -> Path:
    """A prepared folder with all streams: drawn persons wave the arm of the label's side, or both where it is ``up``.

    Pictures and motion are noise.
    """
    from activity_cli.dataset.clips import write_array
    from activity_cli.dataset.manifest import read_prepared, write_prepared
    from activity_cli.settings import STREAM_NAMES
    from skeleton_support import hand_rows, pose_rows, still, times_of, waving

    folder = Path(shutil.copytree(prepared, prepared.parent / "with_streams", ignore=lambda *_: ["features"]))
    found = read_prepared(folder)
    for number, record in enumerate(found.in_split("all")):
        rng, times = np.random.default_rng(number), times_of(record.clip_frames, record.clip_frames)  # of a second
        wave = waving(float(rng.uniform(0.9, 1.1)), float(rng.uniform(1.0, 1.2)))
        arms = (wave if record.label in ("left", "up") else still, wave if record.label in ("right", "up") else still)
        pose = pose_rows(times, *arms, place=tuple(rng.uniform(0.4, 0.9, 2)), size=float(rng.uniform(0.1, 0.3)))
        pose[:, 1:] += rng.normal(scale=0.003, size=pose[:, 1:].shape)
        motion = rng.normal(size=(record.clip_frames, MOTION_WIDTH)).astype(np.float32)
        rows = {"motion": motion, "pose": pose, "hands": hand_rows(times)}
        found.streams.write(record.clip, rows, times.tolist())
        size = found.sampling.frame_size
        frames = rng.integers(0, 256, (record.clip_frames, size, size, 3), dtype=np.uint8)
        write_array(folder / "clips" / record.clip, frames)
    write_prepared(folder, found.records, replace(found.settings, streams=STREAM_NAMES), STREAM_NAMES)
    return folder


@pytest.fixture
def model_copy(model: Path, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may damage, beside the original: it remembers the way to its clips."""
    return Path(shutil.copytree(model, model.parent / f"model-{tmp_path.name}"))


@pytest.fixture
def prepared_copy(prepared: Path, tmp_path: Path) -> Path:
    """A copy of the prepared folder that a test may damage."""
    return Path(shutil.copytree(prepared, tmp_path / "prepared"))


@pytest.fixture
def activity() -> Callable[..., Result]:
    """The command line, in this process: ``activity("predict", path)``."""
    from activity_cli.cli.app import app

    def run(*words: object, **options: object) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words], **options)  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="session")
def command() -> list[str]:
    """The command line as a process of its own."""
    return [sys.executable, "-m", "activity_cli"]


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """videos/<left|up>/<0-2>.avi"""
    for label in ("left", "up"):
        for person in range(3):
            draw_video(tmp_path / "videos" / label / f"{person}.avi", label, num_frames=8, person=person)
    return tmp_path / "videos"


@pytest.fixture
def prepare(activity: Callable[..., Result], tmp_path: Path) -> Callable[..., Result]:
    """``prepare(videos, ...)`` into tmp_path/out, small."""

    def call(videos: Path, *words: object, out: Path = tmp_path / "out") -> Result:
        return activity(
            *("prepare", videos, "--out", out, "--num-frames", 6, "--frame-size", 32, "--streams", "appearance"),
            *("--set", "workers=1", *words),
        )

    return call
