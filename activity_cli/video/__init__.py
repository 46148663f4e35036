"""Any source of video -> frames with time stamps.

May import :mod:`~activity_cli.sampling` and the base packages.
"""
