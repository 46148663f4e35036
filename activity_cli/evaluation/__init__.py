"""Metrics, and baselines on the same clips.

May import :mod:`~activity_cli.dataset` and what is below it; scikit-learn loads where a baseline is fitted.
"""
