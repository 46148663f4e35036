"""The sample videos are what their README says, and their generator makes them again."""

from __future__ import annotations

import platform
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_videos"
sys.path.insert(0, str(ROOT / "tools" / "sample_videos"))

import generate  # noqa: E402  (silences FFmpeg before OpenCV is loaded)
from clips import FORMATS, Clip, plan  # noqa: E402
from motions import LABELS, REVERSED, Pose, Tempo, trajectory  # noqa: E402
from persons import PERSONS  # noqa: E402
from scene import MARGIN, Scene  # noqa: E402

import cv2  # noqa: E402  isort: skip

PLAN = plan()

# An encoder may choose other bits in another release or on another processor; what it shows must stay the
# same to the eye.
SAME_ENCODERS = cv2.__version__.startswith("5.0") and platform.machine() in {"x86_64", "AMD64"}


def decode(path: Path) -> list[NDArray[np.uint8]]:
    capture = cv2.VideoCapture(str(path))
    frames: list[NDArray[np.uint8]] = []
    while True:
        read, frame = capture.read()
        if not read:
            return frames
        frames.append(np.asarray(frame, dtype=np.uint8))


def test_plan_has_every_person_do_everything() -> None:
    assert len(LABELS) >= 8
    assert len(PERSONS) >= 10
    assert len({person.place for person in PERSONS}) == len(PERSONS)
    counts = Counter((clip.person.name, clip.label) for clip in PLAN)
    assert set(counts) == {(person.name, label) for person in PERSONS for label in LABELS}
    assert len(set(counts.values())) == 1
    assert len(PLAN) >= 160


def test_folder_holds_the_plan_and_nothing_else() -> None:
    found = {
        str(path.relative_to(SAMPLES).as_posix())
        for path in SAMPLES.rglob("*")
        if path.suffix in {".mp4", ".avi", ".webm"}
    }
    assert found == {clip.path for clip in PLAN}
    total = sum((SAMPLES / clip.path).stat().st_size for clip in PLAN)
    assert total <= 8_000_000


@pytest.mark.slow
def test_files_have_the_planned_size_rate_and_length() -> None:
    for clip in PLAN:
        frames = decode(SAMPLES / clip.path)
        assert len(frames) == clip.frames, clip.path
        assert {frame.shape for frame in frames} == {(clip.format.height, clip.format.width, 3)}, clip.path
        rate = cv2.VideoCapture(str(SAMPLES / clip.path)).get(cv2.CAP_PROP_FPS)
        assert rate == pytest.approx(clip.format.fps, abs=0.01), clip.path
        assert 0.8 <= len(frames) / rate <= 4.0, clip.path


def test_neither_format_nor_length_gives_a_label_away() -> None:
    for label in LABELS:
        mine = [clip for clip in PLAN if clip.label == label]
        assert set(Counter(clip.format for clip in mine).values()) == {len(mine) // len(FORMATS)}
        lengths = sorted(clip.seconds for clip in mine)
        everyone = np.quantile([clip.seconds for clip in PLAN], np.linspace(0, 1, len(mine)))
        np.testing.assert_allclose(lengths, everyone, atol=0.25)


@pytest.mark.parametrize("backward", sorted(REVERSED))
def test_reversed_pairs_are_the_same_poses_in_the_other_order(backward: str) -> None:
    forward = REVERSED[backward]
    for count in (9, 24, 51):
        one, other = (trajectory(label, count, 15.0, Tempo()) for label in (forward, backward))
        np.testing.assert_array_equal(one[::-1], other)
        # The rests at both ends are equally long, so the middle is the same moment of both.
        np.testing.assert_allclose(one[count // 2 - (count % 2 == 0)], other[count // 2], atol=1e-9)
        first_still, last_still = (int(np.sum(np.all(np.abs(one - one[end]) < 1e-9, axis=1))) for end in (0, -1))
        assert first_still == last_still


def test_labels_that_are_no_pair_have_poses_of_their_own() -> None:
    alone = [label for label in LABELS if label not in REVERSED]
    middles = [trajectory(label, 31, 15.0, Tempo())[15] for label in alone]
    for i, middle in enumerate(middles):
        assert len(middle) == len(Pose._fields)
        assert all(np.abs(middle - other).max() > 0.1 for other in middles[:i])


def test_nobody_leaves_the_picture() -> None:
    for clip in PLAN:
        left, top, right, bottom = Scene(clip).bounds()
        wide = clip.format.width / clip.format.height
        assert left >= MARGIN * 0.99, clip.path
        assert right <= wide - MARGIN * 0.99, clip.path
        assert top >= MARGIN, clip.path
        assert bottom <= 1 - MARGIN, clip.path


def shortest_of_each_codec() -> list[Clip]:
    codecs = sorted({clip.format.codec for clip in PLAN})
    return [min((c for c in PLAN if c.format.codec == codec), key=lambda c: c.frames) for codec in codecs]


@pytest.mark.parametrize("clip", shortest_of_each_codec(), ids=lambda clip: str(clip.format.codec))
def test_generator_makes_the_same_clips_again(clip: Clip, tmp_path: Path) -> None:
    again = decode(generate.write_clip(clip, tmp_path))
    kept = decode(SAMPLES / clip.path)
    assert len(again) == len(kept) == clip.frames
    if SAME_ENCODERS:
        np.testing.assert_array_equal(np.stack(again), np.stack(kept))
    else:
        assert np.abs(np.stack(again).astype(float) - np.stack(kept)).mean() < 2.0
    assert [path.name for path in (tmp_path / clip.label).iterdir()] == [clip.name]


def test_what_is_stored_is_what_was_drawn() -> None:
    for clip in shortest_of_each_codec():
        drawn, stored = np.stack(Scene(clip).render()), np.stack(decode(SAMPLES / clip.path))
        assert np.abs(drawn.astype(float) - stored).mean() < 5.0, clip.path


def test_a_failed_clip_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Scene) -> None:
        raise RuntimeError("no drawing today")

    monkeypatch.setattr(Scene, "render", fail)
    with pytest.raises(RuntimeError):
        generate.write_clip(PLAN[0], tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_only_draws_what_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = min(PLAN, key=lambda c: c.frames)
    monkeypatch.setattr(sys, "argv", ["generate.py", "--out", str(tmp_path), "--only", clip.name])
    generate.main()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / clip.path]
    monkeypatch.setattr(sys, "argv", ["generate.py", "--out", str(tmp_path), "--only", "nobody_*"])
    with pytest.raises(SystemExit, match="nobody_"):
        generate.main()
