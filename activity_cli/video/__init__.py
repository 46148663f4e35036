"""Any source of video -> frames with time stamps -> clips.

May import :mod:`~activity_cli.sampling` and the base packages.
"""
