"""SimBA (Goodwin et al. 2024) and other tables with a row for each frame and a column of 0 and 1 for each behavior."""

from __future__ import annotations

import itertools
import re

from activity_cli.labels.formats.label_file import Annotation, Annotations, LabelFile

__all__ = ["read_simba"]

# The coordinates and probabilities of body parts, and numbers of frames.
_NO_BEHAVIOR = re.compile(r"|.*_(x|y|p)|frames?|scorer|unnamed.*|index|low_prob_detections.*", re.IGNORECASE)
_BITS = {"0": False, "1": True, "0.0": False, "1.0": True}


def read_simba(file: LabelFile) -> Annotations | None:
    """The behaviors of a table, in frames. The table has the name of its video."""
    rows = [cells for _, cells in file.cells if any(cells)]
    if len(rows) < 2 or not _NO_BEHAVIOR.fullmatch(rows[0][0]) or rows[1][0] not in ("0", "1", "0.0", "1.0"):
        return None
    if not all(re.fullmatch(r"[-+.\deE]*|nan", cell) for cell in rows[1]):
        return None  # another table that begins with the number of the row
    first = int(float(rows[1][0]))
    found = Annotations("a table of frames (SimBA)", [])
    for column, name in reversed(list(enumerate(rows[0]))):  # the behaviors are the last columns
        if re.match("probability_", name, re.IGNORECASE):
            continue
        values = [_BITS.get(row[column]) if column < len(row) else None for row in rows[1:]]
        if _NO_BEHAVIOR.fullmatch(name) or None in values:
            break
        frame = 0
        for is_shown, run in itertools.groupby(values):
            length = len(list(run))
            if is_shown:
                span = frame + first, frame + first + length - 1
                found.found.append(Annotation("", name, frames=span, where=file.where(f"column {name!r}")))
            frame += length
    return found if found.found else None
