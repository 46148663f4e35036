"""Folders named after the activities, alone or inside folders named after the splits."""

from __future__ import annotations

from pathlib import Path

from activity_cli.errors import DatasetError
from activity_cli.labels.files import VIDEO_SUFFIXES, holds_notes, is_system_folder, is_video, walk
from activity_cli.labels.segments import SPLIT_NAMES, LabeledSegment, LabelSet, UnusedFile

__all__ = ["read_folders"]


def read_folders(videos: Path, place: Path) -> LabelSet:
    """The videos in ``place``: the first folder in it, or in a split's folder, is the activity.

    Raises:
        DatasetError: A folder cannot be read, or no video lies in a folder named after an activity.
    """
    if place != videos:
        raise DatasetError(
            f"The folder {str(place)!r} has no labels in a known format.",
            "Use --labels with a CSV file or with the folder of the UCF101 lists.",
        )
    files = [(path, path.relative_to(videos).parts) for path in walk(videos)]
    video_parts = [parts for path, parts in files if is_video(path)]
    top = {parts[0] for parts in video_parts if len(parts) > 1}
    splits = {SPLIT_NAMES.get(name.lower(), "") for name in top}
    # A folder "train" that holds its videos directly is an activity like any other.
    by_split = "train" in splits and "" not in splits and all(len(parts) > 2 for parts in video_parts)
    depth = int(by_split)  # folders above the activity
    segments, unused = [], []
    for path, parts in files:
        name = "/".join(parts)
        label = parts[depth] if len(parts) > depth + 1 else ""
        if not is_video(path):
            unused.append(UnusedFile(name, "no known video file extension", label))
        elif not label:
            unused.append(UnusedFile(name, "not in a folder named after an activity"))
        else:
            split = SPLIT_NAMES[parts[0].lower()] if by_split else ""
            segments.append(LabeledSegment(path, name, label, split=split))
    if not segments and video_parts:
        raise DatasetError(
            f"{len(video_parts)} videos are directly in {str(videos)!r}, so they have no label.",
            "Move each into a folder named after its activity, or use --labels FILE.csv.",
        )
    if not segments:
        raise DatasetError(
            f"No videos in {str(videos)!r}.",
            f"Expected {videos.name}/<activity>/clip.mp4; known file extensions: {' '.join(sorted(VIDEO_SUFFIXES))}.",
        )
    form = f"{len({segment.label for segment in segments})} activity folders"
    labels = {segment.label for segment in segments}
    places = [videos / name for name in sorted(top)] if by_split else [videos]
    without = sorted({name for place in places for name in _folder_names(place)} - labels)
    files_of = {name: [file.name for file in unused if file.label == name] for name in without}
    notes = [
        f"{name!r} is not taken for an activity: it has text files only."
        for name in without
        if holds_notes(name, files_of[name])
    ]
    empty = [name for name in without if not holds_notes(name, files_of[name])]
    if by_split:
        form += f" inside {', '.join(sorted(top))}"
    return LabelSet(form, segments, unused, notes=tuple(notes), empty=tuple(empty))


def _folder_names(place: Path) -> list[str]:
    """The folders in a folder, but those of the system and prepared ones."""
    folders = (path for path in place.iterdir() if path.is_dir() and not is_system_folder(path.name))
    return [path.name for path in folders if not (path / "decoded.jsonl").is_file()]
