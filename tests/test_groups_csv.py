"""groups.csv: written by prepare, filled in by hand, and given back."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Activity = Callable[..., Result]
CALL = ("--streams", "appearance", "--set", "frame_size=32")


def table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_a_table_that_is_filled_in(activity: Activity, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "prepared"
    assert activity("prepare", videos, "--out", out, *CALL, "--group-by", "none").exit_code == 0
    written = table(out / "groups.csv")
    assert len(written) == 36
    assert {(row["label"], row["group"]) for row in written.values()} == {(one, "") for one in ("left", "right", "up")}
    rows = [f"{path},{Path(path).name.split('_')[0]}" for path in written if "person5" not in path]
    filled = "path,group\n" + "\n".join(rows) + "\n"
    (out / "groups.csv").write_text(filled)
    again = activity("prepare", videos, "--out", out, *CALL, "--group-by", out / "groups.csv", "--overwrite")
    assert again.exit_code == 0, again.stderr
    assert "has no group for 6 of 36 videos: 'left/person5_0.avi'" in again.stderr
    assert (out / "groups.csv").read_text() == filled
    manifest = table(out / "manifest.csv")
    assert {manifest[path]["group"] for path in manifest if "person1" in path} == {"person1"}
    splits = {row["group"]: row["split"] for row in manifest.values() if row["group"].startswith("person")}
    for row in manifest.values():
        assert splits.get(row["group"], row["split"]) == row["split"]


def test_groups_that_were_found_are_written(activity: Activity, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "prepared"
    assert activity("prepare", videos, "--out", out, *CALL, "--group-by", r"person\d+").exit_code == 0
    assert table(out / "groups.csv")["left/person3_1.avi"]["group"] == "person3"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("path,group\nelsewhere.mp4,a\n", "has a group for no video"),
        ("path,group\nleft/person1_0.avi,\n", "has a group for no video"),
        ("path,person\nleft/person1_0.avi,a\n", "has no columns path and group"),
        ("path,group\nleft/person1_0.avi,a\nleft/person1_0.avi,b\n", "has the groups 'a' and 'b'"),
    ],
)
def test_tables_that_do_not_fit(activity: Activity, videos: Path, tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "groups.csv").write_text(content)
    call = ("prepare", videos, "--out", tmp_path / "prepared", "--group-by", tmp_path / "groups.csv")
    result = activity(*call)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_missing_table(activity: Activity, videos: Path, tmp_path: Path) -> None:
    result = activity("prepare", videos, "--out", tmp_path / "prepared", "--group-by", "nowhere.csv")
    assert result.exit_code == 2
    assert "nowhere.csv" in result.stderr
