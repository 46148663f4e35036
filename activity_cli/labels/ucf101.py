"""The lists of UCF101 (Soomro et al. 2012): classInd.txt, trainlist01.txt, testlist01.txt.

A name such as v_Archery_g02_c03.avi holds the activity, the source video (g02) and the clip.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from activity_cli.errors import DatasetError
from activity_cli.labels.files import read_error, walk
from activity_cli.labels.listed import ListedVideos
from activity_cli.labels.segments import LabeledSegment, LabelSet, UnusedFile

__all__ = ["read_ucf101"]

_LIST = re.compile(r"(?:train|test)list(\d+)\.txt")
_SOURCE = re.compile(r"v_(.+_g\d+)_c\d+\.")


def read_ucf101(videos: Path, place: Path) -> LabelSet | None:
    """The videos that the lists name; ``place`` is a list, their folder, or the folder above ``ucfTrainTestlist``.

    Raises:
        DatasetError: A list cannot be read, or none of its videos is there.
    """
    lists = _find_lists(place)
    if not lists:
        return None
    segments: dict[str, LabeledSegment] = {}
    missing: dict[str, UnusedFile] = {}
    for split, path in lists.items():
        listed_videos = ListedVideos(videos, path)
        for line, text in enumerate(_lines(path), 1):
            # The number of the activity may follow the path, and a file name may hold spaces.
            listed = re.sub(r"\s+\d+$", "", text.strip()).replace("\\", "/")
            if not listed:
                continue
            label, inside, file_name = listed.partition("/")
            if not inside:
                raise DatasetError(
                    f"{path}, line {line}: {text.strip()!r} names no activity.", "Expected Activity/clip.avi."
                )
            file_name = file_name.rpartition("/")[2]
            source = _SOURCE.match(file_name)
            group = source[1] if source else ""
            found, name, problem = listed_videos.find(listed, f"{path.name}, line {line}")
            reason = problem.partition(": ")[2]
            if problem:  # all videos may lie in one folder
                found, name, problem = listed_videos.find(file_name, path.name)
            if problem:
                missing[listed] = UnusedFile(listed, f"listed, but the file is missing: {reason}", label, group)
            else:
                segments[listed] = LabeledSegment(found, name, label, group, split)
    if not segments:
        raise DatasetError(
            f"{str(videos)!r} has none of the {len(missing)} videos that {next(iter(lists.values()))} lists.",
            "Name the folder that contains the activity folders.",
        )
    known = {segment.path for segment in segments.values()}
    others = [path.relative_to(videos).as_posix() for path in walk(videos) if path not in known]
    unused = [*missing.values(), *(UnusedFile(name, "not in the lists") for name in others)]
    names = ", ".join(path.name for path in lists.values())
    return LabelSet(f"the lists of UCF101 ({names})", list(segments.values()), unused)


def _find_lists(place: Path) -> dict[str, Path]:
    """The list of each split: of the number that ``place`` has, if it is a list itself, else of the lowest number."""
    if place.is_file():
        folder, names = place.parent, [place.name]
    else:
        # os.path, since Path.is_file fails in a folder that must not be read; read_folders reports that.
        folders = [one for one in (place, place / "ucfTrainTestlist") if os.path.isfile(one / "classInd.txt")]  # noqa: PTH113
        if not folders:
            return {}
        folder, names = folders[0], [path.name for path in folders[0].glob("*.txt")]
    numbers = [match[1] for match in map(_LIST.fullmatch, names) if match]
    if not numbers:
        return {}
    lists = {split: folder / f"{split}list{min(numbers)}.txt" for split in ("train", "test")}
    return {split: path for split, path in lists.items() if path.is_file()}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    except OSError as error:
        raise read_error("list", path, error, "Check --labels.") from None
