"""Groups by similarity: near-duplicates of one recording, and recordings of one place."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from activity_cli.leakage.duplicate_groups import DuplicateGroups, find_duplicate_groups
from activity_cli.leakage.signatures import SIGNATURE_SHAPE, Signature, compute_signature
from encoded_videos import ffmpeg
from scenes import groups_of_videos, scene

PLACES, TAKES = 6, 3
EDITS = {
    "re-encoded": ("-c:v", "libx264", "-crf", "34"),
    "resized": ("-vf", "scale=64:48"),
    "trimmed": ("-ss", "0.3", "-t", "1.4"),
    "mirrored": ("-vf", "hflip"),
    "brightened": ("-vf", "eq=brightness=0.1:contrast=1.15"),
    "another frame rate": ("-r", "10"),
    "all at once": ("-ss", "0.2", "-vf", "hflip,scale=80:60,eq=brightness=0.08", "-crf", "28"),
}


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three takes at each of six places, each of another motion."""
    folder = tmp_path_factory.mktemp("places")
    return [
        scene(folder / f"{place}_{variant}.mp4", place, TAKES * place + variant)
        for place in range(PLACES)
        for variant in range(TAKES)
    ]


def sets_of(groups: tuple[int, ...]) -> set[frozenset[int]]:
    items = defaultdict(set)
    for clip, group in enumerate(groups):
        items[group].add(clip)
    return {frozenset(found) for found in items.values()}


