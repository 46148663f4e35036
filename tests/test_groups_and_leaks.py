"""prepare without given groups: what it finds, what it says, and how that stays right."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import Result

from activity_cli import PrepareResult, PrepareSettings, Sampling, Split
from activity_cli import prepare as prepare_videos
from activity_cli.dataset.clips import ClipStore, write_array
from activity_cli.dataset.processes import in_own_process
from activity_cli.errors import DatasetError
from activity_cli.leakage.duplicate_groups import find_duplicate_groups
from activity_cli.leakage.signature_index import load_duplicate_groups
from activity_cli.leakage.signatures import SIGNATURE_SHAPE
from activity_cli.progress import SilentProgress
from encoded_videos import ffmpeg
from scenes import scene

Prepare = Callable[..., Result]
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


def sides_of(folder: Path, key: str) -> list[set[str]]:
    sides = defaultdict(set)
    for row in rows_of(folder).values():
        sides[row[key]].add(row["split"])
    return list(sides.values())


def test_clips_of_one_place_are_one_group_by_default(places: Path, tmp_path: Path) -> None:
    result = run(places, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    for place in range(6):
        assert rows[f"bend/{place}.mp4"]["group"] == rows[f"wave/{place}.mp4"]["group"]
    assert len({row["group"] for row in rows.values()}) == 6
    assert all(len(sides) == 1 for sides in sides_of(tmp_path / "out", "group"))
    leaks = result.leaks
    assert (leaks.grouping, leaks.num_groups, leaks.num_copies, leaks.exposed) == ("looks", 6, 1, 0.0)
    assert leaks.largest_share == pytest.approx(3 / 13)
    # A place of two clips: were they drawn one by one, half of the clips would be learned from.
    assert leaks.exposed_by_video == pytest.approx((3 * (1 - 0.5**2) + 10 * 0.5) / 13)
    copy = leaks.pairs[0]
    assert (copy.kind, copy.first.path, copy.second.path) == ("copy", "wave/0.mp4", "wave/twin.mp4")
    assert {pair.kind for pair in leaks.pairs[1:]} == {"source"}


def test_the_report_is_json_and_a_picture_and_stays_as_it_is(places: Path, tmp_path: Path) -> None:
    first = run(places, tmp_path / "out")
    assert first.leak_picture is not None
    document = json.loads(first.leak_report.read_text())
    assert document["schema"] == "activity.leaks/1"
    assert document["num_copies"] == 1
    assert document["pairs"][0]["second"]["path"] == "wave/twin.mp4"
    assert any("one recording" in line for line in document["summary"])
    picture = cv2.imread(str(first.leak_picture))
    assert picture.shape[1] > picture.shape[0] // 3
    stamps = {path: path.stat().st_mtime_ns for path in (first.leak_report, first.leak_picture)}
    duplicates = (tmp_path / "out" / "kin.json").stat().st_mtime_ns
    again = run(places, tmp_path / "out")
    assert again.leaks == first.leaks
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert (tmp_path / "out" / "kin.json").stat().st_mtime_ns == duplicates


def test_lost_or_damaged_looks_are_made_again(places: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(places, out)
    looks = sorted((out / "looks").iterdir())
    assert len(looks) == 13
    before = {path.name: path.read_bytes() for path in looks} | {"kin.json": (out / "kin.json").read_bytes()}
    looks[0].unlink()
    looks[1].write_bytes(looks[1].read_bytes()[:500])
    looks[2].write_bytes(b"no array")
    first.leak_picture.unlink()  # type: ignore[union-attr]
    for damage in ("", "{}", '{"key": 1', json.dumps({**json.loads(before["kin.json"]), "sources": [99] * 13})):
        (out / "kin.json").write_text(damage)
        again = run(places, out)
        assert again.leaks == first.leaks
        assert again.decoded == 0
    after = {path.name: path.read_bytes() for path in looks} | {"kin.json": (out / "kin.json").read_bytes()}
    assert after == before
    assert first.leak_picture.exists()  # type: ignore[union-attr]


def test_the_picture_goes_with_the_pairs_and_so_do_the_looks(places: Path, tmp_path: Path) -> None:
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
    assert len(list((out / "looks").iterdir())) == 5


def test_none_takes_each_video_by_itself_and_tells_what_that_leaks(places: Path, tmp_path: Path) -> None:
    result = run(places, tmp_path / "out", "none")
    assert (result.leaks.grouping, result.leaks.num_groups) == ("none", 13)
    assert len({row["group"] for row in rows_of(tmp_path / "out").values()}) == 13
    assert result.leaks.exposed is not None
    assert result.leaks.exposed > 0
    assert {pair.kind for pair in result.leaks.pairs} == {"copy", "source"}


def test_given_groups_stand_but_for_copies(places: Path, tmp_path: Path) -> None:
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
    # A pattern is as good as a column.
    result = run(places, tmp_path / "other", r"\d(?=\.)")
    assert rows_of(tmp_path / "other")["bend/0.mp4"]["group"].startswith("0+")
    assert any("finds no group in 1 of 13" in warning for warning in result.warnings)


def test_a_given_split_that_divides_what_looks_related_is_told(places: Path, tmp_path: Path) -> None:
    names = [path.relative_to(places).as_posix() for path in sorted(places.glob("*/*.mp4"))]
    lines = [f"{name},{name.split('/')[0]},{'test' if 'twin' in name or '5' in name else 'train'}" for name in names]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,split", *lines]))
    result = run(places, tmp_path / "out", labels=tmp_path / "labels.csv")
    rows = rows_of(tmp_path / "out")
    assert {name for name, row in rows.items() if row["split"] == "test"} == {
        *("bend/5.mp4", "wave/5.mp4", "wave/twin.mp4")
    }
    assert result.leaks.exposed == pytest.approx(1 / 3)
    assert any("divide 1 group of clips that look related" in warning for warning in result.warnings)


def test_one_place_is_told_and_nothing_collapses(activity: Callable[..., Result], tmp_path: Path) -> None:
    for motion in range(8):
        scene(tmp_path / "videos" / ("bend", "wave")[motion % 2] / f"{motion}.mp4", 0, motion)
    words = ("--num-frames", 8, "--frame-size", 64, "--workers", 1)
    done = activity("prepare", tmp_path / "videos", "--out", tmp_path / "out", *words)
    assert done.exit_code == 0
    assert "All clips look filmed in one place" in done.stderr
    assert "--group-by" in done.stderr
    assert len({row["group"] for row in rows_of(tmp_path / "out").values()}) == 8
    assert {row["split"] for row in rows_of(tmp_path / "out").values()} == {"train", "val", "test"}
    assert "no two clips look related" in done.stderr
    assert done.stdout.strip() == str(tmp_path / "out")
    quiet = activity("prepare", tmp_path / "videos", "--out", tmp_path / "out", *words, "--quiet")
    assert quiet.stderr == ""


def test_a_label_that_a_file_type_gives_away_is_told(places: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    for variant in range(30):
        for number, (label, suffix) in enumerate((("bend", "mp4"), ("wave", "avi"))):
            path = videos / label / f"{variant}.{suffix}"
            scene(tmp_path / "plain.mp4", variant, 2 * variant + number)
            path.parent.mkdir(parents=True, exist_ok=True)
            ffmpeg("-i", tmp_path / "plain.mp4", "-c:v", "mpeg4", path)
    result = run(videos, tmp_path / "out")
    shortcuts = {tell.name: tell for tell in result.leaks.shortcuts}
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


def test_a_process_of_its_own_answers_fails_or_dies() -> None:
    heard: list[int] = []
    assert in_own_process(_answer, 7, advance=heard.append) == 7
    with pytest.raises(DatasetError, match="one"):
        in_own_process(_answer, 1, advance=heard.append)
    with pytest.raises(BrokenProcessPool):
        in_own_process(_answer, 2, advance=heard.append)
    assert heard == [2, 2, 2]


def test_many_clips_are_compared_in_a_process_of_their_own_with_the_same_result(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    store, names = ClipStore(tmp_path / "clips"), [f"{number}.npy" for number in range(230)]
    looks = rng.normal(size=(230, *SIGNATURE_SHAPE)).astype(np.float16)
    looks[200:] = looks[:30]
    for name, look in zip(names, looks, strict=True):
        write_array(tmp_path / "looks" / name, look)
    source_ids, labels = [(name, "") for name in names], ["a", "b"] * 115
    told = _Told()
    duplicates = load_duplicate_groups(store, names, source_ids, labels, told)
    assert duplicates is not None
    assert duplicates == find_duplicate_groups(looks, source_ids, labels)
    assert duplicates.copies == tuple((number, number + 200) for number in range(30))
    assert told.done == 230
    shutil.rmtree(tmp_path / "looks")
    assert load_duplicate_groups(store, names, source_ids, labels, told) == duplicates, "not read back"
    assert told.done == 230


class _Told(SilentProgress):
    """Counts what it is told."""

    done = 0

    def stage(self, title: str, total: int | None, unit: str) -> AbstractContextManager[Any]:
        return nullcontext(self)

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.done += amount
