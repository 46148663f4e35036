"""``python -m activity_cli`` is ``activity``."""

from __future__ import annotations

import os


def main() -> None:
    """The entry point of the command."""
    try:
        # Here, so that Ctrl-C during the imports prints no traceback.
        from activity_cli.cli.app import main
    except KeyboardInterrupt:
        os._exit(130)
    main()


if __name__ == "__main__":
    main()
