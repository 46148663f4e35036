"""The HTML report: well formed, self-contained, and safe with any name."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from activity_cli.reports.html import evaluation_html
from activity_cli.results import Baseline, ClassScore, ClipAnswer, EvaluationResult, HeadScore

HOSTILE = "<script>alert(1)</script>\"'&\n\x00\udcff"
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Collects the elements of a page and fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def chart(self) -> str:
        """The texts of the picture."""
        (image,) = (attrs for tag, attrs in self.elements if tag == "img")
        assert image["alt"]
        kind, _, content = (image["src"] or "").partition(",")
        assert kind == "data:image/svg+xml;base64"
        return " ".join(ElementTree.fromstring(base64.b64decode(content)).itertext())


def evaluation(label: str = "wave", warnings: tuple[str, ...] = ()) -> EvaluationResult:
    return EvaluationResult(
        model=f"activity@{label}",
        prepared=Path("prepared"),
        split="test",
        num_clips=20,
        labels=(label, "bend"),
        accuracy=0.7,
        macro_f1=0.65,
        classes=(ClassScore(label, 0.875, 0.75, 0.8, 12), ClassScore("bend", 0.5, 0.625, 0.55, 8)),
        confusion=((9, 3), (3, 5)),
        baselines=(
            Baseline("frame_average", f"averaged {label}", 0.8, 0.75),
            Baseline("middle_frame", "one frame", None, None, f"none {label}"),
        ),
        heads=(HeadScore("pose", "recurrent", 0.125, 0.55), HeadScore(label, "linear", 1.0, None)),
        warnings=warnings,
        clips=(
            ClipAnswer(f"{label}/1.mp4", None, None, label, label, 0.99),
            ClipAnswer(f"{label}/2.mp4", None, None, label, "bend", 0.625),
            ClipAnswer("bend/match.mp4", 3.0, 5.5, "bend", label, 0.75),
        ),
    )


def test_page_is_well_formed_and_has_the_figures() -> None:
    page = Page(evaluation_html(evaluation(warnings=("Only 20 clips.",))))
    text = " ".join(page.text)
    assert "70.0%" in text
    assert "accuracy: 14 of 20 clips correct" in text
    assert "Only 20 clips." in text
    assert "−10.0 points" in text, "the model is worse than this baseline"
    assert "87.5%" in text
    assert "none wave" in text
    assert "pose recurrent 0.12 55.0%" in " ".join(text.split())


def test_bars_are_as_long_as_the_accuracies() -> None:
    html = evaluation_html(evaluation())
    assert re.findall(r'class="bar">(?:<span style="width: ([\d.]+)%">)?', html) == ["70.0", "80.0", ""]


def test_the_confusion_matrix_is_in_the_page() -> None:
    chart = Page(evaluation_html(evaluation())).chart()
    assert all(text in chart for text in ("wave", "bend", "75.0%", "37.5%", "12 clips"))


def test_no_name_becomes_markup() -> None:
    html = evaluation_html(evaluation(HOSTILE, (HOSTILE,)))
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.elements}
    assert "\x00" not in html
    html.encode("utf-8")
    shown = "<script>alert(1)</script>\"'&\\n\\x00\\udcff"
    # Model, title, warning, head, two baselines, class, two mistakes, three in clips; rows and columns of the chart.
    assert "".join(page.text).count(shown) == 12
    assert page.chart().count("<script>") == 2


def test_page_lists_the_wrong_clips_most_confident_first() -> None:
    text = " ".join(" ".join(Page(evaluation_html(evaluation())).text).split())
    wrong = text.split("Clips with a wrong prediction")[1]
    assert "bend/match.mp4, 3.0 to 5.5 s bend wave 75.0% wave/2.mp4 wave bend 62.5%" in wrong
    assert "wave/1.mp4" not in text


def test_a_label_without_clips_has_dashes() -> None:
    result = replace(evaluation(), classes=(ClassScore("wave", None, None, None, 0),))
    assert "wave – – – 0" in " ".join(" ".join(Page(evaluation_html(result)).text).split())


def test_page_needs_nothing_from_outside() -> None:
    html = evaluation_html(evaluation())
    page = Page(html)
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object"}
    assert not re.search(r"https?:|url\(|@import", html)


def test_page_without_baselines_and_mistakes_leaves_them_out() -> None:
    result = evaluation()
    bare = EvaluationResult(
        result.model,
        result.prepared,
        "test",
        0,
        ("wave",),
        0.0,
        0.0,
        (ClassScore("wave", 0.0, 0.0, 0.0, 0),),
        ((0,),),
        (),
    )
    text = " ".join(Page(evaluation_html(bare)).text)
    assert "Baselines" not in text
    assert "Streams" not in text
    assert "mistakes" not in text
    assert "wrong prediction" not in text


def test_page_is_made_for_dark_screens_and_for_paper() -> None:
    html = evaluation_html(evaluation())
    assert "@media screen and (prefers-color-scheme: dark)" in html
    assert "@media print" in html
    assert "print-color-adjust: exact" in html
