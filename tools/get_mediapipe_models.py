#!/usr/bin/env python3
"""Get the files in activity_cli/streams/models/ again from the package mediapipe, which carries them.

    python tools/get_mediapipe_models.py            # downloads the package with pip
    python tools/get_mediapipe_models.py WHEEL

Writes a file only if its SHA-256 is the known one.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from activity_cli.files import write_bytes
from activity_cli.streams.model_files import MODEL_FILES

PACKAGE = "mediapipe==0.10.21"
# The last version of Python that this version of the package has a wheel for.
PYTHON = "3.12"
MODULES = {
    "pose_detection": "mediapipe/modules/pose_detection",
    "pose_landmark_full": "mediapipe/modules/pose_landmark",
    "hand_landmark_full": "mediapipe/modules/hand_landmark",
}
OUT = Path(__file__).resolve().parents[1] / "activity_cli" / "streams" / "models"


def download(folder: Path) -> Path:
    """Downloads the wheel into a folder."""
    options = ["--no-deps", "--only-binary=:all:", "--python-version", PYTHON, "--dest", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *options, PACKAGE], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def extract(wheel: Path) -> None:
    """Writes the three files of a wheel.

    Raises:
        ValueError: A file in the wheel has another SHA-256.
    """
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(f"{folder}/{name}.tflite") for name, folder in MODULES.items()}
    for name, content in contents.items():
        if (found := hashlib.sha256(content).hexdigest()) != MODEL_FILES[name]:
            raise ValueError(f"{name}.tflite in {wheel.name} has the SHA-256 {found}, not {MODEL_FILES[name]}.")
    OUT.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_bytes(OUT / f"{name}.tflite", content)
        print(f"{OUT / name}.tflite: {len(content):,} bytes")


def main() -> int:
    """Extracts the wheel that the caller names, or downloads it first."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            extract(Path(sys.argv[1]) if len(sys.argv) > 1 else download(Path(folder)))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
