"""The verbs: prepare, train, evaluate, predict, export. Frozen settings in, a frozen result out.

They never print, exit or read ``argv``; progress is handed in. So the Python API is the same functions.
May import everything but :mod:`activity_cli.cli`.
"""
