"""Label formats: which videos there are, and which activity each one, or each segment of it, shows.

May import the base packages only.
"""
