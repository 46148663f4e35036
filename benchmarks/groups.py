#!/usr/bin/env python3
"""Groups that are found by similarity alone, against the known ones.

- Near-duplicates: 100 clips, and a copy of each in every kind (re-encoded, resized, trimmed, mirrored, brightened, and
  all of it at once), made by ffmpeg. Found: copies joined with their own original. False: two originals joined, or a
  copy and another's original, that are not joined among the originals alone.
- Sources: clips with known sources, filmed in many places (tennis): how many of the known pairs are joined.
- One place: one field for all persons (weizmann4, each clip with a mirrored twin): twins found, and persons joined.

    python benchmarks/groups.py --data DIR

DIR holds folders with videos.csv (path,label,group). Copies are kept under --work for the next run.
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import imageio_ffmpeg

from activity_cli import PrepareSettings, Split, prepare
from activity_cli.cli.bars import TerminalProgress
from activity_cli.dataset.clips import ClipStore
from activity_cli.leakage.duplicate_groups import DuplicateGroups, find_duplicate_groups
from activity_cli.leakage.signatures import Signature, SignatureStore

COPIES = 100
KINDS = {
    "re-encoded": "-crf 35",
    "resized": "-vf scale=iw/2:-2 -crf 26",
    "trimmed": "-ss 0.3 -t 1.4 -crf 23",
    "mirrored": "-vf hflip -crf 23",
    "brightened": "-vf eq=brightness=0.1:contrast=1.1 -crf 23",
    "all at once": "-ss 0.2 -t 1.6 -vf hflip,scale=iw/2:-2,eq=brightness=0.1 -crf 30",
}


@dataclass(frozen=True)
class Clip:
    """A clip of a data set, its label, its known group, and its signature."""

    path: str
    label: str
    group: str
    signature: Signature


def clips_of(folder: Path, rows: Sequence[dict[str, str]], out: Path) -> list[Clip]:
    """Prepares the clips as a user would, and reads their signatures."""
    split = Split(group_by="none")
    config = PrepareSettings(folder, out, split=split, labels=labels_file(rows, out), streams=("appearance",))
    result = prepare(config, TerminalProgress(quiet=False))
    signatures = SignatureStore(ClipStore(out / "clips"))
    known = {row["path"]: row for row in rows}
    kept = [record for record in result.records if record.status == "ok"]
    return [Clip(r.path, r.label, known[r.path]["group"], signatures.read(r.clip)) for r in kept]


def labels_file(rows: Sequence[dict[str, str]], out: Path) -> Path:
    """A CSV that gives labels and no groups."""
    path = out.with_suffix(".csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def grouped(clips: Sequence[Clip]) -> DuplicateGroups:
    """Groups clips by their signatures alone."""
    return find_duplicate_groups([clip.signature for clip in clips], range(len(clips)), [clip.label for clip in clips])


def make_copies(source: Path, rows: Sequence[dict[str, str]], videos: Path) -> list[dict[str, str]]:
    """Writes a copy of each clip in every kind; returns the rows of all, the originals among them."""
    found = []
    for row in rows:
        for kind, options in {"original": "", **KINDS}.items():
            path = videos / kind / row["path"]
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                aside = path.with_name(f".{path.name}")
                words = options.split() or ["-c", "copy"]
                # Options before the input cut it.
                begin = words[:4] if words[0] == "-ss" else []
                command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *begin]
                command += ["-i", str(source / row["path"]), *words[len(begin) :], "-an", str(aside)]
                subprocess.run(command, check=True)
                aside.rename(path)
            found.append({"path": f"{kind}/{row['path']}", "label": row["label"], "group": row["path"]})
    return found


def report_copies(clips: Sequence[Clip]) -> None:
    """Prints how many copies are found, and how many others are joined."""
    originals = [clip for clip in clips if clip.path.startswith("original/")]
    alone = {frozenset(pair) for pair in joined(originals, grouped(originals).recordings)}
    print(f"{'copies':<14} {'found':>9} {'false joins':>12}")
    for kind in KINDS:
        copies = [clip for clip in clips if clip.path.startswith(f"{kind}/")]
        both = [*originals, *copies]
        pairs = joined(both, grouped(both).recordings)
        found = sum(first == second for first, second in pairs)
        false = {frozenset(pair) for pair in pairs if pair[0] != pair[1]} - alone
        print(f"{kind:<14} {found:>4}/{len(copies)} {len(false):>12}", flush=True)


def joined(clips: Sequence[Clip], groups: Sequence[int]) -> list[tuple[str, str]]:
    """The originals behind each pair of clips that share a group."""
    pairs = combinations(range(len(clips)), 2)
    return [(clips[one].group, clips[other].group) for one, other in pairs if groups[one] == groups[other]]


def report_sources(name: str, clips: Sequence[Clip]) -> None:
    """Prints how many pairs of the known groups are joined."""
    duplicates = grouped(clips)
    pairs = [(one, other) for one, other in combinations(range(len(clips)), 2)]
    same = [(one, other) for one, other in pairs if clips[one].group == clips[other].group]
    together = sum(duplicates.sources[one] == duplicates.sources[other] for one, other in same)
    sizes = Counter(duplicates.sources)
    print(f"\n{name}: {len(clips)} clips, {len({clip.group for clip in clips})} known groups")
    print(f"  known pairs joined          {together}/{len(same)} = {together / len(same):.1%}")
    print(f"  groups found                {len(sizes)}, the largest {max(sizes.values()) / len(clips):.1%}")
    print(f"  near-duplicates found       {len(duplicates.near_duplicates)}")
    foreign = sum(clips[one].group != clips[other].group for one, other in duplicates.near_duplicates)
    print(f"  of them of two known groups {foreign}")
    print(f"  clips of a rejected place   {sum(duplicates.rejected_sources)}")


def report_twins(clips: Sequence[Clip]) -> None:
    """Prints how many mirrored twins (by their names) share a recording."""
    duplicates = grouped(clips)
    twins: dict[str, list[int]] = {}
    for index, clip in enumerate(clips):
        twins.setdefault(re.sub(r"_(mirror|orig)\b", "", clip.path), []).append(index)
    pairs = [pair for pair in twins.values() if len(pair) == 2]
    found = sum(duplicates.recordings[one] == duplicates.recordings[other] for one, other in pairs)
    print(f"  mirrored twins found        {found}/{len(pairs)}")


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Path, label and group of every clip of a set."""
    with (folder / "videos.csv").open(newline="") as file:
        return [{name: row[name] for name in ("path", "label", "group")} for row in csv.DictReader(file)]


def main() -> None:
    """Runs all three."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--work", type=Path, default=Path("/tmp/activity-benchmark/groups"), metavar="DIR")
    words = parser.parse_args()
    tennis = rows_of(words.data / "tennis")
    step = len(tennis) / COPIES
    chosen = [tennis[round(place * step)] for place in range(COPIES)]
    rows = make_copies(words.data / "tennis", chosen, words.work / "videos")
    report_copies(clips_of(words.work / "videos", rows, words.work / "copies"))
    for name in ("tennis", "weizmann4"):
        rows = rows_of(words.data / name)
        clips = clips_of(words.data / name, rows, words.work / name)
        report_sources(name, clips)
        if name == "weizmann4":
            report_twins(clips)


if __name__ == "__main__":
    main()
