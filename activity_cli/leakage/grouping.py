"""The group of each clip: given with the labels, or found by similarity. A split never divides a group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from activity_cli.leakage.duplicate_groups import DuplicateGroups
from activity_cli.results import ClipRecord
from activity_cli.settings import Split

__all__ = ["Grouping", "group_clips"]

# Share of all clips. Near-duplicates that would join given groups into more than this are more likely one place.
_LARGEST_JOIN = 0.25
_SHOWN_NAMES = 3
_SHOWN_PATHS = 20


@dataclass(frozen=True, slots=True)
class Grouping:
    """The group of each clip.

    Attributes:
        kind: Where the groups come from: ``given``, ``similarity``, or ``none`` (each video is its own group).
        groups: For each clip, the name of its group.
        related: For each clip, the name of the group that it would have if the settings did not turn groups off.
        warnings: What to know about the groups before training.
    """

    kind: str
    groups: tuple[str, ...]
    related: tuple[str, ...]
    warnings: tuple[str, ...]


def group_clips(clips: Sequence[ClipRecord], duplicates: DuplicateGroups | None, settings: Split) -> Grouping:
    """Names the group of each clip.

    Given groups are kept; those that share a recording are joined. Where no group is given, ``auto`` makes a group of
    each source in ``duplicates`` (None where the clips were not compared), and ``none`` of each video.
    """
    # A video without a given group is its own group, named by its content.
    own = tuple(clip.group or clip.content_hash[:12] for clip in clips)
    given = any(clip.group for clip in clips)
    if given or settings.pattern is not None or settings.table is not None:
        joined, warnings = _joined(clips, own, duplicates)
        groups = own if settings.group_by == "none" else joined
        return Grouping("given", groups, joined, (*_unmatched(clips, settings), *(warnings if groups != own else ())))
    related = own if duplicates is None else tuple(own[source] for source in duplicates.sources)
    if settings.group_by == "none":
        return Grouping("none", own, related, ())
    return Grouping("similarity", related, related, _similarity_warnings(duplicates))


def _joined(
    clips: Sequence[ClipRecord], own: Sequence[str], duplicates: DuplicateGroups | None
) -> tuple[tuple[str, ...], list[str]]:
    """The given groups, joined where their clips are near-duplicates, and a warning for each join."""
    together = {name: [name] for name in own}  # all names of a joined group share one list
    for first, second in duplicates.near_duplicates if duplicates else ():
        one, other = together[own[first]], together[own[second]]
        if one is not other:
            one += other
            together |= dict.fromkeys(other, one)
    sizes = Counter(own)
    title_of: dict[str, str] = {}
    warnings = []
    for names in {id(names): names for names in together.values() if len(names) > 1}.values():
        num_more = len(names) - _SHOWN_NAMES
        shown = " and ".join(repr(_shown(name, clips)) for name in names[:_SHOWN_NAMES])
        found = f"Clips of {shown}{f' and {num_more} more' if num_more > 0 else ''} are near-duplicates"
        if sum(sizes[name] for name in names) > _LARGEST_JOIN * len(clips):
            warnings.append(
                f"{found}, but together these groups are too large for one split. prepare keeps the groups as given."
            )
            continue
        title = "+".join(names[:_SHOWN_NAMES]) + (f"+{num_more} more" if num_more > 0 else "")
        title_of |= dict.fromkeys(names, title)
        warnings.append(f"{found}, so prepare joins these groups and keeps them in one split.")
    return tuple(title_of.get(name, name) for name in own), warnings


def _shown(name: str, clips: Sequence[ClipRecord]) -> str:
    """A group's name; for a video that is its own group, its path."""
    return next((clip.path for clip in clips if not clip.group and clip.content_hash[:12] == name), name)


def _unmatched(clips: Sequence[ClipRecord], settings: Split) -> list[str]:
    without = list(dict.fromkeys(clip.path for clip in clips if not clip.group))
    if (settings.pattern is None and settings.table is None) or not without:
        return []
    num_more = len(without) - _SHOWN_PATHS
    shown = ", ".join(map(repr, without[:_SHOWN_PATHS])) + (f" and {num_more} more" if num_more > 0 else "")
    total = len({clip.path for clip in clips})
    what = f"has no group for {len(without)} of {total} videos"
    if settings.table is None:
        what = f"matches nothing in {len(without)} of {total} paths"
    return [f"--group-by {settings.group_by!r} {what}: {shown}. prepare makes each of these videos its own group."]


def _similarity_warnings(duplicates: DuplicateGroups | None) -> tuple[str, ...]:
    if duplicates is None:
        return (
            "There are too many clips to compare, or too little memory, so each video is its own group. "
            "Name the groups with --group-by REGEX.",
        )
    total = len(duplicates.sources)
    if num_alike := sum(duplicates.rejected_recordings):
        return (
            f"{num_alike} of {total} clips look nearly the same, as if a fixed camera filmed one repeated motion. "
            "prepare does not group them. If they are copies of a few recordings, the test score will be too high. In "
            "this case, name the groups with --group-by REGEX or in a column 'group' of --labels.",
        )
    if not (num_here := sum(duplicates.rejected_sources)):
        return ()
    which = "All clips look" if num_here == total else f"{num_here} of {total} clips look"
    return (
        f"{which} as if they were filmed in one place, or in too few places to split by place. prepare groups only "
        "copies of one recording there. If several clips show the same person or come from the same video, the test "
        r"score will be too high. In this case, name the groups with --group-by 'person\d+' or in a column 'group' of "
        "--labels.",
    )
