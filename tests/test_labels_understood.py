"""Labels as people and programs write them: understood, or refused in words. Nothing is dropped in silence."""

from __future__ import annotations

import csv
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from activity_cli.dataset.label_checks import find_label_warnings
from activity_cli.errors import DatasetError
from activity_cli.labels.discovery import read_labels
from activity_cli.labels.segments import LabeledSegment, LabelSet
from activity_cli.labels.spelling import clean_text, find_similar_labels
from activity_cli.results import ClipRecord
from activity_cli.settings import Sampling
from encoded_videos import ffmpeg

Activity = Callable[..., Result]


def read(root: Path, content: str | bytes, *names: str, name: str = "labels.csv") -> LabelSet:
    """The labels in a file, beside videos of these names."""
    for one in names or ("a.mp4", "b.mp4"):
        (root / "videos" / one).parent.mkdir(parents=True, exist_ok=True)
        (root / "videos" / one).touch()
    (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return read_labels(root / "videos", root / name)


def only(found: LabelSet) -> LabeledSegment:
    [segment] = found.segments
    return segment


@pytest.mark.parametrize(
    ("header", "row", "start", "end"),
    [
        ("path,label,start_seconds,end_seconds", "a.mp4,wave,1.5,4", 1.5, 4.0),
        ("path,label,start,stop", "a.mp4,wave,1,3", 1.0, 3.0),
        ("path,label,start,duration", "a.mp4,wave,1,3", 1.0, 4.0),
        ("path,label,Start (s),Stop (s)", "a.mp4,wave,1,3.25", 1.0, 3.25),
        ("video,action,startTime,endTime", "a.mp4,wave,1,3", 1.0, 3.0),
        ("file;class;start_ms;end_ms", "a.mp4;wave;1500;2500", 1.5, 2.5),
        ("path,label,begin,end", "a.mp4,wave,0:02,1:05", 2.0, 65.0),
        ("path,label,begin,end", "a.mp4,wave,00:00:02.5,00:01:00", 2.5, 60.0),
        ("path,label,start,end", "a.mp4,wave,2 s,1 min", 2.0, 60.0),
        ("path;label;start;end", "a.mp4;wave;1,5;2,5", 1.5, 2.5),
        ("path;label;start;end", "a.mp4;wave;1.500;2.250", 1.5, 2.25),
        ("path,label,start_ms,end_ms", "a.mp4,wave,900.500,1000", 0.9005, 1.0),
        ("path\tlabel\tstart\tend", "a.mp4\twave\t1\t2", 1.0, 2.0),
        ("PATH,LABEL,START_SECONDS,END_SECONDS", "a.mp4,wave,1,2", 1.0, 2.0),
        ("path,label,onset,offset", "a.mp4,wave,1,2", 1.0, 2.0),
        ("path,label,from,to", "a.mp4,wave,1,2", 1.0, 2.0),
        ("path,label,tmin,tmax", "a.mp4,wave,1,2", 1.0, 2.0),
        ("path,label,start (min),end (min)", "a.mp4,wave,1,1.5", 60.0, 90.0),
        ("path,label,start,end", "a.mp4,wave,0:02,3.5", 2.0, 3.5),
        ("path,label,Begin Time - hh:mm:ss.ms,End Time - ss.msec", "a.mp4,wave,00:00:01.5,3.5", 1.5, 3.5),
        ("path,label,start_s,end_s,start_frame,end_frame", "a.mp4,wave,1,2,25,50", 1.0, 2.0),
        ("path,label,start_seconds,end_seconds", "a.mp4,wave,,", 0.0, None),
    ],
)
def test_times(tmp_path: Path, header: str, row: str, start: float, end: float | None) -> None:
    segment = only(read(tmp_path, f"{header}\n{row}\n"))
    assert (segment.name, segment.label) == ("a.mp4", "wave")
    assert segment.start_seconds == pytest.approx(start)
    assert segment.end_seconds == (None if end is None else pytest.approx(end))
    assert segment.frames is None


@pytest.mark.parametrize(
    ("header", "row", "frames"),
    [
        ("path,label,start_frame,end_frame", "a.mp4,wave,10,19", (10, 19)),
        ("path,label,first frame,Frames", "a.mp4,wave,10,19", None),
        ("path,label,startFrame,stopFrame", "a.mp4,wave,0,5.0", (0, 5)),
        ("path,label,first_frame,last_frame", "a.mp4,wave,10,19", (10, 19)),
        ("path,label,frame_no_start,frame_no_end", "a.mp4,wave,10,19", (10, 19)),
        ("path,label,start_frame,duration_frames", "a.mp4,wave,10,5", (10, 14)),
    ],
)
def test_frames(tmp_path: Path, header: str, row: str, frames: tuple[int, int] | None) -> None:
    if frames is None:
        with pytest.raises(DatasetError, match=r"'(first frame|Frames)' looks like a time or a frame"):
            read(tmp_path, f"{header}\n{row}\n")
    else:
        assert only(read(tmp_path, f"{header}\n{row}\n")).frames == frames


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("path,label,interval", "a.mp4,wave,1-3", "'interval' looks like a time or a frame"),
        ("path,label,when", "a.mp4,wave,0:02", "'when' looks like a time or a frame"),
        ("path,label,when", "a.mp4,wave,0:01-0:02", "'when' looks like a time or a frame"),
        ("path,label,segment", 'a.mp4,wave,"[1.0, 2.0]"', "'segment' looks like a time or a frame"),
        ("path,label,start_index,end_index", "a.mp4,wave,1,2", "'start_index' looks like a time or a frame"),
        ("path,label,start_frame,num_frames", "a.mp4,wave,1,2", "'num_frames' looks like a time or a frame"),
        ("path,label,duration", "a.mp4,wave,3", "'duration' looks like a time or a frame"),
        ("path,label,start,end_frame", "a.mp4,wave,1,20", "'end_frame' looks like a time or a frame"),
        ("path,label,start,end", "a.mp4,wave,00:00:01:12,2", "'00:00:01:12' is not a number of seconds"),
        ("path,label,start,end", "a.mp4,wave,NA,2", "'NA' is not a number of seconds"),
        ("path,label,usage", "a.mp4,wave,train\nb.mp4,wave,holdout", "'usage' looks like a split"),
        ("path,label,role", "a.mp4,wave,train\nb.mp4,wave,test\nc.mp4,wave,none", "'role' looks like a split"),
        ("path,label,Label", "a.mp4,wave,x", "two columns 'Label'"),
        ("path,label,Anfang,Ende", "a.mp4,wave,1,2", "'Anfang' looks like a time or a frame"),
        ("path,label,fold", "a.mp4,wave,3", "'fold' looks like a split"),
        ("path,label,is_test", "a.mp4,wave,1", "'is_test' looks like a split"),
        ("path,label,part", "a.mp4,wave,train", "'part' looks like a split"),
        ("path,label,split", "a.mp4,wave,training set", "split is 'training set'"),
        ("path,label,start,end", "a.mp4,wave,3,1", "starts at 3 s but ends at 1 s"),
        ("path,label,start,end", "a.mp4,wave,-1,2", "'-1' is not a number of seconds"),
        ("path,label,start,end", "a.mp4,wave,1:75,3", "'1:75' is not a number of seconds"),
        ("path,label,start_frame,end_frame", "a.mp4,wave,9,3", "starts at frame 9 but ends at frame 3"),
        ("path,label,start_s,start_ms,end_s", "a.mp4,wave,1,2000,3", "give different times"),
        ("path,label,start,end", 'a.mp4,wave,"1,500",2.5', "may mean 1500 or 1.500"),
        ("path;label;start;end", "a.mp4;wave;1.500;2\nb.mp4;wave;1,5;2", "may mean 1500 or 1.500"),
        ("path;label;start_ms;end_ms", "a.mp4;wave;1.500;2.000", "may mean 1500 or 1.500"),
        ("path;label;start_frame;end_frame", "a.mp4;wave;1.000;2.000", "'1.000' is not the number of a frame"),
        ("path,label", ",wave", "path or label is empty"),
        ("path,label", "a.mp4,", "path or label is empty"),
        ("path,label", "a.mp4,#N/A", "an error of a spreadsheet"),
        ("path,name", "a.mp4,wave", "no column label"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, header: str, row: str, said: str) -> None:
    with pytest.raises(DatasetError) as caught:
        read(tmp_path, f"{header}\n{row}\n")
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("header", "row", "unused"),
    [
        ("path,label,weather", "a.mp4,wave,sunny", "weather"),
        ("path,label,fps,duration of the video", "a.mp4,wave,30,12.5", "fps, duration of the video"),
        ("path,label,set", "a.mp4,wave,2", "set"),
        ("path,label,vehicle", "a.mp4,wave,train\nb.mp4,wave,bus", "vehicle"),
        ("path,label,first name,last name", "a.mp4,wave,1,2", "first name, last name"),
        ("path,label,segment", "a.mp4,wave,3", "segment"),
        ("path,label,score", "a.mp4,wave,3:1", "score"),
        ("path,label,num_frames", "a.mp4,wave,100", "num_frames"),
        ("path,label,time note", "a.mp4,wave,0:02", "time note"),
        ("path,label,recorded", "a.mp4,wave,2024-05-03", "recorded"),
        ("path,label,", "a.mp4,wave,x", "column 3"),
    ],
)
def test_columns_that_are_not_used_are_named(tmp_path: Path, header: str, row: str, unused: str) -> None:
    found = read(tmp_path, f"{header}\n{row}\n")
    assert f"Columns of labels.csv that were not used: {unused}." in found.notes
    assert {(one.start_seconds, one.end_seconds, one.frames) for one in found.segments} == {(0.0, None, None)}


