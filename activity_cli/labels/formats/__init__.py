"""The forms in which other programs save labels of parts of videos: one module for each.

Each has a function that gets a :class:`~activity_cli.labels.formats.label_file.LabelFile` and returns what it states,
or None where the file is not of this form. ``registry`` lists them.
"""
