"""Sheets of frames: they are decoded again, and searched for the frames."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from activity_cli.errors import MissingDependencyError, OutputError
from activity_cli.reports.canvas import GRID, ORANGE, Canvas, Color
from activity_cli.reports.pairs import draw_pairs
from activity_cli.reports.sheet import contact_sheet
from activity_cli.results import ClipRecord, RelatedPair

Picture = npt.NDArray[np.uint8]
HOSTILE = "line\nbreak \x1b[31m undecodable \udcff"
RED: Color = (250, 0, 10)
BLUE: Color = (10, 0, 250)


def read(path: Path) -> Picture:
    """The picture in RGB."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert picture is not None, f"{path} is not a picture"
    return picture[:, :, ::-1].astype(np.uint8)


def count(picture: Picture, color: Color) -> int:
    return int((picture == np.array(color)).all(axis=2).sum())


def clip(length: int, height: int = 64, width: int = 64, color: Color = RED) -> Picture:
    return np.full((length, height, width, 3), color, np.uint8)


def test_contact_sheet_shows_every_frame_and_marks_the_padding(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    contact_sheet([("wave", "full", clip(8)), ("wave", "half", clip(4))], path)
    frame = count(read(path), RED) / 12
    assert frame > 100 * 100
    assert count(read(path), GRID) / frame == pytest.approx(4, abs=0.3), "four fields of padding"


def test_contact_sheet_shows_the_first_and_the_last_frame_of_a_long_clip(tmp_path: Path) -> None:
    frames = clip(30, color=(0, 0, 0))
    frames[0], frames[29] = RED, BLUE
    contact_sheet([("wave", "long", frames)], tmp_path / "sheet.png")
    picture = read(tmp_path / "sheet.png")
    assert count(picture, RED) == count(picture, BLUE) > 100 * 100


def test_contact_sheet_pads_to_the_length_of_the_network(tmp_path: Path) -> None:
    contact_sheet([("wave", "one", clip(2))], tmp_path / "a.png", num_frames=4)
    contact_sheet([("wave", "one", clip(2))], tmp_path / "b.png")
    assert count(read(tmp_path / "a.png"), GRID) > count(read(tmp_path / "b.png"), GRID) + 20_000


def test_contact_sheet_draws_at_most_forty_clips(tmp_path: Path) -> None:
    rows = [(f"label{index:03d}", "", clip(1, 8, 16)) for index in range(100)]
    contact_sheet(rows[:40], tmp_path / "forty.png")
    contact_sheet(rows, tmp_path / "hundred.png")
    assert read(tmp_path / "hundred.png").shape == read(tmp_path / "forty.png").shape


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [("", "", clip(0))],
        [(HOSTILE, HOSTILE, clip(1))],
        [("tall", "x" * 500, clip(3, 90, 30)), ("wide", "", clip(2, 30, 300))],
    ],
)
def test_contact_sheet_of_odd_clips(tmp_path: Path, rows: list[tuple[str, str, Picture]]) -> None:
    contact_sheet(rows, tmp_path / "sheet.png")
    assert read(tmp_path / "sheet.png").size


def test_pairs_show_three_frames_of_each_clip_and_mark_two_labels(tmp_path: Path) -> None:
    first = ClipRecord(f"{HOSTILE}.mp4", "wave", "", "train", "ok", "")
    for label, name in (("bend", "two.png"), ("wave", "one.png")):
        second = ClipRecord("b.mp4", label, "", "test", "ok", "")
        draw_pairs([(RelatedPair("near_duplicate", first, second), clip(5), clip(1, color=BLUE))], tmp_path / name)
    two, one = read(tmp_path / "two.png"), read(tmp_path / "one.png")
    assert count(two, RED) == count(two, BLUE) > 3 * 100 * 100
    assert count(two, ORANGE) > 0 == count(one, ORANGE)


def test_canvas_shortens_long_text() -> None:
    canvas = Canvas(300, 40)
    assert canvas.text(0, 20, "wide " * 100, max_width=120) <= 120
    assert not (canvas.pixels[:, 122:] < 255).any()
    lines = canvas.wrap("abc/" * 100, 13, 120, lines=3)
    assert "".join(lines) == "abc/" * 100
    assert all(canvas.text_width(line, 13) <= 120 for line in lines[:2])


def test_canvas_cuts_off_what_lies_outside() -> None:
    canvas = Canvas(20, 20)
    for x, y in ((-5, -5), (15, 15), (-50, 0), (50, 50), (0, -50)):
        canvas.paste(x, y, np.zeros((10, 10, 3), np.uint8))
        canvas.rectangle(x, y, 10, 10, RED)
    assert count(canvas.pixels, RED) == 50


def test_an_old_opencv_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "FontFace")
    with pytest.raises(MissingDependencyError, match="OpenCV 5"):
        Canvas(1, 1)


def test_sheets_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    contact_sheet([], tmp_path / "sheet.png")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    with pytest.raises(OutputError):
        contact_sheet([], tmp_path / "missing" / "sheet.png")
