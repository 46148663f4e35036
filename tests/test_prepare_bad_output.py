"""prepare into places that are taken, closed, damaged or full: one line says so, and nothing is lost."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from activity_cli.dataset.manifest import read_prepared
from activity_cli.errors import DatasetError
from data_support import TINY, files_of, no_privileges, only_line, rows_of, run, wrong_call

Activity = Callable[..., Result]


@pytest.mark.parametrize("damage", ["gone", "cut", "list"])
def test_a_half_written_folder_cannot_be_trained_on_and_prepare_finishes_it(
    damage: str, prepare: Activity, few: Path, tmp_path: Path
) -> None:
    prepare(few)
    before, config = files_of(tmp_path / "out"), tmp_path / "out" / "config.json"
    if damage == "gone":
        config.unlink()
    else:
        config.write_text({"cut": config.read_text()[:50], "list": "[]"}[damage])
    with pytest.raises(DatasetError, match="Run 'activity prepare' again"):
        read_prepared(tmp_path / "out")
    assert prepare(few).exit_code == 0
    assert files_of(tmp_path / "out") == before


def test_other_settings_need_overwrite(prepare: Activity, few: Path, tmp_path: Path) -> None:
    prepare(few)
    before = files_of(tmp_path / "out")
    wrong_call(prepare(few, "--num-frames", 5), "other settings: num_frames was 6 and is now 5", "--overwrite")
    wrong_call(prepare(few, "--seed", 1), "seed was 0 and is now 1")
    few.rename(few.with_name("moved"))
    wrong_call(prepare(few.with_name("moved")), "videos was", "moved")
    few.with_name("moved").rename(few)
    assert files_of(tmp_path / "out") == before
    assert prepare(few, "--num-frames", 5, "--overwrite").exit_code == 0
    assert {row["clip_frames"] for row in rows_of(tmp_path / "out").values()} == {"5"}
    assert len(list((tmp_path / "out" / "clips").iterdir())) == 6


@pytest.mark.parametrize("version", [4, 6])
def test_a_folder_of_another_version_needs_overwrite(
    version: int, prepare: Activity, few: Path, tmp_path: Path
) -> None:
    prepare(few)
    config = tmp_path / "out" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "schema": f"activity.prepared/{version}"}))
    before = files_of(tmp_path / "out")
    wrong_call(prepare(few), f"activity.prepared/{version}", "--overwrite")
    assert files_of(tmp_path / "out") == before
    assert prepare(few, "--overwrite").exit_code == 0


@pytest.mark.parametrize("name", ["thesis.txt", "config.json", "manifest.csv", "clips/mine.npy"])
@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_folder_of_another_program_is_never_written_to(
    name: str, overwrite: tuple[str, ...], prepare: Activity, few: Path, tmp_path: Path
) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text('{"precious": true}')
    wrong_call(prepare(few, *overwrite), "was not made by 'activity prepare'", "--out")
    assert files_of(tmp_path / "out") == {name: b'{"precious": true}'}


def test_a_file_in_the_way(prepare: Activity, few: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    wrong_call(prepare(few, out=tmp_path / "file"), "file", "--out")
    wrong_call(prepare(few, out=tmp_path / "file" / "inner"), "inner", "--out")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_place_that_cannot_be_written(mode: int, few: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(mode)
    for out in (tmp_path / "closed" / "out", tmp_path / "closed"):
        done = run("prepare", few, "--out", out, *TINY, "--set", "workers=1", preexec_fn=no_privileges)
        line = only_line(done.stderr)
        assert (done.returncode, done.stdout) == (2, ""), line
        assert "permission denied" in line
    (tmp_path / "closed").chmod(0o700)
    assert files_of(tmp_path / "closed") == {}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
def test_a_full_disk_gives_one_line_wherever_it_happens_and_the_next_run_goes_on(
    prepare: Activity, few: Path, small_disk: Path, tmp_path: Path
) -> None:
    out, failures = small_disk / "out", 0
    for size in range(64, 2000, 12):
        subprocess.run(["mount", "-o", f"remount,size={size}k", str(small_disk)], check=True)
        result = prepare(few, "--group-by", "none", out=out)
        if result.exit_code == 0:
            break
        *_, line = result.stderr.splitlines()  # after warnings about the videos
        assert "The disk is full" in line and "run the same command again" in line
        assert "Traceback" not in result.stderr
        failures += 1
    assert failures > 3
    assert "Decoded 0 videos." in result.stderr or "Decoded 1 video." in result.stderr
    prepare(few, "--group-by", "none", out=tmp_path / "elsewhere")
    assert files_of(out) == files_of(tmp_path / "elsewhere")


def test_a_full_disk_in_a_worker_gives_one_line(few: Path, small_disk: Path) -> None:
    done = run("prepare", few, "--out", small_disk / "out", *TINY, "--set", "workers=2")
    assert done.returncode == 2
    assert "The disk is full" in done.stderr.splitlines()[-1]
