"""How well metadata of the files predict the label."""

from __future__ import annotations

import numpy as np

from activity_cli.leakage.metadata_shortcuts import find_shortcuts
from activity_cli.results import ClipRecord, MetadataShortcut


def clip(
    number: int, label: str, *, seconds: float = 2.0, fps: float = 25.0, width: int = 640, suffix: str = "mp4"
) -> ClipRecord:
    return ClipRecord(
        path=f"{label}/{number}.{suffix}",
        label=label,
        group="",
        split="",
        status="ok",
        reason="",
        frames_per_second=fps,
        duration_seconds=seconds,
        end_seconds=seconds,
        width=width,
        height=480,
    )


def by_name(shortcuts: tuple[MetadataShortcut, ...]) -> dict[str, MetadataShortcut]:
    return {shortcut.name: shortcut for shortcut in shortcuts}


def single_groups(number: int) -> list[str]:
    return [str(clip) for clip in range(number)]


def test_lengths_that_follow_the_label_are_suspicious() -> None:
    rng = np.random.default_rng(0)
    clips = [clip(n, "short" if n % 2 else "long", seconds=rng.normal(1 if n % 2 else 3, 0.3)) for n in range(60)]
    found = by_name(find_shortcuts(clips, single_groups(60)))
    assert set(found) == {"length"}
    assert found["length"].accuracy > 0.95
    assert found["length"].baseline_accuracy == 0.5
    assert found["length"].suspicious


def test_random_metadata_is_not_suspicious() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        clips = [
            clip(
                n,
                f"label{n % 4}",
                seconds=rng.uniform(1, 3),
                fps=float(rng.choice([25, 30, 50])),
                width=int(rng.choice([640, 1280])),
                suffix=str(rng.choice(["mp4", "avi"])),
            )
            for n in range(100)
        ]
        found = find_shortcuts(clips, single_groups(100), seed)
        assert len(found) == 5
        assert not any(shortcut.suspicious for shortcut in found), (seed, found)


def test_a_property_of_single_groups_is_not_suspicious() -> None:
    # Each of 6 sources has a length of its own and one label, which tells nothing about another source.
    clips = [clip(n, ("a", "b")[n // 10 % 2], seconds=1 + n // 10) for n in range(60)]
    by_source = [str(n // 10) for n in range(60)]
    assert not by_name(find_shortcuts(clips, by_source))["length"].suspicious
    assert by_name(find_shortcuts(clips, single_groups(60)))["length"].suspicious


def test_two_properties_together_may_predict_more_than_each_alone() -> None:
    kinds = [("a", 25, "mp4"), ("a", 30, "avi"), ("b", 50, "mp4"), ("b", 30, "mov")]
    clips = [clip(n, kinds[n % 4][0], fps=kinds[n % 4][1], suffix=kinds[n % 4][2]) for n in range(80)]
    found = by_name(find_shortcuts(clips, single_groups(80)))
    assert found["all together"].accuracy > max(found["frame rate"].accuracy, found["file type"].accuracy)


def test_equal_metadata_or_a_single_group_gives_no_shortcuts() -> None:
    clips = [clip(n, "ab"[n % 2]) for n in range(10)]
    assert find_shortcuts(clips, single_groups(10)) == ()
    clips = [clip(n, "ab"[n % 2], seconds=n + 1) for n in range(10)]
    assert find_shortcuts(clips, ["all"] * 10) == ()