def test_a_set_of_splits_is_a_split(tmp_path: Path) -> None:
    found = read(tmp_path, "path,label,set\na.mp4,wave,train\nb.mp4,wave,test\n")
    assert [one.split for one in found.segments] == ["trainval", "test"]


@pytest.mark.parametrize(
    "content",
    [
        "path,label\na.mp4,größer\n".encode("utf-8-sig"),
        "path,label\na.mp4,größer\n".encode("utf-16"),
        "sep=;\npath;label\na.mp4;größer\n".encode(),
        "\n\npath,label\n\na.mp4,größer\n\n".encode(),
        "path,label\r\na.mp4,größer\r\n".encode(),
        'path, label\na.mp4, "größer"\n'.encode(),
        "path,label\na.mp4,gro\u0308ßer\n".encode(),
        "path,label\na.mp4,\u200bgrößer\u00a0\n".encode(),
        "\ufeffsep=\t\r\npath\tlabel\r\na.mp4\tgrößer\r\n".encode(),
        ";;\n\n;;\npath;label;\na.mp4;größer;\n".encode(),
        "path,label\ra.mp4,größer\r".encode(),
        "path,label,,,\na.mp4,größer,,,\n".encode(),
        "path,label\na.mp4,größer,,,\n".encode(),
        "path,label,group\na.mp4,größer\n".encode(),
    ],
)
def test_encodings_and_spellings_of_one_label(tmp_path: Path, content: bytes) -> None:
    assert only(read(tmp_path, content)).label == "größer"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("path,label\na.mp4,größer\n".encode("utf-16-le"), "UTF-16"),
        ("path,label\na.mp4,größer\n".encode("cp1252"), "line 2: the label 'gr\\udcf6\\udcdfer' is not UTF-8"),
        ("видео,метка\nа.mp4,волна\n".encode("utf-16-le"), "UTF-16"),
        ("\nпуть,метка\nа.mp4,волна\n".encode("utf-16-be"), "UTF-16"),
        (b"PK\x03\x04" + bytes(40), "workbook"),
        (b"\xd0\xcf\x11\xe0" + bytes(40), "Excel"),
        (b"", "no column label"),
        (b"path,label\n", "lists no videos"),
        (b"path,label\na.mp4,\xff\xfe\n", "line 2"),
        ("path,label\nb.mp4,größer\n".encode() + "a.mp4,größer\n".encode("cp1252"), "line 3: the label"),
        ("path,label,person\na.mp4,wave,Jörg\n".encode("cp1252"), "line 2: the group"),
        ("bär.mp4,label\n".encode("cp1252"), "column 1 is not UTF-8"),
        ("path,label\nbär.mp4,wave\n".encode("cp1252"), "line 2: the path"),
        ("path,label\na.mp4,gr\ufffdßer\n".encode(), "line 2: the label"),
        (b"My labels,\npath,label\na.mp4,wave\n", "Its columns: My labels."),
        (b'path,label\na.mp4,"wave\nb.mp4,bend\n', "Check the quotes"),
        (b"path,label\na.mp4,wave,bend\n", "line 2: 3 cells"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(DatasetError) as caught:
        read(tmp_path, content)
    assert said.lower() in (caught.value.message + caught.value.hint).lower()


@pytest.mark.parametrize(
    ("labels", "similar"),
    [
        (("Trikonasana", "trikonasna"), True),
        (("hand stand", "Hand-Stand"), True),
        (("headstand", "headstnd"), True),
        (("sit_down", "sit down"), True),
        (("wave", "wаve"), True),  # the second one with a Cyrillic letter
        (("jump01", "jump1"), True),  # spreadsheets drop the zero
        (("TRUE", "True"), True),
        (("wave1", "wave2"), False),
        (("level 1.2", "level 12"), False),
        (("20240101", "20240102"), False),
        (("walk", "wave"), False),
        (("forehand", "backhand"), False),
        (("push up", "push down"), False),
        (("C", "C++"), False),
    ],
)
def test_labels_that_are_nearly_the_same(labels: tuple[str, str], similar: bool) -> None:
    warnings = find_similar_labels(labels)
    assert bool(warnings) == similar
    for warning in warnings:
        assert all(repr(label) in warning for label in labels)
        assert "one label?" in warning


def test_what_nobody_sees_is_no_part_of_a_label() -> None:
    assert clean_text(" \ufeffwave\u200b \u00a0") == "wave"
    assert clean_text("e\u0301te\u0301") == "été"
    assert clean_text("wa\0lk\nto") == "walk to"
    assert clean_text("\U0001f468\u200d\U0001f469") == "\U0001f468\u200d\U0001f469", "an emoji of two"


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("wave\\a.mp4", "wave/a.mp4"),
        ("./wave/a.mp4", "wave/a.mp4"),
        (".\\wave\\a.mp4", "wave/a.mp4"),
        ("bend/../wave/a.mp4", "wave/a.mp4"),
        ("../videos/wave/a.mp4", "wave/a.mp4"),
        ("wave/a.mp4\u200b", "wave/a.mp4"),
        ("two words.mp4", "two\u00a0words.mp4"),
        ("a\\b.mp4", "a\\b.mp4"),
        (unicodedata.normalize("NFD", "bär.mp4"), "bär.mp4"),
        (unicodedata.normalize("NFC", "bär.mp4"), unicodedata.normalize("NFD", "bär.mp4")),
    ],
)
def test_other_spellings_of_a_path(tmp_path: Path, typed: str, stored: str) -> None:
    (tmp_path / "videos" / "bend").mkdir(parents=True)
    segment = only(read(tmp_path, f"path,label\n{typed},x\n", stored))
    assert (segment.name, segment.problem) == (stored, "")
    assert segment.path.is_file()


