#!/usr/bin/env python3
"""Train models/sample: what `activity predict` uses where nobody has trained a model yet.

With the default settings, so that it shows what a user's own videos would give. Persons of the
test split are not used for training, so `activity evaluate models/sample` gives an honest score.
"""

from __future__ import annotations

import sys
from pathlib import Path

from activity_cli import (
    EvaluateSettings,
    PrepareSettings,
    Split,
    TrainSettings,
    evaluate,
    prepare,
    train,
)
from activity_cli.cli.bars import TerminalProgress

ROOT = Path(__file__).resolve().parents[1]
PREPARED = ROOT / "demo" / "sample"  # not part of the repository
MODEL = ROOT / "models" / "sample"


def main() -> int:
    """Prepares sample_videos/ by person, trains, and prints the score."""
    progress = TerminalProgress(quiet=False)
    split = Split(group_by=r"person\d+")
    prepare(PrepareSettings(ROOT / "sample_videos", PREPARED, split=split, overwrite=True), progress)
    card = (MODEL / "README.md").read_text(encoding="utf-8")
    train(TrainSettings(PREPARED, MODEL, overwrite=True), progress)
    # The folder was replaced as a whole.
    (MODEL / "README.md").write_text(card, encoding="utf-8")
    result = evaluate(EvaluateSettings(MODEL), progress)
    print(f"{result.model}: {result.accuracy:.3f} of {result.num_clips} clips of persons it has never seen")
    return 0


if __name__ == "__main__":
    sys.exit(main())
