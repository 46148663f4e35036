"""Decoding in worker processes, from a script as people write it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path
from activity_cli import PrepareSettings, prepare

print("begins")
result = prepare(PrepareSettings(Path(sys.argv[1]), Path(sys.argv[2]), workers=2))
print("decoded", result.decoded)
"""


def test_a_script_needs_no_guard_and_runs_once(videos: Path, tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT)
    words = [sys.executable, str(script), str(videos), str(tmp_path / "prepared")]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.split("\n") == ["begins", "decoded 36", ""]
