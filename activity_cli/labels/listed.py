"""The videos that a table names, found in the folder of videos; and the files that it does not name."""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path, PurePath

from activity_cli.errors import DatasetError
from activity_cli.labels.csv_table import SAVE_AGAIN
from activity_cli.labels.files import VIDEO_SUFFIXES, is_video, walk
from activity_cli.labels.segments import UnusedFile
from activity_cli.labels.spelling import clean_text, is_broken

__all__ = ["ListedVideos"]


class ListedVideos:
    """Files in a folder of videos, looked up by the paths in a table.

    Raises:
        DatasetError: A folder cannot be read.
    """

    def __init__(self, videos: Path, table: Path) -> None:
        self._videos, self._table = videos, table
        self._files = list(walk(videos))
        self._by_name = {_composed(path.relative_to(videos).as_posix()): path for path in self._files}
        self._by_last: dict[str, list[Path]] = defaultdict(list)
        for path in self._files:
            self._by_last[_composed(path.name).casefold()].append(path)

    def find(self, typed: str, where: str) -> tuple[Path, str, str]:
        """A file, its name in the manifest, and the problem, if the file is not there.

        Backslashes may stand for slashes, an accented letter may be one sign or two (NFC and NFD), and what nobody sees
        does not count.

        Raises:
            DatasetError: What was typed cannot be the name of a file, or is not UTF-8.
        """
        if "\0" in typed:
            raise DatasetError(f"{where}: {typed!r} is not a valid file name.", "Save the CSV file as UTF-8.")
        for name in (typed, typed.replace("\\", "/")):
            if os.path.lexists(self._videos / name):
                return self._found(self._videos / name)
            if path := self._by_name.get(_composed(Path(name).as_posix())):
                return self._found(path)
        if is_broken(typed):
            shown = typed.encode("ascii", "backslashreplace").decode()
            raise DatasetError(f"{where}: the path '{shown}' is not UTF-8.", SAVE_AGAIN, code="labels.encoding")
        place = self._videos.absolute() / name
        same_name = self._by_last.get(_composed(place.name).casefold(), [])
        if not same_name:  # without its suffix, or with that before a conversion
            stem = _composed(place.name.removesuffix(place.suffix if place.suffix.lower() in VIDEO_SUFFIXES else ""))
            same_name = [file for file in self._files if is_video(file) and _composed(file.stem) == stem]
        hint = f" Did you mean {same_name[0].relative_to(self._videos).as_posix()!r}?" if len(same_name) == 1 else ""
        problem = (
            f"[video.missing] {where}: there is no {str(place)!r}. "
            f"Paths are relative to {str(self._videos.absolute())!r}.{hint}"
        )
        return self._videos / name, Path(name).as_posix(), problem

    def find_stated(self, stated: str, where: str) -> tuple[Path, str, str]:
        """As :meth:`find`, for the name of a video in a file of another program.

        Such a name may be a path of another computer, or have no suffix: then the file with that name counts, and of
        several the one whose folders agree.
        """
        path, name, problem = self.find(stated, where)
        if not problem:
            return path, name, ""
        parts = PurePath(_composed(stated.replace("\\", "/")).casefold()).parts
        last = parts[-1] if parts else ""
        same = self._by_last.get(last) or [
            file for file in self._files if is_video(file) and _composed(file.stem).casefold() in (last, f"v_{last}")
        ]
        if len(same) > 1:
            agreeing = {file: self._num_agreeing(file, parts[:-1]) for file in same}
            same = [file for file, number in agreeing.items() if number == max(agreeing.values())]
        if len(same) == 1:
            return self._found(same[0])
        if same:
            names = " and ".join(repr(file.relative_to(self._videos).as_posix()) for file in same[:2])
            problem = f"[video.ambiguous] {where}: {stated!r} may be {names}. Write the path of one of them."
        return path, name, problem

    def _num_agreeing(self, file: Path, folders: Sequence[str]) -> int:
        """How many of the last folders are the same."""
        own = PurePath(_composed(file.relative_to(self._videos).as_posix()).casefold()).parts[:-1]
        pairs = zip(reversed(own), reversed(folders), strict=False)
        return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))

    def unlisted(self, used: Collection[Path]) -> tuple[list[UnusedFile], list[str]]:
        """The files that the table does not name, and a note if videos are among them."""
        files = [(path, path.relative_to(self._videos).as_posix()) for path in self._files if path not in used]
        reason = f"not listed in {self._table.name}"
        unused = [
            UnusedFile(name, reason if is_video(path) else "no known video file extension") for path, name in files
        ]
        videos = [name for path, name in files if is_video(path)]
        if not videos:
            return unused, []
        what = "1 video is" if len(videos) == 1 else f"{len(videos)} videos are"
        return unused, [f"{what} not listed in {self._table.name}, such as {videos[0]!r}."]

    def _found(self, path: Path) -> tuple[Path, str, str]:
        """A file; inside the folder of videos its name is relative to it, however it was typed."""
        straight = Path(os.path.normpath(path))  # of a/../b.mp4, or else one video would have two names
        path = straight if os.path.lexists(straight) and straight.resolve() == path.resolve() else path
        for folder in (self._videos, self._videos.absolute()):
            if path.is_relative_to(folder):
                return path, path.relative_to(folder).as_posix(), ""
        return path, path.as_posix(), ""


def _composed(name: str) -> str:
    """The letters of a name that count when names are compared."""
    return clean_text(name)
