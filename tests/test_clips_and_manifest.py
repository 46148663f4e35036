"""The prepared folder: clips, decode cache, manifest and config, written and read back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activity_cli.dataset.clips import ClipStore, cache_key, clip_name, remove_stale_arrays
from activity_cli.dataset.decode_cache import DecodeCache, Decoded, DecodeTask
from activity_cli.dataset.manifest import is_prepared_folder, read_config, read_prepared, write_prepared
from activity_cli.dataset.stream_store import StreamStore
from activity_cli.errors import DatasetError
from activity_cli.files import ASIDE_MARK
from activity_cli.results import ClipInfo, ClipRecord, VideoInfo
from activity_cli.sampling.plan import Segment, plan_cuts
from activity_cli.settings import PrepareSettings, Sampling, Split, plain_values
from activity_cli.streams.pose import POSE_WIDTH

SAMPLING = Sampling(num_frames=6, frame_size=32)
NAME = f"{0:032x}.npy"


def clip(num_frames: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num_frames, 32, 32, 3), np.uint8)


def test_a_clip_comes_back_as_it_was_written(tmp_path: Path) -> None:
    store = ClipStore(tmp_path / "clips")
    assert "a.npy" not in store
    store.write("a.npy", clip()[..., ::-1])  # also from a view
    assert "a.npy" in store
    assert np.array_equal(store.read("a.npy"), clip()[..., ::-1])
    assert [path.name for path in store.folder.iterdir()] == ["a.npy"]


def test_the_name_of_a_clip_stands_for_all_that_made_it_and_nothing_else() -> None:
    def name(content: str = "aa", segment: Segment = Segment(), seed: int = 0, **changed: object) -> str:  # noqa: B008
        sampling = replace(SAMPLING, **changed)  # type: ignore[arg-type]
        cut = plan_cuts([index / 10 for index in range(40)], sampling, [segment], seed=seed, key=content)[-1]
        return clip_name(content, cut, sampling)

    others = [
        *(name(num_frames=7), name(frame_size=33), name(frames_per_second=5.0), name(fit="pad"), name("bb")),
        *(name(segment=Segment(1.0, 2.0)), name(short_clips="wrap")),
        *(name(clips_per_video=2), name(clips_per_video=2, seed=1), name(clips_per_video=3)),
    ]
    assert len({name(), *others}) == len(others) + 1
    assert name() == name(seed=1), "nothing is random"
    # A window, and a segment that somebody labeled.
    assert name(segment=Segment(0.0, 3.0), window_seconds=1.0) == name(segment=Segment(2.0, 3.0))


def test_a_cache_key_stands_for_its_parts_and_their_order() -> None:
    keys = [cache_key(), cache_key("a"), cache_key("a", None), cache_key(["a"]), cache_key("a", 1), cache_key(1, "a")]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 32 for key in keys)
    assert cache_key("a", [1.5, None]) == cache_key("a", (1.5, None))


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "text", "float", "flat", "no frames", "pickle"])
def test_a_damaged_clip_is_not_there_and_reading_it_says_what_to_do(damage: str, tmp_path: Path) -> None:
    store, path = ClipStore(tmp_path), tmp_path / "a.npy"
    store.write("a.npy", clip())
    content = path.read_bytes()
    arrays = {"float": clip().astype(float), "flat": clip()[0], "no frames": clip()[:0], "pickle": np.array([{}])}
    if damage == "missing":
        path.unlink()
    elif damage in arrays:
        np.save(path, arrays[damage])
    else:
        path.write_bytes({"empty": b"", "cut": content[:-1], "text": b"hello"}[damage])
    assert "a.npy" not in store
    with pytest.raises(DatasetError, match=r"a\.npy") as caught:
        store.read("a.npy")
    assert "prepare" in caught.value.hint


def test_arrays_that_are_not_to_be_kept_are_removed(tmp_path: Path) -> None:
    store = ClipStore(tmp_path)
    kept, old = f"{1:032x}.npy", f"{2:032x}.npy"
    for name in (kept, old, "mine.npy"):
        store.write(name, clip())
    (tmp_path / f"{ASIDE_MARK}999999999-x.npy").touch()
    (tmp_path / "mine.txt").touch()
    remove_stale_arrays(store.folder, {kept})
    assert sorted(path.name for path in tmp_path.iterdir()) == [kept, "mine.npy", "mine.txt"]


DECODED = Decoded(
    VideoInfo(content_hash="aa", num_frames=9, variable_frame_rate=True),
    ((ClipInfo(clip=NAME, clip_frames=3, end_seconds=1.5),),),
)


def open_cache(folder: Path, sampling: Sampling = SAMPLING, seed: int = 0) -> DecodeCache:
    return DecodeCache(folder / "decoded.jsonl", sampling, seed)


def filled(folder: Path, name: str = "wave/a.mp4") -> tuple[DecodeCache, ClipStore, DecodeTask]:
    store, task = ClipStore(folder / "clips"), DecodeTask(folder / "a.mp4", name)
    task.path.write_bytes(b"video")
    store.write(NAME, clip())
    StreamStore(folder).write(NAME, {"pose": np.zeros((3, POSE_WIDTH), np.float32)}, (0.0, 0.5, 1.0))
    cache = open_cache(folder)
    assert cache.lookup(task, store) is None
    cache.add(task, DECODED)
    return cache, store, task


@pytest.mark.parametrize("name", ["wave/a.mp4", "new\nline.mp4", "odd\udcff.mp4", "line\u2028separator.mp4", "手.mp4"])
def test_the_decode_cache_knows_a_file_that_did_not_change(name: str, tmp_path: Path) -> None:
    _, store, task = filled(tmp_path, name)
    again = open_cache(tmp_path)
    assert again.lookup(task, store) == DECODED
    again.compact([name])
    assert open_cache(tmp_path).lookup(task, store) == DECODED
    again.compact([])
    assert open_cache(tmp_path).lookup(task, store) is None


@pytest.mark.parametrize("change", ["size", "time", "gone", "clip", "cut clip", "sampling", "segments"])
def test_the_decode_cache_forgets_what_changed(change: str, tmp_path: Path) -> None:
    _, store, task = filled(tmp_path)
    if change == "size":
        status = task.path.stat()
        task.path.write_bytes(b"another video")
        os.utime(task.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "time":
        os.utime(task.path, ns=(1, 1))
    elif change == "gone":
        task.path.unlink()
    elif change == "clip":
        (store.folder / NAME).unlink()
    elif change == "cut clip":
        os.truncate(store.folder / NAME, 500)
    elif change == "segments":
        task = replace(task, segments=(Segment(0.0, 1.0),))
    sampling = replace(SAMPLING, num_frames=5) if change == "sampling" else SAMPLING
    assert open_cache(tmp_path, sampling).lookup(task, store) is None


def test_the_seed_counts_only_where_clips_are_random(tmp_path: Path) -> None:
    _, store, task = filled(tmp_path)
    assert open_cache(tmp_path, seed=1).lookup(task, store) == DECODED
    random = replace(SAMPLING, clips_per_video=2)
    assert open_cache(tmp_path, random).lookup(task, store) is None
    open_cache(tmp_path, random).add(task, DECODED)
    assert open_cache(tmp_path, random).lookup(task, store) == DECODED
    assert open_cache(tmp_path, random, seed=1).lookup(task, store) is None


@pytest.mark.parametrize(("code", "is_kept"), [("video.undecodable", True), ("video.crashed", False)])
def test_an_error_is_kept_unless_it_may_pass(code: str, is_kept: bool, tmp_path: Path) -> None:
    cache, store, task = filled(tmp_path)
    error = Decoded(error_code=code, error_message="a.mp4: bad")
    other = replace(task, name="other.mp4")
    cache.add(other, error)
    assert open_cache(tmp_path).lookup(other, store) == (error if is_kept else None)


def test_a_file_that_changes_while_it_is_decoded_counts_as_changed(tmp_path: Path) -> None:
    store, task = ClipStore(tmp_path / "clips"), DecodeTask(tmp_path / "a.mp4", "a.mp4")
    task.path.write_bytes(b"half of the co")
    store.write(NAME, clip())
    StreamStore(tmp_path).write(NAME, {}, (0.0, 0.5, 1.0))
    cache = open_cache(tmp_path)
    cache.lookup(task, store)
    task.path.write_bytes(b"half of the copy, and now all of it")
    cache.add(task, DECODED)
    assert open_cache(tmp_path).lookup(task, store) is None


@pytest.mark.parametrize("tail", ['{"name": "b.mp', '{"name": 3}\n', "[]\n", "\xff\n", "{}\n" * 3])
def test_a_cut_or_foreign_line_in_the_decode_cache_is_skipped(tail: str, tmp_path: Path) -> None:
    _, store, task = filled(tmp_path)
    with (tmp_path / "decoded.jsonl").open("a", encoding="latin-1") as cache:
        cache.write(tail)
    other = DecodeTask(tmp_path / "a.mp4", "other.mp4")
    open_cache(tmp_path).add(other, DECODED)
    again = open_cache(tmp_path)
    assert again.lookup(task, store) == again.lookup(other, store) == DECODED


HOSTILE_NAMES = [
    'a"b.mp4',
    "a,b.mp4",
    "a\nb.mp4",
    "a\rb.mp4",
    "a\r\nb.mp4",
    "\x1b[31m.mp4",
    "ü手.mp4",
    "a\udcff.mp4",
    " a .mp4",
]


def records() -> list[ClipRecord]:
    video = VideoInfo(
        num_frames=9,
        header_frames=10,
        counted_by="decoding",
        frames_per_second=29.97,
        variable_frame_rate=True,
        duration_seconds=0.3003,
        width=64,
        height=48,
        rotation_degrees=90,
        sample_aspect_ratio=1.5,
        content_hash="ab" * 32,
    )
    kept = [
        ClipRecord(
            *(name, f"label {number % 2}", "anna\r", "train", "ok", ""),
            clip=f"{number:032x}.npy",
            clip_frames=6,
            **vars(video),
        )
        for number, name in enumerate(HOSTILE_NAMES)
    ]
    return [*kept, ClipRecord("x.mp4", "label 0", "", "", "rejected", "[video.empty] x: is empty.")]


SETTINGS = PrepareSettings(Path("/odd\udcff"), sampling=SAMPLING, split=Split(group_by="p"))


def test_a_prepared_folder_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = write_prepared(tmp_path, records(), SETTINGS)
    assert read_prepared(tmp_path) == written
    assert (written.sampling, written.split) == (SAMPLING, Split(group_by="p"))
    assert written.labels == ("label 0", "label 1")
    assert written.in_split("all") == tuple(records()[:-1])
    assert written.in_split("test") == ()
    config = read_config(tmp_path)
    assert config is not None
    assert (config.schema, config.videos, config.labels_file) == ("activity.prepared/5", "/odd\udcff", None)
    assert config.settings == plain_values(SETTINGS, stored_only=True)
    columns = (tmp_path / "manifest.csv").read_text(errors="surrogateescape").split("\n")[0].split(",")
    assert columns[:6] == ["path", "label", "group", "split", "status", "reason"]
    assert set(columns) == {field.name for field in fields(ClipRecord)}


def test_the_fingerprint_stands_for_clips_labels_and_splits(tmp_path: Path) -> None:
    def fingerprint(rows: list[ClipRecord]) -> str:
        return write_prepared(tmp_path, rows, SETTINGS).fingerprint

    same = [records()[0], *reversed(records()[1:-1])]
    assert fingerprint(records()) == fingerprint(same)
    for change in ({"label": "other"}, {"split": "test"}, {"clip": f"{77:032x}.npy"}, {"group": "bob"}):
        assert fingerprint([replace(records()[0], **change), *records()[1:]]) != fingerprint(records())  # type: ignore[arg-type]


def test_an_unfinished_an_absent_and_a_foreign_folder_have_different_errors(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No prepared folder"):
        read_prepared(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "somebody else\'s"}')
    assert not is_prepared_folder(tmp_path)
    with pytest.raises(DatasetError):
        read_prepared(tmp_path)
    (tmp_path / "config.json").unlink()
    (tmp_path / "decoded.jsonl").touch()
    assert is_prepared_folder(tmp_path)
    with pytest.raises(DatasetError, match="is incomplete") as caught:
        read_prepared(tmp_path)
    assert caught.value.code == "dataset.unfinished"


@pytest.mark.parametrize(
    "damage",
    [
        *("config cut", "config list", "config key", "manifest gone", "manifest cut", "manifest edited", "number"),
        *("setting", "newer", "older", "field"),
    ],
)
def test_a_damaged_folder_is_refused_with_what_to_do(damage: str, tmp_path: Path) -> None:
    write_prepared(tmp_path, records(), SETTINGS)
    config, manifest = tmp_path / "config.json", tmp_path / "manifest.csv"
    document = json.loads(config.read_text())
    match damage:
        case "config cut":
            config.write_text(config.read_text()[:40])
        case "config list":
            config.write_text("[1]")
        case "manifest gone":
            manifest.unlink()
        case "manifest cut":
            manifest.write_bytes(manifest.read_bytes()[:400])
        case "manifest edited":
            manifest.write_bytes(manifest.read_bytes().replace(b"train", b"test", 1))
        case "number":
            manifest.write_bytes(manifest.read_bytes().replace(b"29.97", b"fast", 1))
        case "config key":
            config.write_text(json.dumps({**document, "labels": 3}))
        case "setting":
            config.write_text(json.dumps({**document, "settings": {"num_frames": 0}}))
        case "newer" | "older":
            schema = f"activity.prepared/{6 if damage == 'newer' else 2}"
            config.write_text(json.dumps({"schema": schema}))
        case "field":
            manifest.write_bytes(manifest.read_bytes() + b"x" * 200_000)
    with pytest.raises(DatasetError) as caught:
        read_prepared(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert "prepare" in caught.value.hint
    assert "\n" not in str(caught.value)
    assert (caught.value.code == "dataset.schema") == (damage in ("newer", "older"))


@pytest.mark.parametrize(
    "change",
    [
        *({"clip_frames": -5}, {"clip_frames": 0}, {"clip_frames": 7}, {"clip_frames": 10**12}, {"num_frames": -1}),
        *({"duration_seconds": float("nan")}, {"frames_per_second": float("inf")}, {"end_seconds": -1.0}),
        *({"label": ""}, {"split": "holdout"}, {"split": ""}, {"status": "good"}, {"clip": ""}, {"person_frames": -2}),
    ],
)
def test_values_that_prepare_does_not_write_are_refused(change: dict[str, object], tmp_path: Path) -> None:
    rows = [replace(records()[0], **change), *records()[1:]]  # type: ignore[arg-type]
    write_prepared(tmp_path, rows, SETTINGS)
    with pytest.raises(DatasetError, match=r"is damaged: manifest\.csv has") as caught:
        read_prepared(tmp_path)
    assert str(tmp_path) in caught.value.message


@pytest.mark.parametrize("labels", [[], ["label 0"], ["label 1", "label 0"], ["a", "b"]])
def test_labels_that_are_not_those_of_the_clips_are_refused(labels: list[str], tmp_path: Path) -> None:
    write_prepared(tmp_path, records(), SETTINGS)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"labels": labels}))
    with pytest.raises(DatasetError, match="the labels in config"):
        read_prepared(tmp_path)


def rewritten_header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00\x76\x00" + text.encode().ljust(117) + b"\n" + bytes(6 * 32 * 32 * 3)


SHAPED = "{{'descr': '|u1', 'fortran_order': False, 'shape': {}, }}"


@pytest.mark.parametrize(
    "header",
    [
        *(SHAPED.format("(-6, 32, 32, 3)"), SHAPED.format("(999999999999, 32, 32, 3)"), SHAPED.format("(6.5, 32)")),
        *(SHAPED.format("(True, 32, 32, 3)"), SHAPED.format("x"), "[1, 2]", "(" * 100, "", "\0" * 50),
        "{'descr': [('a', 'O')], 'fortran_order': False, 'shape': (6,), }",
    ],
)
def test_a_hostile_array_is_one_line_that_names_the_file(header: str, tmp_path: Path) -> None:
    (tmp_path / "streams" / "times").mkdir(parents=True)
    for path in (tmp_path / NAME, tmp_path / "streams" / "times" / NAME):
        path.write_bytes(rewritten_header(header))
    for read in (ClipStore(tmp_path).read, StreamStore(tmp_path).times):
        with pytest.raises(DatasetError, match=NAME) as caught:
            read(NAME)
        assert "\n" not in str(caught.value)
    with (tmp_path / NAME).open("wb") as file:
        np.savez(file, clip())
    with pytest.raises(DatasetError, match=NAME):
        ClipStore(tmp_path).read(NAME)


@pytest.mark.parametrize("times", [[0.0, float("nan"), 1.0], [0.0, float("inf"), 1.0], [1.0, 0.5, 2.0]])
def test_times_that_are_no_times_are_refused(times: list[float], tmp_path: Path) -> None:
    StreamStore(tmp_path).write(NAME, {}, times)
    with pytest.raises(DatasetError, match=NAME):
        StreamStore(tmp_path).times(NAME)


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line["decoded"].update(file_bytes=-1),
        lambda line: line["decoded"].update(clips=line["decoded"]["clips"] * 2),
        lambda line: line["decoded"]["clips"][0][0].update(clip_frames=-3),
        lambda line: line["decoded"]["clips"][0][0].update(end_seconds=float("nan")),
        lambda line: line["decoded"]["clips"][0][0].update(clip=f"../clips/{NAME}"),
        lambda line: line["decoded"]["video"].update(num_frames=-9),
        lambda line: line["decoded"]["video"].update(duration_seconds=float("inf")),
    ],
)
def test_a_line_of_the_decode_cache_with_impossible_values_is_not_used(
    change: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    _, store, task = filled(tmp_path)
    path = tmp_path / "decoded.jsonl"
    line = json.loads(path.read_text())
    line["decoded"]["clips"] = line["decoded"]["clips"][:1]
    path.write_text(json.dumps(line) + "\n")
    assert open_cache(tmp_path).lookup(task, store) is not None
    change(line)
    path.write_text(json.dumps(line) + "\n")
    assert open_cache(tmp_path).lookup(task, store) is None
