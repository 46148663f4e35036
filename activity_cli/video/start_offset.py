"""When the first frame of a video is shown, counted from the start of its file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from activity_cli.files import VIDEO_CONTAINERS, VIDEO_PROTOCOLS

__all__ = ["start_offset_seconds"]


def start_offset_seconds(path: Path) -> float | None:
    """Seconds from the start of the file, where players and annotation tools begin to count, to the first frame.

    More than 0 where the sound begins before the picture. None where the file does not say.
    """
    import av  # here: only labeled segments need it

    options = {"protocol_whitelist": ",".join(VIDEO_PROTOCOLS), "format_whitelist": ",".join(VIDEO_CONTAINERS)}
    with suppress(OSError, ValueError), path.open("rb") as file, av.open(file, "r", options=options) as container:
        for stream in container.streams.video:
            if stream.start_time is not None and stream.time_base is not None and container.start_time is not None:
                first = float(stream.start_time * stream.time_base)
                return round(max(0.0, first - container.start_time / av.time_base), 6)
    return None
