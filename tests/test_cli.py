"""The command line itself: help, version, usage errors, and a stdout that holds data only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from activity_cli import __version__

Activity = Callable[..., Result]
COMMANDS = ("prepare", "train", "evaluate", "predict", "export", "demo")
STANDARD_EXIT_CODES = ("0", "2", "130")


def python(code: str, *, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_its_exit_codes(activity: Activity, name: str) -> None:
    result = activity(name, "--help", env={"COLUMNS": "100"})
    assert result.exit_code == 0
    assert result.stderr == ""
    assert re.search(rf"^\W*activity {name}", result.stdout, re.MULTILINE), "no example on a line of its own"
    (codes,) = re.findall(r"Exit codes: (.*?)\.(?:\s|$)", result.stdout.replace("│", " "), re.DOTALL)
    for code in STANDARD_EXIT_CODES:
        assert re.search(rf"\b{code}\b", codes), code
    assert result.stdout == activity(name, "-h", env={"COLUMNS": "100"}).stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(activity: Activity, name: str) -> None:
    import typer.main

    from activity_cli.cli.app import app

    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    for parameter in command.params:
        assert getattr(parameter, "help", None), parameter.name


def test_the_main_help_lists_every_command(activity: Activity) -> None:
    result = activity("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert re.search(rf"^\W*{name} ", result.stdout, re.MULTILINE)


def test_without_arguments_there_is_help(activity: Activity) -> None:
    result = activity()
    assert "activity prepare videos/" in result.stdout + result.stderr
    assert result.exit_code in (0, 2)


def test_the_version_is_one_line(activity: Activity) -> None:
    result = activity("--version")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"activity {__version__}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["no-such-command"],
        ["predict"],
        ["predict", "clip.mp4", "--no-such-option"],
        ["predict", "clip.mp4", "--format", "xml"],
        ["evaluate", "--split", "holdout"],
        ["export", "--format", "caffe"],
        ["train", "--encoder", "resnet"],
        ["train", "--epochs", "many"],
        ["train", "--epochs", "0"],
        ["train", "--dropout", "1"],
        ["train", "--seed", "-1"],
        ["train", "--batch-size", "0"],
        ["train", "--units", "0"],
        ["train", "--learning-rate", "nan"],
        ["prepare", "videos", "--num-frames", "0"],
    ],
)
def test_a_wrong_call_exits_with_2_and_says_why_on_stderr(
    activity: Activity, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = activity(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_the_package_can_be_run_as_a_module(command: list[str]) -> None:
    result = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (0, f"activity {__version__}\n")


def test_shell_completion_can_be_installed_and_shown(activity: Activity) -> None:
    assert "--install-completion" in activity("--help").stdout
    environment = {**os.environ, "_ACTIVITY_COMPLETE": "complete_bash", "COMP_WORDS": "activity pre", "COMP_CWORD": "1"}
    code = "from activity_cli.cli.app import app; app(prog_name='activity')"
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert sorted(result.stdout.split()) == ["predict", "prepare"]


def test_help_loads_no_heavy_library() -> None:
    result = python(
        "import sys\nfrom activity_cli.cli.app import app\n"
        "try: app(['predict', '--help'])\nexcept SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'cv2', 'numpy', 'sklearn', 'ai_edge_litert', 'tqdm'}\n"
        "print('loaded', sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    assert result.stderr == "loaded []\n"


def test_debug_shows_where_an_error_comes_from(activity: Activity, tmp_path: Path) -> None:
    words = ("evaluate", tmp_path / "nothing")
    assert "Traceback" not in activity(*words).stderr
    shown = activity(*words, "--debug")
    assert shown.exit_code == 2
    assert "Traceback" in shown.stderr
    assert "read_bundle" in shown.stderr


def test_a_native_print_to_stdout_ends_up_on_stderr() -> None:
    code = (
        "import os\nfrom activity_cli.quiet import stdout_for_data_only\nprint('before')\n"
        "stdout_for_data_only()\nos.write(1, b'chatter ')\nprint('data')\nos.write(1, b'more')"
    )
    result = python(code)
    assert (result.stdout, result.stderr) == ("before\ndata\n", "chatter more")


def test_silenced_output_is_lost_and_what_comes_before_and_after_is_not() -> None:
    result = python(
        "import os, sys\nfrom activity_cli.quiet import native_output_silenced\n"
        "sys.stdout.write('before ')\n"
        "try:\n"
        "    with native_output_silenced():\n"
        "        os.write(1, b'lost'); os.write(2, b'lost'); print('lost')\n"
        "        raise KeyError('kept')\n"
        "except KeyError as error: print('after', error)\n"
        "print('told', file=sys.stderr)\n"
    )
    assert (result.stdout, result.stderr) == ("before after 'kept'\n", "told\n")


def test_silencing_leaks_no_file_descriptor() -> None:
    result = python(
        "import os\nfrom activity_cli.quiet import native_output_silenced\n"
        "count = lambda: len(os.listdir('/proc/self/fd'))\n"
        "before = count()\n"
        "for _ in range(50):\n    with native_output_silenced(): pass\n"
        "print(count() - before)"
    )
    assert result.stdout == "0\n"
