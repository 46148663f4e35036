"""``python -m activity_cli`` is ``activity``."""

from activity_cli.cli.app import main

if __name__ == "__main__":
    main()