def test_an_absolute_path(tmp_path: Path) -> None:
    place = tmp_path / "videos" / "a.mp4"
    assert only(read(tmp_path, f"path,label\n{place},x\n")).name == "a.mp4"


def test_a_missing_path_says_where_it_was_looked_for(tmp_path: Path) -> None:
    segment = only(read(tmp_path, "path,label\nwave/a.mp4,wave\n", "day1/a.mp4", "b.mp4"))
    assert str(tmp_path / "videos" / "wave" / "a.mp4") in segment.problem
    assert f"relative to {str(tmp_path / 'videos')!r}" in segment.problem
    assert "Did you mean 'day1/a.mp4'?" in segment.problem
    two = only(read(tmp_path / "two", "path,label\nwave/a.mp4,wave\n", "day1/a.mp4", "day2/a.mp4"))
    assert "Did you mean" not in two.problem


@pytest.mark.parametrize(
    "typed",
    [
        "A.MP4",
        "a",
        "a.avi",
        "Day1/a.mp4",
        "videos/day1/a.mp4",
        "C:\\Users\\me\\a.mp4",
        "file:///home/me/a.mp4",
        "/a.mp4",
    ],
)
def test_the_only_video_of_that_name_is_suggested(tmp_path: Path, typed: str) -> None:
    assert "Did you mean 'day1/a.mp4'?" in only(read(tmp_path, f"path,label\n{typed},x\n", "day1/a.mp4")).problem


