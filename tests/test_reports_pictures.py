"""The pictures are decoded again, and looked at where something must be."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from activity_cli.errors import MissingDependencyError, OutputError
from activity_cli.reports.canvas import BLUE, FAINT, GRID, ORANGE, Canvas, Color
from activity_cli.reports.curves import history_picture
from activity_cli.reports.heat_map import confusion_picture
from activity_cli.reports.sheet import contact_sheet
from activity_cli.results import EpochRecord

Picture = npt.NDArray[np.uint8]
HOSTILE = "line\nbreak \x1b[31m undecodable \udcff"
RED: Color = (250, 0, 10)
PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))


def read(path: Path) -> Picture:
    """The picture in RGB."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert picture is not None, f"{path} is not a picture"
    return picture[:, :, ::-1].astype(np.uint8)


def count(picture: Picture, color: Color) -> int:
    return int((picture == np.array(color)).all(axis=2).sum())


def clip(length: int, height: int = 64, width: int = 64, color: Color = RED) -> Picture:
    return np.full((length, height, width, 3), color, np.uint8)


def epochs(num: int, val_loss: float = 1.0) -> list[EpochRecord]:
    return [EpochRecord(n, 2 / n, 1 - 1 / n, val_loss, 0.4, 1.0) for n in range(1, num + 1)]


