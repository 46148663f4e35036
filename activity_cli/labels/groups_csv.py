"""Groups in a CSV file with the columns path,group, such as the ``groups.csv`` that ``prepare`` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from activity_cli.errors import ConfigError, DatasetError
from activity_cli.labels.csv_table import read_table
from activity_cli.labels.segments import LabeledSegment
from activity_cli.labels.spelling import clean_text

__all__ = ["read_groups", "with_groups"]


def read_groups(path: Path) -> dict[str, str]:
    """The group of each path; rows without a group do not count.

    Raises:
        DatasetError: The file cannot be read, has no such columns, or names two groups for one path.
    """
    table = read_table(path)
    names = [name.casefold() for name in table.columns]
    if not {"path", "group"} <= set(names):
        problem = f"{path} has no columns path and group. Its columns: {', '.join(table.columns) or 'none'}."
        raise DatasetError(problem, "The first line must name them.", code="labels.columns")
    found: dict[str, str] = {}
    for line, row in table.rows:
        name, group = row[names.index("path")].replace("\\", "/"), clean_text(row[names.index("group")])
        if group and found.setdefault(name, group) != group:
            problem = f"{table.where(line)}: {name!r} has the groups {found[name]!r} and {group!r}."
            raise DatasetError(problem, "Keep one of them.", code="labels.groups")
    return found


def with_groups(segments: Sequence[LabeledSegment], path: Path) -> list[LabeledSegment]:
    """The segments with the groups in a file. A video that the file does not list keeps the group of its labels.

    Raises:
        DatasetError: As :func:`read_groups`.
        ConfigError: The file has a group for none of the videos.
    """
    groups = read_groups(path)
    if not any(one.name in groups for one in segments):
        problem = f"`group_by` {str(path)!r} has a group for no video, such as {segments[0].name!r}."
        raise ConfigError(problem, "Fill in the column group; paths are as in manifest.csv.", setting="group_by")
    return [replace(one, group=groups.get(one.name, one.group)) for one in segments]
