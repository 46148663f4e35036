"""Results as tables, figures, pictures and HTML.

May import the base packages only; Rich, Matplotlib, Jinja2 and OpenCV load where they are used.
"""
