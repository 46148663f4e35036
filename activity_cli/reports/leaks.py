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
    share = f"the largest has {leaks.largest_share:.0%} of the clips"
    if leaks.grouping == "given":
        yield f"Groups: {leaks.num_groups}, as given; {share}."
    elif leaks.grouping == "none":
        yield f"Groups: none, as asked; {leaks.num_groups} videos stand each for itself."
    elif leaks.num_groups == leaks.num_clips:
        yield "Groups: none found; no two clips look related, so each stands for itself."
    else:
        yield f"Groups: {leaks.num_groups}, found by looks (one recording, or one place and camera); {share}."
    if not leaks.compared:
        yield "Too many clips, or too little memory, to compare them by their looks: copies are not known."
    if leaks.num_copies:
        many = leaks.num_copies > 1
        labels = f", {leaks.num_two_labels} of them under two labels" if leaks.num_two_labels else ""
        yield (
            f"{leaks.num_copies} pair{'s' if many else ''} of clips look{'' if many else 's'} like one recording, "
            f"re-encoded, cut, mirrored or played backward{labels}."
        )
    if leaks.exposed is not None and leaks.exposed_by_video:
        yield (
            f"Test clips with a relative in training: {leaks.exposed:.0%}. "
            f"Drawn by video alone, it would be about {leaks.exposed_by_video:.0%}."
        )
    if leaks.shortcuts and not any(tell.suspicious for tell in leaks.shortcuts):
        best = max(leaks.shortcuts, key=lambda tell: tell.accuracy)
        yield (
            f"Length, frame rate, size and type of the files do not give the activity away: they name it in "
            f"{best.accuracy:.0%} of the clips at best, guessing in {best.chance:.0%}."
        )
    elif leaks.shortcuts:
        told = ", ".join(f"{tell.name} {tell.accuracy:.0%}" for tell in leaks.shortcuts)
        yield f"The files alone give the activity away: {told} right, guessing {leaks.shortcuts[0].chance:.0%}."


def leak_document(leaks: LeakReport) -> str:
    """The report as indented JSON of the schema ``activity.leaks/1``, without a final line break."""
    document = {
        "schema": LEAKS_SCHEMA,
        "grouping": leaks.grouping,
        "compared": leaks.compared,
        "num_clips": leaks.num_clips,
        "num_groups": leaks.num_groups,
        "largest_share": rounded(leaks.largest_share, 6),
        "num_copies": leaks.num_copies,
        "num_two_labels": leaks.num_two_labels,
        "one_place_share": rounded(leaks.one_place_share, 6),
        "exposed_by_video": rounded(leaks.exposed_by_video, 6),
        "exposed": rounded(leaks.exposed, 6),
        "tells": [
            {
                "name": tell.name,
                "accuracy": rounded(tell.accuracy, 6),
                "chance": rounded(tell.chance, 6),
                "suspicious": tell.suspicious,
            }
            for tell in leaks.shortcuts
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
