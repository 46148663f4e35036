"""What people write instead of ``activity prepare``: one script, one reader each, run by benchmarks/prepare.py.

Reads a JSON list of [video, clip to write] from stdin; decodes in as many processes as are asked for.

    python benchmarks/prepare_peers.py READER PROCESSES < jobs.json
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from typing import Any

NUM_FRAMES, SIZE = 16, 224


def wanted(count: int) -> list[int]:
    if count <= NUM_FRAMES:
        return list(range(count))
    return [(2 * part + 1) * count // (2 * NUM_FRAMES) for part in range(NUM_FRAMES)]


def fit(frame: Any) -> Any:
    import cv2

    return cv2.resize(frame, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def opencv_seek(video: str) -> list[Any]:
    """The loop of most tutorials: set the position, read, again."""
    import cv2

    capture = cv2.VideoCapture(video)
    frames = []
    for index in wanted(int(capture.get(cv2.CAP_PROP_FRAME_COUNT))):
        capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        ok, frame = capture.read()
        if ok:
            frames.append(cv2.cvtColor(fit(frame), cv2.COLOR_BGR2RGB))
    return frames


def pyav(video: str) -> list[Any]:
    """Decodes to the end, converts the wanted frames; one thread, as there is a process for each core."""
    import av

    with av.open(video) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        places = set(wanted(stream.frames))
        return [
            fit(frame.to_ndarray(format="rgb24"))
            for index, frame in enumerate(container.decode(stream))
            if index in places
        ]


def torchcodec(video: str, mode: str = "exact") -> list[Any]:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(video, dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode=mode)
    batch = decoder.get_frames_at(wanted(len(decoder)))
    return [fit(frame) for frame in batch.data.numpy()]


def torchcodec_approximate(video: str) -> list[Any]:
    return torchcodec(video, "approximate")


READERS: dict[str, Callable[[str], list[Any]]] = {
    "opencv_seek": opencv_seek,
    "pyav": pyav,
    "torchcodec": torchcodec,
    "torchcodec_approximate": torchcodec_approximate,
}


def work(task: tuple[str, str, str]) -> None:
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    reader, video, clip = task
    np.save(clip, np.stack(READERS[reader](video)))


def null(task: tuple[str, str, str]) -> None:
    """The limit: the decoder alone, nothing kept. ``reader`` is the ffmpeg to run."""
    command = [task[0], "-loglevel", "error", "-threads", "1", "-i", task[1], "-f", "null", "-"]
    subprocess.run(command, check=True)


def main() -> None:
    reader, processes = sys.argv[1], int(sys.argv[2])
    tasks = [(reader, video, clip) for video, clip in json.load(sys.stdin)]
    with multiprocessing.get_context("spawn").Pool(min(processes, len(tasks))) as pool:
        pool.map(work if reader in READERS else null, tasks, chunksize=1)


if __name__ == "__main__":
    main()