def test_each_place_is_a_source_and_each_take_a_recording(takes: list[Path]) -> None:
    duplicates = groups_of_videos(takes)
    assert duplicates.recordings == tuple(range(len(takes)))
    assert duplicates.sources == tuple(clip // TAKES * TAKES for clip in range(len(takes)))
    assert duplicates.near_duplicates == ()
    assert not any(duplicates.rejected_sources)


@pytest.mark.slow
@pytest.mark.parametrize("kind", EDITS)
def test_an_edited_copy_is_found_and_nothing_else_is_joined(kind: str, takes: list[Path], tmp_path: Path) -> None:
    copies = [tmp_path / f"{path.stem}.mp4" for path in takes]
    for path, copy in zip(takes, copies, strict=True):
        ffmpeg("-i", path, *EDITS[kind], copy)
    duplicates = groups_of_videos([*takes, *copies])
    number = len(takes)
    assert sets_of(duplicates.recordings) == {frozenset({clip, clip + number}) for clip in range(number)}
    assert set(duplicates.near_duplicates) == {(clip, clip + number) for clip in range(number)}
    assert len(set(duplicates.sources)) == PLACES


def test_the_order_of_the_clips_changes_nothing(takes: list[Path], tmp_path: Path) -> None:
    ffmpeg("-i", takes[4], "-vf", "hflip", tmp_path / "copy.mp4")
    clips = [*takes, tmp_path / "copy.mp4"]
    order = np.random.default_rng(3).permutation(len(clips)).tolist()
    labels = ["one"] * len(clips)
    straight, shuffled = (
        groups_of_videos(clips, labels),
        groups_of_videos([clips[clip] for clip in order], labels),
    )
    for groups, others in ((straight.recordings, shuffled.recordings), (straight.sources, shuffled.sources)):
        assert sets_of(groups) == {frozenset(order[clip] for clip in found) for found in sets_of(others)}


def test_in_one_place_only_near_duplicates_are_joined(tmp_path: Path) -> None:
    clips = [scene(tmp_path / f"{motion}.mp4", 0, motion) for motion in range(10)]
    ffmpeg("-i", clips[0], "-vf", "hflip", tmp_path / "twin.mp4")
    duplicates = groups_of_videos([*clips, tmp_path / "twin.mp4"])
    assert all(duplicates.rejected_sources)
    assert duplicates.sources == duplicates.recordings == (*range(10), 0)


def test_a_place_that_has_all_clips_of_a_label_is_rejected(takes: list[Path]) -> None:
    # Each label was filmed at a place of its own, the last label at two.
    labels = [f"label{min(clip // TAKES, PLACES - 2)}" for clip in range(len(takes))]
    duplicates = groups_of_videos(takes, labels)
    assert all(duplicates.rejected_sources)
    assert duplicates.sources == duplicates.recordings


def test_a_place_of_too_many_clips_is_rejected_and_the_others_stay(tmp_path: Path) -> None:
    homes = [0] * 6 + [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    duplicates = groups_of_videos(
        [scene(tmp_path / f"{motion}.mp4", place, motion) for motion, place in enumerate(homes)]
    )
    assert duplicates.rejected_sources == (True,) * 6 + (False,) * 10
    assert duplicates.sources == (0, 1, 2, 3, 4, 5, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14)


def signatures_at_one_place(motions: npt.NDArray[np.float64]) -> list[Signature]:
    place = np.random.default_rng(0).normal(size=1024)
    signatures = []
    for motion in motions:
        signature = np.zeros(SIGNATURE_SHAPE, np.float16)
        signature[:16], signature[16] = place + 0.15 * motion, place
        signatures.append(signature)
    return signatures


def test_a_chain_of_similar_clips_is_not_joined() -> None:
    # The motion of each clip differs a little from that of the one before: it is a near-duplicate of the next two.
    rng = np.random.default_rng(1)
    motions = [rng.normal(size=(16, 1024))]
    for _ in range(39):
        motions.append(np.sqrt(0.9) * motions[-1] + np.sqrt(0.1) * rng.normal(size=(16, 1024)))
    signatures = signatures_at_one_place(np.stack(motions))
    labels = ["a", "b"] * 20
    assert find_duplicate_groups(signatures[::4], range(10), labels[:10]).near_duplicates == ()
    duplicates = find_duplicate_groups(signatures, range(40), labels)
    assert duplicates.near_duplicates
    # Of 5 clips in a row, half of the pairs and more are near-duplicates.
    assert max(map(len, sets_of(duplicates.recordings))) <= 5


def test_two_videos_of_many_segments_are_joined_by_one_pair() -> None:
    motions = np.random.default_rng(3).normal(size=(6, 16, 1024))
    # Segments 0 to 2 of the first video; a copy has the last of them, and a copy of the copy, too.
    signatures = signatures_at_one_place(motions[[0, 1, 2, 2, 3, 2, 4]])
    duplicates = find_duplicate_groups(signatures, [0, 0, 0, 1, 1, 2, 2], "abababa")
    assert duplicates.recordings == (0,) * 7


def test_all_clips_of_a_label_are_not_joined_to_one_recording() -> None:
    rng = np.random.default_rng(2)
    motion = rng.normal(size=(16, 1024))
    same = [motion + 0.05 * rng.normal(size=(16, 1024)) for _ in range(9)]
    signatures = signatures_at_one_place(np.stack([*same, *rng.normal(size=(30, 16, 1024))]))
    labels = ["same"] * 9 + ["other"] * 30
    duplicates = find_duplicate_groups(signatures, range(39), labels)
    assert duplicates.rejected_recordings == (True,) * 9 + (False,) * 30
    assert duplicates.recordings == tuple(range(39))
    # Seven may well be copies.
    duplicates = find_duplicate_groups(signatures[2:], range(37), labels[2:])
    assert duplicates.recordings == (0,) * 7 + tuple(range(7, 37))
    assert not any(duplicates.rejected_recordings)


def test_many_copies_of_one_recording_are_joined(takes: list[Path], tmp_path: Path) -> None:
    copies = [takes[0]]
    for number, brightness in enumerate((0.02, 0.04, 0.06, 0.08, 0.1)):
        copies.append(tmp_path / f"{number}.mp4")
        ffmpeg("-i", takes[0], "-vf", f"eq=brightness={brightness}", copies[-1])
    others = takes[TAKES::TAKES]
    duplicates = groups_of_videos([*copies, *others])
    assert duplicates.recordings == (0,) * 6 + tuple(range(6, 6 + len(others)))


def test_clips_of_one_video_are_joined_even_if_they_differ(takes: list[Path]) -> None:
    signatures = []
    for seed in range(12):
        frames: npt.NDArray[np.uint8] = np.random.default_rng(seed).integers(0, 255, (8, 48, 48, 3), np.uint8)
        signatures.append(compute_signature(frames))
    duplicates = find_duplicate_groups(signatures, [clip // 2 for clip in range(12)], ["a", "b"] * 6)
    assert duplicates.recordings == tuple(clip // 2 * 2 for clip in range(12))
    assert duplicates.near_duplicates == ()


def test_one_frame_or_no_clip_is_enough() -> None:
    assert find_duplicate_groups([], [], []) == DuplicateGroups((), (), (), (), ())
    black = compute_signature(np.zeros((1, 40, 30, 3), np.uint8))
    assert black.shape == SIGNATURE_SHAPE
    assert np.isfinite(black[[0, -2, -1]]).all()
    # Where nothing moves, there is nothing to compare.
    assert find_duplicate_groups([black, black], [0, 1], ["a", "b"]).recordings == (0, 1)
