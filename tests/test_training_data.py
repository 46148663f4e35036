"""The clips that a training gets: lengths, weights, and what is said of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from activity_cli import PrepareSettings, Split, TrainSettings, prepare
from activity_cli.dataset.manifest import PreparedFolder, read_prepared
from activity_cli.errors import TrainingError
from activity_cli.settings import NetworkSettings, resolve_train
from activity_cli.training.data import report_matched_lengths, training_clips, validation_clips
from activity_cli.training.memory import translate_memory_error
from conftest import TINY_SAMPLING, draw_video
from training_support import Recording

SETTINGS = TrainSettings(network=NetworkSettings(encoder="small", units=8))
SHORT = 3


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> PreparedFolder:
    """Nine short clips of ``left`` and three long ones of ``up`` for training."""
    root = tmp_path_factory.mktemp("uneven")
    for person in range(9):
        draw_video(root / "train" / "left" / f"{person}.avi", "left", num_frames=SHORT, person=person)
    for person in range(9, 12):
        draw_video(root / "train" / "up" / f"{person}.avi", "up", num_frames=12, person=person)
    for label in ("left", "up"):
        draw_video(root / "val" / label / f"{label}.avi", label, num_frames=12, person=20)
    out = root.parent / "prepared"
    prepare(PrepareSettings(root, out, sampling=TINY_SAMPLING, split=Split(group_by="video"), workers=1))
    return read_prepared(out)


def test_clips_of_all_labels_have_the_same_lengths_and_no_more_is_read_later(uneven: PreparedFolder) -> None:
    plan = resolve_train(SETTINGS, 12, uneven.labels)
    clips = training_clips(uneven, ("train",), SETTINGS, plan)
    assert clips.targets.sum(axis=0).tolist() == [9, 3]
    assert set(clips.kept_frames.tolist()) == {SHORT}
    assert set(validation_clips(uneven, SETTINGS, plan, SHORT).kept_frames.tolist()) == {SHORT}
    said = Recording()
    report_matched_lengths(clips, said)
    assert [note for note in said.notes if "clip length is not a cue" in note]
    assert [text for text in said.warnings if f"'left' has more than {SHORT} frames" in text]


def test_rare_labels_count_as_much_as_frequent_ones_where_wanted(uneven: PreparedFolder) -> None:
    plan = resolve_train(SETTINGS, 12, uneven.labels)
    clips = training_clips(uneven, ("train",), SETTINGS, plan)
    assert clips.targets.T @ clips.weights == pytest.approx([6, 6])
    plain = training_clips(uneven, ("train",), replace(SETTINGS, class_weights=False), plan)
    assert set(plain.weights.tolist()) == {1.0}


def test_what_does_not_fit_into_memory_is_one_line() -> None:
    with pytest.raises(TrainingError, match=r"Unable to allocate.*batch_size") as caught, translate_memory_error():
        np.empty(1 << 60, np.uint8)
    assert caught.value.code == "training.memory" and "\n" not in str(caught.value)
