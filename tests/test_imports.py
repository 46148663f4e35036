"""What importing and each command may load; import-linter (``make lint``) holds which package may import which."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import activity_cli


@pytest.mark.parametrize("name", activity_cli.__all__)
def test_every_public_name_resolves_and_explains_itself(name: str) -> None:
    value = getattr(activity_cli, name)
    assert not isinstance(value, ModuleType)
    assert name == "__version__" or (value.__doc__ or "").strip(), f"{name} has no docstring"
    assert name in dir(activity_cli)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'recognizer_of_mine'"):
        _ = activity_cli.recognizer_of_mine


def loaded_by(code: str, *words: object) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after running ``code``."""
    code += "\nimport sys, json\nsys.__stderr__.write(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_importing_the_package_costs_nothing() -> None:
    heavy = {"numpy", "cv2", "tensorflow", "keras", "sklearn", "rich", "typer", "ai_edge_litert", "tqdm"}
    assert loaded_by("import activity_cli") & heavy == set()


def test_a_list_of_encoders_costs_nothing() -> None:
    loaded = loaded_by("from activity_cli.settings.encoders import encoder_rows\nassert len(encoder_rows()) > 5")
    assert loaded & {"numpy", "cv2", "tensorflow", "keras", "h5py"} == set()


_HELP = """
from activity_cli.cli.app import app
for words in [], *([name] for name in "prepare train evaluate predict export demo".split()):
    try:
        app([*words, "--help"])
    except SystemExit as stop:
        assert not stop.code
"""


def test_help_loads_nothing_heavy() -> None:
    loaded = loaded_by(_HELP)
    assert loaded & {"numpy", "cv2", "tensorflow", "keras", "sklearn", "ai_edge_litert", "tqdm"} == set()
    assert "typer" in loaded


_PREDICT = """
import sys
from activity_cli.cli.app import app
try:
    app(["predict", sys.argv[1], "--model", sys.argv[2]])
except SystemExit as stop:
    assert not stop.code, stop.code
"""


def test_predicting_never_loads_tensorflow(model: Path, videos: Path) -> None:
    loaded = loaded_by(_PREDICT, videos / "up" / "person0_0.avi", model)
    assert loaded & {"tensorflow", "keras", "sklearn", "tqdm"} <= {"tqdm"}
    assert {"cv2", "ai_edge_litert"} <= loaded


def test_preparing_never_loads_tensorflow(videos: Path, tmp_path: Path) -> None:
    code = _PREDICT.replace('"predict", sys.argv[1], "--model"', '"prepare", sys.argv[1], "--workers", "1", "--out"')
    loaded = loaded_by(code, videos, tmp_path / "prepared")
    assert loaded & {"tensorflow", "keras", "sklearn", "ai_edge_litert"} == set()
