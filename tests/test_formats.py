"""The label formats: recognized, named in words, and every file listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from activity_cli.errors import DatasetError
from activity_cli.labels.discovery import read_labels
from activity_cli.labels.segments import LabelSet


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def rows(found: LabelSet) -> dict[str, tuple[str, str, str]]:
    return {one.name: (one.label, one.group, one.split) for one in found.segments}


def unused(found: LabelSet) -> dict[str, str]:
    return {file.name: file.reason for file in found.unused}


def test_folders_named_after_splits_give_the_split(tmp_path: Path) -> None:
    touch(tmp_path, "Train/wave/a.mp4", "Train/bend/day 1/b.mp4", "valid/wave/c.mp4", "test/bend/d.mp4", "README")
    found = read_labels(tmp_path, None)
    assert rows(found) == {
        "Train/bend/day 1/b.mp4": ("bend", "", "train"),
        "Train/wave/a.mp4": ("wave", "", "train"),
        "test/bend/d.mp4": ("bend", "", "test"),
        "valid/wave/c.mp4": ("wave", "", "val"),
    }
    assert found.format == "2 activity folders inside Train, test, valid"
    assert unused(found) == {"README": "no known video file extension"}


def test_without_validation_clips_training_clips_may_become_them(tmp_path: Path) -> None:
    touch(tmp_path, "train/wave/a.mp4", "train/bend/b.mp4", "test/wave/c.mp4")
    assert {split for _, _, split in rows(read_labels(tmp_path, None)).values()} == {"trainval", "test"}


def test_folders_named_like_splits_that_hold_videos_are_activities(tmp_path: Path) -> None:
    touch(tmp_path, "train/a.mp4", "plane/b.mp4", "test/c.mp4")
    assert {label for label, _, _ in rows(read_labels(tmp_path, None)).values()} == {"train", "plane", "test"}
    other = touch(tmp_path / "other", "train/a.mp4", "test/c.mp4")
    assert rows(read_labels(other, None)) == {"test/c.mp4": ("test", "", ""), "train/a.mp4": ("train", "", "")}


def test_a_single_folder_is_the_activity(tmp_path: Path) -> None:
    # With the second folder as the activity, the persons in wave/anna and wave/ben would become activities.
    touch(tmp_path, "archive/wave/a.mp4", "archive/bend/b.mp4", "archive/bend/person1/c.mp4")
    assert {label for label, _, _ in rows(read_labels(tmp_path, None)).values()} == {"archive"}
    assert {label for label, _, _ in rows(read_labels(tmp_path / "archive", None)).values()} == {"wave", "bend"}


def test_a_csv_gives_labeled_segments_of_long_videos(tmp_path: Path) -> None:
    videos = touch(tmp_path / "videos", "match.mp4", "training.mp4")
    table = tmp_path / "labels.csv"
    table.write_text("video,activity,subject,start,end\nmatch.mp4,serve,anna,1.5,3\nmatch.mp4,smash,anna,3,\n")
    found = read_labels(videos, table)
    assert [(file.name, file.label, file.group, file.start_seconds, file.end_seconds) for file in found.segments] == [
        ("match.mp4", "serve", "anna", 1.5, 3.0),
        ("match.mp4", "smash", "anna", 3.0, None),
    ]
    assert found.format == "a CSV (labels.csv) of labeled segments"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_a_csv_is_read_as_spreadsheets_save_it(encoding: str, separator: str, tmp_path: Path) -> None:
    touch(tmp_path, "über.mp4")
    seconds = "1,5" if separator != "," else '"1,5"'
    cells = [["Path", "Label", "Start_Seconds", "Split"], ["über.mp4", "öffnen", seconds, "Validation"]]
    text = "".join(separator.join(row) + "\r\n" for row in cells)
    (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
    (one,) = read_labels(tmp_path, tmp_path / "labels.csv").segments
    assert (one.name, one.label, one.start_seconds, one.split) == ("über.mp4", "öffnen", 1.5, "val")


UCF = "ApplyLipstick/v_ApplyLipstick_g{:02}_c01.avi"


@pytest.mark.parametrize("place", ["folder", "file", "found", "found below"])
def test_the_lists_of_ucf101_give_activities_sources_and_the_test(place: str, tmp_path: Path) -> None:
    videos = touch(tmp_path / "UCF-101", UCF.format(1), UCF.format(8), "Archery/v_Archery_g02_c03.avi", "new.avi")
    lists = {"found": videos, "found below": videos / "ucfTrainTestlist"}.get(place, tmp_path / "lists")
    lists.mkdir(exist_ok=True)
    (lists / "classInd.txt").write_text("1 ApplyLipstick\n2 Archery\n")
    (lists / "trainlist01.txt").write_text(f"{UCF.format(8)} 1\r\nArchery/v_Archery_g02_c03.avi 2\n{UCF.format(9)} 1\n")
    (lists / "testlist01.txt").write_text(UCF.format(1) + "\n")
    labels = {"folder": lists, "file": lists / "trainlist01.txt"}.get(place)
    found = read_labels(videos, labels)
    assert rows(found) == {
        UCF.format(1): ("ApplyLipstick", "ApplyLipstick_g01", "test"),
        UCF.format(8): ("ApplyLipstick", "ApplyLipstick_g08", "trainval"),
        "Archery/v_Archery_g02_c03.avi": ("Archery", "Archery_g02", "trainval"),
    }
    assert found.format == "the lists of UCF101 (trainlist01.txt, testlist01.txt)"
    reason = unused(found)[UCF.format(9)]
    assert reason.startswith(f"listed, but the file is missing: there is no '{tmp_path}")
    assert "Paths are relative to" in reason
    assert unused(found)["new.avi"] == "not in the lists"


def test_lists_whose_videos_are_all_missing_are_an_error(tmp_path: Path) -> None:
    lists = touch(tmp_path / "lists", "classInd.txt", "testlist01.txt")
    (lists / "trainlist01.txt").write_text("Archery/v_Archery_g02_c03.avi 2\n")
    with pytest.raises(DatasetError, match="has none of the 1 videos"):
        read_labels(touch(tmp_path / "videos", "a.avi"), lists)


def test_the_csv_of_kinetics_gives_trimmed_and_whole_videos_and_lists_missing_ones(tmp_path: Path) -> None:
    videos = touch(tmp_path / "k400", "abseiling/-abc_000010_000020.mp4", "xyz.mp4")
    table = tmp_path / "val.csv"
    header = "label,youtube_id,time_start,time_end,split\n"
    table.write_text(header + "abseiling,-abc,10,20,validate\nair drumming,xyz,5,15,test\nabseiling,gone,1,11,train\n")
    found = read_labels(videos, table)
    assert found.format == "the CSV of Kinetics (val.csv)"
    assert [(f.name, f.label, f.group, f.split, f.start_seconds, f.end_seconds) for f in found.segments] == [
        ("abseiling/-abc_000010_000020.mp4", "abseiling", "-abc", "val", 0.0, None),
        ("xyz.mp4", "air drumming", "xyz", "test", 5.0, 15.0),
    ]
    place = repr(str(videos))
    assert unused(found) == {"gone": f"listed, but the file is missing: there is none of that name in {place}"}
    table.write_text(header + "abseiling,gone,1,11,train\n")
    with pytest.raises(DatasetError, match="has none of the 1 videos"):
        read_labels(videos, table)


def test_the_lists_of_ucf101_find_other_spellings_and_suggest_files(tmp_path: Path) -> None:
    videos = touch(
        tmp_path / "videos", "Archery/v_Archery_g01_c01.avi", "more/v_Punch_g02_c01.mp4", "x/v_Run_g01_c01.avi"
    )
    lists = touch(tmp_path / "lists", "classInd.txt", "trainlist01.txt", "testlist01.txt")
    (lists / "trainlist01.txt").write_text("Archery\\v_Archery_g01_c01.avi 1\nRun/v_Run_g01_c01.avi 2\n")
    found = read_labels(videos, lists)
    assert list(rows(found)) == ["Archery/v_Archery_g01_c01.avi"]
    reason = unused(found)["Run/v_Run_g01_c01.avi"]
    assert str(videos / "Run" / "v_Run_g01_c01.avi") in reason
    assert reason.endswith("Did you mean 'x/v_Run_g01_c01.avi'?")