def test_one_video_under_two_paths_is_one(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"line 3: 'a\.mp4' is listed twice"):
        read(tmp_path, "path,label\na.mp4,x\n./day1/../a.mp4,y\n", "a.mp4", "day1/b.mp4")


def test_unlisted_videos_are_known(tmp_path: Path) -> None:
    found = read(tmp_path, "path,label\na.mp4,x\n", "a.mp4", "b.mp4", "c.txt")
    assert {one.name: one.reason for one in found.unused} == {
        "b.mp4": "not listed in labels.csv",
        "c.txt": "no known video file extension",
    }
    assert any("1 video is not listed" in note for note in found.notes)


def test_a_row_twice_is_one_and_with_another_label_an_error(tmp_path: Path) -> None:
    assert len(read(tmp_path, "path,label\na.mp4,x\na.mp4,x\n").segments) == 1
    with pytest.raises(DatasetError, match=r"line 3: 'a\.mp4' is listed twice"):
        read(tmp_path, "path,label\na.mp4,x\na.mp4,y\n")


def test_folders_of_the_system_are_no_activities(tmp_path: Path) -> None:
    for folder in ("wave", "bend", "$RECYCLE.BIN", "@eaDir", "__MACOSX", ".thumbnails", "System Volume Information"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.mp4").touch()
    found = read_labels(tmp_path, None)
    assert sorted(one.label for one in found.segments) == ["bend", "wave"]
    assert found.empty == ()


def record(label: str, group: str, number: int, split: str = "train", seconds: float = 2.0) -> ClipRecord:
    return ClipRecord(
        path=f"{label}{number}.mp4",
        label=label,
        group=group,
        split=split,
        status="ok",
        reason="",
        clip=f"{abs(hash((label, number))):032x}.npy"[-36:],
        clip_frames=16,
        end_seconds=seconds,
    )


def test_warnings_about_labels() -> None:
    good = [record(label, f"g{number % 4}", number) for label in ("wave", "bend") for number in range(12)]
    assert find_label_warnings(good, Sampling()) == []
    [few] = find_label_warnings([*good, *(record("rare", f"g{number}", number) for number in range(4))], Sampling())
    assert "fewer than 10 clips: 'rare' (4)" in few
    [single] = find_label_warnings(
        [*good, *(record("jump", "g1", number, "val" if number else "train") for number in range(12))], Sampling()
    )
    assert "one group (person or source) only: 'jump'" in single
    many = [record("walk", f"g{number % 4}", number) for number in range(150)]
    [balance] = find_label_warnings([*good, *many], Sampling())
    assert "'walk' has 150 clips, 'bend' has 12" in balance or "'walk' has 150 clips, 'wave' has 12" in balance
    [sparse] = find_label_warnings([*good, record("wave", "g1", 99, seconds=60.0)], Sampling())
    assert "1 of 25 clips" in sparse
    assert "16 frames for 60 s" in sparse


@pytest.fixture
def late(videos: Path, tmp_path: Path) -> Path:
    """A folder of two labels; the picture of one video begins 0.5 s after its sound."""
    folder = tmp_path / "videos"
    for label in ("left", "up"):
        (folder / label).mkdir(parents=True)
        for number in range(3):
            shutil.copy(videos / label / f"person{number}_0.avi", folder / label / f"{number}.avi")
    source = folder / "left" / "0.avi"
    sound = ("-f", "lavfi", "-i", "sine=d=1.5", "-itsoffset", "0.5", "-i", source, "-map", "1:v", "-map", "0:a")
    ffmpeg(*sound, "-c:v", "copy", folder / "left" / "0.mkv")
    source.unlink()
    return folder


def labels_of(folder: Path, start: float, end: float) -> Path:
    rows = [(path.relative_to(folder), path.parent.name) for path in sorted(folder.rglob("*.*"))]
    table = folder.parent / "labels.csv"
    lines = [f"{path},{label}," + (f"{start},{end}" if path.suffix == ".mkv" else ",") for path, label in rows]
    table.write_text("path,label,start_seconds,end_seconds\n" + "\n".join(lines) + "\n")
    return table


def clip_row(prepared: Path, name: str) -> dict[str, str]:
    with (prepared / "manifest.csv").open(newline="") as file:
        [row] = [row for row in csv.DictReader(file) if row["path"] == name]
    return row


def test_second_0_is_the_first_frame_or_the_start_of_the_file(activity: Activity, late: Path, tmp_path: Path) -> None:
    table, call = labels_of(late, 0.6, 0.9), ("--streams", "appearance", "--set", "frame_size=32")
    usual = activity("prepare", late, "--labels", table, "--out", tmp_path / "usual", *call)
    assert usual.exit_code == 0, usual.stderr
    assert "time_origin=file" in usual.stdout + usual.stderr
    row = clip_row(tmp_path / "usual", "left/0.mkv")
    assert (row["start_seconds"], row["end_seconds"]) == ("0.6", "0.9")
    assert float(row["start_offset_seconds"]) == pytest.approx(0.5, abs=0.02)
    file = activity("prepare", late, "--labels", table, "--out", tmp_path / "file", *call, "--set", "time_origin=file")
    assert file.exit_code == 0, file.stderr
    row = clip_row(tmp_path / "file", "left/0.mkv")
    assert float(row["start_seconds"]) == pytest.approx(0.1, abs=0.02)
    assert float(row["end_seconds"]) == pytest.approx(0.4, abs=0.02)


def test_times_that_do_not_fit_the_videos(activity: Activity, late: Path, tmp_path: Path) -> None:
    table, call = labels_of(late, 0.2, 5), ("--streams", "appearance", "--set", "frame_size=32")
    past = activity("prepare", late, "--labels", table, "--out", tmp_path / "past", *call)
    assert "1 labeled segment ends after the end of the video: 'left/0.mkv'" in past.stdout + past.stderr
    table.write_text(table.read_text().replace("start_seconds,end_seconds", "start,stop"))
    unit = activity("prepare", late, "--labels", table, "--out", tmp_path / "unit", *call)
    assert unit.exit_code == 2
    assert "'start' and 'stop' name no unit, and they are not seconds" in unit.stderr
