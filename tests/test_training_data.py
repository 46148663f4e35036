"""What a training reads: the same lengths in all labels, and rare labels that count as much as frequent ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from activity_cli import Augmentation, NetworkSettings, PrepareSettings, Split, TrainSettings, prepare
from activity_cli.dataset.manifest import PreparedFolder, read_prepared
from activity_cli.settings import resolve_train
from activity_cli.training.data import ClipSet, report_matched_lengths, training_clips, validation_clips
from conftest import TINY_SAMPLING, TINY_STREAMS, draw_video
from training_support import Recording

SETTINGS = TrainSettings(network=NetworkSettings(encoder="small"))
SHORT = 3


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> PreparedFolder:
    """Nine short clips of ``left``, and three long ones of ``turn_right``, to train on."""
    root = tmp_path_factory.mktemp("uneven")
    for person in range(9):
        draw_video(root / "train" / "left_out" / f"{person}.avi", "left", num_frames=SHORT, person=person)
    for person in range(9, 12):
        draw_video(root / "train" / "up" / f"{person}.avi", "up", num_frames=12, person=person)
    for label, motion in (("left_out", "left"), ("up", "up")):
        draw_video(root / "val" / label / f"{label}.avi", motion, num_frames=12, person=20)
    out = root.parent / "prepared"
    split = Split(group_by="none")
    prepare(PrepareSettings(root, out, sampling=TINY_SAMPLING, streams=TINY_STREAMS, split=split, workers=1))
    return read_prepared(out)


def train_set(prepared: PreparedFolder, settings: TrainSettings = SETTINGS, *splits: str) -> ClipSet:
    plan = resolve_train(settings, 12, prepared.labels)
    return training_clips(prepared, splits or ("train",), settings, plan)


def test_all_labels_have_clips_of_the_same_lengths_and_validation_reads_no_more(uneven: PreparedFolder) -> None:
    clips = train_set(uneven)
    assert clips.targets.sum(axis=0).tolist() == [9, 3]
    assert set(clips.kept_frames) == {SHORT}
    val = validation_clips(uneven, SETTINGS, resolve_train(SETTINGS, 12, uneven.labels), SHORT)
    assert [record.clip_frames for record in val.records] == [6, 6]
    assert val.kept_frames.tolist() == [SHORT, SHORT]
    assert len(train_set(uneven, SETTINGS, "train", "val").records) == 14


def test_frames_that_are_left_out_are_reported(uneven: PreparedFolder) -> None:
    progress = Recording()
    report_matched_lengths(train_set(uneven), progress)
    (note,), (warning,) = progress.notes, progress.warnings
    assert "20%" in note  # 3 * 3 of 9 * 3 + 3 * 6
    assert "'left_out'" in warning and f"{SHORT} frames" in warning


def test_lengths_that_need_no_matching_are_no_news(prepared: Path) -> None:
    progress = Recording()
    report_matched_lengths(train_set(read_prepared(prepared)), progress)
    assert progress.notes == progress.warnings == []


def test_rare_labels_count_as_much_as_frequent_ones_if_wanted(uneven: PreparedFolder) -> None:
    clips = train_set(uneven)
    np.testing.assert_allclose(clips.weights @ clips.targets, [6, 6], rtol=1e-6)
    plain = train_set(uneven, replace(SETTINGS, class_weights=False))
    assert set(plain.weights) == {1.0}


def test_with_a_label_that_names_a_side_and_has_no_partner_nothing_is_flipped(
    uneven: PreparedFolder, prepared: Path
) -> None:
    assert not train_set(uneven).may_flip.any()  # left_out and up
    paired = read_prepared(prepared)
    clips = train_set(paired)
    assert clips.may_flip.tolist() == [not record.label.endswith(("left", "right")) for record in clips.records]
    assert clips.may_flip.any()
    named = Augmentation(no_flip_label=(paired.labels[0],))
    assert not train_set(paired, replace(SETTINGS, augmentation=named)).may_flip.any()
