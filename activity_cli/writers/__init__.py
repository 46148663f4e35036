"""Results as data that other programs read: one module for each format.

May import the base packages only.
"""
