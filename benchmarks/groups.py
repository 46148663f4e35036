#!/usr/bin/env python3
"""Groups that are found by similarity alone, against the known ones.

- Copies: some clips of each set, and a copy of each in every kind (re-encoded, resized, trimmed by 30%, mirrored,
  brightened, and all of it at once), made by ffmpeg. Found: copies joined with their own original. False: two
  originals joined, or a copy and another's original.
- Recordings: pairs of clips of the whole set that are called one recording, and how many of them are.
- Places: how many pairs of one known group are joined.

The sets: tennis (many places, known sources), gestures (one camera, known persons; every clip is a take of its
own), and weizmann4 (one field, known persons; each clip has a mirrored twin).

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

COPIED = {"tennis": 100, "gestures": 54, "weizmann4": 36}
KINDS = {
    "re-encoded": "-crf 35",
    "resized": "-vf scale=iw/2:-2 -crf 26",
    "trimmed": "-crf 23",
    "mirrored": "-vf hflip -crf 23",
    "brightened": "-vf eq=brightness=0.1:contrast=1.1 -crf 23",
    "all at once": "-vf hflip,scale=iw/2:-2,eq=brightness=0.1 -crf 30",
}
TRIMMED = {"trimmed", "all at once"}
# Seen frame by frame: these strokes were published twice, once in slow motion.
SAME_TENNIS = {
    ("forehand3", "forehand5"),
    ("forehand4", "forehand7"),
    ("forehand44", "forehand49"),
    ("smash21", "smash23"),
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
        original = source / row["path"]
        seconds = 0.0
        for kind, options in {"original": "-c copy", **KINDS}.items():
            name = Path(kind) / row["path"]
            path = videos / (name if kind == "original" else name.with_suffix(".mp4"))
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                aside = path.with_name(f".{path.name}")
                seconds = seconds or imageio_ffmpeg.count_frames_and_secs(original)[1]
                cut = ["-ss", f"{0.15 * seconds:.3f}", "-t", f"{0.7 * seconds:.3f}"] if kind in TRIMMED else []
                command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *cut, "-i", str(original)]
                subprocess.run([*command, *options.split(), "-an", str(aside)], check=True)
                aside.rename(path)
            found.append({"path": path.relative_to(videos).as_posix(), "label": row["label"], "group": row["path"]})
    return found


def report_copies(name: str, clips: Sequence[Clip]) -> None:
    """Prints how many copies are found, and how many other pairs are joined."""
    originals = [clip for clip in clips if clip.path.startswith("original/")]
    print(f"\n{name:<14} {'found':>9} {'false pairs':>12}")
    for kind in KINDS:
        copies = [clip for clip in clips if clip.path.startswith(f"{kind}/")]
        both = [*originals, *copies]
        pairs = [(both[one], both[other]) for one, other in joined(grouped(both).recordings)]
        found = sum(one.group == other.group for one, other in pairs)
        false = sum(one.group != other.group and not is_one_recording(name, one, other) for one, other in pairs)
        print(f"{kind:<14} {found:>4}/{len(copies)} {false:>12}", flush=True)


def joined(groups: Sequence[int]) -> list[tuple[int, int]]:
    """The pairs of clips that share a group."""
    return [pair for pair in combinations(range(len(groups)), 2) if groups[pair[0]] == groups[pair[1]]]


def report_groups(name: str, clips: Sequence[Clip]) -> None:
    """Prints how many pairs are called one recording and are, and how many pairs of the known groups are joined."""
    duplicates = grouped(clips)
    claimed = joined(duplicates.recordings)
    true = sum(is_one_recording(name, clips[one], clips[other]) for one, other in claimed)
    known = sum(is_one_recording(name, one, other) for one, other in combinations(clips, 2))
    same = [pair for pair in combinations(range(len(clips)), 2) if clips[pair[0]].group == clips[pair[1]].group]
    together = sum(duplicates.sources[one] == duplicates.sources[other] for one, other in same)
    sizes = Counter(duplicates.sources)
    print(f"\n{name}: {len(clips)} clips, {len({clip.group for clip in clips})} known groups")
    print(f"  pairs called one recording  {len(claimed)}, of which {true} are; known are {known}")
    print(f"  of them with two labels     {sum(clips[one].label != clips[other].label for one, other in claimed)}")
    print(f"  known groups: pairs joined  {together}/{len(same)} = {together / len(same):.1%}")
    print(f"  groups found                {len(sizes)}, the largest {max(sizes.values()) / len(clips):.1%}")
    print(f"  clips of a rejected place   {sum(duplicates.rejected_sources)}")


def is_one_recording(name: str, one: Clip, other: Clip) -> bool:
    """Whether two clips are known to be of one recording."""
    if name == "weizmann4" and len({re.sub(r"_(mirror|orig)\b", "", clip.path) for clip in (one, other)}) == 1:
        return True
    return name == "tennis" and tuple(sorted((Path(one.path).stem, Path(other.path).stem))) in SAME_TENNIS


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Path, label and group of every clip of a set."""
    with (folder / "videos.csv").open(newline="") as file:
        return [{name: row[name] for name in ("path", "label", "group")} for row in csv.DictReader(file)]


def main() -> None:
    """Reports on all sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--work", type=Path, default=Path("/tmp/activity-benchmark/groups"), metavar="DIR")
    words = parser.parse_args()
    for name, number in COPIED.items():
        rows = rows_of(words.data / name)
        originals = [row for row in rows if "_mirror" not in row["path"]]
        chosen = [originals[round(place * len(originals) / number)] for place in range(number)]
        copies = make_copies(words.data / name, chosen, words.work / "videos" / name)
        report_copies(name, clips_of(words.work / "videos" / name, copies, words.work / f"{name}-copies"))
        report_groups(name, clips_of(words.data / name, rows, words.work / name))


if __name__ == "__main__":
    main()
