"""Decode workers, the caches of clips and features, the manifest, and the batches that training reads.

May import :mod:`~activity_cli.video`, :mod:`~activity_cli.sampling`, :mod:`~activity_cli.labels` and what is below
them; TensorFlow only where batches are made.
"""
