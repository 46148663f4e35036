"""The errors that users see, as a tree.

ActivityError                     code, message, hint, exit_code
├── UsageError                    the call itself is wrong (exit code 2)
│   ├── ConfigError               a setting has an impossible value
│   ├── OutputError               the output exists, has another origin, or cannot be written
│   ├── MissingDependencyError    a package or a system library is not installed
│   ├── DatasetError              the videos or the prepared folder do not allow training
│   └── BundleError               there is no such model, or it is damaged or too new
├── VideoError                    one file cannot be used (exit code 1; the others continue)
└── TrainingError                 training cannot continue

Each error says what is wrong, with the value, and (``hint``) what to do. Both write settings in backquotes, as
`` `mode` `` or `` `mode=joint` ``. The command line replaces these by what the user types. ``code`` is a stable name
for programs, ``<area>.<problem>``, such as ``video.undecodable``.
"""

from __future__ import annotations

__all__ = ["ActivityError", "BundleError", "ConfigError", "DatasetError", "MissingDependencyError", "OutputError"]
__all__ += ["TrainingError", "UsageError", "VideoError"]


class ActivityError(Exception):
    """Base of all errors that a user can solve.

    Args:
        message: What is wrong, with the value. One line.
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
        # Decoding processes send errors to the main process. The default would drop all but the message.
        return type(self), (self.message, self.hint), self.__dict__


class UsageError(ActivityError):
    """The call itself is wrong."""

    code = "usage"
    exit_code = 2


class ConfigError(UsageError):
    """A setting has an impossible value. ``setting`` is its name, or empty."""

    code = "config.invalid"

    def __init__(self, message: str, hint: str = "", *, code: str | None = None, setting: str = "") -> None:
        super().__init__(message, hint, code=code)
        self.setting = setting


class OutputError(UsageError):
    """The output exists, has another origin, or cannot be written."""

    code = "output.unusable"


class MissingDependencyError(UsageError):
    """A package or a system library is not installed."""

    code = "dependency.missing"


class DatasetError(UsageError):
    """The videos or the prepared folder do not allow training."""

    code = "dataset.unusable"


class BundleError(UsageError):
    """There is no such model, or it is damaged or too new."""

    code = "model.unusable"


class VideoError(ActivityError):
    """One file cannot be used; the others continue."""

    code = "video.undecodable"


class TrainingError(ActivityError):
    """Training cannot continue."""

    code = "training.failed"
