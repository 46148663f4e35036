"""What importing and each command may load; import-linter (``make lint``) holds which package may import which."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import activity_cli
from activity_cli.cli.app import COMMANDS


@pytest.mark.parametrize("name", activity_cli.__all__)
def test_every_public_name_resolves_and_has_a_docstring(name: str) -> None:
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


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"numpy", "cv2", "tensorflow", "keras", "sklearn", "rich", "typer", "ai_edge_litert", "tqdm"}
    assert loaded_by("import activity_cli") & heavy == set()


def test_a_list_of_encoders_loads_nothing_heavy() -> None:
    loaded = loaded_by("from activity_cli.settings.encoders import ENCODER_SPECS\nassert len(ENCODER_SPECS) > 5")
    assert loaded & {"numpy", "cv2", "tensorflow", "keras", "h5py"} == set()


_CALL = """
import sys
from activity_cli.cli.app import app
try:
    app(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
"""
HEAVY = {"numpy", "cv2", "tensorflow", "keras", "sklearn", "matplotlib", "ai_edge_litert", "tqdm", "rich"}


def test_the_main_help_imports_no_command_and_nothing_heavy() -> None:
    loaded = loaded_by(_CALL, "--help")
    assert loaded & (HEAVY | {"msgspec"}) == set()
    assert "typer" in loaded


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_imports_nothing_heavy(name: str) -> None:
    assert loaded_by(_CALL, name, "--help") & HEAVY == set()


def test_preparing_never_loads_tensorflow(few: Path, tmp_path: Path) -> None:
    loaded = loaded_by(_CALL, "prepare", few, "--out", tmp_path / "prepared", "--set", "workers=1")
    assert loaded & {"tensorflow", "keras", "sklearn", "ai_edge_litert"} == set()


@pytest.mark.parametrize("others", [[], [("motion",), ("pose", "hands")]])
def test_predicting_loads_neither_tensorflow_nor_scikit_learn(
    videos: Path, tmp_path: Path, others: list[tuple[str, ...]]
) -> None:
    from bundle_support import random_bundle, random_network

    model = random_bundle(tmp_path / "model", random_network(), others=others)
    loaded = loaded_by(_CALL, "predict", videos / "up" / "person0_1.avi", "--model", model)
    assert loaded & {"tensorflow", "keras", "sklearn", "scipy", "matplotlib", "pandas", "mediapipe"} == set()
    assert "ai_edge_litert" in loaded
