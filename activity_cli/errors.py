"""What can go wrong, as a tree.

ActivityError                     code, message, hint, exit_code
├── UsageError                    the call itself is wrong (exit code 2)
│   ├── ConfigError               a setting has an impossible value
│   ├── OutputError               the output folder exists, is not ours, or cannot be written
│   ├── MissingDependencyError    a package or a system library is not installed
│   ├── DatasetError              the videos or the prepared folder cannot be learned from
│   └── BundleError               no such model, or a model that is cut, edited or too new
├── VideoError                    one file cannot be used (exit code 1, the others go on)
└── TrainingError                 training cannot go on

Every error says what is wrong, with which value, and (``hint``) what to do. ``code`` is stable and
meant for programs: ``<area>.<what>``, such as ``video.undecodable``.
"""

from __future__ import annotations

__all__ = [
    "ActivityError",
    "BundleError",
    "ConfigError",
    "DatasetError",
    "MissingDependencyError",
    "OutputError",
    "TrainingError",
    "UsageError",
    "VideoError",
]


class ActivityError(Exception):
    """Base of all errors that are explained to the user.

    Args:
        message: What is wrong, with which value. One line.
        hint: What to do about it. One line, may be empty.
        code: Stable name for programs; the class has a default.
    """

    code = "activity.error"
    exit_code = 1

    def __init__(self, message: str, hint: str = "", *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process boundaries (decoding workers); the default would drop the hint.
        return (_rebuild, (type(self), self.message, self.hint, self.code))


def _rebuild(cls: type[ActivityError], message: str, hint: str, code: str) -> ActivityError:
    return cls(message, hint, code=code)


class UsageError(ActivityError):
    """The call itself is wrong."""

    code = "usage"
    exit_code = 2


class ConfigError(UsageError):
    """A setting has an impossible value.

    Args:
        message, hint, code: As for every error.
        setting: Its name, so that the command line can show it as it was typed; may be empty.
    """

    code = "config.invalid"

    def __init__(self, message: str, hint: str = "", *, code: str | None = None, setting: str = "") -> None:
        super().__init__(message, hint, code=code)
        self.setting = setting


class OutputError(UsageError):
    """The output exists, is not ours, or cannot be written."""

    code = "output.unusable"


class MissingDependencyError(UsageError):
    """A package or a system library is not installed."""

    code = "dependency.missing"


class DatasetError(UsageError):
    """The videos or the prepared folder cannot be learned from."""

    code = "dataset.unusable"


class BundleError(UsageError):
    """No such model, or one that is cut, edited or too new."""

    code = "model.unusable"


class VideoError(ActivityError):
    """One file cannot be used; the others go on."""

    code = "video.undecodable"


class TrainingError(ActivityError):
    """Training cannot go on."""

    code = "training.failed"
