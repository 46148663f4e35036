"""Charts: every format, any values and names, and nothing but the chart."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt
import pytest

from activity_cli.errors import OutputError
from activity_cli.reports.charts import confusion_matrix_chart, training_curves
from activity_cli.results import EpochRecord

HOSTILE = "$x^{2$ <b>&\n\x1b\udcff\uffff"


def epochs(num: int, stage: str = "main", val_loss: float = 1.0) -> list[EpochRecord]:
    return [EpochRecord(n, stage, 2 / n, 1 - 1 / n, val_loss, 0.4, 1.0) for n in range(1, num + 1)]


def read_png(path: Path) -> npt.NDArray[np.uint8]:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert picture is not None, f"{path} is not a picture"
    assert picture.std() > 5, "something is drawn"
    return picture.astype(np.uint8)


def texts_of(path: Path) -> list[str]:
    return [element.text or "" for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(
    "history",
    [
        [],
        epochs(1),
        epochs(2),
        epochs(300),
        epochs(5, val_loss=math.nan),
        epochs(5, val_loss=math.inf),
        epochs(5, val_loss=1e6),
        epochs(5, val_loss=0.0),
        [EpochRecord(1, "main", math.nan, math.nan, math.nan, math.nan, 1.0)],
        epochs(3) + epochs(1, val_loss=math.nan) + epochs(3),
    ],
)
def test_curves_of_any_values(tmp_path: Path, history: list[EpochRecord]) -> None:
    training_curves(history, tmp_path / "history.png", best_epoch=1)
    height, width, _ = read_png(tmp_path / "history.png").shape
    assert 400 < height < 700 and 1000 < width < 1500


def test_curves_name_the_lines_the_stages_and_the_best_epoch(tmp_path: Path) -> None:
    path = tmp_path / "history.svg"
    refit = epochs(20, "refit", math.nan)
    training_curves([*epochs(10, "warm-up"), *epochs(20), *refit], path, best_epoch=7)
    texts = texts_of(path)
    for text in ("training", "validation", "warm-up", "epoch", "refit"):
        assert texts.count(text) == 2, text
    assert {"Loss", "Accuracy", "best epoch 7: 1", "best epoch 7: 40.0%"} <= set(texts)


def test_curves_without_validation_clips_are_of_the_training_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.svg"
    history = [EpochRecord(n, "main", 0.5, 0.75, math.nan, math.nan, 1.0) for n in (1, 2)]
    training_curves(history, path, best_epoch=2)
    assert "validation" not in texts_of(path)
    assert "best epoch 2: 75.0%" in texts_of(path)


@pytest.mark.slow
@pytest.mark.parametrize("num", [1, 2, 9, 30, 120])
@pytest.mark.parametrize("suffix", ["png", "SVG"])
def test_a_confusion_matrix_of_any_size(tmp_path: Path, num: int, suffix: str) -> None:
    path = tmp_path / f"confusion.{suffix}"
    labels = [f"{HOSTILE} a long name of an activity {index}" for index in range(num)]
    confusion_matrix_chart(labels, np.eye(num, dtype=int).tolist(), path)
    if suffix == "SVG":
        assert len([text for text in texts_of(path) if text.endswith(f"activity {num - 1}")]) == 2
    else:
        height, width, _ = read_png(path).shape
        assert 200 < height < 3000 and 200 < width < 3000


def test_a_confusion_matrix_has_counts_shares_and_names(tmp_path: Path) -> None:
    path = tmp_path / "confusion.svg"
    confusion_matrix_chart(("wave", HOSTILE), ((9, 3), (0, 0)), path)
    texts = texts_of(path)
    assert texts.count("wave") == texts.count(r"$x^{2$ <b>&\n\x1b\udcff\uffff") == 2
    assert {"9", "75.0%", "3", "25.0%", "12 clips", "0", "0 clips"} <= set(texts)
    assert "0.0%" not in texts, "an activity without clips has no shares"


def test_names_in_all_scripts_are_text_in_svg_and_never_a_warning(tmp_path: Path) -> None:
    # The second needs another font than the first; no font here has the third.
    names = ("Prüfung кошка", "ᶁ", "手を振る", "\U00013000")
    for suffix in ("svg", "png"):
        confusion_matrix_chart(names, np.eye(4, dtype=int).tolist(), tmp_path / f"confusion.{suffix}")
    assert set(names) <= set(texts_of(tmp_path / "confusion.svg"))
    read_png(tmp_path / "confusion.png")


def test_the_same_chart_is_the_same_file(tmp_path: Path) -> None:
    for suffix in ("png", "svg"):
        paths = [tmp_path / f"{name}.{suffix}" for name in "ab"]
        for path in paths:
            training_curves(epochs(3), path, best_epoch=2)
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_charts_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    training_curves(epochs(3), tmp_path / "history.png")
    assert [path.name for path in tmp_path.iterdir()] == ["history.png"]
    with pytest.raises(OutputError):
        training_curves(epochs(3), tmp_path / "missing" / "history.png")
    with pytest.raises(OutputError, match=r"history.jpeg.*\.png or \.svg"):
        training_curves(epochs(3), tmp_path / "history.jpeg")


def test_matplotlib_keeps_the_users_settings(tmp_path: Path) -> None:
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 40}):
        before = dict(matplotlib.rcParams)
        training_curves(epochs(3), tmp_path / "a.png")
        assert dict(matplotlib.rcParams) == before
    training_curves(epochs(3), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_first_run_without_a_home_prints_nothing(tmp_path: Path) -> None:
    """Matplotlib builds its cache of fonts, and finds no place for it. Nothing loads its global interface."""
    code = (
        "import sys; from pathlib import Path; from activity_cli.reports.charts import training_curves; "
        "training_curves([], Path(sys.argv[1])); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    nowhere = dict.fromkeys(("HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), os.devnull + "/none")
    command = [sys.executable, "-c", code, str(tmp_path / "history.png")]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, env=os.environ | nowhere, cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    read_png(tmp_path / "history.png")
