"""Time stamps of frames -> which frames make clips: named samplers and windows, pure arithmetic without decoding.

May import the base packages only.
"""
