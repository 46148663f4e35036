"""Answers in files: written aside, renamed when they are complete, and continued by the same call after a kill."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activity_cli.cli.command import spelled_errors
from activity_cli.errors import UsageError
from activity_cli.files import translate_os_error, write_text
from activity_cli.results import Prediction, TimelineSegment, TimelineWindow
from activity_cli.settings import ConvertSettings
from activity_cli.writers.csv import prediction_csv, prediction_csv_header
from activity_cli.writers.json import record_json
from activity_cli.writers.segments import SegmentWriter, choose_writer, file_for

__all__ = ["AnswerFiles", "Form", "choose_form"]

Answer = Prediction | TimelineSegment | TimelineWindow


@dataclass(frozen=True, slots=True)
class Form:
    """How answers become text.

    Attributes:
        name: What ``--format`` calls it.
        header: What a file begins with.
        labels: The labels of the model.
        writer: The writer of the segments of a timeline; None: there are predictions.
    """

    name: str
    header: str
    labels: Sequence[str]
    writer: SegmentWriter | None = None

    @property
    def suffix(self) -> str:
        """Of the file of one input; empty where one file holds all."""
        return "" if self.writer is None or self.writer.many_sources else self.writer.suffixes[0]

    def check_out(self, out: Path | None, has_many: bool) -> None:
        """Checks that one file, or stdout, can hold the answers, before a long prediction begins.

        Raises:
            UsageError: There are several videos, and each needs its own file.
        """
        if not has_many or not self.suffix or (out is not None and self.needs_folder(out)):
            return
        hint = f"Name a folder: --format {self.name} --out FOLDER."
        raise UsageError(f"{self.name} has one file for each video.", hint, code="usage.output")

    def needs_folder(self, out: Path) -> bool:
        """Whether ``out`` is a folder with a file for each video."""
        return bool(self.suffix) and (out.is_dir() or out.suffix.lower() != self.suffix.lower())

    def text(self, answers: Sequence[Answer]) -> str:
        """The answers for one input. Only JSON has lines for windows and errors of a timeline."""
        if self.name == "json":
            return "".join(record_json(one) + "\n" for one in answers)
        if self.writer is None:
            return "".join(prediction_csv(one, self.labels) + "\n" for one in answers if isinstance(one, Prediction))
        segments = [one for one in answers if isinstance(one, TimelineSegment)]
        return self.writer.text(segments) if segments else ""


def choose_form(name: str, out: Path | None, timeline: bool, labels: Sequence[str]) -> Form:
    """The form that ``--format`` names, else that of the suffix of the file, else JSON lines.

    Raises:
        UsageError: There is no such format, or not of these answers.
    """
    name = {"auto": "", "jsonl": "json", "table": ""}.get(name, name)
    if name not in ("", "json", "csv") and not timeline:
        raise UsageError(f"--format {name} needs --timeline.", "Add --timeline.", code="usage.format")
    if not name and out is not None and (out.is_dir() or not (out.suffix or out.exists())):
        hint = f"Add --format, or name a file, such as {out / 'answers.csv'}."
        raise UsageError(f"--out {out} names a folder, so its format is not known.", hint, code="usage.format")
    with spelled_errors(ConvertSettings):
        writer = choose_writer(name or None, out) if name or out else choose_writer("json")
    if timeline:
        return Form(writer.name, writer.header, labels, writer)
    if writer.name not in ("json", "csv"):
        raise UsageError(f"--out {out}: {writer.name} needs --timeline.", "Add --timeline.", code="usage.format")
    return Form(writer.name, prediction_csv_header(labels) + "\n" if writer.name == "csv" else "", labels)


class AnswerFiles:
    """The file, or the folder of files, that answers are written to.

    Finished inputs are noted aside. A file gets its name when all inputs are answered, one in a folder at once.

    Args:
        out: A file, or a folder where the form has one file for each input.
        form: The form.
        identity: What made the answers. Answers that something else made are not continued.

    Attributes:
        done: How many inputs of each name an earlier call has answered.
        failed: How many of all inputs could not be used.

    Raises:
        UsageError: A folder is needed, or a file.
        OutputError: It cannot be written.
    """

    def __init__(self, out: Path, form: Form, identity: Sequence[Any]) -> None:
        if not form.suffix and out.is_dir():
            hint = f"Name a file, such as {out / ('answers.' + form.name)}."
            raise UsageError(
                f"--out {out} is a folder, but {form.name} has one file for all.", hint, code="usage.output"
            )
        self._out, self._form = out, form
        self._has_one_file = not form.needs_folder(out)
        self._aside = out.with_name(out.name + ".partial") if self._has_one_file else out / ".predict.partial"
        self._identity = json.dumps([form.name, *identity]) + "\n"
        self._finished: list[tuple[str, str, bool]] = []
        self._written: dict[Path, str] = {}
        self.done: Counter[str] = Counter()
        self.failed = 0
        self._continue()

    def _continue(self) -> None:
        try:
            lines = self._aside.read_text("utf-8").splitlines(keepends=True)
        except (OSError, UnicodeDecodeError):
            return
        if not lines or lines[0] != self._identity:
            return
        for line in lines[1:]:
            try:
                name, text, failed = json.loads(line)
            except ValueError:
                return  # the line that was being written
            self._note(str(name), str(text), bool(failed))
            self.done[str(name)] += 1

    def _note(self, name: str, text: str, failed: bool) -> None:
        self.failed += failed
        self._finished.append((name, text, failed))

    @contextmanager
    def open(self) -> Iterator[None]:
        """Takes answers within the block. At its end, unless something is raised, the file is complete."""
        with translate_os_error(self._aside):
            self._aside.parent.mkdir(parents=True, exist_ok=True)
        write_text(self._aside, self._identity + "".join(json.dumps(one) + "\n" for one in self._finished))
        yield
        if self._has_one_file:
            write_text(self._out, self._form.header + "".join(text for _, text, _ in self._finished))
        with translate_os_error(self._aside):
            self._aside.unlink()

    def add(self, name: str, answers: Sequence[Answer]) -> None:
        """The answers for one input.

        Raises:
            UsageError: Two inputs have the same file.
            OutputError: The disk is full.
        """
        failed = any(isinstance(one, Prediction) and one.status != "ok" for one in answers)
        text = self._form.text(answers)
        if text and any(text for _, text, _ in self._finished):
            self._form.check_out(self._out, has_many=True)
        if text and not self._has_one_file:
            path = file_for(name, self._out, self._form.suffix)
            if path in self._written:
                problem = f"{self._written[path]} and {name} would have the same file, {path}."
                raise UsageError(problem, "Write json, csv or boris.", code="usage.output")
            self._written[path] = name
            with translate_os_error(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
            text = ""
        self._note(name, text, failed)
        with translate_os_error(self._aside), self._aside.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps([name, text, failed]) + "\n")
