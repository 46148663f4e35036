"""What belongs together in a data set, in plain words and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from activity_cli.results import LEAKS_SCHEMA, ClipRecord, LeakReport
from activity_cli.writers.json_lines import indented, rounded

__all__ = ["leak_document", "leak_lines"]


def leak_lines(leaks: LeakReport) -> list[str]:
    """The report in plain words, one statement a line."""
    return list(_lines(leaks))


def _lines(leaks: LeakReport) -> Iterator[str]:
    share = f"the largest has {leaks.largest_group_share:.0%} of the clips"
    if leaks.grouping == "given":
        yield f"Groups: {leaks.num_groups}, as given; {share}."
    elif leaks.grouping == "none":
        yield f"Groups: none, as asked; {leaks.num_groups} videos stand each for itself."
    elif leaks.num_groups == leaks.num_clips:
        yield "Groups: none found; no two clips look related, so each stands for itself."
    else:
        yield f"Groups: {leaks.num_groups}, found by looks (one recording, or one place and camera); {share}."
    if not leaks.clips_compared:
        yield "Too many clips, or too little memory, to compare them by their looks: copies are not known."
    if leaks.num_near_duplicates:
        many = leaks.num_near_duplicates > 1
        labels = f", {leaks.num_label_conflicts} of them under two labels" if leaks.num_label_conflicts else ""
        yield (
            f"{leaks.num_near_duplicates} pair{'s' if many else ''} of near-duplicates (one recording, re-encoded, "
            f"cut, mirrored or brightened){labels}."
        )
    if leaks.leaked_share is not None and leaks.leaked_share_random_split:
        yield (
            f"Test clips with a relative in training: {leaks.leaked_share:.0%}. "
            f"Drawn by video alone, it would be about {leaks.leaked_share_random_split:.0%}."
        )
    if leaks.shortcuts and not any(one.suspicious for one in leaks.shortcuts):
        best = max(leaks.shortcuts, key=lambda one: one.accuracy)
        yield (
            f"Length, frame rate, size and type of the files do not give the activity away: they name it in "
            f"{best.accuracy:.0%} of the clips at best, guessing in {best.baseline_accuracy:.0%}."
        )
    elif leaks.shortcuts:
        told = ", ".join(f"{one.name} {one.accuracy:.0%}" for one in leaks.shortcuts)
        baseline = leaks.shortcuts[0].baseline_accuracy
        yield f"The files alone give the activity away: {told} right, guessing {baseline:.0%}."


def leak_document(leaks: LeakReport) -> str:
    """The report as indented JSON of the schema ``activity.leaks/1``, without a final line break."""
    document = {
        "schema": LEAKS_SCHEMA,
        "grouping": leaks.grouping,
        "clips_compared": leaks.clips_compared,
        "num_clips": leaks.num_clips,
        "num_groups": leaks.num_groups,
        "largest_group_share": rounded(leaks.largest_group_share, 6),
        "num_near_duplicates": leaks.num_near_duplicates,
        "num_label_conflicts": leaks.num_label_conflicts,
        "shared_place_share": rounded(leaks.shared_place_share, 6),
        "leaked_share_random_split": rounded(leaks.leaked_share_random_split, 6),
        "leaked_share": rounded(leaks.leaked_share, 6),
        "shortcuts": [
            {
                "name": one.name,
                "accuracy": rounded(one.accuracy, 6),
                "baseline_accuracy": rounded(one.baseline_accuracy, 6),
                "suspicious": one.suspicious,
            }
            for one in leaks.shortcuts
        ],
        "pairs": [
            {"kind": pair.kind, "first": _clip(pair.first), "second": _clip(pair.second)} for pair in leaks.pairs
        ],
        "summary": leak_lines(leaks),
    }
    return indented(document)


def _clip(clip: ClipRecord) -> dict[str, object]:
    return {
        "path": clip.path,
        "label": clip.label,
        "start_seconds": rounded(clip.start_seconds, 3),
        "end_seconds": rounded(clip.end_seconds, 3),
        "clip": clip.clip,
    }
