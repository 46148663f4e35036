"""How a network is trained: stages, runner, callbacks, checkpoint.

May import :mod:`~activity_cli.dataset`, :mod:`~activity_cli.model` and what is below them.
"""
