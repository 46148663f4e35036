"""Clips that must stay together: by what a person has said, or by what their looks say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from activity_cli.leakage.duplicate_groups import DuplicateGroups
from activity_cli.results import ClipRecord
from activity_cli.settings import Split

__all__ = ["Grouping", "group_clips"]

# Of all clips; what joins more given groups than that says more of the place than of the recordings.
_LARGEST_JOIN = 0.25
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Grouping:
    """The group of each clip.

    Attributes:
        kind: Where the groups come from: ``given``, ``looks``, or ``none`` (each video by itself).
        groups: For each clip the name of its group; none of them is divided by a split.
        related: For each clip the name of what it is known to belong to, also where that was not asked for.
        warnings: What a person should know of the groups.
    """

    kind: str
    groups: tuple[str, ...]
    related: tuple[str, ...]
    warnings: tuple[str, ...]


def group_clips(clips: Sequence[ClipRecord], duplicates: DuplicateGroups | None, config: Split) -> Grouping:
    """Names the group of each clip.

    Groups that are given stand; those that share a recording are joined. Where none is given, ``auto``
    takes the sources that looks tell apart, and ``none`` takes each video by itself.

    Args:
        clips: One record for each clip, with its given group or none.
        kin: Which of them belong together by their looks; None where that is not known.
        config: What was asked for.
    """
    # Without a group, a video stands for itself: its content names it.
    own = tuple(clip.group or clip.content_hash[:12] for clip in clips)
    given = any(clip.group for clip in clips)
    if given or config.pattern is not None:
        joined, warnings = _joined(clips, own, duplicates)
        groups = own if config.group_by == "none" else joined
        return Grouping("given", groups, joined, (*_ungrouped(clips, config), *(warnings if groups != own else ())))
    related = own if duplicates is None else tuple(own[source] for source in duplicates.sources)
    if config.group_by == "none":
        return Grouping("none", own, related, ())
    return Grouping("looks", related, related, _one_place(duplicates))


def _joined(
    clips: Sequence[ClipRecord], own: Sequence[str], duplicates: DuplicateGroups | None
) -> tuple[tuple[str, ...], list[str]]:
    """The given groups, joined where clips of several show one recording."""
    together = {name: [name] for name in own}  # each name's component; members of one share the list
    for first, second in duplicates.copies if duplicates else ():
        one, other = together[own[first]], together[own[second]]
        if one is not other:
            one += other
            together |= dict.fromkeys(other, one)
    sizes = Counter(own)
    names: dict[str, str] = {}
    warnings = []
    for items in {id(found): found for found in together.values() if len(found) > 1}.values():
        shown = " and ".join(repr(_shown(name, clips)) for name in items[:_NAMED])
        more = f" and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
        if sum(sizes[name] for name in items) > _LARGEST_JOIN * len(clips):
            warnings.append(
                f"Clips of {shown}{more} look like one recording, but together they are too many for one side "
                "of the split: they stay the groups that were given."
            )
            continue
        title = "+".join(items[:_NAMED]) + (f"+{len(items) - _NAMED} more" if more else "")
        names |= dict.fromkeys(items, title)
        warnings.append(f"Clips of {shown}{more} look like one recording: they stay on one side of the split.")
    return tuple(names.get(name, name) for name in own), warnings


def _shown(name: str, clips: Sequence[ClipRecord]) -> str:
    """A group's name, or the path of the clip that is a group by itself."""
    return next((clip.path for clip in clips if not clip.group and clip.content_hash[:12] == name), name)


def _ungrouped(clips: Sequence[ClipRecord], config: Split) -> list[str]:
    without = [clip for clip in clips if not clip.group]
    if config.pattern is None or not without:
        return []
    return [
        f"--group-by {config.group_by!r} finds no group in {len(without)} of {len(clips)} paths, "
        f"such as {without[0].path!r}: each of these is its own group."
    ]


def _one_place(duplicates: DuplicateGroups | None) -> tuple[str, ...]:
    if duplicates is None:
        return ("The clips were not compared by their looks: each video is its own group.",)
    here, same = sum(duplicates.broken), sum(duplicates.doubted)
    if same:
        return (
            f"{same} of {len(duplicates.doubted)} clips look nearly the same, as where one camera sees a machine do the same "
            "all day: they are not kept together. If they are copies of a few recordings, the test score will be too "
            "good: say which belong together with --group-by REGEX, or a column group in --labels.",
        )
    if not here:
        return ()
    which = "All clips look" if here == len(duplicates.broken) else f"{here} of {len(duplicates.broken)} clips look"
    return (
        f"{which} filmed in one place, or in too few: there, only copies of one recording are kept together. If "
        "several show the same person or come from the same video, say so, or the test score will be too good: "
        r"--group-by 'person\d+', or a column group in --labels.",
    )
