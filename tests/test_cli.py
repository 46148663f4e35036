"""The command line itself: help, errors of a call, settings, completion, and a stdout that holds data only."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from activity_cli import PrepareSettings, TrainSettings, __version__
from activity_cli.cli.app import COMMANDS
from activity_cli.cli.settings_file import read_table, table_text
from activity_cli.settings import SETTINGS_OF, build, leaves, plain_values

Activity = Callable[..., Result]
STANDARD_EXIT_CODES = ("0", "2", "130")


def python(code: str, *, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_its_exit_codes(activity: Activity, name: str) -> None:
    result = activity(name, "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.search(rf"^ +activity {name}", result.stdout, re.MULTILINE), "no example on a line of its own"
    (codes,) = re.findall(r"Exit codes: (.*?)\.\n\n", result.stdout, re.DOTALL)
    for code in STANDARD_EXIT_CODES:
        assert re.search(rf"\b{code}\b", codes), code
    assert result.stdout == activity(name, "-h").stdout
    assert "`" not in result.stdout, "settings are written as a user types them"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained_and_there_are_few(activity: Activity, name: str) -> None:
    rows = re.findall(r"^  (-.*)$", activity(name, "--help", terminal_width=200).stdout, re.MULTILINE)
    assert len([row for row in rows if "--help" not in row]) <= 16
    text = activity(name, "--help", terminal_width=400).stdout
    assert not re.findall(r"^  -(?:.(?!  ))+\S$(?!\n   )", text, re.MULTILINE), "an option without a text"


@pytest.mark.parametrize(
    ("name", "headings"),
    [
        ("prepare", ["Arguments", "Input and output", "Clips", "Splits", "Other settings", "Options"]),
        (
            "train",
            ["Arguments", "Input and output", "Network", "Training", "Augmentation", "Other settings", "Options"],
        ),
        ("evaluate", ["Arguments", "Input", "Output", "Other settings", "Options"]),
    ],
)
def test_options_are_in_groups(activity: Activity, name: str, headings: list[str]) -> None:
    assert re.findall(r"^([A-Z].*):$", activity(name, "--help").stdout, re.MULTILINE) == headings


def test_help_shows_choices_and_defaults(activity: Activity) -> None:
    text = activity("train", "--help", terminal_width=400).stdout
    assert "--mode frozen|finetune|joint" in text
    assert "[default: frozen with pretrained weights, or without the appearance stream, else joint]" in text
    assert "[default: 0]" in text
    assert re.search("^  --flip / --no-flip .*default: --flip", text, re.MULTILINE)
    assert "efficientnet_lite0, small, mobilenet_v2" in text


def test_the_main_help_lists_every_command_as_its_own_help_begins(activity: Activity) -> None:
    result = activity("--help")
    assert result.exit_code == 0
    for name, summary in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary)}$", result.stdout, re.MULTILINE)
        assert summary in activity(name, "--help").stdout.splitlines()[2]


def test_without_arguments_there_is_help_on_stderr(activity: Activity) -> None:
    result = activity()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "activity prepare videos/" in result.stderr


def test_the_version_is_one_line(activity: Activity) -> None:
    for option in ("--version", "-V"):
        result = activity(option)
        assert (result.exit_code, result.stdout, result.stderr) == (0, f"activity {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("no-such-command", "No such command 'no-such-command'. See 'activity --help'."),
        ("prepar videos", "No such command 'prepar'. Did you mean 'prepare'? See 'activity --help'."),
        ("predict", "Missing argument 'INPUT'. See 'activity predict --help'."),
        ("predict clip.mp4 --no-such", "No such option: --no-such. See 'activity predict --help'."),
        (
            "predict clip.mp4 --format xml",
            "--format cannot be 'xml'. Allowed: auto, table, json, jsonl, csv, boris, srt, vtt, eaf, textgrid.",
        ),
        (
            "predict clip.mp4 --format=",
            "--format cannot be ''. Allowed: auto, table, json, jsonl, csv, boris, srt, vtt, eaf, textgrid.",
        ),
        ("evaluate --format jsonl", "--format cannot be 'jsonl'. Allowed: auto, table, json."),
        ("predict clip.mp4 --model", "Option '--model' requires an argument."),
        ("train --epochs 3", "--epochs is not an option. Type --set epochs=VALUE."),
        ("evaluate --split holdout", "--split cannot be 'holdout'. Allowed: train, val, test, all."),
        ("export --format caffe", "--format cannot be 'caffe'. Allowed: litert, saved_model, onnx."),
        ("train --encoder resnet", "--encoder cannot be 'resnet'. Allowed: efficientnet_lite0, small,"),
        ("train --seed -1", "--seed cannot be -1. Allowed: 0 to 4294967295."),
        ("prepare videos --num-frames 0", "--num-frames cannot be 0. Allowed: 1 to 512."),
        ("prepare videos --num-frames many", "--num-frames cannot be 'many'. Allowed: whole numbers, 1 to 512."),
        ("prepare videos --out=", "--out cannot be ''. The value is empty. If it comes from a shell"),
        ("prepare videos --set num_frames=0", "--set num_frames cannot be 0. Allowed: 1 to 512."),
        ("prepare videos --set num_frames", "--set num_frames has no value. Use --set num_frames=VALUE."),
        ("prepare videos --set fps=3", "--set fps=3: 'fps' is not a setting. Known names: out, labels,"),
        ("prepare videos --set frame=3", "--set frame=3: 'frame' is not a setting. Did you mean 'num_frames'?"),
        ("prepare videos --set videos=a", "--set videos=a: 'videos' is not a setting."),
        ("train --set learning_rate=nan", "--set learning_rate cannot be nan. Allowed: more than 0, up to 1."),
        ("train --set gray=yes", "--set gray cannot be 'yes'. Allowed: true or false."),
        (
            "prepare videos --stride-seconds 2",
            "--stride-seconds cannot be 2: it needs --window-seconds. Remove --stride-seconds, or change the setting",
        ),
        (
            "prepare videos --frames-per-second 2 --set clips_per_video=3",
            "--frames-per-second cannot be 2: --set clips_per_video=3 samples frames from the whole video.",
        ),
        ("settings trian", "There are no settings for 'trian'. Did you mean 'train'?"),
        ("settings train --model nowhere", "nowhere/bundle.json cannot be read: no such file or directory."),
    ],
)
def test_a_wrong_call_is_one_line_that_names_what_the_user_typed(
    activity: Activity, words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = activity(*words.split())
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"activity: {message}")
    assert not list(tmp_path.iterdir())


def test_an_error_of_the_demo_names_its_option(activity: Activity, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = activity("demo", "--out", tmp_path / "file")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith(" Choose another path with --out.\n")


def test_an_option_goes_before_set_and_set_before_the_file(
    prepare: Activity, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text(
        "[prepare]\nseed = 7\nval_fraction = 0.3\ntest_fraction = 0.4\nnum_frames = 3\n[train]\nepochs = 1\n"
    )
    words = ("--settings", "my.toml", "--set", "val_fraction=0.1", "--set", "seed=8", "--set", "val_fraction=0.25")
    assert prepare(few, *words, "--seed", 9).exit_code == 0  # the fixture types --num-frames 6
    settings = json.loads((tmp_path / "out" / "config.json").read_text())["settings"]
    expected = {"val_fraction": 0.25, "test_fraction": 0.4, "seed": 9, "num_frames": 6}
    assert {name: settings[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[prepare]\nseed = -1", "my.toml, [prepare] seed cannot be -1. Allowed: 0 to 4294967295."),
        ("[prepare]\nseed = '1'", "my.toml, [prepare] seed cannot be '1'. Allowed: whole numbers, 0 to 4294967295."),
        ("[prepare]\nsed = 1", "my.toml, [prepare]: 'sed' is not a setting. Did you mean 'seed'?"),
        ("[prepair]\nseed = 1", "my.toml: there is no command [prepair] with settings. Did you mean 'prepare'?"),
        ("seed = 1", "my.toml: 'seed' is not below a heading in brackets. Move it below [prepare]."),
        ("[train]\nseed = 1", "my.toml has no heading [prepare]. 'activity settings prepare' prints one."),
        ("[prepare]\nseed =", "my.toml is not TOML: Invalid value (at end of document). 'activity settings prepare'"),
        (
            "[prepare]\nstride_seconds = 2.0",
            "my.toml, [prepare] stride_seconds cannot be 2: it needs --window-seconds.",
        ),
        (None, "my.toml cannot be read: no such file or directory. Check the path."),
    ],
)
def test_an_error_in_a_settings_file_names_the_file(
    activity: Activity, text: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("my.toml").write_text(text)
    result = activity("prepare", "videos", "--settings", "my.toml")
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"activity: {message}")


# What a settings file has to write in a way of its own: texts with quotes and controls, lists, numbers, switches.
UNUSUAL: dict[str, dict[str, object]] = {
    "prepare": {
        "group_by": 'person\\d+ "é" \t\x7f\n#',
        "frames_per_second": 12.5,
        "overwrite": True,
        "val_fraction": 1e-5,
    },
    "train": {"no_flip_label": ["a, b", "c]"], "epochs": 3, "streams": ["appearance", "pose"], "mode": "joint"},
    "evaluate": {"data": "a folder/b", "split": "all"},
    "predict": {"model": "models/é"},
    "export": {"format": "onnx", "out": "'out'"},
    "convert": {"format": "eaf", "event_seconds": 0.5, "until_next": True, "gaps_are": "=rest"},
    "summarize": {"bin_seconds": 0.1, "groups": "a b.csv"},
}
ARGUMENTS: dict[str, dict[str, object]] = {
    "prepare": {"videos": "v"},
    "predict": {"inputs": ["a"]},
    "convert": {"labels": "a", "out": "b"},
    "summarize": {"labels": ["a"]},
}


@pytest.mark.parametrize("command", SETTINGS_OF)
def test_a_settings_file_read_back_gives_equal_settings(activity: Activity, command: str, tmp_path: Path) -> None:
    printed = activity("settings", command).stdout
    file = tmp_path / "settings.toml"
    cls, needed = SETTINGS_OF[command], ARGUMENTS.get(command, {})
    settable = {leaf.name: leaf for leaf in leaves(cls) if not leaf.setting.argument}
    assert set(re.findall(r"^(?:# )?(\w+) =", printed, re.MULTILINE)) == set(settable)
    for values in ({}, UNUSUAL[command]):
        file.write_text(table_text(command, values) if values else printed, encoding="utf-8")
        read = read_table(file, command, settable)
        assert build(cls, needed | read) == build(cls, needed | values)
    assert len(max(printed.splitlines(), key=len)) <= 100


def test_all_tables_stand_in_one_file(activity: Activity) -> None:
    assert list(tomllib.loads(activity("settings").stdout)) == list(SETTINGS_OF)


def test_the_settings_of_a_model_are_printed_as_a_file(activity: Activity, tmp_path: Path) -> None:
    stored = {
        "prepare": plain_values(build(PrepareSettings, {"videos": "v", "num_frames": 9}), stored_only=True),
        "train": plain_values(build(TrainSettings, {"encoder": "small"}), stored_only=True),
    }
    (tmp_path / "bundle.json").write_text(json.dumps({"settings": stored}))
    result = activity("settings", "--model", tmp_path)
    assert result.exit_code == 0, result.stderr
    expected = {
        name: {key: value for key, value in values.items() if value is not None} for name, values in stored.items()
    }
    assert tomllib.loads(result.stdout) == expected
    assert "# epochs =\n" in result.stdout
    assert activity("settings", "train", "--model", tmp_path).stdout in result.stdout
    assert activity("settings", "evaluate", "--model", tmp_path).exit_code == 2


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "has no settings. Train the model again."),
        ('{"settings": {"train": {}}}', "has no settings. Train the model again."),
        (
            '{"settings": {"prepare": {}, "train": {"unit": 3}}}',
            "has settings of train that this version does not know: unit.",
        ),
    ],
)
def test_a_model_without_settings_is_an_error(activity: Activity, document: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text(document)
    result = activity("settings", "--model", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"bundle.json {message}" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["settings"]])
def test_a_full_disk_is_one_line(command: list[str], words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*command, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert (result.returncode, result.stderr) == (1, "activity: the output: No space left on device.\n")


def test_the_package_can_be_run_as_a_module(command: list[str]) -> None:
    result = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (0, f"activity {__version__}\n")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["pre"], ["predict", "prepare"]),
        (["train", "--mode", ""], ["finetune", "frozen", "joint"]),
        (["train", "--set", "enc"], ["encoder=", "encoder_learning_rate="]),
        (
            ["train", "--set", "encoder", "=", "mobilenet_v3"],
            ["mobilenet_v3_large", "mobilenet_v3_small"],
        ),  # as Bash splits
        (["train", "--set", "flip", "="], ["false", "true"]),
        (["train", "data", "--set", "epochs", "="], []),
        (["predict", "--format", "js"], ["json", "jsonl"]),
        (["settings", "e"], ["evaluate", "export"]),
    ],
)
def test_bash_completes_commands_settings_and_their_values(
    command: list[str], typed: list[str], offered: list[str]
) -> None:
    words = {"COMP_WORDS": "\n".join(["activity", *typed]), "COMP_CWORD": str(len(typed))}
    environment = os.environ | words | {"_ACTIVITY_COMPLETE": "complete_bash"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (sorted(result.stdout.split()), result.stderr) == (offered, "")


def test_zsh_completes_the_values_of_a_setting(command: list[str]) -> None:
    environment = os.environ | {
        "_ACTIVITY_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": "activity train --set mode=f",
    }
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert re.findall(r'"(.*)"', result.stdout) == ["mode=frozen", "mode=finetune"]


def test_debug_shows_where_an_error_comes_from(activity: Activity, tmp_path: Path) -> None:
    words = ("prepare", tmp_path / "nothing", "--out", tmp_path / "out")
    assert "Traceback" not in activity(*words).stderr
    shown = activity(*words, "--debug")
    assert shown.exit_code == 2
    assert "Traceback" in shown.stderr
    assert "/labels/" in shown.stderr


def test_native_output_goes_to_stderr() -> None:
    code = (
        "import os\nfrom activity_cli.quiet import stdout_for_data_only\nprint('before')\n"
        "stdout_for_data_only()\nos.write(1, b'native ')\nprint('data')\nos.write(1, b'more')"
    )
    result = python(code)
    assert (result.stdout, result.stderr) == ("before\ndata\n", "native more")


def test_silencing_drops_only_the_output_of_its_block() -> None:
    result = python(
        "import os, sys\nfrom activity_cli.quiet import native_output_silenced, own_process\n"
        "sys.stdout.write('before ')\n"
        "try:\n"
        "    with own_process(), native_output_silenced():\n"
        "        os.write(1, b'lost'); os.write(2, b'lost'); print('lost')\n"
        "        raise KeyError('kept')\n"
        "except KeyError as error: print('after', error)\n"
        "print('error', file=sys.stderr)\n"
    )
    assert (result.stdout, result.stderr) == ("before after 'kept'\n", "error\n")


def test_silencing_leaks_no_file_descriptor() -> None:
    result = python(
        "import os\nfrom activity_cli.quiet import native_output_silenced, own_process\n"
        "count = lambda: len(os.listdir('/proc/self/fd'))\n"
        "before = count()\n"
        "for _ in range(50):\n    with own_process(), native_output_silenced(): pass\n"
        "print(count() - before)"
    )
    assert result.stdout == "0\n"


def test_a_program_that_uses_the_library_keeps_its_descriptors() -> None:
    result = python(
        "import os\nfrom activity_cli.quiet import native_output_silenced, own_process\n"
        "with own_process(): pass\n"
        "with native_output_silenced(): os.write(1, b'out'); os.write(2, b'error')\n"
    )
    assert (result.stdout, result.stderr) == ("out", "error")
