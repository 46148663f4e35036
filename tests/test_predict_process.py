"""predict as a process: what it writes to stdout and stderr, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest


def run(command: list[str], *words: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    arguments = [word if isinstance(word, bytes) else str(word) for word in words]
    return subprocess.run([*command, *arguments], capture_output=True, timeout=60, check=False, **options)


@pytest.fixture
def video(videos: Path) -> Path:
    return videos / "left" / "person1_0.avi"


def on_a_terminal(command: list[str], *words: object, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code, and all that a terminal got."""
    process_id, terminal = pty.fork()
    if process_id == 0:
        os.execve(command[0], [*command, *map(str, words)], {**os.environ, "TERM": "xterm-256color", **(env or {})})
    shown = b""
    try:
        while block := os.read(terminal, 65536):
            shown += block
    except OSError:
        pass  # Linux reports the closed side in this way
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1]), shown.decode()


def test_stdout_has_json_lines_only_and_stderr_nothing(command: list[str], model: Path, videos: Path) -> None:
    result = run(command, "predict", videos / "left", "--model", model)
    assert result.returncode == 0
    assert result.stderr == b""
    answers = [json.loads(line) for line in result.stdout.decode("ascii").splitlines()]
    assert len(answers) == 12
    assert {answer["status"] for answer in answers} == {"ok"}