def test_contact_sheet_shows_every_frame_and_marks_the_padding(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    contact_sheet([("wave", "full", clip(8)), ("wave", "half", clip(4))], path)
    picture = read(path)
    assert picture.shape[1] == 1400
    frame = count(picture, RED) / 12
    assert frame > 100 * 100
    assert count(picture, GRID) / frame == pytest.approx(4, abs=0.3), "four fields of padding"


def test_contact_sheet_spreads_over_long_clips(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    frames = clip(30, color=(0, 0, 0))
    frames[0], frames[29] = RED, ORANGE
    contact_sheet([("wave", "long", frames)], path)
    picture = read(path)
    columns = [np.flatnonzero((picture == np.array(color)).all(axis=2).any(axis=0)) for color in (RED, ORANGE)]
    assert columns[0].min() == 270
    assert 1340 <= columns[1].max() < 1360


def test_contact_sheet_pads_to_the_length_of_the_network(tmp_path: Path) -> None:
    contact_sheet([("wave", "one", clip(2))], tmp_path / "a.png", num_frames=4)
    contact_sheet([("wave", "one", clip(2))], tmp_path / "b.png")
    assert count(read(tmp_path / "a.png"), GRID) > count(read(tmp_path / "b.png"), GRID) + 20_000


def test_contact_sheet_draws_forty_rows_of_many(tmp_path: Path) -> None:
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
def test_contact_sheet_bears_odd_clips(tmp_path: Path, rows: list[tuple[str, str, Picture]]) -> None:
    contact_sheet(rows, tmp_path / "sheet.png")
    assert read(tmp_path / "sheet.png").shape[1] == 1400


def test_history_draws_both_curves_in_both_panels(tmp_path: Path) -> None:
    path = tmp_path / "history.png"
    history_picture(epochs(20), 7, path)
    picture = read(path)
    for panel in (picture[130:490, 90:660], picture[130:490, 780:1350]):
        assert count(panel, BLUE) > 300
        assert count(panel, ORANGE) > 300


def test_history_puts_values_where_they_belong(tmp_path: Path) -> None:
    """The validation accuracy is 40% all along: its curve is a line at that height."""
    path = tmp_path / "history.png"
    history_picture(epochs(20), 0, path)
    panel = read(path)[130:490, 780:1350]
    rows = np.flatnonzero((panel == np.array(ORANGE)).all(axis=2).sum(axis=1) > 400)
    assert rows.mean() == pytest.approx(0.6 * 360, abs=2)


def test_history_marks_the_best_epoch(tmp_path: Path) -> None:
    history_picture(epochs(20), 7, tmp_path / "with.png")
    history_picture(epochs(20), 99, tmp_path / "without.png")
    changed = (read(tmp_path / "with.png") != read(tmp_path / "without.png")).any(axis=2)
    columns = np.flatnonzero(changed[150:480, 90:660].any(axis=0))
    assert abs(columns.mean() - 570 * 6 / 19) < 2
    assert np.ptp(columns) < 20


def test_history_draws_what_the_sequence_part_learned_alone_before(tmp_path: Path) -> None:
    """Twenty epochs, then twenty more: the first half of both panels is shaded, and has curves as well."""
    history_picture(epochs(20), 7, tmp_path / "history.png", epochs(20))
    picture = read(tmp_path / "history.png")
    for panel in (picture[140:480, 90:660], picture[140:480, 780:1350]):
        shaded = np.flatnonzero((panel == np.array(FAINT)).all(axis=2).sum(axis=0) > 200)
        assert shaded.min() < 5 and abs(shaded.max() - 570 * 19.5 / 39) < 5
        for color in (BLUE, ORANGE):
            drawn = (panel == np.array(color)).all(axis=2).any(axis=0)
            assert drawn[10:280].mean() > 0.9 and drawn[290:560].mean() > 0.9  # they cross


@pytest.mark.parametrize(
    "history",
    [[], epochs(1), epochs(2), epochs(300), epochs(5, math.nan), epochs(5, math.inf), epochs(5, 1e6)],
)
def test_history_bears_any_values(tmp_path: Path, history: list[EpochRecord]) -> None:
    history_picture(history, 1, tmp_path / "history.png")
    assert read(tmp_path / "history.png").shape == (560, 1400, 3)


def test_history_leaves_gaps(tmp_path: Path) -> None:
    """One value that is not finite breaks the curve, and does not end it."""
    history = [EpochRecord(n, 1.0, 0.5, math.nan if n == 5 else 0.4, 0.5, 1.0) for n in range(1, 10)]
    history_picture(history, 0, tmp_path / "history.png")
    columns = (read(tmp_path / "history.png")[130:490, 90:660] == np.array(ORANGE)).all(axis=2).any(axis=0)
    assert columns[10:200].all()
    assert not columns[230:340].any()
    assert columns[370:560].all()


def confusion_cells(picture: Picture, num: int, cell: int, left: int, top: int) -> npt.NDArray[np.float64]:
    """Mean brightness near the corner of each cell, where no figure is written."""
    starts = [(top + row * cell, left + column * cell) for row in range(num) for column in range(num)]
    bright = [picture[y + 3 : y + 9, x + 3 : x + 9].mean() for y, x in starts]
    return np.array(bright).reshape(num, num)


def test_confusion_is_darkest_where_most_clips_are(tmp_path: Path) -> None:
    path = tmp_path / "confusion.png"
    # Rows of different size: the shade is by share of a row, not by count.
    confusion_picture(("aa", "bb", "cc"), ((90, 10, 0), (1, 9, 0), (0, 0, 0)), path)
    picture = read(path)
    # Margin, room for "truth" and a gap; the head, the line of labels and a gap.
    cells = confusion_cells(picture, 3, 96, 40 + 36 + 14, 110 + 15 + 14)
    assert cells[0, 0] == cells[1, 1] < 110
    assert cells[0, 1] == cells[1, 0] > cells[0, 0] + 50
    assert cells[0, 2] > cells[0, 1] + 5, "what never happened is lighter than what did once"
    assert (cells[2] > 200).all(), "a label without clips"


@pytest.mark.parametrize("num", [1, 12, 40, 120])
def test_confusion_bears_many_and_hostile_labels(tmp_path: Path, num: int) -> None:
    labels = [f"{HOSTILE} {index}" for index in range(num)]
    confusion_picture(labels, np.eye(num, dtype=int).tolist(), tmp_path / "confusion.png")
    height, width, _ = read(tmp_path / "confusion.png").shape
    assert 300 < height < 3000
    assert 700 < width < 3000


def test_confusion_is_blue_where_right_and_orange_where_not(tmp_path: Path) -> None:
    path = tmp_path / "confusion.png"
    confusion_picture(("aa", "bb"), ((2, 2), (2, 2)), path)
    picture = read(path).astype(int)
    warmth = [picture[110 + 29 + row * 96 + 5, 90 + column * 96 + 5] @ (1, 0, -1) for row, column in PLACES]
    assert [warm > 0 for warm in warmth] == [False, True, True, False]


def test_canvas_shortens_long_text() -> None:
    canvas = Canvas(300, 40)
    assert canvas.text(0, 20, "wide " * 100, max_width=120) <= 120
    assert not (canvas.pixels[:, 122:] < 255).any()
    lines = canvas.wrap("abc/" * 100, 13, 120, lines=3)
    assert "".join(lines) == "abc/" * 100
    assert all(canvas.text_width(line, 13) <= 120 for line in lines[:2])


def test_canvas_clips_what_lies_outside() -> None:
    canvas = Canvas(20, 20)
    for x, y in ((-5, -5), (15, 15), (-50, 0), (50, 50), (0, -50)):
        canvas.paste(x, y, np.zeros((10, 10, 3), np.uint8))
        canvas.rectangle(x, y, 10, 10, RED)
    assert count(canvas.pixels, RED) == 50


def test_an_old_opencv_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "FontFace")
    with pytest.raises(MissingDependencyError, match="OpenCV 5"):
        Canvas(1, 1)


def test_pictures_are_written_aside(tmp_path: Path) -> None:
    history_picture(epochs(3), 1, tmp_path / "history.png")
    assert [path.name for path in tmp_path.iterdir()] == ["history.png"]
    with pytest.raises(OutputError):
        history_picture(epochs(3), 1, tmp_path / "missing" / "history.png")
