#!/usr/bin/env python3
"""Train models/sample: what `activity predict` uses where nobody has trained a model yet.

The small encoder, because it comes with the project: 2 MB where the default would be 33 MB. Persons of
the test split are not learned from, so `activity evaluate models/sample` gives an honest score.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from activity_cli import NetworkConfig, PrepareConfig, SamplingConfig, SplitConfig, TrainConfig, prepare, train
from activity_cli.cli.bars import TerminalProgress

ROOT = Path(__file__).resolve().parents[1]
SAMPLING = SamplingConfig(frame_size=64)


def main() -> int:
    """Prepares sample_videos/ by person and trains on them."""
    progress = TerminalProgress(quiet=False)
    with TemporaryDirectory() as folder:
        prepared = Path(folder, "prepared")
        split = SplitConfig(group_by=r"person\d+")
        prepare(PrepareConfig(ROOT / "sample_videos", prepared, sampling=SAMPLING, split=split), progress)
        network = NetworkConfig(encoder="small")
        result = train(TrainConfig(prepared, ROOT / "models" / "sample", network=network, overwrite=True), progress)
    print(f"{result.name}: best epoch {result.best_epoch} of {len(result.history)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
