"""How a config refuses a value."""

from __future__ import annotations

from activity_cli.errors import ConfigError

__all__ = ["require"]


def require(condition: bool, name: str, value: object, allowed: str) -> None:
    """Makes sure of a setting.

    Raises:
        ConfigError: ``condition`` does not hold; says which value is wrong, and what is allowed.
    """
    if not condition:
        raise ConfigError(f"{name} is {value!r}, which is not possible.", f"Allowed: {allowed}.")
