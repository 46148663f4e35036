"""The groups and the leak report of ``prepare``, where no groups are given and where they are."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from activity_cli import PrepareResult, PrepareSettings, Sampling, Split
from activity_cli import prepare as prepare_videos
from activity_cli.dataset.clips import ClipStore, write_array
from activity_cli.dataset.processes import Lost, call_in_processes
from activity_cli.errors import DatasetError
from activity_cli.leakage.duplicate_groups import find_duplicate_groups, load_duplicate_groups
from activity_cli.leakage.signatures import SIGNATURE_SHAPE
from activity_cli.progress import SilentProgress
from encoded_videos import ffmpeg
from scenes import scene

SAMPLING = Sampling(num_frames=8, frame_size=64)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """<bend|wave>/<place>.mp4: six places with a clip of each label, and a mirrored twin of wave/0."""
    videos = tmp_path_factory.mktemp("places") / "videos"
    for place in range(6):
        for number, label in enumerate(("bend", "wave")):
            scene(videos / label / f"{place}.mp4", place, 2 * place + number)
    ffmpeg("-i", videos / "wave" / "0.mp4", "-vf", "hflip", videos / "wave" / "twin.mp4")
    return videos


def run(videos: Path, out: Path, group_by: str = "auto", **settings: object) -> PrepareResult:
    split = Split(group_by=group_by, test_fraction=0.3)
    return prepare_videos(PrepareSettings(videos, out, sampling=SAMPLING, split=split, **settings))  # type: ignore[arg-type]


def rows_of(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def splits_of_groups(folder: Path) -> list[set[str]]:
    splits = defaultdict(set)
    for row in rows_of(folder).values():
        splits[row["group"]].add(row["split"])
    return list(splits.values())


def test_clips_of_one_place_are_one_group_by_default(places: Path, tmp_path: Path) -> None:
    result = run(places, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    for place in range(6):
        assert rows[f"bend/{place}.mp4"]["group"] == rows[f"wave/{place}.mp4"]["group"]
    assert len({row["group"] for row in rows.values()}) == 6
    assert all(len(splits) == 1 for splits in splits_of_groups(tmp_path / "out"))
    leaks = result.leaks
    assert (leaks.grouping, leaks.num_groups, leaks.num_near_duplicates, leaks.leaked_share) == (
        "similarity",
        6,
        1,
        0.0,
    )
    assert leaks.largest_group_share == pytest.approx(3 / 13)
    # Were single videos split at random, half of them would be training clips.
    assert leaks.leaked_share_random_split == pytest.approx((3 * (1 - 0.5**2) + 10 * 0.5) / 13)
    pair = leaks.pairs[0]
    assert (pair.kind, pair.first.path, pair.second.path) == ("near_duplicate", "wave/0.mp4", "wave/twin.mp4")
    assert {pair.kind for pair in leaks.pairs[1:]} == {"same_source"}


def test_the_report_is_json_and_a_picture_and_a_repeated_run_keeps_it(places: Path, tmp_path: Path) -> None:
    first = run(places, tmp_path / "out")
    assert first.leak_picture is not None
    document = json.loads(first.leak_report.read_text())
    assert document["schema"] == "activity.leaks/1"
    assert document["num_near_duplicates"] == 1
    assert document["pairs"][0]["second"]["path"] == "wave/twin.mp4"
    assert document["summary"]
    picture = cv2.imread(str(first.leak_picture))
    assert picture.shape[1] > picture.shape[0] // 3
    stamps = {path: path.stat().st_mtime_ns for path in (first.leak_report, first.leak_picture)}
    duplicates = (tmp_path / "out" / "duplicate_groups.json").stat().st_mtime_ns
    again = run(places, tmp_path / "out")
    assert again.leaks == first.leaks
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert (tmp_path / "out" / "duplicate_groups.json").stat().st_mtime_ns == duplicates


def test_lost_or_damaged_signatures_and_groups_are_computed_again(places: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(places, out)
    groups = out / "duplicate_groups.json"
    signatures = sorted((out / "signatures").iterdir())
    assert len(signatures) == 13
    before = {path: path.read_bytes() for path in (*signatures, groups)}
    signatures[0].unlink()
    signatures[1].write_bytes(signatures[1].read_bytes()[:500])
    signatures[2].write_bytes(b"no array")
    first.leak_picture.unlink()  # type: ignore[union-attr]
    out_of_range = json.loads(before[groups])
    out_of_range["groups"]["sources"] = [99] * 13
    for damage in ("", "{}", '{"key": 1', json.dumps(out_of_range)):
        groups.write_text(damage)
        again = run(places, out)
        assert again.leaks == first.leaks
        assert again.decoded == 0
    assert {path: path.read_bytes() for path in before} == before
    assert first.leak_picture.exists()  # type: ignore[union-attr]


def test_the_picture_and_signatures_of_removed_videos_are_removed(places: Path, tmp_path: Path) -> None:
    videos, out = tmp_path / "videos", tmp_path / "out"
    for label in ("bend", "wave"):
        (videos / label).mkdir(parents=True)
        for place in range(5):
            (videos / label / f"{place}.mp4").symlink_to(places / label / f"{place}.mp4")
    assert run(videos, out).leak_picture is not None
    for label, gone in (("bend", "01"), ("wave", "234")):
        for place in gone:
            (videos / label / f"{place}.mp4").unlink()
    result = run(videos, out)
    assert result.leak_picture is None
    assert not (out / "leaks.png").exists()
    assert result.leaks.num_groups == result.leaks.num_clips == 5
    assert len(list((out / "signatures").iterdir())) == 5


def test_without_groups_each_video_is_a_group_and_the_report_says_what_leaks(places: Path, tmp_path: Path) -> None:
    result = run(places, tmp_path / "out", "none")
    assert (result.leaks.grouping, result.leaks.num_groups) == ("none", 13)
    assert len({row["group"] for row in rows_of(tmp_path / "out").values()}) == 13
    assert result.leaks.leaked_share is not None
    assert result.leaks.leaked_share > 0
    assert {pair.kind for pair in result.leaks.pairs} == {"near_duplicate", "same_source"}


def test_given_groups_are_kept_but_joined_by_near_duplicates(places: Path, tmp_path: Path) -> None:
    people = {"wave/twin.mp4": "zoe"}
    names = [path.relative_to(places).as_posix() for path in sorted(places.glob("*/*.mp4"))]
    lines = [f"{name},{name.split('/')[0]},{people.get(name, 'p' + name[-5])}" for name in names]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,group", *lines]))
    result = run(places, tmp_path / "out", labels=tmp_path / "labels.csv")
    rows = rows_of(tmp_path / "out")
    assert {row["group"] for row in rows.values()} == {"p0+zoe", *(f"p{place}" for place in range(1, 6))}
    assert rows["bend/0.mp4"]["group"] == rows["wave/twin.mp4"]["group"] == "p0+zoe"
    assert any("'p0' and 'zoe'" in warning for warning in result.warnings)
    assert result.leaks.grouping == "given"
    result = run(places, tmp_path / "other", r"\d(?=\.)")
    assert rows_of(tmp_path / "other")["bend/0.mp4"]["group"].startswith("0+")
    assert any("matches nothing in 1 of 13 paths: 'wave/twin.mp4'." in warning for warning in result.warnings)


def test_given_splits_that_divide_similar_clips_give_a_warning(places: Path, tmp_path: Path) -> None:
    names = [path.relative_to(places).as_posix() for path in sorted(places.glob("*/*.mp4"))]
    lines = [f"{name},{name.split('/')[0]},{'test' if 'twin' in name or '5' in name else 'train'}" for name in names]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,split", *lines]))
    result = run(places, tmp_path / "out", labels=tmp_path / "labels.csv")
    rows = rows_of(tmp_path / "out")
    assert {name for name, row in rows.items() if row["split"] == "test"} == {
        *("bend/5.mp4", "wave/5.mp4", "wave/twin.mp4")
    }
    assert result.leaks.leaked_share == pytest.approx(1 / 3)
    assert any("divide 1 group of similar clips" in warning for warning in result.warnings)


def test_one_place_gives_a_warning_and_no_common_group(tmp_path: Path) -> None:
    for motion in range(8):
        scene(tmp_path / "videos" / ("bend", "wave")[motion % 2] / f"{motion}.mp4", 0, motion)
    result = run(tmp_path / "videos", tmp_path / "out")
    (warning,) = (one for one in result.warnings if "one place" in one)
    assert "All clips look as if they were filmed in one place" in warning
    assert "--group-by" in warning
    assert result.leaks.num_groups == result.leaks.num_clips == 8
    assert result.leaks.shared_place_share == 1
    assert {row["split"] for row in rows_of(tmp_path / "out").values()} == {"train", "val", "test"}


@pytest.mark.slow
def test_a_file_type_that_predicts_the_label_gives_a_warning(places: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    for variant in range(30):
        for number, (label, suffix) in enumerate((("bend", "mp4"), ("wave", "avi"))):
            path = videos / label / f"{variant}.{suffix}"
            scene(tmp_path / "plain.mp4", variant, 2 * variant + number)
            path.parent.mkdir(parents=True, exist_ok=True)
            ffmpeg("-i", tmp_path / "plain.mp4", "-c:v", "mpeg4", path)
    result = run(videos, tmp_path / "out")
    shortcuts = {shortcut.name: shortcut for shortcut in result.leaks.shortcuts}
    assert shortcuts["file type"].accuracy == 1
    assert shortcuts["file type"].suspicious
    assert any("file type of the files alone" in warning for warning in result.warnings)


def _answer(number: int, advance: Callable[[int], None]) -> int:
    advance(2)
    if number == 1:
        raise DatasetError("one")
    if number == 2:
        os._exit(9)
    return number


def test_a_function_in_its_own_process_returns_fails_or_dies() -> None:
    advanced: list[int] = []
    assert list(call_in_processes(_answer, [7, 2], 1, advance=advanced.append)) == [(7, 7), (2, Lost.DIED)]
    with pytest.raises(DatasetError, match="one"):
        list(call_in_processes(_answer, [1], 1, advance=advanced.append))
    assert advanced == [2, 2, 2]


def test_many_clips_are_compared_in_their_own_process_with_the_same_result(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    store, names = ClipStore(tmp_path / "clips"), [f"{number}.npy" for number in range(230)]
    signatures = rng.normal(size=(230, *SIGNATURE_SHAPE)).astype(np.float16)
    signatures[200:] = signatures[:30]
    for name, signature in zip(names, signatures, strict=True):
        write_array(tmp_path / "signatures" / name, signature)
    source_ids, labels = [(name, "") for name in names], ["a", "b"] * 115
    recorded = _Recorded()
    duplicates = load_duplicate_groups(store, names, source_ids, labels, recorded)
    assert duplicates is not None
    assert duplicates == find_duplicate_groups(signatures, source_ids, labels)
    assert duplicates.near_duplicates == tuple((number, number + 200) for number in range(30))
    assert recorded.done == 230
    shutil.rmtree(tmp_path / "signatures")
    assert load_duplicate_groups(store, names, source_ids, labels, recorded) == duplicates, "not read back"
    assert recorded.done == 230


class _Recorded(SilentProgress):
    """Counts the work that is reported."""

    done = 0

    def stage(self, title: str, total: int | None, unit: str) -> AbstractContextManager[Any]:
        return nullcontext(self)

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.done += amount
