"""The prepared folder: clips, journal, manifest and config, written and read back."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from activity_cli.dataset.clips import ClipStore, clip_name, remove_stale_arrays
from activity_cli.dataset.decode_cache import CutClip, DecodeCache, Decoded, DecodeTask
from activity_cli.dataset.manifest import is_prepared_folder, read_config, read_prepared, write_prepared
from activity_cli.errors import DatasetError
from activity_cli.files import ASIDE_MARK
from activity_cli.results import ClipRecord
from activity_cli.settings import Sampling, Split

SAMPLING = Sampling(num_frames=6, frame_size=32)


def clip(num_frames: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num_frames, 32, 32, 3), np.uint8)


def test_a_clip_comes_back_as_it_was_written(tmp_path: Path) -> None:
    store = ClipStore(tmp_path / "clips")
    assert "a.npy" not in store
    store.write("a.npy", clip()[..., ::-1])  # also from a view
    assert "a.npy" in store
    assert np.array_equal(store.read("a.npy"), clip()[..., ::-1])
    assert [path.name for path in store.folder.iterdir()] == ["a.npy"]


def test_the_name_of_a_clip_stands_for_content_and_every_setting() -> None:
    others = [
        Sampling(num_frames=7, frame_size=32),
        Sampling(num_frames=6, frame_size=33),
        Sampling(num_frames=6, frame_size=32, frames_per_second=5.0),
        Sampling(num_frames=6, frame_size=32, fit="pad"),
    ]
    names = [clip_name("a" * 64, SAMPLING), clip_name("b" * 64, SAMPLING), *(clip_name("a" * 64, o) for o in others)]
    assert len(set(names)) == len(names)
    assert clip_name("a" * 64, Sampling(num_frames=6, frame_size=32)) == names[0]


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


def test_sweeping_removes_what_nothing_refers_to(tmp_path: Path) -> None:
    store = ClipStore(tmp_path)
    for name in ("kept.npy", "old.npy"):
        store.write(name, clip())
    (tmp_path / f"{ASIDE_MARK}999999999-x.npy").touch()
    (tmp_path / "mine.txt").touch()
    remove_stale_arrays(store.folder, {"kept.npy"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.npy", "mine.txt"]


CUT = CutClip("a.npy", 3, 0.0, 1.5)


def noted(folder: Path, name: str = "wave/a.mp4", **values: object) -> tuple[DecodeCache, ClipStore, DecodeTask]:
    store, file = ClipStore(folder / "clips"), DecodeTask(folder / "a.mp4", name)
    file.path.write_bytes(b"video")
    store.write("a.npy", clip())
    cache = DecodeCache(folder / "decoded.jsonl", SAMPLING)
    assert cache.lookup(file, store) is None
    cache.add(file, Decoded("aa", clips=(CUT,), **values))  # type: ignore[arg-type]
    return cache, store, file


@pytest.mark.parametrize("name", ["wave/a.mp4", "new\nline.mp4", "odd\udcff.mp4", "line\u2028separator.mp4", "手.mp4"])
def test_the_journal_knows_a_file_that_did_not_change(name: str, tmp_path: Path) -> None:
    _, store, file = noted(tmp_path, name)
    again = DecodeCache(tmp_path / "decoded.jsonl", SAMPLING)
    assert again.lookup(file, store) == Decoded("aa", clips=(CUT,))
    again.compact([name])
    assert DecodeCache(tmp_path / "decoded.jsonl", SAMPLING).lookup(file, store) == Decoded("aa", clips=(CUT,))
    again.compact([])
    assert DecodeCache(tmp_path / "decoded.jsonl", SAMPLING).lookup(file, store) is None


@pytest.mark.parametrize("change", ["size", "time", "gone", "clip", "cut clip", "sampling"])
def test_the_journal_forgets_what_changed(change: str, tmp_path: Path) -> None:
    _, store, file = noted(tmp_path)
    if change == "size":
        status = file.path.stat()
        file.path.write_bytes(b"another video")
        os.utime(file.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "time":
        os.utime(file.path, ns=(1, 1))
    elif change == "gone":
        file.path.unlink()
    elif change == "clip":
        (store.folder / "a.npy").unlink()
    elif change == "cut clip":
        os.truncate(store.folder / "a.npy", 500)
    sampling = replace(SAMPLING, num_frames=5) if change == "sampling" else SAMPLING
    assert DecodeCache(tmp_path / "decoded.jsonl", sampling).lookup(file, store) is None


def test_a_file_that_changes_while_it_is_decoded_counts_as_changed(tmp_path: Path) -> None:
    store, file = ClipStore(tmp_path / "clips"), DecodeTask(tmp_path / "a.mp4", "a.mp4")
    file.path.write_bytes(b"half of the co")
    store.write("a.npy", clip())
    cache = DecodeCache(tmp_path / "decoded.jsonl", SAMPLING)
    cache.lookup(file, store)
    file.path.write_bytes(b"half of the copy, and now all of it")
    cache.add(file, Decoded("aa", clips=(CUT,)))
    assert DecodeCache(tmp_path / "decoded.jsonl", SAMPLING).lookup(file, store) is None


@pytest.mark.parametrize("tail", ['{"name": "b.mp', '{"name": 3}\n', "[]\n", "\xff\n", "{}\n" * 3])
def test_a_cut_or_foreign_line_in_the_journal_is_passed_over(tail: str, tmp_path: Path) -> None:
    _, store, file = noted(tmp_path)
    with (tmp_path / "decoded.jsonl").open("a", encoding="latin-1") as cache:
        cache.write(tail)
    other = DecodeTask(tmp_path / "a.mp4", "other.mp4")
    DecodeCache(tmp_path / "decoded.jsonl", SAMPLING).add(other, Decoded("bb", clips=(CUT,)))
    again = DecodeCache(tmp_path / "decoded.jsonl", SAMPLING)
    assert again.lookup(file, store) == Decoded("aa", clips=(CUT,))
    assert again.lookup(other, store) == Decoded("bb", clips=(CUT,))


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
    kept = [
        ClipRecord(
            *(
                name,
                f"label {number % 2}",
                "anna\r",
                "train",
                "ok",
                "",
                9,
                10,
                "decoding",
                29.97,
                True,
                0.3003,
                64,
                48,
                90,
                1.5,
            ),
            content_hash=f"{number}" * 64,
            clip=f"{number}.npy",
            clip_frames=6,
        )
        for number, name in enumerate(HOSTILE_NAMES)
    ]
    return [*kept, ClipRecord("x.mp4", "label 0", "", "", "rejected", "[video.empty] x: is empty.")]


def test_a_prepared_folder_comes_back_as_it_was_written(tmp_path: Path) -> None:
    split = Split(group_by="p")
    written = write_prepared(tmp_path, records(), SAMPLING, split, {"videos": "/odd\udcff"})
    assert read_prepared(tmp_path) == written
    assert written.labels == ("label 0", "label 1")
    assert written.in_split("all") == tuple(records()[:-1])
    assert written.in_split("test") == ()
    config = read_config(tmp_path)
    assert config is not None
    assert (config["schema"], config["videos"]) == ("activity.prepared/2", "/odd\udcff")
    assert (tmp_path / "manifest.csv").read_text(errors="surrogateescape").startswith("path,label,group,split,status,")


def test_the_fingerprint_stands_for_clips_labels_and_splits(tmp_path: Path) -> None:
    def fingerprint(rows: list[ClipRecord]) -> str:
        return write_prepared(tmp_path, rows, SAMPLING, Split(), {}).fingerprint

    same = [records()[0], *reversed(records()[1:-1])]
    assert fingerprint(records()) == fingerprint(same)
    for change in ({"label": "other"}, {"split": "test"}, {"clip": "other.npy"}, {"group": "bob"}):
        assert fingerprint([replace(records()[0], **change), *records()[1:]]) != fingerprint(records())  # type: ignore[arg-type]


def test_an_unfinished_an_absent_and_a_foreign_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No prepared folder"):
        read_prepared(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "somebody else\'s"}')
    assert not is_prepared_folder(tmp_path)
    with pytest.raises(DatasetError):
        read_prepared(tmp_path)
    (tmp_path / "config.json").unlink()
    (tmp_path / "decoded.jsonl").touch()
    assert is_prepared_folder(tmp_path)
    with pytest.raises(DatasetError, match="not finished") as caught:
        read_prepared(tmp_path)
    assert caught.value.code == "dataset.unfinished"


@pytest.mark.parametrize(
    "damage",
    ["config cut", "config list", "manifest gone", "manifest cut", "manifest edited", "setting", "newer", "field"],
)
def test_a_damaged_folder_is_refused_with_what_to_do(damage: str, tmp_path: Path) -> None:
    write_prepared(tmp_path, records(), SAMPLING, Split(), {})
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
        case "setting":
            config.write_text(json.dumps({**document, "sampling": {"num_frames": 0}}))
        case "newer":
            config.write_text(json.dumps({**document, "schema": "activity.prepared/3"}))
        case "field":
            manifest.write_bytes(manifest.read_bytes() + b"x" * 200_000)
    with pytest.raises(DatasetError) as caught:
        read_prepared(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert "prepare" in caught.value.hint
    assert (caught.value.code == "dataset.schema") == (damage == "newer")
