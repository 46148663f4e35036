"""The leak report in plain words and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

from activity_cli.reports.text import counted
from activity_cli.results import LEAKS_SCHEMA, ClipRecord, LeakReport, rounded
from activity_cli.writers.json import indented_json

__all__ = ["leak_document", "leak_lines"]


def leak_lines(leaks: LeakReport) -> Iterator[str]:
    """The report in plain words, one statement a line."""
    largest = f"the largest group has {leaks.largest_group_share:.0%} of the clips"
    if leaks.grouping == "given":
        yield f"Groups: {leaks.num_groups} given groups; {largest}."
    elif leaks.grouping == "none":
        yield f"Groups: none (--group-by none); each of the {leaks.num_groups} videos is its own group."
    elif leaks.num_groups == leaks.num_clips:
        yield "Groups: no clips look alike; each clip is its own group."
    else:
        yield f"Groups: {leaks.num_groups}. Clips that look like one recording or place are in one group; {largest}."
    if not leaks.clips_compared:
        yield "Near-duplicates: unknown. There are too many clips to compare, or too little memory."
    if leaks.num_near_duplicates:
        labels = f" Pairs with different labels: {leaks.num_label_conflicts}." if leaks.num_label_conflicts else ""
        yield (
            f"Near-duplicates: {counted(leaks.num_near_duplicates, 'pair')} of clips that are copies of one recording "
            f"(re-encoded, trimmed, mirrored or brightened).{labels}"
        )
    if leaks.leaked_share is not None and leaks.leaked_share_random_split:
        yield (
            f"Leakage: {leaks.leaked_share:.0%} of the test clips share a recording or a place with a training clip. "
            f"With a random split, it would be about {leaks.leaked_share_random_split:.0%}."
        )
    if leaks.shortcuts and not any(shortcut.suspicious for shortcut in leaks.shortcuts):
        best = max(leaks.shortcuts, key=lambda shortcut: shortcut.accuracy)
        yield (
            "Metadata shortcuts: none. Length, frame rate, frame size and file type predict the activity of at most "
            f"{best.accuracy:.0%} of the clips. Always predicting the most frequent activity is right for "
            f"{best.baseline_accuracy:.0%}."
        )
    elif leaks.shortcuts:
        shares = ", ".join(f"{shortcut.name} {shortcut.accuracy:.0%}" for shortcut in leaks.shortcuts)
        yield (
            f"Metadata shortcuts: properties of the files alone predict the activity of many clips: {shares}. Always "
            f"predicting the most frequent activity is right for {leaks.shortcuts[0].baseline_accuracy:.0%}."
        )


def leak_document(leaks: LeakReport) -> str:
    """The report as indented JSON of the schema ``activity.leaks/1``, without a final line break.

    The keys are the fields of the report: renaming one breaks the schema.
    """
    pairs = [{"kind": pair.kind, "first": _clip(pair.first), "second": _clip(pair.second)} for pair in leaks.pairs]
    fields = asdict(replace(leaks, pairs=())) | {"pairs": pairs}
    return indented_json(rounded({"schema": LEAKS_SCHEMA, **fields, "summary": [*leak_lines(leaks)]}, 6))


def _clip(clip: ClipRecord) -> dict[str, object]:
    times = {name: round(getattr(clip, name), 3) for name in ("start_seconds", "end_seconds")}
    return {"path": clip.path, "label": clip.label, **times, "clip": clip.clip}
