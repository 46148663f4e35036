"""Time stamps of frames -> clips and windows: pure arithmetic, no decoding.

May import the base packages only.
"""