def test_a_broken_file_is_one_line_on_stderr_without_messages_of_libraries(
    command: list[str], model: Path, video: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.avi"
    cut.write_bytes(video.read_bytes()[:700])
    result = run(command, "predict", cut, video, "--model", model)
    assert result.returncode == 1
    assert [json.loads(line)["status"] for line in result.stdout.splitlines()] == ["error", "ok"]
    (line,) = result.stderr.splitlines()
    assert line.startswith(b"activity: " + bytes(cut) + b": ")


NAMES = [
    b"with space.avi", b"quo'te\".avi", b"line\nbreak.avi", "Stra\u00dfe \u4eba\U0001f3c3.avi".encode(),
    b"undecodable \xff\xfe.avi", b"http:colon.avi", b"100%d.avi", b"[red]markup.avi", b"-dash.avi",
    b"\\back\\slash.avi",
]  # fmt: skip


def test_names_may_hold_anything(command: list[str], model: Path, video: Path, tmp_path: Path) -> None:
    for name in NAMES:
        shutil.copy(os.fsencode(video), os.path.join(os.fsencode(tmp_path), name))  # noqa: PTH118
    result = run(command, "predict", "--model", model, "--", *NAMES, b"mis\nsing.avi", cwd=tmp_path)
    assert result.returncode == 1
    answers = [json.loads(line) for line in result.stdout.decode("ascii").splitlines()]
    # Bytes that are not UTF-8 are escapes, which every reader of JSON accepts.
    shown = [os.fsdecode(name).encode("utf-8", "backslashreplace").decode() for name in (*NAMES, b"mis\nsing.avi")]
    assert [answer["source"] for answer in answers] == shown
    assert [answer["status"] for answer in answers] == [*["ok"] * len(NAMES), "error"]
    assert len({json.dumps(answer["scores"]) for answer in answers[:-1]}) == 1
    (line,) = result.stderr.splitlines()
    assert b"mis\\nsing.avi" in line

    for form in ("csv", "table"):
        result = run(command, "predict", "--model", model, "--format", form, "--", *NAMES, cwd=tmp_path)
        assert result.returncode == 0, (form, result.stderr)
        assert result.stderr == b""
        result.stdout.decode("utf-8")


def test_a_dash_reads_a_video_from_stdin(command: list[str], model: Path, video: Path) -> None:
    result = run(command, "predict", "-", "--model", model, input=video.read_bytes())
    assert result.returncode == 0
    assert result.stderr == b""
    answer = json.loads(result.stdout)
    by_name = json.loads(run(command, "predict", video, "--model", model).stdout)
    assert answer == by_name | {"source": "-"}


def test_the_error_of_a_broken_video_on_stdin_names_stdin(command: list[str], model: Path) -> None:
    for content in (b"", b"not a video"):
        result = run(command, "predict", "-", "--model", model, input=content)
        assert result.returncode == 1
        answer = json.loads(result.stdout)
        assert answer["source"] == "-"
        assert answer["error"]["message"].startswith("stdin: ")
        assert result.stderr.startswith(b"activity: stdin: ")


def test_a_pipe_by_name_is_read_like_stdin(command: list[str], model: Path, video: Path) -> None:
    shell = 'exec "$@" predict <(cat "$VIDEO") "$VIDEO" --model "$MODEL"'
    words = ["bash", "-c", shell, "bash", *command]
    result = run(words, env={**os.environ, "VIDEO": str(video), "MODEL": str(model)})
    assert result.returncode == 0, result.stdout
    piped, named = (json.loads(line) for line in result.stdout.splitlines())
    assert piped["source"].startswith("/dev/fd/")
    assert piped["scores"] == named["scores"]


def test_a_closed_pipe_ends_predict_without_a_message(command: list[str], model: Path, videos: Path) -> None:
    inputs = [videos] * 30
    with subprocess.Popen(
        [*command, "predict", *map(str, inputs), "--model", str(model)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["status"] == "ok"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 141


def test_ctrl_c_ends_predict_without_a_message(command: list[str], model: Path, videos: Path) -> None:
    inputs = [videos] * 200
    with subprocess.Popen(
        [*command, "predict", *map(str, inputs), "--model", str(model)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == b""
    assert all(json.loads(line)["status"] == "ok" for line in rest.splitlines())
    assert len(rest.splitlines()) < len(inputs) * 36 - 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("ends", [False, True])  # the video on stdin: while it is copied, or classified
def test_a_terminated_predict_leaves_no_temporary_folder(
    command: list[str], model: Path, videos: Path, video: Path, tmp_path: Path, number: signal.Signals, ends: bool
) -> None:
    words = [*command, "predict", "-", *[str(videos)] * 200, "--model", str(model)]
    streams: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, env={**os.environ, "TMPDIR": str(tmp_path)}, **streams) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(video.read_bytes())
        process.stdin.flush()
        if ends:
            process.stdin.close()
            assert json.loads(process.stdout.readline())["status"] == "ok"
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob("activity-*/stdin")) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert list(tmp_path.glob("activity-*/stdin"))
        process.send_signal(number)
        process.stdout.read()
        assert process.wait(timeout=30) == 128 + number
        assert process.stderr.read() == b""
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_ctrl_c_does_not_wait_for_a_long_video(command: list[str], model: Path, tmp_path: Path, video: Path) -> None:
    import cv2
    import numpy as np

    long = tmp_path / "long.mpg"
    writer = cv2.VideoWriter(str(long), cv2.VideoWriter.fourcc(*"MPG2"), 25, (4000, 2000))
    for _ in range(4):
        writer.write(np.full((2000, 4000, 3), 90, np.uint8))
    writer.release()
    long.write_bytes(long.read_bytes() * 500)  # half a minute of decoding
    with subprocess.Popen(
        [*command, "predict", str(video), str(long), "--model", str(model)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["status"] == "ok"
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=5)
    assert (process.returncode, rest, errors) == (130, b"", b"")


def test_a_full_disk_behind_stdout_is_one_line(command: list[str], model: Path, video: Path) -> None:
    for form in ("json", "csv", "table"):
        with Path("/dev/full").open("wb") as full:
            result = subprocess.run(
                [*command, "predict", str(video), "--model", str(model), "--format", form],
                stdout=full, stderr=subprocess.PIPE, timeout=60, check=False,
            )  # fmt: skip
        assert result.returncode == 1, form
        (line,) = result.stderr.splitlines()
        assert b"No space left" in line


@pytest.mark.parametrize("closed", ["2>&-", "<&-"])
def test_predict_works_with_a_closed_stdin_or_stderr(command: list[str], model: Path, video: Path, closed: str) -> None:
    words = ["sh", "-c", f'exec "$@" {closed}', "sh", *command, "predict", str(video), "--model", str(model)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "ok"
    assert done.stderr == ""


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", ">&- <&-"])
def test_an_answer_that_cannot_be_written_is_an_error(
    command: list[str], model: Path, video: Path, closed: str
) -> None:
    words = ["sh", "-c", f'exec "$@" {closed}', "sh", *command, "predict", str(video), "--model", str(model)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == (0 if "2>&-" in closed else 1), done.stderr


def test_a_dash_without_a_stdin_is_one_line(command: list[str], model: Path) -> None:
    words = ["sh", "-c", 'exec "$@" <&-', "sh", *command, "predict", "-", "--model", str(model)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "'-' is stdin, which is closed." in line


def test_a_terminal_gets_a_table_with_colors_unless_no_color_is_set(
    command: list[str], model: Path, video: Path
) -> None:
    def colors(text: str) -> list[str]:
        return re.findall(r"\x1b\[[\d;]*3[0-7][\d;]*m", text)

    plain = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    os.environ.pop("NO_COLOR", None)
    code, shown = on_a_terminal(command, "predict", video, "--model", model, env=plain)
    assert code == 0
    assert "confidence" in shown
    assert colors(shown)
    code, shown = on_a_terminal(command, "predict", video, "--model", model, env={"NO_COLOR": "1"})
    assert code == 0
    assert "confidence" in shown
    assert not colors(shown)


@pytest.mark.slow
def test_predict_and_evaluate_never_load_tensorflow(model: Path, video: Path) -> None:
    code = (
        "import sys; from activity_cli.cli.app import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit as end: assert end.code in (0, None), end.code\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'rich.console'}\n"
        "print(*sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    predicted = run([sys.executable, "-c", code], "predict", video, "--model", model)
    assert predicted.stderr.split() == []
    assert json.loads(predicted.stdout)["status"] == "ok"
    evaluated = run([sys.executable, "-c", code], "evaluate", model, "--quiet")
    assert not {b"tensorflow", b"keras"} & set(evaluated.stderr.split())
    json.loads(evaluated.stdout)
