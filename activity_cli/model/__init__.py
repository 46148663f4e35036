"""The network, and its saved form, the bundle.

May import :mod:`~activity_cli.streams` and the base packages. Reading a bundle does not load TensorFlow.
"""
