"""An evaluation as one HTML file that needs nothing else: no script, no font, no network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from activity_cli.reports.summaries import compare, mistakes, num_right
from activity_cli.reports.text import percent, points, visible
from activity_cli.results import EvaluationResult

__all__ = ["evaluation_html"]

_MAX_MISTAKES = 10
_TEXT_COLUMN = ' class="text"'

# A browser that honors this loads nothing, whatever a label says.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1c2028; --muted: #5b6472; --line: #e2e6ec;
  --soft: #f4f6f9; --right: 29 99 210; --wrong: 226 105 20; --warn: #fff4e0; --warn-line: #e2a33a; }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #14171c; --ink: #e8ebf0; --muted: #9aa4b2; --line: #2c323c; --soft: #1c2129;
    --right: 76 141 246; --wrong: 240 128 48; --warn: #2e2617; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.5rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .6rem; }
p { margin: .3rem 0; } .muted, caption { color: var(--muted); font-size: .9rem; }
.figures { display: flex; flex-wrap: wrap; gap: 2.5rem; margin: 1.5rem 0; }
.figures b { display: block; font-size: 2.4rem; line-height: 1.2; font-weight: 650; }
.warning { background: var(--warn); border-left: 4px solid var(--warn-line); padding: .5rem .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { caption-side: bottom; text-align: left; padding-top: .5rem; }
th, td { padding: .35rem .7rem; text-align: right; font-weight: 400; border-bottom: 1px solid var(--line); }
td, thead th { white-space: nowrap; } tbody th { overflow-wrap: anywhere; }
thead th { color: var(--muted); font-size: .9rem; }
th:first-child, .text { text-align: left; } tr.model { font-weight: 650; } tr.model th { font-weight: 650; }
.wide { width: 100%; } .bar { width: 24%; }
.bar span { display: block; height: .8rem; min-width: 1px; border-radius: 2px; background: var(--muted); }
tr.model .bar span { background: rgb(var(--right)); }
.heat th, .heat td { border: 1px solid var(--page); } .heat td { min-width: 2.4rem; text-align: center; }
.heat td { background: var(--soft); } .heat td.right { background: rgb(var(--right) / var(--share)); }
.heat td.wrong { background: rgb(var(--wrong) / var(--share)); } .heat td.strong { color: #fff; }
.heat thead th { vertical-align: bottom; text-align: center; }
@supports (writing-mode: vertical-rl) {
  .heat.upright th span { display: inline-block; writing-mode: vertical-rl; transform: rotate(180deg); } }
.heat tbody th { text-align: right; white-space: nowrap; }
img { max-width: 100%; height: auto; background: #fff; }
@media print { body { max-width: none; padding: 0; } .scroll { overflow: visible; }
  tr { break-inside: avoid; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


def evaluation_html(result: EvaluationResult, picture_png: bytes | None = None) -> str:
    """Writes an evaluation as a page to read, print or send.

    Args:
        result: What ``evaluate`` found.
        picture_png: The curves of the training, to end with; None: no picture.

    Returns:
        A whole HTML document. Every name is escaped; the picture is inside.
    """
    title = f"Evaluation of {_text(result.model)}"
    parts = (
        f"<h1>{title}</h1>",
        f'<p class="muted">{_text(result.split)} clips of {_text(str(result.prepared))}</p>',
        _figures(result),
        "".join(f'<p class="warning">{_text(warning)}</p>' for warning in result.warnings),
        _comparison(result),
        _classes(result),
        _heat_map(result),
        _mistakes(result),
        _picture(picture_png),
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    return escape(visible(text), quote=True)


def _figures(result: EvaluationResult) -> str:
    figures = (
        (percent(result.accuracy), f"accuracy: {num_right(result)} of {result.num_clips} clips right"),
        (percent(result.macro_f1), "macro F1: the mean over the activities"),
    )
    return (
        '<div class="figures">'
        + "".join(f'<div><b>{value}</b><span class="muted">{what}</span></div>' for value, what in figures)
        + "</div>"
    )


def _comparison(result: EvaluationResult) -> str:
    if not result.baselines:
        return ""
    rows = [_comparison_row("this model", "", result.accuracy, result.macro_f1, "", "model")]
    for row in compare(result):
        ahead = "–" if row.ahead is None else f"{points(row.ahead).replace('-', '−')} points"
        note = row.reason or row.description
        rows.append(_comparison_row(row.name, note, row.accuracy, row.macro_f1, ahead, "baseline"))
    head = _head("judge", "", "accuracy", "macro F1", "model ahead by")
    return f"<h2>Beside simpler judges of the same clips</h2>\n{_table('wide', head, rows)}"


def _comparison_row(name: str, note: str, accuracy: float | None, macro_f1: float | None, ahead: str, kind: str) -> str:
    width = 100 * min(max(accuracy or 0.0, 0.0), 1.0)
    bar = "" if accuracy is None else f'<span style="width: {width:.1f}%"></span>'
    described = f'<br><span class="muted">{_text(note)}</span>' if note else ""
    shares = "".join(f"<td>{'–' if value is None else percent(value)}</td>" for value in (accuracy, macro_f1))
    return (
        f'<tr class="{kind}"><th scope="row">{_text(name)}{described}</th><td class="bar">{bar}</td>'
        f"{shares}<td>{ahead}</td></tr>"
    )


def _classes(result: EvaluationResult) -> str:
    rows = [
        f'<tr><th scope="row">{_text(score.label)}</th><td>{percent(score.precision)}</td>'
        f"<td>{percent(score.recall)}</td><td>{percent(score.f1)}</td><td>{score.support}</td></tr>"
        for score in result.classes
    ]
    head = _head("activity", "precision", "recall", "F1", "clips")
    return f"<h2>By activity</h2>\n{_table('wide', head, rows)}"


def _heat_map(result: EvaluationResult) -> str:
    rows = []
    for index, (label, counts) in enumerate(zip(result.labels, result.confusion, strict=True)):
        cells = "".join(_cell(count, sum(counts), column == index) for column, count in enumerate(counts))
        rows.append(f'<tr><th scope="row">{_text(label)}</th>{cells}</tr>')
    names = "".join(f'<th scope="col"><span>{_text(label)}</span></th>' for label in result.labels)
    upright = len(result.labels) > 6 or max(map(len, result.labels), default=0) > 8
    kind = "heat upright" if upright else "heat"
    caption = "Rows are the truth, columns the answer; shaded by the share of the clips of a row."
    table = _table(kind, f"<tr><th></th>{names}</tr>", rows, caption)
    return f"<h2>Confusion of activities</h2>\n{table}"


def _cell(count: int, total: int, right: bool) -> str:
    if not count and not right:
        return "<td></td>"
    share = count / total if total else 0.0
    kind = "right" if right else "wrong"
    strong = " strong" if share > 0.55 else ""
    # A single mistake among many clips keeps some color.
    shade = 0.12 + 0.88 * share
    return f'<td class="{kind}{strong}" style="--share: {shade:.3f}" title="{percent(share)}">{count}</td>'


def _mistakes(result: EvaluationResult) -> str:
    found = mistakes(result.labels, result.confusion)[:_MAX_MISTAKES]
    if not found:
        return ""
    rows = [
        f'<tr><th scope="row">{_text(mistake.truth)}</th><td class="text">{_text(mistake.answer)}</td>'
        f"<td>{mistake.count}</td><td>{percent(mistake.share)}</td></tr>"
        for mistake in found
    ]
    head = _head("truth", "answer", "clips", "of its clips", text_columns=2)
    return f"<h2>Most frequent mistakes</h2>\n{_table('', head, rows)}"


def _picture(png: bytes | None) -> str:
    if png is None:
        return ""
    source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
    return f'<h2>Training</h2>\n<img alt="Curves of the training" src="{source}">'


def _head(*names: str, text_columns: int = 1) -> str:
    cells = (
        f'<th scope="col"{_TEXT_COLUMN if index < text_columns else ""}>{name}</th>' for index, name in enumerate(names)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _table(kind: str, head: str, rows: Sequence[str], caption: str = "") -> str:
    described = f"<caption>{caption}</caption>" if caption else ""
    body = "\n".join(rows)
    return (
        f'<div class="scroll"><table class="{kind}">{described}<thead>{head}</thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )
