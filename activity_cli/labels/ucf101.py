"""The list format of UCF101: classInd.txt, trainlist01.txt, testlist01.txt.

Soomro et al. 2012, UCF101. The name v_<Activity>_g<source>_c<clip>.avi tells the source video.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from activity_cli.errors import DatasetError
from activity_cli.labels.files import Discovered, DiscoveredFile, walk

__all__ = ["files_of_lists", "find_lists"]

_LIST = re.compile(r"(?:train|test)list(\d+)\.txt")
_SOURCE = re.compile(r"v_(.+_g\d+)_c\d+\.")


def find_lists(place: Path) -> tuple[Path, str] | None:
    """The folder of the lists and their number; None where ``place`` is not about such lists.

    Args:
        place: One of the lists, the folder that holds them, or the folder above ``ucfTrainTestlist``.
    """
    if place.is_file():
        match = _LIST.fullmatch(place.name)
        return (place.parent, match.group(1)) if match else None
    for folder in (place, place / "ucfTrainTestlist"):
        try:
            names = os.listdir(folder)  # noqa: PTH208
        except OSError:
            continue  # said in plain words by who looks for videos there
        numbers = sorted(match.group(1) for match in map(_LIST.fullmatch, names) if match)
        if numbers and "classInd.txt" in names:
            return folder, numbers[0]
    return None


def files_of_lists(videos: Path, lists: tuple[Path, str]) -> Discovered:
    """The videos that the lists name, with their activities, sources and splits.

    Raises:
        DatasetError: A list cannot be read, or none of its videos is there.
    """
    folder, number = lists
    files: dict[str, DiscoveredFile] = {}
    names = [name for name in (f"trainlist{number}.txt", f"testlist{number}.txt") if (folder / name).is_file()]
    for name in names:
        split = "train" if name.startswith("train") else "test"
        for line, text in enumerate(_lines(folder / name), 1):
            # A number behind the path says the activity again; a file name may hold spaces.
            listed = re.sub(r"\s+\d+$", "", text.strip())
            if not listed:
                continue
            label, inside, _ = listed.partition("/")
            if not inside:
                raise DatasetError(
                    f"{folder / name}, line {line}: {text.strip()!r} names no activity.", "Expected Activity/clip.avi."
                )
            files[listed] = _file(videos, listed, label, split)
    found = [file for file in files.values() if not file.ignored]
    if not found:
        raise DatasetError(
            f"None of the {len(files)} videos that {folder / names[0]} lists is in {str(videos)!r}.",
            "Name the folder that holds the folders of the activities.",
        )
    known = {file.path for file in found}
    others = [path for path in walk(videos) if path not in known]
    reason = "not in the lists"
    unlisted = [DiscoveredFile(path, path.relative_to(videos).as_posix(), ignored=reason) for path in others]
    return Discovered([*files.values(), *unlisted], f"the lists of UCF101 ({', '.join(names)})")


def _file(videos: Path, listed: str, label: str, split: str) -> DiscoveredFile:
    source = _SOURCE.match(listed.rpartition("/")[2])
    group = source.group(1) if source else ""
    for name in (listed, listed.rpartition("/")[2]):
        if (videos / name).is_file():
            return DiscoveredFile(videos / name, name, label, group, split)
    return DiscoveredFile(videos / listed, listed, label, group, ignored="listed, but no such file is there")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DatasetError(f"The list {str(path)!r} cannot be read: {reason}.", "Check --labels.") from None
