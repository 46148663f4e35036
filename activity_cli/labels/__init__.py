"""Label formats: which files there are, and what they are labeled.

May import the base packages only.
"""
