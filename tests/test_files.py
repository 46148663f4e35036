"""Files that are whole or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from activity_cli.errors import OutputError
from activity_cli.files import (
    ASIDE_MARK,
    VIDEO_CONTAINERS,
    VIDEO_SUFFIXES,
    atomic_folder,
    atomic_write,
    folder_lock,
    is_empty,
    path_lock,
    remove_stale,
    remove_stale_files,
    sha256_of,
    translate_os_error,
    write_bytes,
    write_text,
)
from data_support import no_privileges


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_written_file_holds_what_was_written_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a.bin", b"\0one")
    write_text(tmp_path / "b.txt", "zwei ü \udcff\n")
    assert (tmp_path / "a.bin").read_bytes() == b"\0one"
    assert (tmp_path / "b.txt").read_bytes() == b"zwei \xc3\xbc \xff\n"
    assert names_in(tmp_path) == ["a.bin", "b.txt"]


def test_a_failure_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as aside:
        aside.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["kept.txt"]


def test_the_final_name_is_not_there_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "late.txt"
    with atomic_write(path) as aside:
        aside.write_text("all of it")
        assert not path.exists()
        assert aside.name.startswith(ASIDE_MARK)
        assert aside.parent == path.parent
    assert path.read_text() == "all of it"


def test_a_new_folder_takes_the_place_of_the_old_one_whole(tmp_path: Path) -> None:
    place = tmp_path / "models" / "new"
    for content in ("first", "second"):
        with atomic_folder(place) as folder:
            (folder / content).write_text(content)
        assert names_in(place) == [content]
        assert names_in(place.parent) == ["new"]


def test_a_failure_leaves_the_old_folder(tmp_path: Path) -> None:
    place = tmp_path / "model"
    with atomic_folder(place) as folder:
        (folder / "weights").write_text("old")
    with pytest.raises(RuntimeError), atomic_folder(place) as folder:
        (folder / "weights").write_text("new")
        raise RuntimeError
    assert (place / "weights").read_text() == "old"
    assert names_in(tmp_path) == ["model"]


def test_a_new_folder_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()
    with atomic_folder(tmp_path / "ours"):
        pass
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "output.full"),
        (errno.EDQUOT, "output.full"),
        (errno.EACCES, "output.unwritable"),
        (errno.EROFS, "output.unwritable"),
    ],
)
def test_a_refusal_is_explained_with_the_place_and_what_to_do(number: int, code: str) -> None:
    with pytest.raises(OutputError) as caught, translate_os_error(Path("here/it.txt")):
        raise OSError(number, os.strerror(number))
    assert caught.value.code == code
    assert "here/it.txt" in caught.value.message
    assert caught.value.hint
    assert "`out`" not in caught.value.hint


def test_an_error_advises_the_option_that_places_the_file() -> None:
    with pytest.raises(OutputError) as caught, translate_os_error(Path("here/it.txt"), "`out`"):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    assert caught.value.hint == "Choose another path with `out`."
    assert caught.value.exit_code == 2


def test_a_file_where_a_folder_is_needed_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "file" / "inner.txt", "x")
    with pytest.raises(OutputError, match="cannot be written"), atomic_folder(tmp_path / "file" / "inner"):
        pass
    assert names_in(tmp_path) == ["file"]


def test_a_folder_without_permission_is_explained(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o600)
    code = (
        "import sys; from pathlib import Path; from activity_cli.files import write_text;"
        "from activity_cli import OutputError\n"
        "try: write_text(Path(sys.argv[1]), 'x')\n"
        "except OutputError as error: print(error.code)"
    )
    command = [sys.executable, "-c", code, str(closed / "a.txt")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, preexec_fn=no_privileges)
    assert (done.stdout, done.stderr) == ("output.unwritable\n", "")


def test_a_file_that_grows_beyond_the_limit_is_explained_and_removed(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from activity_cli.files import write_bytes\n"
        "from activity_cli import OutputError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "try: write_bytes(Path(sys.argv[1]), b'x' * 9000)\n"
        "except OutputError as error: print(error.code)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "big.bin")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("output.full\n", "")
    assert names_in(tmp_path) == []


def test_the_hash_is_sha256_of_all_bytes_also_of_a_file_of_several_blocks(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "big").write_bytes(content)
    (tmp_path / "empty").touch()
    assert sha256_of(tmp_path / "big") == hashlib.sha256(content).hexdigest()
    assert sha256_of(tmp_path / "empty") == hashlib.sha256().hexdigest()


def test_what_a_killed_run_left_of_a_file_or_folder_is_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = [tmp_path / f"{ASIDE_MARK}{gone.pid}-state.npz", tmp_path / f"{ASIDE_MARK}{gone.pid}-state.npz-ab12"]
    kept = [tmp_path / f"{ASIDE_MARK}{os.getppid()}-state.npz", tmp_path / f"{ASIDE_MARK}{gone.pid}-other.npz"]
    left[1].mkdir()
    for path in (left[0], left[1] / "half", *kept):
        path.write_bytes(b"half")
    remove_stale(tmp_path / "state.npz")
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_sweeping_removes_what_is_unfinished_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / f"{ASIDE_MARK}123-manifest.csv").touch()
    (tmp_path / ".hidden").touch()
    (tmp_path / "manifest.csv").touch()
    remove_stale_files(tmp_path)
    assert names_in(tmp_path) == [".hidden", "manifest.csv"]


LOCKS = pytest.mark.parametrize("lock", [folder_lock, path_lock])
Lock = Callable[[Path], AbstractContextManager[None]]


@LOCKS
def test_a_lock_is_held_by_one_run_and_released_when_the_work_fails(lock: Lock, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(RuntimeError), lock(place):
        raise RuntimeError
    with lock(place):
        codes = []

        def other() -> None:
            try:
                with lock(place):
                    codes.append("")
            except OutputError as error:
                codes.append(error.code)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert is_empty(place)
    assert codes == ["output.locked"]
    assert [path.name for path in tmp_path.rglob("*")] == ["place"], "the lock stays behind"


_HOLD = """
import sys, time
from pathlib import Path
from activity_cli import files
with getattr(files, sys.argv[1])(Path(sys.argv[2])):
    print("locked", flush=True)
    time.sleep(60)
"""


@LOCKS
def test_a_lock_is_released_when_its_process_is_killed(lock: Lock, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLD, lock.__name__, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    with pytest.raises(OutputError, match="Another run"), lock(tmp_path):
        pass
    process.kill()
    process.communicate()
    with lock(tmp_path):
        pass


def test_every_suffix_belongs_to_one_container() -> None:
    suffixes = [suffix for names in VIDEO_CONTAINERS.values() for suffix in names]
    assert len(suffixes) == len(set(suffixes)) == len(VIDEO_SUFFIXES)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
@pytest.mark.parametrize("write", [atomic_write, path_lock])
def test_a_pipe_is_not_replaced_by_a_file(write: Callable[..., AbstractContextManager[object]], tmp_path: Path) -> None:
    path = tmp_path / "pipe.jsonl"
    os.mkfifo(path)
    with pytest.raises(OutputError, match="is a pipe or a device"), write(path):
        pass
    assert path.is_fifo() and list(tmp_path.iterdir()) == [path]
