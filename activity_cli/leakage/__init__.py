"""Near-duplicates, shared places, groups, splits, metadata shortcuts, and the leak report.

A sibling of :mod:`~activity_cli.dataset`; may import what that may.
"""
