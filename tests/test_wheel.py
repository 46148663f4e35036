"""The wheel holds all that the command needs: it is built, installed beside the packages already there, and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from activity_cli.streams.model_files import MODEL_FILES

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.slow


def run(*words: object, **options: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=300, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the scripts of an environment that has the wheel, and sees the packages of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "venv"
    venv.create(environment, with_pip=False)
    (packages,) = environment.glob("[Ll]ib/**/site-packages")
    # A line of a .pth file adds a folder, but not what the .pth files in it add, such as this checkout.
    (packages / "seen.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    run(
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--no-index"),
        *("--target", packages, wheel),
    )
    return environment / ("Scripts" if os.name == "nt" else "bin")


def test_the_installed_command_answers_from_another_folder(installed: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    python = next(installed.glob("python*"))
    where = run(python, "-c", "import activity_cli; print(activity_cli.__file__)", cwd=tmp_path, env=environment)
    assert installed.parent in Path(where.strip()).parents
    clip = next((ROOT / "sample_videos" / "wave").glob("person01_*.mp4"))
    answer = json.loads(run(python, "-m", "activity_cli", "predict", clip, cwd=tmp_path, env=environment))
    assert (answer["status"], answer["label"]) == ("ok", "wave")


def test_the_wheel_has_types_templates_and_sample_videos(installed: Path) -> None:
    (package,) = installed.parent.glob("[Ll]ib/**/site-packages/activity_cli")
    assert (package / "py.typed").is_file()
    assert list(package.glob("reports/templates/*.html"))
    models = package / "streams" / "models"
    assert {path.stem for path in models.glob("*.tflite")} == set(MODEL_FILES)
    assert (models / "LICENSE").is_file()
    assert (models / "MODEL_CARD.md").is_file()
    assert (package / "models" / "sample" / "bundle.json").is_file()
    assert len(list(package.glob("sample_videos/*/*.mp4"))) > 50
