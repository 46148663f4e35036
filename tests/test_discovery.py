"""Labels from folders and CSV files."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from activity_cli.errors import DatasetError
from activity_cli.labels.discovery import find_videos, group_of, read_labels
from activity_cli.labels.files import VIDEO_SUFFIXES
from activity_cli.labels.segments import LabelSet


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def labels_of(found: LabelSet) -> dict[str, str]:
    return {segment.name: segment.label for segment in found.segments}


def test_the_first_folder_is_the_label_at_any_depth_below(tmp_path: Path) -> None:
    touch(tmp_path, "wave/a.mp4", "wave/person1/day 2/b.AVI", "bend/c.webm")
    found = read_labels(tmp_path, None)
    assert labels_of(found) == {"bend/c.webm": "bend", "wave/a.mp4": "wave", "wave/person1/day 2/b.AVI": "wave"}
    assert list(labels_of(found)) == sorted(labels_of(found))
    assert all(one.path == tmp_path / one.name and one.path.is_file() for one in found.segments)


def test_every_other_file_is_listed_with_a_reason_but_hidden_ones_are_not(tmp_path: Path) -> None:
    touch(tmp_path, "wave/a.mp4", "wave/notes.txt", "loose.mp4", "README", "wave/.b.mp4", ".git/c.mp4", ".d.mp4")
    found = read_labels(tmp_path, None)
    assert labels_of(found) == {"wave/a.mp4": "wave"}
    assert [(file.name, file.label, file.reason) for file in found.unused] == [
        ("README", "", "no known video file extension"),
        ("loose.mp4", "", "not in a folder named after an activity"),
        ("wave/notes.txt", "wave", "no known video file extension"),
    ]


@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        ((), "No videos in", "<activity>/clip.mp4"),
        (("wave/notes.txt",), "No videos in", ".mp4"),
        (("a.mp4", "b.mp4"), "2 videos are directly in", "--labels"),
    ],
)
def test_a_folder_without_labeled_videos_is_an_error_with_a_hint(
    names: tuple[str, ...], message: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        read_labels(touch(tmp_path, *names), None)
    assert hint in caught.value.hint


def test_a_missing_folder_and_a_file_in_its_place_are_different_errors(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        read_labels(tmp_path / "nowhere", None)
    with pytest.raises(DatasetError, match="is a file, not a folder"):
        read_labels(touch(tmp_path, "clip.mp4") / "clip.mp4", None)


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    videos = touch(tmp_path / "videos", "wave/a.mp4", "bend/b.mp4")
    touch(tmp_path / "elsewhere", "c.mp4", "deep/d.mp4")
    (videos / "jump").symlink_to(tmp_path / "elsewhere")
    (videos / "wave" / "up").symlink_to(videos)
    (videos / "bend" / "self").symlink_to(videos / "bend")
    names = set(labels_of(read_labels(videos, None)))
    assert names == {"wave/a.mp4", "bend/b.mp4", "jump/c.mp4", "jump/deep/d.mp4"}


def test_a_link_does_not_hide_the_folder_it_points_to(tmp_path: Path) -> None:
    touch(tmp_path, "wave/a.mp4")
    (tmp_path / "alias").symlink_to(tmp_path / "wave")  # comes first in the alphabet
    assert labels_of(read_labels(tmp_path, None)) == {"alias/a.mp4": "alias", "wave/a.mp4": "wave"}


@pytest.mark.parametrize("finished", [True, False])
def test_a_prepared_folder_inside_the_videos_is_skipped(finished: bool, tmp_path: Path) -> None:
    touch(tmp_path, "wave/a.mp4", "prepared/decoded.jsonl", "prepared/clips/x.npy", "prepared/clips/y.mp4")
    if finished:
        touch(tmp_path, "prepared/manifest.csv", "prepared/config.json")
    found = read_labels(tmp_path, None)
    assert (labels_of(found), found.unused) == ({"wave/a.mp4": "wave"}, [])


def test_find_videos_gives_only_videos_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b.mp4", "a/c.MOV", "a/notes.txt", ".hidden.mp4", "é.mkv")
    assert find_videos(tmp_path) == [tmp_path / "a/c.MOV", tmp_path / "b.mp4", tmp_path / "é.mkv"]
    assert {".mp4", ".avi", ".webm", ".mov", ".mkv"} <= VIDEO_SUFFIXES


@pytest.mark.parametrize(
    ("name", "pattern", "group"),
    [
        ("wave/person07_a.mp4", r"person\d+", "person07"),
        ("wave/person07_a.mp4", r"person(\d+)", "07"),
        ("wave/person07_a.mp4", r"subject\d+", ""),
        ("wave/person07_a.mp4", r"(x)?person", ""),
        ("wave/person07_a.mp4", None, ""),
        ("wave/p1/a.mp4", r"^[^/]+/([^/]+)/", "p1"),
    ],
)
def test_the_pattern_finds_the_group(name: str, pattern: str | None, group: str) -> None:
    assert group_of(name, pattern) == group


def from_csv(tmp_path: Path, text: str | bytes, group_by: str | None = None) -> LabelSet:
    path = tmp_path / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    videos = tmp_path / "videos"
    videos.mkdir(exist_ok=True)
    return read_labels(videos, path, group_by)


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na.mp4,wave\nsub/b.mp4,bend\n",
        "\ufeffpath,label\r\na.mp4,wave\r\nsub/b.mp4,bend\r\n",
        "path, label \n./a.mp4, wave \nsub//b.mp4,bend\n\n",
        'label,note,path\nwave,"x, y",a.mp4\nbend,,sub/b.mp4\n',
        "path,label,group,split\na.mp4,wave,,\nsub/b.mp4,bend\n",
        "path,label\na.mp4,wave\na.mp4,wave\nsub/b.mp4,bend\n",
    ],
)
def test_a_csv_labels_files_in_any_usual_form(text: str, tmp_path: Path) -> None:
    found = from_csv(tmp_path, text)
    assert labels_of(found) == {"a.mp4": "wave", "sub/b.mp4": "bend"}
    assert [one.path for one in found.segments] == [tmp_path / "videos/a.mp4", tmp_path / "videos/sub/b.mp4"]


def test_a_csv_gives_groups_and_splits_and_its_group_wins_over_the_pattern(tmp_path: Path) -> None:
    found = from_csv(tmp_path, "path,label,group,split\np1.mp4,wave,anna,Train\np2.mp4,wave,, test\n", r"p\d")
    assert [(one.group, one.split) for one in found.segments] == [("anna", "trainval"), ("p2", "test")]


def test_a_csv_may_hold_names_that_are_not_text(tmp_path: Path) -> None:
    touch(tmp_path / "videos", os.fsdecode(b"odd\xff.mp4"))
    found = from_csv(tmp_path, b'path,label\n"new\nline.mp4",wave\nodd\xff.mp4,bend\n')
    assert {os.fsencode(one.name) for one in found.segments} == {b"new\nline.mp4", b"odd\xff.mp4"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column label and no column path"),
        ("path|label\na.mp4|wave\n", "has no column label and no column path. Its columns: path.label"),
        ("name,label\na.mp4,wave\n", "has no column path"),
        ("path,label,start,end\na.mp4,wave,soon,9\n", "line 2: 'soon' is not a number of seconds"),
        ("path,label,start,end\na.mp4,wave,9,9\n", "line 2: the segment starts at 9 s but ends at 9 s"),
        ("path,label,start\na.mp4,wave,-1\n", "line 2: '-1' is not a number of seconds"),
        ("path,label\n", "lists no videos"),
        ("path,label\na.mp4,\n", "line 2: path or label is empty"),
        ("path,label\na.mp4,wave\n,bend\n", "line 3: path or label is empty"),
        ("path,label,split\na.mp4,wave,held\n", "line 2: split is 'held'"),
        ("path,label\na.mp4,wave\na.mp4,bend\n", "line 3: 'a.mp4' is listed twice with different values"),
        ("path,label\na\0.mp4,wave\n", "line 2: 'a\\\\x00.mp4' is not a valid file name"),
        ("path,label\n" + "x" * 200_000 + ",wave\n", "is not a CSV file"),
    ],
)
def test_a_wrong_csv_is_an_error_with_the_line_and_a_hint(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        from_csv(tmp_path, text)
    assert "labels.csv" in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_labels_that_are_missing_or_an_unknown_folder_are_an_error(tmp_path: Path) -> None:
    folder = touch(tmp_path / "lists", "labels.txt")
    videos = touch(tmp_path / "videos", "wave/a.mp4")
    for path, message in ((tmp_path / "nowhere.csv", "cannot be read"), (folder, "has no labels in a known format")):
        with pytest.raises(DatasetError, match=message) as caught:
            read_labels(videos, path)
        assert re.search("`labels`|--labels", caught.value.hint)


def test_a_folder_of_annotations_is_no_activity_and_any_other_without_a_video_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "wave/a.mp4", "bend/b.mp4", "Annotations/a.xml", "labels_v2/deep/b.csv", "docs/c.MD", "docs/d")
    touch(tmp_path, "jump/urls.txt", "metadata/c.xyz")
    (tmp_path / "lists").mkdir()
    found = read_labels(tmp_path, None)
    assert found.empty == ("docs", "jump", "lists", "metadata")
    assert [note.split("'")[1] for note in found.notes] == ["Annotations", "labels_v2"]
    assert all("not taken for an activity" in note for note in found.notes)
