"""Scores of a model, and of baselines on the same clips.

May import :mod:`~activity_cli.dataset` and the packages below it. scikit-learn is imported where it is used.
"""
