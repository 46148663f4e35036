"""Which room may use which: the imports of every module, read without running it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import activity_cli

ROOT = Path(activity_cli.__file__).parent
MAX_LINES = 300

BASE = {"errors", "results", "progress", "config", "files", "quiet", "_version"}
VERBS = {"preparation", "training", "evaluation", "prediction", "exporting", "bundling"}
ROOMS = BASE | {"video", "dataset", "model", "runtime", "reports", "metrics", "baselines"}
DOORS: dict[str, set[str]] = {
    "errors": set(),
    "results": set(),
    "progress": set(),
    "_version": set(),
    "config": {"errors"},
    "files": {"errors"},
    "quiet": {"errors"},
    "video": BASE,
    "model": BASE,
    "runtime": BASE,
    "reports": BASE,
    "metrics": BASE,
    "baselines": BASE | {"metrics"},
    "dataset": BASE | {"video"},
    "bundling": ROOMS,
    "preparation": ROOMS,
    "evaluation": ROOMS | {"prediction"},  # judges with what predicts
    "prediction": ROOMS,
    "learning": ROOMS,
    "training": ROOMS | {"bundling", "learning"},
    "exporting": ROOMS | {"bundling"},
    "cli": ROOMS | VERBS,
    "__init__": BASE | VERBS,
    "__main__": {"cli"},
}
# A place that ends with a slash is a folder.
THIRD_PARTY: dict[str, tuple[str, ...]] = {
    "cv2": ("video/opening.py", "reports/"),
    "tensorflow": (
        *("model/", "dataset/arrays.py", "dataset/augmentation.py", "dataset/batches.py"),
        *("training.py", "learning/", "exporting.py"),
    ),
    "keras": ("model/", "training.py", "learning/", "exporting.py"),
    "typer": ("cli/",),
    "rich": ("cli/", "reports/console.py", "reports/terminal.py"),
    "tqdm": ("cli/bars.py",),
    "sklearn": ("baselines.py",),
    "ai_edge_litert": ("runtime/",),
    "onnx": ("exporting.py",),
    "tf2onnx": ("exporting.py",),
    "numpy": (
        *("video/", "dataset/", "model/", "learning/", "runtime/", "reports/", "metrics.py", "baselines.py"),
        *(f"{verb}.py" for verb in sorted(VERBS)),
    ),
}


def modules() -> dict[str, str]:
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py")}


def imports_of(place: str, source: str) -> Iterator[str]:
    """Dotted names of all that a module imports, also in functions and for type checking only."""
    package = ["activity_cli", *place.split("/")[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*above, *([node.module] if node.module else [])])
            # ``from activity_cli import training`` names a module as ``from activity_cli.x import y`` does.
            yield from (f"{name}.{alias.name}" if name == "activity_cli" else name for alias in node.names)
        elif isinstance(node, ast.Name | ast.Attribute):
            called = node.id if isinstance(node, ast.Name) else node.attr
            if called in ("import_module", "__import__"):
                yield "a computed name"


def room_of(place: str) -> str:
    return place.split("/")[0].removesuffix(".py")


def wrong_imports(place: str, source: str) -> list[str]:
    """What a module imports and may not."""
    room, wrong = room_of(place), []
    for name in imports_of(place, source):
        first, _, rest = name.partition(".")
        if name == "a computed name":
            allowed = place == "__init__.py"
        elif first == "activity_cli":
            other = rest.split(".")[0]
            allowed = other in DOORS[room] | {room} or (other in ("__version__", "") and room == "cli")
        elif first in sys.stdlib_module_names:
            allowed = True
        else:
            allowed = place.startswith(THIRD_PARTY.get(first, ()))
        if not allowed:
            wrong.append(f"{place} imports {name}")
    return wrong


@pytest.mark.parametrize("place", sorted(modules()))
def test_a_module_imports_only_what_its_room_may(place: str) -> None:
    assert room_of(place) in DOORS, f"{place} is in a room that has no rule: add one to DOORS"
    assert wrong_imports(place, modules()[place]) == []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("errors.py", "from activity_cli.config import SPLITS"),
        ("config.py", "import numpy"),
        ("config.py", "from activity_cli.files import write_text"),
        ("video/reader.py", "from activity_cli.dataset.clips import ClipStore"),
        ("video/sampling.py", "import cv2"),
        ("model/network.py", "from ..dataset import clips"),
        ("dataset/clips.py", "def f():\n    import tensorflow as tf"),
        ("dataset/clips.py", "if TYPE_CHECKING:\n    from activity_cli.model.bundle import Bundle"),
        ("dataset/clips.py", "from activity_cli import training"),
        ("metrics.py", "from activity_cli.baselines import score_baselines"),
        ("prediction.py", "import keras.ops"),
        ("prediction.py", "from activity_cli.training import train"),
        ("bundling.py", "import tensorflow"),
        ("reports/text.py", "from rich.text import Text"),
        ("training.py", "from activity_cli.cli.bars import TerminalProgress"),
        ("training.py", "import tqdm"),
        ("cli/predict.py", "import numpy as np"),
        ("cli/predict.py", "import requests"),
        ("preparation.py", "import importlib\nimportlib.import_module('tensorflow')"),
    ],
)
def test_a_forbidden_import_is_noticed(place: str, source: str) -> None:
    assert len(wrong_imports(place, source)) == 1


def test_every_rule_is_about_a_room_that_exists() -> None:
    assert {room_of(place) for place in modules()} == set(DOORS)
    places = modules()
    for package, allowed in THIRD_PARTY.items():
        for place in allowed:
            assert any(name.startswith(place) for name in places), (package, place)


def test_every_file_can_be_read_in_one_sitting() -> None:
    lengths = {place: source.count("\n") for place, source in modules().items()}
    assert {place: lines for place, lines in lengths.items() if lines >= MAX_LINES} == {}


def test_no_module_has_the_name_of_an_exported_function() -> None:
    # The attribute ``activity_cli.train`` would be the module or the function, whichever came last.
    stems = {Path(place).stem for place in modules() if "/" not in place} | {room_of(place) for place in modules()}
    assert stems & set(activity_cli.__all__) == set()


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
    loaded = loaded_by("from activity_cli.model.encoder_table import encoder_rows\nassert len(encoder_rows()) > 5")
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
