"""What the network is fed: lengths that tell nothing of labels, and rare labels that count as much as frequent ones."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from activity_cli import Augmentation, NetworkSettings, PrepareSettings, Split, TrainSettings, prepare
from activity_cli.dataset.manifest import read_prepared
from activity_cli.errors import TrainingError
from activity_cli.model.network import build_network
from activity_cli.model.sequence import build_sequence
from activity_cli.progress import SilentProgress
from activity_cli.training.data import Feeds, open_feeds
from activity_cli.training.measure import most_measured
from activity_cli.training.memory import translate_memory_error
from activity_cli.training.plan import make_plan
from conftest import TINY_SAMPLING, draw_video

CONFIG = TrainSettings(
    network=NetworkSettings(encoder="small", units=8, dropout=0.0), augment=Augmentation.none(), batch_size=4
)
SHORT = 3


class Told(SilentProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    warn = note


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine short clips of ``left``, and three long ones of ``up``, to learn from."""
    root = tmp_path_factory.mktemp("uneven")
    for person in range(9):
        draw_video(root / "train" / "left" / f"{person}.avi", "left", num_frames=SHORT, person=person)
    for person in range(9, 12):
        draw_video(root / "train" / "up" / f"{person}.avi", "up", num_frames=12, person=person)
    for label in ("left", "up"):
        draw_video(root / "val" / label / f"{label}.avi", label, num_frames=12, person=20)
    out = root.parent / "prepared"
    split = Split(group_by="video")
    prepare(PrepareSettings(root, out, sampling=TINY_SAMPLING, split=split, workers=1))
    return out


def opened(folder: Path, config: TrainSettings, told: Told) -> Feeds:
    prepared = read_prepared(folder)
    plan = make_plan(config, len(prepared.in_split("train")))
    network = build_network(plan.network, prepared.sampling, 2, weights=plan.weights)
    return open_feeds(config, plan, prepared, network, network, 1, told)


def epoch(feeds: Feeds) -> dict[int, list[tuple[int, float]]]:
    """Frames and weights of the clips of an epoch, by the number of their label."""
    found = defaultdict(list)
    feed = feeds.feed("train", judged="val")
    for (_, mask), targets, weights in feed.train(0).take(feed.steps):
        for row, target, weight in zip(mask.numpy(), targets.numpy(), weights.numpy(), strict=True):
            found[int(target.argmax())].append((int(row.sum()), float(weight)))
    return found


def test_clips_of_all_labels_are_fed_at_the_same_lengths_and_no_more_is_read_later(uneven: Path) -> None:
    told = Told()
    feeds = opened(uneven, CONFIG, told)
    found = epoch(feeds)
    assert {label: len(clips) for label, clips in found.items()} == {0: 9, 1: 3}
    assert {frames for clips in found.values() for frames, _ in clips} == {SHORT}
    assert [note for note in told.notes if "length teaches nothing" in note]
    assert [note for note in told.notes if f"No clip of 'left' has more than {SHORT} frames" in note]
    # A longer clip is read as one of its frames, spread evenly, is.
    whole, mask = feeds.network.whole, np.ones((1, 6), np.bool_)
    clip = np.random.default_rng(0).integers(0, 256, (1, 6, 32, 32, 3), np.uint8)
    few, few_mask = np.zeros_like(clip), np.arange(6)[np.newaxis] < SHORT
    few[:, :SHORT] = clip[:, 1::2]
    np.testing.assert_allclose(whole([clip, mask]), whole([few, few_mask]), atol=1e-6)
    few[:, :SHORT] = clip[:, ::2]
    assert np.abs(np.asarray(whole([clip, mask])) - np.asarray(whole([few, few_mask]))).max() > 1e-5


def test_rare_labels_count_as_much_as_frequent_ones_where_wanted(uneven: Path) -> None:
    weighed = epoch(opened(uneven, CONFIG, Told()))
    sums = [sum(weight for _, weight in weighed[label]) for label in (0, 1)]
    assert sums == pytest.approx([6, 6])
    plain = epoch(opened(uneven, replace(CONFIG, class_weights=False), Told()))
    assert {weight for clips in plain.values() for _, weight in clips} == {1.0}


def test_fewer_clips_are_measured_where_each_has_more_numbers() -> None:
    counts = [most_measured(build_sequence(NetworkSettings(), 16, width, 2)) for width in (64, 4032, 100_000)]
    assert counts == [1000, 1000, 62]


def test_what_does_not_fit_into_memory_is_told_in_one_line() -> None:
    with pytest.raises(TrainingError, match=r"Unable to allocate.*--batch-size") as caught, translate_memory_error():
        np.empty(1 << 60, np.uint8)
    assert caught.value.code == "training.memory" and "\n" not in str(caught.value)
