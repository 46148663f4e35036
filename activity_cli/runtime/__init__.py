"""The trained model in LiteRT, without TensorFlow.

May import :mod:`~activity_cli.streams` and the base packages; no TensorFlow.
"""
