"""A result as text, table, JSON, HTML or picture; one module for each form.

Nothing is imported here: ``predict`` in a pipe needs ``json_lines`` only, and must not pay for the
table library or for OpenCV.
"""
