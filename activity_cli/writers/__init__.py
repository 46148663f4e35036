"""Predictions and histories -> JSON lines and CSV.

May import the base packages only.
"""
